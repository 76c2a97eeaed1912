"""Hooks over HTTP: `POST /hooks/{environment}/{secret}`, at which an environment reports events.

    POST     a data event, a business event, or events of Azure Event Grid   ──▶ 200 {"sets": ["CustomersV3"]}
    OPTIONS  the handshake of CloudEvents, with WebHook-Request-Origin        ──▶ 200

The address is the credential: whoever has it can make the gateway poll a little earlier, and nothing else. `edge` takes
the secret out of the path, so that no log, audit line or error shows it. `?set=CustomersV3` in the address names the
sets, if the events do not.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.config.settings import Settings
from gateway.errors import BadArgument, RateLimited, StoreUnavailable
from gateway.events import Observer, RequestRefused
from gateway.hooks.receiving import Hooks
from gateway.hooks.reports import Report, read_report

from .edge import send_refusal
from .hidden_secrets import HOOKS, secret_of
from .refusals import HttpError
from .request_parameters import BODY_TIMEOUT, ClientDisconnected, Headers, headers_of, read_body
from .responses import send_body

_FIELDS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_MOST_SETS = 50


class UnknownHook(HttpError):
    """There is no such environment, or the secret is not its own: nothing may tell which."""

    def __init__(self) -> None:
        super().__init__(404, "UNKNOWN_HOOK", "There is no such hook.")


def hook_routes(settings: Settings, observe: Observer) -> Iterable[BaseRoute]:
    """Return the route, which exists once."""
    return (Route(f"{HOOKS}/{{environment}}/{{secret}}", _Hook(settings, observe)),)


class _Hook:
    """The address, as an ASGI application. A class: to a function, Starlette's router would pass GET only."""

    def __init__(self, settings: Settings, observe: Observer) -> None:
        self._options = settings.hooks
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except HttpError as refused:
            self._observe(
                RequestRefused(status=refused.status, code=refused.code, message=str(refused))
            )
            await send_refusal(refused, scope, receive, send)
        except ClientDisconnected:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        hooks: Hooks | None = getattr(scope["app"].state, "hooks", None)
        if hooks is None:
            raise HttpError(503, "STARTING", "The gateway is starting.", "Try again soon.")
        name: str = scope["path_params"]["environment"]
        try:
            if not await hooks.accepts(name, secret_of(scope)):
                raise UnknownHook
            if scope["method"] not in {"POST", "OPTIONS"}:
                fields = ((b"allow", b"POST, OPTIONS"),)
                raise HttpError(
                    405, "METHOD_NOT_ALLOWED", "Accepted methods: POST, OPTIONS.", fields=fields
                )
            hooks.count(name)
        except StoreUnavailable as error:
            raise HttpError(503, error.code, "Hooks cannot be checked for now.") from error
        except RateLimited as error:
            raise HttpError(
                429, error.code, error.message, error.hint, retry_after=error.retry_after
            ) from error
        headers = headers_of(scope)
        if scope["method"] == "OPTIONS":
            await send_body(send, 200, b"", self._handshake(headers.get("webhook-request-origin")))
            return
        report = await self._report(headers, receive)
        if report.validation is not None:
            content: object = {"validationResponse": report.validation}
        else:
            sets = QueryParams(scope["query_string"]).getlist("set")[:_MOST_SETS]
            content = {"sets": sorted(await hooks.receive(name, report, sets))}
        await send_body(send, 200, msgspec.json.encode(content) + b"\n", _FIELDS)

    async def _report(self, headers: Headers, receive: Receive) -> Report:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await read_body(receive, self._options.max_body)
            return read_report(headers, body)
        except TimeoutError as error:
            message = f"The body did not arrive within {BODY_TIMEOUT:g} seconds."
            raise HttpError(408, "REQUEST_TIMEOUT", message) from error
        except BadArgument as error:
            raise HttpError(400, "BAD_REQUEST", error.message) from error

    def _handshake(self, origin: str | None) -> Sequence[tuple[bytes, bytes]]:
        """Return the fields by which CloudEvents' sender may send."""
        fields = [(b"allow", b"POST, OPTIONS"), (b"cache-control", b"no-store")]
        if origin is not None:
            rate = str(self._options.per_minute).encode()
            fields += [
                (b"webhook-allowed-origin", origin.encode("latin-1")),
                (b"webhook-allowed-rate", rate),
            ]
        return fields
