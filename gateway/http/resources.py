"""Resources of callers over HTTP, such as jobs and webhooks: paths with methods, JSON bodies, errors by their class.

request ──▶ method of the path? ──▶ not from a foreign site ──▶ whose? ──▶ answer ──▶ JSON
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.errors import BadArgument, GatewayError
from gateway.events import RequestRefused
from gateway.identity.caller import Caller

from .edge import send_refusal
from .endpoints import Endpoint, with_cors
from .graphql_endpoint import is_foreign
from .presence import environment_of
from .refusals import HttpError, UnknownApi, cross_site_error, no_route, overload_error
from .request_parameters import ClientDisconnected, Headers, body_parameters, headers_of
from .responses import send_body

_FIELDS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_METHODS = ("GET", "HEAD", "POST", "DELETE")


class CallerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request of an admitted caller."""

    endpoint: Endpoint
    scope: Scope
    receive: Receive
    send: Send
    headers: Headers
    caller: Caller

    @property
    def environment(self) -> str:
        """Name of the environment; empty: that of the settings."""
        environment = environment_of(self.scope)
        return "" if environment is None else environment.name

    def below(self, path: str) -> str:
        """Return a path as it is for this caller: ``/e/acme/jobs``."""
        return f"{self.scope.get('root_path', '')}{path}"

    async def body(self) -> Mapping[str, Any]:
        """Return the JSON object of the body. Raises HttpError."""
        most = self.endpoint.settings.max_body_bytes
        return await body_parameters(self.headers, self.receive, most)

    async def answer(
        self, status: int, content: object = None, *fields: tuple[bytes, bytes]
    ) -> None:
        """Send JSON; nothing with status 204."""
        has_body = status != 204 and self.scope["method"] != "HEAD"
        body = msgspec.json.encode(content) + b"\n" if has_body else b""
        await send_body(self.send, status, body, (*_FIELDS, *fields))


_Request = TypeVar("_Request", bound=CallerRequest)


def texts_of(parameters: Mapping[str, Any], accepted: Collection[str]) -> dict[str, str]:
    """Return the parameters of a body as those of an address would be. Raises BadArgument.

    ``where`` may be an object, and ``companies`` a list.
    """
    for name in parameters:
        if name not in accepted:
            raise BadArgument(f"There is no {name}.", hint=f"There are: {', '.join(accepted)}.")
    values = {name: value for name, value in parameters.items() if value is not None}
    if isinstance(values.get("where"), dict):
        values["where"] = msgspec.json.encode(values["where"]).decode()
    if isinstance(values.get("companies"), list):
        values["companies"] = ",".join(map(str, values["companies"]))
    for name, value in values.items():
        if not isinstance(value, str):
            raise BadArgument(f"{name} is no text.")
    return values


class Resources(Generic[_Request]):
    """Makes the routes of one kind of resource."""

    def __init__(self, request: type[_Request], statuses: Mapping[type[GatewayError], int]) -> None:
        """``request``: what its answers take; ``statuses``: of the errors that they raise."""
        self._request = request
        self._statuses = statuses

    def route(
        self,
        endpoint: Endpoint,
        path: str,
        methods: Mapping[str, Callable[[_Request], Awaitable[None]]],
    ) -> BaseRoute:
        """Return the route of a path; ``methods``: what answers each."""
        resource = _Resource(endpoint, self._request, methods, self.refusal)
        return Route(path, with_cors(resource, endpoint.settings.cors_origins, _METHODS))

    def refusal(self, error: GatewayError) -> HttpError:
        """Return an error as that of a request."""
        status = self._statuses.get(type(error))
        if status is None:
            status = 503 if error.retry_after is not None else 500
        return HttpError(
            status, error.code, error.message, error.hint, retry_after=error.retry_after
        )


class _Resource(Generic[_Request]):
    """One path, as an ASGI application. A class: to a function, Starlette's router would pass GET only."""

    def __init__(
        self,
        endpoint: Endpoint,
        request: type[_Request],
        methods: Mapping[str, Callable[[_Request], Awaitable[None]]],
        refusal: Callable[[GatewayError], HttpError],
    ) -> None:
        self._endpoint = endpoint
        self._request = request
        self._methods = methods
        self._refusal = refusal
        names = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
        self._allow = (b"allow", ", ".join(names).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "OPTIONS":
            await send_body(send, 200, b"", (self._allow,))
            return
        try:
            answer = self._methods.get("GET" if method == "HEAD" else method)
            if answer is None:
                message = f"This path has no {method}."
                raise HttpError(405, "METHOD_NOT_ALLOWED", message, fields=(self._allow,))
            await self._answer(answer, scope, receive, send)
        except UnknownApi:
            await no_route(scope, receive, send)
        except ClientDisconnected:
            return
        except HttpError as refused:
            event = RequestRefused(status=refused.status, code=refused.code, message=str(refused))
            self._endpoint.observe(event)
            await send_refusal(refused, scope, receive, send)

    async def _answer(
        self,
        answer: Callable[[_Request], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a request of the caller. Raises HttpError."""
        headers = headers_of(scope)
        if self._endpoint.waiting.is_full:
            raise overload_error()
        if is_foreign(headers, self._endpoint.settings.cors_origins):
            raise cross_site_error()
        request = self._request(
            endpoint=self._endpoint,
            scope=scope,
            receive=receive,
            send=send,
            headers=headers,
            caller=await self._endpoint.identify(scope),
        )
        try:
            await answer(request)
        except GatewayError as error:
            raise self._refusal(error) from error
