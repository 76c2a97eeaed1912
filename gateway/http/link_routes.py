"""The link page, on which customers' administrators link their environments. It is public; its sessions are secret.

    GET  /link/{session}             the page, or (404) that the link is of no use
    GET  /link/{session}/state       how far the session is
    POST /link/{session}/address     the address of the environment, and credentials of its own application
    POST /link/{session}/sign-in     where the login page is
    GET  /link/callback              the way back from there
    POST /link/{session}/check       the live check, step by step: a JSON object a line
    POST /link/{session}/finish      link it
    GET  /link/assets/{name}         files of the page

A POST needs JSON and the origin of the page itself, so that no other site can send it in the visitor's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from gateway.errors import GatewayError
from gateway.events import ErrorRaised
from gateway.linking.flow import LinkFlow, Visitor
from gateway.linking.login import CALLBACK
from gateway.linking.options import LinkInput
from gateway.linking.problems import LinkError
from gateway.linking.session import Problem
from gateway.store.polling import StorePoller

from .link_audit import record_linked, record_refused_proof
from .link_cookies import LinkCookies
from .link_json import check_line, error_json, state_json
from .request_parameters import BODY_TIMEOUT

PAGE = Path(__file__).parent.parent / "linking" / "page"
MAX_BODY = 16_384
"""Bytes of a request's body."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address is a secret: it must not be what other sites see that the visitor comes from.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}
_ASSETS = {"link.css": "text/css", "link.js": "text/javascript"}
_T = TypeVar("_T")
_Step = Callable[[Request, Visitor], Awaitable[Response]]


def link_routes(flow: LinkFlow) -> Iterable[BaseRoute]:
    """Return the routes of the page."""
    pages = _LinkPages(flow, LinkCookies(flow.public_url))
    session = "/link/{session}"
    return (
        Route("/link/assets/{name}", pages.asset),
        Route(CALLBACK, pages.callback),
        Route(session, pages.page),
        Route(f"{session}/state", pages.answering(pages.state)),
        Route(f"{session}/address", pages.posting(pages.address), methods=["POST"]),
        Route(f"{session}/sign-in", pages.posting(pages.sign_in), methods=["POST"]),
        Route(f"{session}/check", pages.posting(pages.check), methods=["POST"]),
        Route(f"{session}/finish", pages.posting(pages.finish), methods=["POST"]),
    )


@dataclass(frozen=True, slots=True)
class _LinkPages:
    """The endpoints of one flow."""

    flow: LinkFlow
    cookies: LinkCookies

    async def asset(self, request: Request) -> Response:
        """Answer with a file of the page."""
        name = request.path_params["name"]
        if name not in _ASSETS:
            return Response("Not Found", 404, HEADERS, media_type="text/plain")
        headers = {**HEADERS, "Cache-Control": "no-cache"}
        return Response((PAGE / name).read_bytes(), 200, headers, media_type=_ASSETS[name])

    async def page(self, request: Request) -> Response:
        """Answer with the page: the same for every session, so that it shows nothing to strangers."""
        try:
            await self.flow.session_of(self._visitor(request))
        except LinkError as error:
            return _problem_page(error)
        except GatewayError as error:
            return _problem_page(self._failure(error))
        return HTMLResponse(_document("link.html"), headers=HEADERS)

    async def callback(self, request: Request) -> Response:
        """Take a browser back from the login page."""
        query = request.query_params
        try:
            back = await self.flow.returned(
                query.get("state", ""), query.get("code"), self.cookies.secrets(request)
            )
        except LinkError as error:
            return _problem_page(error)
        except GatewayError as error:
            return _problem_page(self._failure(error))
        if back.session.problem is not None:
            record_refused_proof(request.scope, back.session)
        return RedirectResponse(f"{self.flow.public_url}/link/{back.token}", 303, HEADERS)

    async def state(self, _: Request, visitor: Visitor) -> Response:
        """Answer with how far a session is."""
        session = await self.flow.session_of(visitor)
        return _json(state_json(session, visitor, self.flow))

    async def address(self, request: Request, visitor: Visitor) -> Response:
        """Take the address of the environment."""
        entered = await _body(request, LinkInput)
        session, secret = await self.flow.address(visitor, entered)
        seconds = session.expires_at - self.flow.sessions.now()
        begun = Visitor(token=visitor.token, secrets={session.id: secret})
        response = _json(state_json(session, begun, self.flow))
        self.cookies.put(response, session.id, secret, seconds)
        return response

    async def sign_in(self, request: Request, visitor: Visitor) -> Response:
        """Begin a sign-in."""
        await _body(request, dict[str, str])
        return _json({"location": await self.flow.sign_in(visitor)})

    async def check(self, request: Request, visitor: Visitor) -> Response:
        """Check the environment; the first step decides the status."""
        await _body(request, dict[str, str])
        steps = self.flow.check(visitor)
        first = await anext(steps)

        async def lines() -> AsyncIterator[bytes]:
            yield check_line(first)
            try:
                async with aclosing(steps):  # also if the visitor leaves
                    async for step in steps:
                        yield check_line(step)
                session = await self.flow.session_of(visitor)
                yield _line({"state": state_json(session, visitor, self.flow)})
            except LinkError as error:
                yield _line(error_json(error))
            except GatewayError as error:
                yield _line(error_json(self._failure(error)))

        # Proxies pass on each line when it comes.
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        return StreamingResponse(lines(), headers=headers, media_type="application/x-ndjson")

    async def finish(self, request: Request, visitor: Visitor) -> Response:
        """Link the environment."""
        await _body(request, dict[str, str])
        ended = await self.flow.finish(visitor)
        if ended.is_new:
            record_linked(request.scope, ended.session)
            # The page says that it can be used now.
            poller: StorePoller | None = getattr(request.app.state, "poller", None)
            if poller is not None:
                await poller.read_now()
        return _json(state_json(ended.session, visitor, self.flow))

    def answering(self, step: _Step) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint whose errors are JSON."""

        async def endpoint(request: Request) -> Response:
            try:
                return await step(request, self._visitor(request))
            except LinkError as error:
                return _error(error)
            except GatewayError as error:
                return _error(self._failure(error))

        return endpoint

    def posting(self, step: _Step) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers the page itself only."""
        parts = urlsplit(self.flow.public_url)
        own = f"{parts.scheme}://{parts.netloc}"

        async def checked(request: Request, visitor: Visitor) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if request.headers.get("origin") != own or kind != "application/json":
                message = "This request does not come from the link page."
                raise LinkError(403, Problem("LINK_ORIGIN", message))
            return await step(request, visitor)

        return self.answering(checked)

    def _visitor(self, request: Request) -> Visitor:
        token = request.path_params["session"]
        return Visitor(token=token, secrets=self.cookies.secrets(request))

    def _failure(self, error: GatewayError) -> LinkError:
        """Return the error of a step that is not the visitor's. What it is about is for the log."""
        self.flow.observe(
            ErrorRaised(
                error_id=error.error_id,
                code=error.code,
                message=error.message,
                detail=error.detail,
            )
        )
        hint = "Try again in a minute. If it stays, tell those who have sent you this link."
        return LinkError(503, Problem(error.code, "The gateway cannot do this for now.", hint))


async def _body(request: Request, kind: type[_T]) -> _T:
    """Return the JSON of a request. Raises LinkError."""
    text = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for piece in request.stream():
                text += piece
                if len(text) > MAX_BODY:
                    raise LinkError(413, Problem("LINK_INPUT", "The request is too long."))
    except TimeoutError:
        problem = Problem("LINK_INPUT", "The request did not arrive in time.")
        raise LinkError(408, problem) from None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LinkError(400, Problem("LINK_INPUT", "The request is not as expected.")) from None


def _json(content: object, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    return Response(
        msgspec.json.encode(content),
        status,
        {**HEADERS, **headers},
        media_type="application/json; charset=utf-8",
    )


def _line(content: object) -> bytes:
    return msgspec.json.encode(content) + b"\n"


def _error(error: LinkError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return _json(error_json(error), error.status, headers)


def _problem_page(error: LinkError) -> Response:
    document = _document("problem.html")
    for name, text in (("MESSAGE", error.problem.message), ("HINT", error.problem.hint or "")):
        document = document.replace(name, escape(text))
    return HTMLResponse(document, error.status, HEADERS)


def _document(name: str) -> str:
    return (PAGE / name).read_text("utf-8")
