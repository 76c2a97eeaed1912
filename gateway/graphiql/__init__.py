"""Serves ``/graphiql``: the built GraphiQL, or a plain page if it was not built.

``page/`` holds the source, ``make page`` bundles it into ``assets/`` (not committed), ``plain/`` needs no build,
``examples/`` are the operations in the page's first tabs: ``N-name.graphql`` with variables in ``N-name.json``. What
the page must know of the gateway is in ``/graphiql/config.json``, so the built files are the same everywhere; each
profile has its own page, ``/graphiql/ap`` with ``/graphiql/ap/config.json``.
The content security policy allows no inline scripts, and of other hosts only the token endpoints of issuers with which
the page signs in. Styles may be inline, because Monaco makes its styles at run time.

``config.json`` is about the caller of its request: if callers must sign in, it tells strangers how to do that, and
nothing about the API.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from gateway.http.presence import deployment_root
from gateway.identity.sign_in import SignIn
from gateway.storage.accept import coding_quality

HERE = Path(__file__).parent
BUILT = HERE / "assets"
PLAIN = HERE / "plain"
EXAMPLES = HERE / "examples"


def security_headers(ways: Iterable[SignIn] = ()) -> dict[str, str]:
    """Return the headers of a page that may sign in in these ways."""
    connect = " ".join(("'self'", *sorted({way.origin for way in ways if way.origin})))
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        f"connect-src {connect}",
        "worker-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


SECURITY_HEADERS = MappingProxyType(security_headers())
CONTENT_TYPES = {".js": "text/javascript", ".css": "text/css"}
PRESET_HEADERS = {"X-D365-Company": "usmf"}
CALLBACK = "/graphiql/callback"
"""Where the browser comes back to from signing in: the redirect address that issuers must know."""


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
class Visit:
    """What a page is for the caller of a request."""

    status: int = 200
    """Of the answer; 403: the roles do not allow the page, 404: there is no such API for the caller."""
    examples: Sequence[Example] = ()
    explains: bool = True
    """Whether there is the panel with plans and timings."""
    apis: Sequence[Mapping[str, str]] = ()
    """``title`` and ``page`` of each API in the menu."""
    headers: Mapping[str, str] | None = None
    """Headers in the page's editor; None: those of the page."""
    environment: Mapping[str, object] | None = None
    """Content of the badge; None: that of the page."""
    has_view: bool = False
    """Whether the roles of the caller decide its company, so that the page presets none."""
    caller: Mapping[str, object] | None = None
    """Who has signed in: ``name``, ``kind``, ``roles``, ``expiresAt``; None: nobody."""
    refusal: Mapping[str, object] | None = None
    """Why the API is closed to the caller: ``code``, ``message``; None: it is open."""


Receive: TypeAlias = Callable[[Request, Sequence[Example]], Awaitable[Visit]]
"""Returns what a page is for the caller of a request; the examples are those that its API might run."""


async def _for_all(_: Request, tabs: Sequence[Example]) -> Visit:
    return Visit(examples=tabs)


async def _no_ways() -> Sequence[SignIn]:
    return ()


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
    environment: Mapping[str, object] = field(default_factory=dict)
    """Content of the badge: ``name``, ``kind``, ``readOnly``, ``version``."""
    docs: str | None = None
    """Where the documentation is published, ending in a slash; None: the page links to none of its chapters."""
    poll_interval: float = 10.0
    """Seconds between two polls of a subscription."""
    receive: Receive = _for_all
    """Decides what the page is for a caller."""
    ways: Callable[[], Awaitable[Sequence[SignIn]]] = _no_ways
    """Returns the ways to sign in."""
    admits: AccessCheck = allow_all
    """Authorization check for the page."""


def page_routes(settings: Page, assets: Path = BUILT) -> list[BaseRoute]:
    """Return the routes of a page: GraphiQL if ``assets`` is built, else the plain page."""
    index = _index(settings.path, assets)
    tabs = examples(changing=settings.changing)

    async def page(request: Request) -> Response:
        if not settings.admits(request.headers):
            return _refusal()
        ways = await settings.ways()
        # A browser that opens an address sends no token: where it could sign in, config.json decides.
        if settings.ways is _no_ways and (await settings.receive(request, ())).status == 404:
            return _not_found()
        return _document(index, security_headers(ways))

    async def config(request: Request) -> Response:
        return await _config(settings, tabs, request)

    return [Route(settings.path, page), Route(f"{settings.path}/config.json", config)]


def unknown_page_routes(
    settings: Page, page: str, api: str, assets: Path = BUILT
) -> list[BaseRoute]:
    """Return the routes of the pages of all other profiles, which are below these addresses, known or not."""
    index = _index(f"{page}/name", assets)

    async def other_page(request: Request) -> Response:
        if not settings.admits(request.headers):
            return _refusal()
        return _document(index, security_headers(await settings.ways()))

    async def config(request: Request) -> Response:
        name = request.path_params["profile"]
        other = replace(settings, path=f"{page}/{name}", api=f"{api}/{name}", profile=name)
        return await _config(other, (), request)

    path = f"{page}/{{profile}}"
    return [Route(path, other_page), Route(f"{path}/config.json", config)]


async def _config(settings: Page, tabs: Sequence[Example], request: Request) -> Response:
    # Whoever signs in sends the token in the place of the password.
    has_token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if not has_token and not settings.admits(request.headers):
        return _refusal()
    visit = await settings.receive(request, tabs)
    if has_token and visit.caller is None and not settings.admits(request.headers):
        return _refusal()
    if visit.status == 404:
        return _not_found()
    content = _content(settings, visit, await settings.ways(), request)
    headers = {"Cache-Control": "no-store", **SECURITY_HEADERS}
    return JSONResponse(content, visit.status, headers=headers)


def _document(index: str, headers: Mapping[str, str]) -> Response:
    return HTMLResponse(index, headers={"Cache-Control": "no-cache", **headers})


def _not_found() -> Response:
    return PlainTextResponse("Not Found", 404)


def _content(
    settings: Page, visit: Visit, ways: Sequence[SignIn], request: Request
) -> Mapping[str, object]:
    """Return what the page must know; of the API nothing for callers to whom it is closed."""
    root = request.scope.get("root_path", "")
    # Issuers know one address to come back to, whatever the environment.
    shared = deployment_root(request.scope)
    is_open = visit.refusal is None
    preset = settings.headers if visit.headers is None else visit.headers
    badge = settings.environment if visit.environment is None else visit.environment
    return {
        "endpoint": f"{root}{settings.api}",
        "exports": f"{root}/export{settings.api.removeprefix('/graphql')}",
        "profile": settings.profile,
        "headers": dict(preset) if is_open and not visit.has_view else {},
        "examples": [asdict(example) for example in visit.examples],
        "explain": visit.explains,
        "environment": dict(badge) if is_open else {},
        "docs": settings.docs,
        "pollInterval": settings.poll_interval,
        "apis": [{**api, "page": f"{root}{api['page']}"} for api in visit.apis],
        "caller": visit.caller,
        "refusal": visit.refusal,
        "signIn": {
            "callback": f"{shared}{CALLBACK}",
            "ways": [_way(way, shared) for way in ways],
        },
    }


def _way(way: SignIn, root: str) -> Mapping[str, object]:
    addresses = (way.authorization_endpoint, way.token_endpoint)
    authorize, token = (f"{root}{a}" if a.startswith("/") else a for a in addresses)
    return {
        "title": way.title,
        "issuer": way.issuer,
        "clientId": way.client_id,
        "scopes": list(way.scopes),
        "authorizationEndpoint": authorize,
        "tokenEndpoint": token,
    }


def callback_route(ways: Callable[[], Awaitable[Sequence[SignIn]]]) -> BaseRoute:
    """Return the route to which issuers send a browser back: the page, which goes on where it began."""
    index = _index(CALLBACK, BUILT)

    async def callback(_: Request) -> Response:
        headers = security_headers(await ways())
        return HTMLResponse(index, headers={"Cache-Control": "no-store", **headers})

    return Route(CALLBACK, callback)


def _index(path: str, assets: Path) -> str:
    """Return the document of a page at a path."""
    index = (_folder(assets) / "index.html").read_text("utf-8")
    # URLs in the page are relative, as a proxy may serve it below a path of its own.
    below = "../" * (path.count("/") - 1)
    return index.replace('"graphiql/assets/', f'"{below}graphiql/assets/')


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
