"""The page at ``/graphiql``: the built GraphiQL, or a plain page where it was not built.

``page/`` holds the source, ``make page`` bundles it into ``assets/`` (not committed), ``plain/`` needs no build,
``examples/`` are the operations that the page opens with: ``N-name.graphql`` with its variables in ``N-name.json``.
What a page must know of the gateway comes as ``/graphiql/config.json``, so the built files are the same everywhere;
each profile has a page of its own, ``/graphiql/ap`` with ``/graphiql/ap/config.json``.
No other host is ever asked, and the content security policy says so; it allows no inline script. (Monaco makes its
styles at run time: styles may be inline.)
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import BaseRoute, Route

from gateway.http.admin_access import AccessCheck, allow_all
from gateway.storage.accept import coding_quality

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
        return self._is("mutation")

    @property
    def subscribes(self) -> bool:
        """Whether its answers come as long as somebody looks on."""
        return self._is("subscription")

    def _is(self, kind: str) -> bool:
        return any(line.startswith(kind) for line in self.query.splitlines())


def examples(folder: Path = EXAMPLES, *, changing: bool = True) -> tuple[Example, ...]:
    """Return the examples by number; without ``changing`` just those that read once."""
    paths = sorted(folder.glob("*.graphql"), key=lambda p: int(p.stem.partition("-")[0]))
    found = map(_example, paths)
    return tuple(e for e in found if changing or not (e.changes or e.subscribes))


def _example(path: Path) -> Example:
    query = path.read_text("utf-8")
    variables = path.with_suffix(".json")
    return Example(
        name=path.stem,
        title=query.partition("\n")[0].lstrip("# "),
        query=query,
        variables=json.loads(variables.read_text("utf-8")) if variables.exists() else None,
    )


Choose: TypeAlias = Callable[[Starlette, Sequence[Example]], Awaitable[Sequence[Example]]]


async def _all(_: Starlette, shown: Sequence[Example]) -> Sequence[Example]:
    return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of one API."""

    path: str = "/graphiql"
    api: str = "/graphql"
    profile: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: PRESET_HEADERS)
    """What the header editor starts with."""
    changing: bool = True
    """Whether examples write."""
    explains: bool = True
    """Whether there is a panel of plans and timings."""
    environment: Mapping[str, object] = field(default_factory=dict)
    """What the badge shows: ``name``, ``kind``, ``readOnly``, ``version``."""
    docs: str | None = None
    """Where the documentation is published, ending in a slash; None: the page links to none of its chapters."""
    poll_interval: float = 10.0
    """Seconds between two polls of a subscription."""
    apis: Sequence[Mapping[str, str]] = ()
    """``title`` and ``page`` of each API to choose from."""
    choose: Choose = _all
    """Gives those of the examples that are shown."""
    admits: AccessCheck = allow_all
    """Who may see the page."""


def page_routes(shown: Page, assets: Path = BUILT) -> list[BaseRoute]:
    """Return the routes of a page: GraphiQL when ``assets`` is built by now, else the plain page."""
    folder = _folder(assets)
    index = (folder / "index.html").read_text("utf-8")
    # Addresses of the page are relative, for who stands behind a proxy's path.
    below = "../" * (shown.path.count("/") - 1)
    index = index.replace('"graphiql/assets/', f'"{below}graphiql/assets/')
    tabs = examples(changing=shown.changing)

    async def page(request: Request) -> Response:
        if not shown.admits(request.headers):
            return _refusal()
        return HTMLResponse(index, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    async def config(request: Request) -> Response:
        if not shown.admits(request.headers):
            return _refusal()
        root = request.scope.get("root_path", "")
        content = {
            "endpoint": f"{root}{shown.api}",
            "profile": shown.profile,
            "headers": dict(shown.headers),
            "examples": [asdict(example) for example in await shown.choose(request.app, tabs)],
            "explain": shown.explains,
            "environment": dict(shown.environment),
            "docs": shown.docs,
            "pollInterval": shown.poll_interval,
            "apis": [{**api, "page": f"{root}{api['page']}"} for api in shown.apis],
        }
        return JSONResponse(content, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    return [Route(shown.path, page), Route(f"{shown.path}/config.json", config)]


def _refusal() -> Response:
    """Ask for a password (RFC 7617)."""
    fields = {"WWW-Authenticate": 'Basic realm="GraphiQL", charset="UTF-8"', **SECURITY_HEADERS}
    return PlainTextResponse("The password of this page is the admin token.", 401, headers=fields)


def _folder(assets: Path) -> Path:
    return assets if (assets / "index.html").is_file() else PLAIN


def asset_routes(assets: Path = BUILT) -> list[BaseRoute]:
    """Return the route of the files that all pages have."""
    folder = _folder(assets)
    files = {path.name: path for path in folder.iterdir()}

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = files.get(name)
        if path is None or path.suffix not in CONTENT_TYPES:
            return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)
        fields = {
            # a built file is named by its content
            "Cache-Control": "no-cache"
            if folder == PLAIN
            else "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
            **SECURITY_HEADERS,
        }
        packed = files.get(f"{name}.gz")
        encodings = request.headers.get("accept-encoding", "")
        if packed is not None and coding_quality(encodings, "gzip") > 0:
            fields["Content-Encoding"] = "gzip"
            return FileResponse(packed, headers=fields, media_type=CONTENT_TYPES[path.suffix])
        return FileResponse(path, headers=fields, media_type=CONTENT_TYPES[path.suffix])

    return [Route("/graphiql/assets/{name}", asset)]
