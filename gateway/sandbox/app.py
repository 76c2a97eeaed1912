"""The sandbox as an ASGI application: the composition root."""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from sqlite3 import OperationalError
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from .batch import Batches
from .catalogue import Catalogue, built_in
from .companies import CONTOSO, companies_of
from .custom_fields import CustomRows, customised
from .data_events import DataEvents
from .edmx import write_edmx
from .exchange import Incoming, Outgoing
from .external_metadata import GeneratedRows, read_document
from .faults import ConnectionLost, FaultRule, Faults
from .gate import Gate, fault_answer
from .packages import BLOBS, Packages
from .refusal import Refusal, internal
from .restmeta import RestMetadata
from .seed import SeededRows, SeedOptions
from .service import Service
from .services import Services
from .settings import RecordedRequest, SandboxSettings
from .store import RowSource, Store
from .user_services import UserServices
from .world import World

_MAX_RECORDED = 20_000
"""Requests that are recorded; of more, the older half is dropped."""
_TRANSPORT = "sandbox.transport"


def create_sandbox(settings: SandboxSettings | None = None) -> Starlette:
    """Return the application.

    ``app.state`` has ``requests`` (recorded, with bodies), ``store`` (the rows, also by its method ``rows``), ``world``
    (the metadata), ``calls`` (of operations), ``packages`` (of the data management framework) and ``faults``, to which
    tests add rules.
    """
    settings = SandboxSettings() if settings is None else settings
    world, source = _world(settings)
    store = Store(world, source, settings.database, _fingerprint(settings, world))
    if settings.events is not None:
        store.events = DataEvents(settings.events, settings.post)
    sandbox = _Sandbox(settings, world, store)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()
        if store.events is not None:
            store.events.close()

    app = SandboxApp(routes=[Mount("/", app=sandbox)], lifespan=lifespan)
    app.state.settings = settings
    app.state.world = world
    app.state.store = store
    app.state.requests = sandbox.requests
    app.state.faults = sandbox.faults
    app.state.calls = sandbox.calls
    app.state.packages = sandbox.packages
    return app


def _fingerprint(settings: SandboxSettings, world: World) -> str:
    """Return what decides the rows: a database file serves only the settings with which it was filled."""
    hostile = "" if settings.hostile_rows else " without hostile rows"
    name = settings.metadata or "built-in"
    rows = f"{name} scale={settings.scale} seed={settings.seed}{hostile}{_particulars(settings)}"
    sets = world.model.entity_sets
    related = [r for r in settings.relations if r.from_set in sets and r.to_set in sets]
    if settings.metadata is None or not related:
        return rows
    return f"{rows} relations={zlib.crc32(repr(related).encode()):08x}"


def _particulars(settings: SandboxSettings) -> str:
    """Return what makes the rows of one environment differ from others, if anything does."""
    particulars = (settings.organization, settings.companies, dict(settings.custom_fields))
    if particulars == (CONTOSO, (), {}):
        return ""
    return f" of={zlib.crc32(repr(particulars).encode()):08x}"


def _world(settings: SandboxSettings) -> tuple[World, RowSource]:
    companies = companies_of(settings.companies, settings.organization)
    if settings.metadata is None:
        catalogue = customised(built_in(), settings.custom_fields)
        options = SeedOptions(
            scale=settings.scale,
            seed=settings.seed,
            hostile=settings.hostile_rows,
            companies=companies,
            organization=settings.organization,
        )
        custom = CustomRows(settings.custom_fields, catalogue, companies, settings.seed)
        return World(catalogue, write_edmx(catalogue.model)), SeededRows(options, custom)
    model, document = read_document(settings.metadata)
    world = World(Catalogue(model, {}), document, settings.text_case)
    return world, GeneratedRows(
        world,
        scale=settings.scale,
        seed=settings.seed,
        relations=settings.relations,
        companies=companies,
    )


class SandboxApp(Starlette):
    """Passes the server's transport on, for faults that close it; servers keep it in the object that owns ``send``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        owner = getattr(send, "__self__", None)
        scope[_TRANSPORT] = getattr(owner, "transport", None)
        await super().__call__(scope, receive, send)


class _Sandbox:
    """Reads requests from ASGI, records them, and sends the answers that the gate lets through."""

    def __init__(self, settings: SandboxSettings, world: World, store: Store) -> None:
        self.requests: list[RecordedRequest] = []
        self.faults = Faults()
        self.packages = Packages(world, store)
        self._number = 0
        self._gate = Gate(settings)
        self._service = Service(settings, world, store)
        self._users = None if settings.sign_in is None else UserServices(settings, world, store)
        self.calls = self._service.operations.calls
        references = settings.content_id_references
        self._batches = Batches(
            settings,
            self._part,
            store.transaction,
            references=not world.finops if references is None else references,
        )
        self._rest = RestMetadata(world)
        self._services = Services(store) if world.catalogue.facts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        rule = self.faults.take(head)
        try:
            if rule is not None and rule.at == "before" and rule.answer is None:
                self._record(head, in_batch=False)
                raise ConnectionLost(rule.at)
            incoming = replace(head, body=await _body(receive))
            outgoing = await self._handle(incoming, rule)
            if rule is not None and rule.at == "mid-answer":
                await _send(outgoing, send, whole=False)
                raise ConnectionLost(rule.at)
        except ConnectionLost:
            transport = scope.get(_TRANSPORT)
            if transport is None:
                raise
            transport.close()
            # To return without a response, before the client has gone, is an error for the server.
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await _send(outgoing, send)

    async def _handle(self, incoming: Incoming, rule: FaultRule | None) -> Outgoing:
        number = self._record(incoming, in_batch=False)
        started = time.perf_counter()
        if rule is not None and rule.answer is not None and rule.at == "before":
            outgoing = fault_answer(rule.answer)
        else:
            answer = partial(self._answer, rule=rule)
            # Blob storage is another service: it knows signatures, and no tokens.
            is_blob = incoming.path.startswith(f"/{BLOBS}/")
            outgoing = (
                self.packages.blob(incoming)
                if is_blob
                else await self._gate.pass_through(number, incoming, answer)
            )
        if rule is not None and rule.at == "after":
            if rule.answer is None:
                raise ConnectionLost(rule.at)
            outgoing = fault_answer(rule.answer)
        outgoing.headers.setdefault("odata-version", "4.0")
        outgoing.headers["ms-dyn-aid"] = str(uuid.UUID(int=number))
        outgoing.headers["server-timing"] = f"dur={(time.perf_counter() - started) * 1000:.0f}"
        return outgoing

    def _record(self, incoming: Incoming, *, in_batch: bool) -> int:
        self._number += 1
        if len(self.requests) >= _MAX_RECORDED:
            del self.requests[: _MAX_RECORDED // 2]
        self.requests.append(
            RecordedRequest(
                number=self._number,
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                headers=incoming.headers,
                in_batch=in_batch,
                body=incoming.body,
            )
        )
        return self._number

    def _part(self, incoming: Incoming) -> Outgoing:
        number = self._record(incoming, in_batch=True)
        rule = self.faults.take(incoming, in_batch=True)
        if rule is not None and rule.answer is not None:
            return fault_answer(rule.answer)
        refusal = self._gate.throttled(number)
        if refusal is not None:
            return Outgoing.of_refusal(refusal)
        return _answer_or_refusal(self._serve, incoming)

    def _serve(self, incoming: Incoming) -> Outgoing:
        """Return the answer of the service, as the user sees it who has signed in."""
        if self._users is None:
            return self._service.answer(incoming)
        return self._users.answer(incoming)

    def _answer(self, incoming: Incoming, *, rule: FaultRule | None) -> Outgoing:
        root = incoming.path.strip("/").partition("/")[0]
        if self._users is not None:
            try:
                incoming = replace(incoming, user=self._users.sign_in.user(incoming))
            except Refusal as refusal:
                return Outgoing.of_refusal(refusal)
        if incoming.method == "POST" and unquote(incoming.path) == "/data/$batch":
            return _answer_or_refusal(
                lambda batch: self._batches.answer(batch, _breaker(rule)), incoming
            )
        if root == "data":
            action = self.packages.action(incoming)
            return _answer_or_refusal(action or self._serve, incoming)
        if root == "metadata":
            return _answer_or_refusal(self._rest.answer, incoming)
        if self._services is not None and f"{incoming.path}/".startswith("/api/services/"):
            return _answer_or_refusal(self._services.answer, incoming)
        return Outgoing(status=404)


def _breaker(rule: FaultRule | None) -> Callable[[int], None]:
    """Return a function that breaks the connection after as many parts as a rule lets pass."""

    def after_part(number: int) -> None:
        if rule is not None and rule.at == "between-parts" and number == rule.parts:
            raise ConnectionLost(rule.at)

    return after_part


def _answer_or_refusal(answer: Callable[[Incoming], Outgoing], incoming: Incoming) -> Outgoing:
    try:
        return answer(incoming)
    except Refusal as refusal:
        return Outgoing.of_refusal(refusal)
    except (RecursionError, OperationalError):
        # Expressions are nested more deeply than Python's stack or SQLite's parser allows.
        return Outgoing.of_refusal(internal())


def _head(scope: Scope) -> Incoming:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    raw = scope.get("raw_path") or scope["path"].encode()
    return Incoming(
        method=scope["method"],
        path=raw.partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        origin=f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}",
    )


async def _body(receive: Receive) -> bytes:
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


async def _send(outgoing: Outgoing, send: Send, *, whole: bool = True) -> None:
    if outgoing.status != 204:
        outgoing.headers["content-length"] = str(len(outgoing.body))
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in outgoing.headers.items()
    ]
    await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
    if whole:
        await send({"type": "http.response.body", "body": outgoing.body})
    else:
        half = outgoing.body[: len(outgoing.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
