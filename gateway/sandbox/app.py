"""The sandbox as an ASGI application: the composition root."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from .batch import Batches
from .catalogue import Catalogue, built_in
from .edmx import write_edmx
from .exchange import Incoming, Outgoing
from .gate import Gate
from .given import GivenRows, read_document
from .refusal import Refusal, internal
from .restmeta import RestMetadata
from .seed import SeededRows
from .service import Service
from .settings import RecordedRequest, SandboxSettings
from .store import RowSource, Store
from .world import World

_RECORDED = 20_000


def create_sandbox(settings: SandboxSettings | None = None) -> Starlette:
    """Give the application.

    ``app.state`` has ``requests`` (what was asked), ``store`` (the rows) and ``world`` (the metadata).
    """
    chosen = SandboxSettings() if settings is None else settings
    world, source = _world(chosen)
    store = Store(world, source, chosen.database, _fingerprint(chosen))
    sandbox = _Sandbox(chosen, world, store)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    app = Starlette(routes=[Mount("/", app=sandbox)], lifespan=lifespan)
    app.state.settings = chosen
    app.state.world = world
    app.state.store = store
    app.state.requests = sandbox.requests
    return app


def _fingerprint(settings: SandboxSettings) -> str:
    return f"{settings.metadata or 'built-in'} scale={settings.scale} seed={settings.seed}"


def _world(settings: SandboxSettings) -> tuple[World, RowSource]:
    if settings.metadata is None:
        catalogue = built_in()
        world = World(catalogue, write_edmx(catalogue.model))
        return world, SeededRows(world, scale=settings.scale, seed=settings.seed)
    model, document = read_document(settings.metadata)
    world = World(Catalogue(model, {}), document)
    return world, GivenRows(world, scale=settings.scale, seed=settings.seed)


class _Sandbox:
    """Takes requests from ASGI, records them, and sends what the gate lets out."""

    def __init__(self, settings: SandboxSettings, world: World, store: Store) -> None:
        self.requests: list[RecordedRequest] = []
        self._number = 0
        self._gate = Gate(settings)
        self._service = Service(settings, world, store)
        self._batches = Batches(self._part, settings.batch_limit)
        self._rest = RestMetadata(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = await _incoming(scope, receive)
        number = self._record(incoming, in_batch=False)
        started = time.perf_counter()
        outgoing = await self._gate.pass_through(number, incoming, self._answer)
        outgoing.headers.setdefault("odata-version", "4.0")
        outgoing.headers["ms-dyn-aid"] = str(uuid.UUID(int=number))
        outgoing.headers["server-timing"] = f"dur={(time.perf_counter() - started) * 1000:.0f}"
        await _send(outgoing, send)

    def _record(self, incoming: Incoming, *, in_batch: bool) -> int:
        self._number += 1
        if len(self.requests) >= _RECORDED:
            del self.requests[: _RECORDED // 2]
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
        refusal = self._gate.throttled(number)
        if refusal is not None:
            return Outgoing.of_refusal(refusal)
        return _answered(self._service.answer, incoming)

    def _answer(self, incoming: Incoming) -> Outgoing:
        root = incoming.path.strip("/").partition("/")[0]
        if incoming.method == "POST" and incoming.path == "/data/$batch":
            return _answered(self._batches.answer, incoming)
        if root == "data":
            return _answered(self._service.answer, incoming)
        if root == "metadata":
            return _answered(self._rest.answer, incoming)
        return Outgoing(status=404)


def _answered(answer: Callable[[Incoming], Outgoing], incoming: Incoming) -> Outgoing:
    try:
        return answer(incoming)
    except Refusal as refusal:
        return Outgoing.of_refusal(refusal)
    except (RecursionError, OperationalError):
        # expressions deeper than Python's stack or SQLite's parser take
        return Outgoing.of_refusal(internal())


async def _incoming(scope: Scope, receive: Receive) -> Incoming:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    raw = scope.get("raw_path") or scope["path"].encode()
    return Incoming(
        method=scope["method"],
        path=raw.partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        origin=f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}",
    )


async def _send(outgoing: Outgoing, send: Send) -> None:
    outgoing.headers["content-length"] = str(len(outgoing.body))
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in outgoing.headers.items()
    ]
    await send({"type": "http.response.start", "status": outgoing.status, "headers": headers})
    await send({"type": "http.response.body", "body": outgoing.body})
