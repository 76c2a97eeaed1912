"""Webhooks of changes over HTTP: `/webhooks`, for callers who want to be told, and for administrators.

    GET, POST /webhooks                          GET, DELETE /webhooks/ID
    POST      /webhooks/ID/pause, resume, secret
    GET       /webhooks/ID/dead-letters          GET, DELETE /webhooks/ID/dead-letters/ID     POST …/resend
    GET       /webhooks/openapi.json

A webhook is its caller's: for everybody else it does not exist. It is of the environment in which it was created.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.errors import (
    BadArgument,
    Forbidden,
    GatewayError,
    UnknownSet,
)
from gateway.events import RequestRefused
from gateway.export.changes import ChangeReader, Changes, change_reader
from gateway.export.reading import ExportFailed
from gateway.export.request import ExportRequest
from gateway.identity.caller import Caller
from gateway.jobs.runner import PASSING
from gateway.request import GraphQLRequest
from gateway.webhooks.errors import (
    TooManyWebhooks,
    UnknownWebhook,
    WebhookNotTaken,
    WebhooksUnavailable,
    WrongWebhookState,
)
from gateway.webhooks.outgoing import secret_text
from gateway.webhooks.records import NewSubscription, Subscription, Target
from gateway.webhooks.service import Webhooks
from gateway.webhooks.webhook_json import letter_json, webhook_json

from .edge import send_refusal
from .endpoints import Endpoint, with_cors
from .export_endpoint import ready_export
from .graphql_endpoint import is_foreign
from .job_endpoint import starting
from .presence import environment_of
from .refusals import HttpError, UnknownApi, cross_site_error, no_route
from .request_audit import record_act
from .request_parameters import (
    ClientDisconnected,
    Headers,
    body_parameters,
    companies_of,
    headers_of,
)
from .responses import send_body
from .webhook_operations import LETTER, LETTERS, ONE, OPENAPI, WEBHOOKS, describe

_STATUS: Mapping[type[GatewayError], int] = {
    BadArgument: 400,
    Forbidden: 403,
    UnknownSet: 404,
    UnknownWebhook: 404,
    WrongWebhookState: 409,
    TooManyWebhooks: 429,
    WebhooksUnavailable: 501,
    WebhookNotTaken: 502,
}
_FIELDS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_METHODS = ("GET", "HEAD", "POST", "DELETE")
_NEW = ("set", "url", "where", "fields", "companies", "profile", "since")
NOW = "now"
Answer: TypeAlias = Callable[["WebhookRequest"], Awaitable[None]]


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a caller that was let in."""

    endpoint: Endpoint
    scope: Scope
    receive: Receive
    send: Send
    headers: Headers
    caller: Caller

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the process. Raises WebhooksUnavailable if there can be none."""
        webhooks: Webhooks | None = getattr(self.scope["app"].state, "webhooks", None)
        if webhooks is None:
            raise starting()
        webhooks.require()
        return webhooks

    @property
    def environment(self) -> str:
        """Name of the environment; empty: that of the settings."""
        environment = environment_of(self.scope)
        return "" if environment is None else environment.name

    @property
    def path(self) -> str:
        """Where webhooks are for this caller: ``/e/acme/webhooks``."""
        return f"{self.scope.get('root_path', '')}{WEBHOOKS}"

    async def one(self) -> Subscription:
        """Return the webhook that the path names. Raises UnknownWebhook."""
        name: str = self.scope["path_params"]["webhook"]
        return await self.webhooks.find(name, self.environment, self.caller)

    async def body(self) -> Mapping[str, Any]:
        """Return the JSON object of the body."""
        most = self.endpoint.settings.max_body_bytes
        return await body_parameters(self.headers, self.receive, most)

    async def answer(
        self, status: int, content: object = None, *fields: tuple[bytes, bytes]
    ) -> None:
        """Send JSON; nothing with status 204."""
        has_body = status != 204 and self.scope["method"] != "HEAD"
        body = msgspec.json.encode(content) + b"\n" if has_body else b""
        await send_body(self.send, status, body, (*_FIELDS, *fields))

    async def show(self, status: int, one: Subscription, **more: object) -> None:
        """Send a webhook."""
        letters = (await self.webhooks.count_letters()).get(one.id, 0)
        await self.answer(status, {**webhook_json(one, self.path, letters), **more})


def webhook_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of webhooks, which exist once; ``endpoint`` is any of the gateway's."""
    yield _route(endpoint, OPENAPI, {"GET": _describe})
    yield _route(endpoint, WEBHOOKS, {"GET": _list, "POST": _create})
    yield _route(endpoint, ONE, {"GET": _show, "DELETE": _remove})
    yield _route(endpoint, f"{ONE}/pause", {"POST": _pause})
    yield _route(endpoint, f"{ONE}/resume", {"POST": _resume})
    yield _route(endpoint, f"{ONE}/secret", {"POST": _rotate})
    yield _route(endpoint, LETTERS, {"GET": _letters})
    yield _route(endpoint, LETTER, {"GET": _letter, "DELETE": _discard})
    yield _route(endpoint, f"{LETTER}/resend", {"POST": _resend})


def _route(endpoint: Endpoint, path: str, methods: Mapping[str, Answer]) -> Route:
    return Route(
        path, with_cors(_Resource(endpoint, methods), endpoint.settings.cors_origins, _METHODS)
    )


class _Resource:
    """One path, as an ASGI application. A class: to a function, Starlette's router would pass GET only."""

    def __init__(self, endpoint: Endpoint, methods: Mapping[str, Answer]) -> None:
        self._endpoint = endpoint
        self._methods = methods
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

    async def _answer(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of the caller. Raises HttpError."""
        headers = headers_of(scope)
        if is_foreign(headers, self._endpoint.settings.cors_origins):
            raise cross_site_error()
        request = WebhookRequest(
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
            status = _STATUS.get(type(error))
            if status is None:
                status = 503 if error.retry_after is not None else 500
            raise HttpError(
                status, error.code, error.message, error.hint, retry_after=error.retry_after
            ) from error


async def _describe(request: WebhookRequest) -> None:
    await request.answer(200, describe(request.scope.get("root_path", "")))


async def _list(request: WebhookRequest) -> None:
    webhooks = request.webhooks
    found = await webhooks.list(request.environment, request.caller)
    letters = await webhooks.count_letters()
    shown = [webhook_json(one, request.path, letters.get(one.id, 0)) for one in found]
    await request.answer(200, {"webhooks": shown})


async def _create(request: WebhookRequest) -> None:
    webhooks, parameters = request.webhooks, await request.body()
    target, since = _read(parameters, request.headers)
    target = msgspec.structs.replace(target, url=webhooks.check(target.url))
    reader, is_personal = await _reader(request, target)
    # Whatever is wrong with filter, companies, cursor or rights is said now, and not in an hour.
    checked = await _checked(reader, NOW if since is None else since)
    one = await webhooks.create(
        NewSubscription(
            environment=request.environment,
            entity_set=reader.ready.export.set,
            target=target,
            caller=reader.request.caller,
            is_personal=is_personal,
            since=checked.cursor if since == NOW else since,
        )
    )
    record_act(request.scope, "webhook.created", request.caller)
    location = (b"location", f"{request.path}/{one.id}".encode())
    secret = secret_text(one.keys[0].key)
    await request.answer(201, {**webhook_json(one, request.path), "secret": secret}, location)


async def _reader(request: WebhookRequest, target: Target) -> tuple[ChangeReader, bool]:
    """Return what reads for a webhook of the caller, and whether that needs the caller's token. Raises HttpError."""
    endpoint, scope = _endpoint_of(request.endpoint, target.profile), request.scope
    caller, live = await endpoint.admit(scope)
    if live is None:
        raise starting()
    export = ExportRequest(where=target.where, fields=target.fields)
    ready = await ready_export(endpoint, scope, caller, live, target.set, lambda: export)
    reads = GraphQLRequest(query="", companies=target.companies, caller=caller)
    reader, gateway = change_reader(ready, reads), live.gateway
    documents = endpoint.documents.of_caller(caller, gateway.view)
    if documents.store is not None:
        documents.find({"query": reader.request.query}, request.headers)
    return reader, gateway.settings.identity == "caller"


async def _checked(reader: ChangeReader, since: str) -> Changes:
    """Return what comes after a cursor. Raises HttpError."""
    try:
        return await reader.read(since, 1)
    except ExportFailed as failed:
        error = failed.answer.errors[0]
        facts = error["extensions"]
        code = facts["code"]
        status = 403 if code == Forbidden.code else 503 if code in PASSING else 400
        raise HttpError(status, code, error["message"], facts.get("hint")) from failed


def _endpoint_of(endpoint: Endpoint, profile: str | None) -> Endpoint:
    """Return the API of a profile; None: that of all sets. Raises HttpError."""
    for one in endpoint.beside:
        if one.profile == profile:
            return one
    if profile is None:
        raise HttpError(
            404, "UNKNOWN_PROFILE", "The whole catalogue is not served.", "Name a profile."
        )
    raise HttpError(404, "UNKNOWN_PROFILE", "There is no such profile.")


def _read(parameters: Mapping[str, Any], headers: Headers) -> tuple[Target, str | None]:
    """Return what a body asks for, and the cursor from which it begins. Raises BadArgument."""
    for name in parameters:
        if name not in _NEW:
            raise BadArgument(f"There is no {name}.", hint=f"There are: {', '.join(_NEW)}.")
    since = _since(parameters, NOW)
    values = {
        name: value for name, value in parameters.items() if value is not None and name != "since"
    }
    if isinstance(values.get("where"), dict):
        values["where"] = msgspec.json.encode(values["where"]).decode()
    if isinstance(values.get("companies"), list):
        values["companies"] = ",".join(map(str, values["companies"]))
    for name, value in values.items():
        if not isinstance(value, str):
            raise BadArgument(f"{name} is no text.")
    for name in ("set", "url"):
        if name not in values:
            hint = '{"set": "CustomersV3", "url": "https://app.example.com/changes"}'
            raise BadArgument(f"{name} is missing.", hint=f"For example: {hint}")
    companies = companies_of(values.pop("companies", headers.get("x-d365-company")))
    return Target(**values, companies=companies), since


def _since(parameters: Mapping[str, Any], default: str) -> str | None:
    since = parameters.get("since", default)
    if since is not None and not isinstance(since, str):
        raise BadArgument("since is no text.", hint="A cursor, now, or null.")
    return since


async def _show(request: WebhookRequest) -> None:
    await request.show(200, await request.one())


async def _remove(request: WebhookRequest) -> None:
    await request.webhooks.remove(await request.one())
    record_act(request.scope, "webhook.removed", request.caller)
    await request.answer(204)


async def _pause(request: WebhookRequest) -> None:
    await request.show(200, await request.webhooks.pause(await request.one()))


async def _resume(request: WebhookRequest) -> None:
    one = await request.one()
    has_body = request.headers.get("content-length", "0") != "0"
    parameters = await request.body() if has_body else {}
    if parameters.keys() - {"since"}:
        raise BadArgument("Accepted: since.")
    webhooks, caller = request.webhooks, request.caller
    if "since" not in parameters:
        await request.show(200, await webhooks.resume(one, caller))
        return
    since = _since(parameters, NOW)
    if one.creator == caller.log_id:
        reader, _ = await _reader(request, one.target)
        checked = await _checked(reader, NOW if since is None else since)
        since = checked.cursor if since == NOW else since
    await request.show(200, await webhooks.resume(one, caller, since))


async def _rotate(request: WebhookRequest) -> None:
    one = await request.webhooks.rotate(await request.one())
    await request.show(200, one, secret=secret_text(one.keys[0].key))


async def _letters(request: WebhookRequest) -> None:
    letters = await request.webhooks.letters(await request.one())
    await request.answer(
        200, {"deadLetters": [letter_json(each, request.path) for each in letters]}
    )


async def _letter(request: WebhookRequest) -> None:
    name: str = request.scope["path_params"]["letter"]
    letter = await request.webhooks.letter(await request.one(), name)
    await request.answer(200, letter_json(letter, request.path, whole=True))


async def _discard(request: WebhookRequest) -> None:
    name: str = request.scope["path_params"]["letter"]
    webhooks = request.webhooks
    await webhooks.discard(await webhooks.letter(await request.one(), name))
    await request.answer(204)


async def _resend(request: WebhookRequest) -> None:
    name: str = request.scope["path_params"]["letter"]
    one, webhooks = await request.one(), request.webhooks
    await webhooks.resend(one, await webhooks.letter(one, name))
    await request.answer(204)
