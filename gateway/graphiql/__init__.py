"""Serves ``/graphiql``: the built GraphiQL, or a plain page if it was not built.

``page/`` holds the source, ``make page`` bundles it into ``assets/`` (not committed), ``plain/`` needs no build,
``examples/`` are the operations in the page's first tabs: ``N-name.graphql`` with variables in ``N-name.json``. What
the page must know of the gateway is in ``/graphiql/config.json``, so the built files are the same everywhere; each
profile has its own page, ``/graphiql/ap`` with ``/graphiql/ap/config.json``.
The content security policy allows no other host and no inline scripts. Styles may be inline, because Monaco makes its
styles at run time.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

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
    """An operation in the page's first tabs; its title is its first comment."""

    name: str
    title: str
    query: str
    variables: dict[str, object] | None

    @property
    def changes(self) -> bool:
        """Whether it is a mutation."""
        return self._is("mutation")

    @property
    def subscribes(self) -> bool:
        """Whether it is a subscription."""
        return self._is("subscription")

    def _is(self, kind: str) -> bool:
        return any(line.startswith(kind) for line in self.query.splitlines())


def examples(folder: Path = EXAMPLES, *, changing: bool = True) -> tuple[Example, ...]:
    """Return the examples by number; without ``changing`` only queries."""
    paths = sorted(folder.glob("*.graphql"), key=lambda p: int(p.stem.partition("-")[0]))
    return tuple(e for e in map(_example, paths) if changing or not (e.changes or e.subscribes))


def _example(path: Path) -> Example:
    query = path.read_text("utf-8")
    variables = path.with_suffix(".json")
    return Example(
        name=path.stem,
        title=query.partition("\n")[0].lstrip("# "),
        query=query,
        variables=json.loads(variables.read_text("utf-8")) if variables.exists() else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """What the caller of a request sees of a page."""

    status: int = 200
    """403: none of the caller's roles may use it; 404: to the caller it does not exist."""
    examples: Sequence[Example] = ()
    explains: bool = True


ViewOfPage: TypeAlias = Callable[[Request, Sequence[Example]], Awaitable[PageView]]
"""Returns what the caller of a request sees, with those of the examples that the API can run for the caller."""


async def _all(_: Request, tabs: Sequence[Example]) -> PageView:
    return PageView(examples=tabs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of one API."""

    path: str = "/graphiql"
    api: str = "/graphql"
    profile: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: PRESET_HEADERS)
    """Headers in the page's editor."""
    changing: bool = True
    """Whether there are examples that write or subscribe."""
    explains: bool = True
    """Whether there is the panel with plans and timings."""
    environment: Mapping[str, object] = field(default_factory=dict)
    """Content of the badge: ``name``, ``kind``, ``readOnly``, ``version``."""
    docs: str | None = None
    """Where the documentation is published, ending in a slash; None: the page links to none of its chapters."""
    poll_interval: float = 10.0
    """Seconds between two polls of a subscription."""
    apis: Sequence[Mapping[str, str]] = ()
    """``title`` and ``page`` of each API in the menu."""
    view: ViewOfPage = _all
    admits: AccessCheck = allow_all
    """Authorization check for the page."""


def page_routes(settings: Page, assets: Path = BUILT) -> list[BaseRoute]:
    """Return the routes of a page: GraphiQL if ``assets`` is built, else the plain page."""
    folder = _folder(assets)
    index = (folder / "index.html").read_text("utf-8")
    # URLs in the page are relative, as a proxy may serve it below a path of its own.
    below = "../" * (settings.path.count("/") - 1)
    index = index.replace('"graphiql/assets/', f'"{below}graphiql/assets/')
    tabs = examples(changing=settings.changing)

    async def page(request: Request) -> Response:
        if not settings.admits(request.headers):
            return _refusal()
        seen = await settings.view(request, ())
        if seen.status != 200:
            return _refused(seen.status)
        return HTMLResponse(index, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    async def config(request: Request) -> Response:
        if not settings.admits(request.headers):
            return _refusal()
        seen = await settings.view(request, tabs)
        if seen.status != 200:
            return _refused(seen.status)
        root = request.scope.get("root_path", "")
        content = {
            "endpoint": f"{root}{settings.api}",
            "profile": settings.profile,
            "headers": dict(settings.headers),
            "examples": [asdict(example) for example in seen.examples],
            "explain": settings.explains and seen.explains,
            "environment": dict(settings.environment),
            "docs": settings.docs,
            "pollInterval": settings.poll_interval,
            "apis": [{**api, "page": f"{root}{api['page']}"} for api in settings.apis],
        }
        return JSONResponse(content, headers={"Cache-Control": "no-cache", **SECURITY_HEADERS})

    return [Route(settings.path, page), Route(f"{settings.path}/config.json", config)]


def _refused(status: int) -> Response:
    if status == 404:
        return PlainTextResponse("Not Found", 404)
    return PlainTextResponse("None of your roles may use this page.", 403, headers=SECURITY_HEADERS)


def _refusal() -> Response:
    """Return the response that makes a browser ask for a password (RFC 7617)."""
    fields = {"WWW-Authenticate": 'Basic realm="GraphiQL", charset="UTF-8"', **SECURITY_HEADERS}
    return PlainTextResponse("The password of this page is the admin token.", 401, headers=fields)


def _folder(assets: Path) -> Path:
    return assets if (assets / "index.html").is_file() else PLAIN


def asset_routes(assets: Path = BUILT) -> list[BaseRoute]:
    """Return the route of the files that all pages share."""
    folder = _folder(assets)
    files = {path.name: path for path in folder.iterdir()}

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = files.get(name)
        if path is None or path.suffix not in CONTENT_TYPES:
            return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)
        fields = {
            # The name of a built file contains a hash of its content.
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
