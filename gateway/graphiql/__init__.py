"""The page at ``/graphiql``: the built GraphiQL, or a plain page where it was not built.

``page/`` holds the source, ``make page`` bundles it into ``assets/`` (not committed), ``plain/`` needs no build,
``examples/`` are the operations that the page opens with: ``N-name.graphql`` with its variables in ``N-name.json``.
What a page must know of the gateway comes as ``/graphiql/config.json``, so the built files are the same everywhere.
No other host is ever asked, and the content security policy says so; it allows no inline script. (Monaco makes its
styles at run time: styles may be inline.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import BaseRoute, Route

HERE = Path(__file__).parent
BUILT = HERE / "assets"
PLAIN = HERE / "plain"
EXAMPLES = HERE / "examples"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
SECURITY_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
)
CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css"}
PRESET_HEADERS = {"X-D365-Company": "usmf"}


@dataclass(frozen=True, slots=True)
class Example:
    """An operation the page opens with; its title is the comment it begins with."""

    name: str
    title: str
    query: str
    variables: dict[str, object] | None

    @property
    def changes(self) -> bool:
        """Whether it writes."""
        return any(line.startswith("mutation") for line in self.query.splitlines())


def examples(folder: Path = EXAMPLES, *, changing: bool = True) -> tuple[Example, ...]:
    """Give the examples by number; without ``changing`` just those that read."""
    paths = sorted(folder.glob("*.graphql"), key=lambda p: int(p.stem.partition("-")[0]))
    return tuple(e for e in map(_example, paths) if changing or not e.changes)


def _example(path: Path) -> Example:
    query = path.read_text("utf-8")
    variables = path.with_suffix(".json")
    return Example(
        name=path.stem,
        title=query.partition("\n")[0].lstrip("# "),
        query=query,
        variables=json.loads(variables.read_text("utf-8")) if variables.exists() else None,
    )


def graphiql_routes(
    *,
    api_path: str = "/graphql",
    headers: Mapping[str, str] = PRESET_HEADERS,
    assets: Path = BUILT,
    changing: bool = True,
) -> list[BaseRoute]:
    """Give the routes of the page: GraphiQL when ``assets`` is built by now, else the plain page.

    ``headers`` is what the page's header editor starts with; without ``changing`` no example writes.
    """
    built = (assets / "index.html").is_file()
    folder = assets if built else PLAIN
    index = (folder / "index.html").read_text("utf-8")
    files = {path.name: path for path in folder.iterdir()}
    shown = [asdict(example) for example in examples(changing=changing)]

    async def page(_: Request) -> Response:
        return HTMLResponse(index, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    async def config(request: Request) -> Response:
        endpoint = f"{request.scope.get('root_path', '')}{api_path}"
        content = {"endpoint": endpoint, "headers": dict(headers), "examples": shown}
        return JSONResponse(content, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = files.get(name)
        if path is None or path.suffix not in CONTENT_TYPES:
            return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)
        fields = {
            # a built file is named by its content
            "Cache-Control": "public, max-age=31536000, immutable" if built else "no-cache",
            "Vary": "Accept-Encoding",
            **SECURITY_HEADERS,
        }
        packed = files.get(f"{name}.gz")
        if packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
            fields["Content-Encoding"] = "gzip"
            return FileResponse(packed, headers=fields, media_type=CONTENT_TYPES[path.suffix])
        return FileResponse(path, headers=fields, media_type=CONTENT_TYPES[path.suffix])

    return [
        Route("/graphiql", page),
        Route("/graphiql/config.json", config),
        Route("/graphiql/assets/{name}", asset),
    ]


def _takes_gzip(accepts: str) -> bool:
    """``"br, gzip;q=0.5"`` → true, ``"gzip;q=0"`` → false (RFC 9110 section 12.5.3)."""
    weights: Mapping[str, str] = {
        coding.strip().lower(): weight.replace(" ", "")
        for coding, _, weight in (part.partition(";") for part in accepts.split(","))
    }
    weight = weights.get("gzip", weights.get("*"))
    return weight is not None and weight not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
