"""Webhooks of changes over HTTP: `/webhooks`, for callers who want to be told, and for administrators.

    GET, POST /webhooks                          GET, DELETE /webhooks/ID
    POST      /webhooks/ID/pause, resume, secret
    GET       /webhooks/ID/dead-letters          GET, DELETE /webhooks/ID/dead-letters/ID     POST …/resend
    GET       /webhooks/openapi.json

A webhook is its caller's: for everybody else it does not exist. It is of the environment in which it was created.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from gateway.errors import (
    BadArgument,
    Forbidden,
    UnknownSet,
)
from gateway.export.changes import ChangeReader, Changes, change_reader
from gateway.export.reading import ExportFailed
from gateway.export.request import ExportRequest
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

from .endpoints import Endpoint
from .export_endpoint import ready_export
from .refusals import HttpError, starting
from .request_audit import record_act
from .request_parameters import (
    Headers,
    companies_of,
)
from .resources import CallerRequest, Resources, texts_of
from .webhook_operations import LETTER, LETTERS, ONE, OPENAPI, WEBHOOKS, describe

_NEW = ("set", "url", "where", "fields", "companies", "profile", "since")
NOW = "now"


class WebhookRequest(CallerRequest, frozen=True, kw_only=True):
    """A request about webhooks."""

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks of the process. Raises WebhooksUnavailable if there can be none."""
        webhooks: Webhooks | None = getattr(self.scope["app"].state, "webhooks", None)
        if webhooks is None:
            raise starting()
        webhooks.require()
        return webhooks

    @property
    def path(self) -> str:
        """Where webhooks are for this caller: ``/e/acme/webhooks``."""
        return self.below(WEBHOOKS)

    async def one(self) -> Subscription:
        """Return the webhook that the path names. Raises UnknownWebhook."""
        name: str = self.scope["path_params"]["webhook"]
        return await self.webhooks.find(name, self.environment, self.caller)

    async def show(self, status: int, one: Subscription, **more: object) -> None:
        """Send a webhook."""
        letters = (await self.webhooks.count_letters()).get(one.id, 0)
        await self.answer(status, {**webhook_json(one, self.path, letters), **more})


_RESOURCES = Resources(
    WebhookRequest,
    {
        BadArgument: 400,
        Forbidden: 403,
        UnknownSet: 404,
        UnknownWebhook: 404,
        WrongWebhookState: 409,
        TooManyWebhooks: 429,
        WebhooksUnavailable: 501,
        WebhookNotTaken: 502,
    },
)


def webhook_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of webhooks, which exist once; ``endpoint`` is any of the gateway's."""
    yield _RESOURCES.route(endpoint, OPENAPI, {"GET": _describe})
    yield _RESOURCES.route(endpoint, WEBHOOKS, {"GET": _list, "POST": _create})
    yield _RESOURCES.route(endpoint, ONE, {"GET": _show, "DELETE": _remove})
    yield _RESOURCES.route(endpoint, f"{ONE}/pause", {"POST": _pause})
    yield _RESOURCES.route(endpoint, f"{ONE}/resume", {"POST": _resume})
    yield _RESOURCES.route(endpoint, f"{ONE}/secret", {"POST": _rotate})
    yield _RESOURCES.route(endpoint, LETTERS, {"GET": _letters})
    yield _RESOURCES.route(endpoint, LETTER, {"GET": _letter, "DELETE": _discard})
    yield _RESOURCES.route(endpoint, f"{LETTER}/resend", {"POST": _resend})


async def _describe(request: WebhookRequest) -> None:
    await request.answer(200, describe(request.below("")))


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
            entity_set=reader.ready.export.source.entity_set,
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
    since = _since(parameters, NOW)
    values = texts_of(parameters, _NEW)
    values.pop("since", None)
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
