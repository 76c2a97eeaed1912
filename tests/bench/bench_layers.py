"""The budget of a request, layer by layer, with callers, policy, admission, metrics and traces as in production."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import orjson
import structlog
import uvicorn

from gateway.app import create_app
from gateway.cli.bounded_http import BoundedProtocol
from gateway.cli.uvicorn_parts import ServerState
from gateway.config.settings import Settings
from gateway.cost.operation_costs import CostTicket
from gateway.engine import Engine, engine
from gateway.engine.known_plans import KnownPlans
from gateway.events import log_event, use_log_rules
from gateway.execution.single_read import SingleRead
from gateway.http import graphql_endpoint
from gateway.http.endpoints import Endpoint
from gateway.http.graphql_endpoint import GraphQLEndpoint
from gateway.http.request_scope import RequestScopes
from gateway.logs import configure_logging
from gateway.odata import attempt
from gateway.odata.client import ODataClient
from gateway.odata.decoding import PieceStream
from gateway.odata.lazy_request import LazyRequest, LazyResponse
from gateway.request import Answer
from gateway.runtime.early_refusal import EarlyRefusal
from gateway.status.counters import Counters
from gateway.telemetry.event_counters import EventCounters
from gateway.telemetry.measurements import Measurements
from gateway.telemetry.tracing import Tracing
from tests.bench.bench_identity import AUDIENCE
from tests.bench.layer_clock import LayerClock, Place
from tests.bench.measure import GC_FROZEN, Report, frozen_gc, percent
from tests.bench.serving import HUNDRED, MAX_PAGE, ONE, ROOT, Serving, loaded, queries, serving
from tests.bench.workload import answer, document
from tests.support.issuer import TENANT, entra_claims, jwk, rsa_key, signed
from tests.support.trace_collector import collecting

CONNECTIONS = 16
RATIO = 0.01
OUTERMOST = "HTTP server: uvicorn, limits of connections, event loop"
PLACES: Sequence[Place] = (
    (RequestScopes, "answer", "edge: id, host, route"),
    (Endpoint, "admitted", "caller, environment, view of its roles"),
    (GraphQLEndpoint, "answer", "endpoint: media type, slot, client that leaves"),
    (graphql_endpoint, "read_request", "request parsing: headers, body, JSON"),
    (Engine, "execute", "operation: deadline, contexts, its reads"),
    (KnownPlans, "find", "known plan: document, variables, plan"),
    (EarlyRefusal, "admit", "admission: price, budget"),
    (CostTicket, "settle", "admission: price, budget"),
    (SingleRead, "data", "execution: the read, others' reads"),
    (ODataClient, "send", "upstream call: turn, retry, attempt"),
    (attempt, "read_body", "upstream call: turn, retry, attempt"),
    (SingleRead, "_completed", "decode, complete"),
    (Answer, "encode", "encode"),
    (engine, "served_event", "events: made and passed on"),
    (graphql_endpoint, "send_answer", "headers, send"),
    (EventCounters, "_sent", "metrics"),
    (EventCounters, "_served", "metrics"),
    (EventCounters, "_answered", "metrics"),
    (EventCounters, "_settled", "metrics"),
    (Counters, "_sent", "status of the environment"),
    (Counters, "_served", "status of the environment"),
    (Tracing, "observe", "traces (1 %)"),
)
_LOG = "log: what is not written"
_REQUEST = (
    "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Type: application/json\r\n"
    "Accept: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
)


def bearer() -> str:
    """Return the token of a caller with the role."""
    claims = entra_claims(aud=AUDIENCE, oid="caller-1", roles=["clerk"])
    return signed(claims, "k1", rsa_key("k1"))


def production() -> dict[str, Any]:
    """Return settings with callers and roles, without row rules."""
    issuer = {"entra": TENANT, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}
    return {
        "inbound": {"issuers": [issuer]},
        "roles": {"clerk": {"sets": {"*": {}}}},
        "secret_key": "0123456789" * 5,
    }


async def layers(quick: bool) -> list[Report]:
    """Measure the time of each layer in this process, and all that is optional together over HTTP."""
    report = Report(
        "layers",
        f"CPU of one request, layer by layer; upstream and socket are in this process; {GC_FROZEN}",
    )
    with collecting() as collector:
        for name in (ONE, HUNDRED):
            await clocked(report, name, collector.endpoint, rounds=15 if quick else 40)
        report.notes += [
            "self_us: median over rounds of 100 requests; whole_us: the same requests without clocks in them.",
        ]
        return [report, await _together(collector.endpoint, quick=quick)]


async def clocked(report: Report, name: str, collector: str, rounds: int) -> None:
    """Add the layers of a case to a report."""
    clock = LayerClock(OUTERMOST)
    whole: list[float] = []
    async with _connection(name, collector, log_event) as connection:
        for number in range(rounds + 3):
            whole += [await connection.round(None)][: number >= 3]
    taken: list[Mapping[str, float]] = []
    with clock.watching(PLACES):
        async with _connection(name, collector, clock.clocked(_LOG, log_event)) as connection:
            for number in range(rounds + 3):
                await connection.round(clock)
                taken += [clock.stop()][: number >= 3]
    layers = dict.fromkeys([OUTERMOST, *(layer for _, _, layer in PLACES), _LOG])
    medians = {
        layer: statistics.median(each.get(layer, 0.0) for each in taken) / CALLS * 1e6
        for layer in layers
    }
    for layer, micros in medians.items():
        report.add(
            case=name,
            layer=layer,
            self_us=round(micros, 1),
            share=f"{micros / sum(medians.values()):.0%}",
        )
    report.add(
        case=name,
        layer="all",
        self_us=round(sum(medians.values()), 1),
        whole_us=round(statistics.median(whole) / CALLS * 1e6, 1),
    )


CALLS = 100


class _Connection(asyncio.Transport):
    """One connection of a client that is in this process."""

    def __init__(self, request: bytes) -> None:
        super().__init__()
        self._request = request
        self._answered = asyncio.Event()
        self.protocol: BoundedProtocol
        self.sent = b""

    async def round(self, clock: LayerClock | None) -> float:
        """Send requests one after the other; return their seconds."""
        if clock is not None:
            clock.start()
        started = time.thread_time()
        for _ in range(CALLS):
            self.sent = b""
            self.protocol.data_received(self._request)
            await self._answered.wait()
            self._answered.clear()
        taken = time.thread_time() - started
        if not self.sent.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(self.sent[:300].decode("latin-1"))
        return taken

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        if self.protocol.cycle is not None and self.protocol.cycle.response_started and len(data):
            head, _, body = self.sent.partition(b"\r\n\r\n")
            stated = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if stated.isdigit() and len(body) >= int(stated):
                self._answered.set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        places = {"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 8000)}
        return places.get(name, default)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


class _Upstream(httpx.AsyncBaseTransport):
    """Answers at once, from memory."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(request, LazyRequest):
            return httpx.Response(404)
        found = self._answers.get(request.address)
        if found is None:
            found = self._answers[request.address] = _recorded(request.address)
        headers, body = found
        return LazyResponse(200 if body else 404, headers, _Piece(body), request, {})


class _Piece(PieceStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None: ...


def _recorded(address: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    target = address.removeprefix(f"{ROOT}/")
    if target.startswith("http"):
        return [], b""
    if target.startswith("$metadata"):
        return [(b"content-type", b"application/xml")], document().encode()
    media = b"application/json; odata.metadata=minimal"
    return [(b"content-type", media), (b"odata-version", b"4.0")], answer(target)


@contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Log as a server does, until the end of the block."""
    before = structlog.get_config()
    configure_logging(settings)
    try:
        yield
    finally:
        structlog.configure(**before)
        use_log_rules(lambda _name, _level: True, 1.0)


@asynccontextmanager
async def _connection(name: str, collector: str, log: Any) -> AsyncIterator[_Connection]:
    values = {
        "url": ROOT,
        "auth": "none",
        "cache_dir": None,
        "max_page_size": MAX_PAGE,
        "host": "127.0.0.1",
        "language": None,
        "log_level": "warning",
        "tracing": {"endpoint": collector, "ratio": RATIO},
        **production(),
    }
    settings = Settings.model_validate(values)
    app = create_app(
        settings,
        transport=_Upstream(),
        observe=log,
        measurements=Measurements(),
    )
    # As ``serve`` does.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", proxy_headers=False
    )
    config.load()
    body = orjson.dumps({"query": queries()[name]})
    head = _REQUEST.format(token=bearer(), length=len(body)).encode()
    async with app.router.lifespan_context(app) as state:
        connection = _Connection(head + body)
        connection.protocol = BoundedProtocol(
            config=config, server_state=ServerState(), app_state=dict(state or {})
        )
        connection.protocol.connection_made(connection)
        with frozen_gc(), _logging(settings):
            yield connection
        connection.protocol.connection_lost(None)


async def _together(collector: str, *, quick: bool) -> Report:
    """Load a gateway with all that is optional, and one without, in turn."""
    report = Report(
        "layers_together",
        f"CPU of a request with callers, policy, metrics and {RATIO:.0%} traces, and without; {GC_FROZEN}",
    )
    chosen = production()
    full_settings = {
        "D365_INBOUND__ISSUERS": orjson.dumps(chosen["inbound"]["issuers"]).decode(),
        "D365_ROLES": orjson.dumps(chosen["roles"]).decode(),
        "D365_SECRET_KEY": chosen["secret_key"],
        "D365_TRACING__ENDPOINT": collector,
        "D365_TRACING__RATIO": str(RATIO),
    }
    async with (
        serving(ONE, HUNDRED, D365_METRICS__ENABLED="false") as without,
        serving(ONE, HUNDRED, bearer=bearer(), **full_settings) as full,
    ):
        for name in (ONE, HUNDRED):
            await _compare(report, name, without, full, rounds=5 if quick else 15)
    return report


async def _compare(report: Report, name: str, without: Serving, full: Serving, rounds: int) -> None:
    bare, whole = list[float](), list[float]()
    for _ in range(rounds):
        bare.append((await loaded(without, without.cases[name], CONNECTIONS, 1.0)).cpu)
        whole.append((await loaded(full, full.cases[name], CONNECTIONS, 1.0)).cpu)
    ratios = [a / b for a, b in zip(bare, whole, strict=True)]
    report.add(
        case=name,
        ratio=round(statistics.median(ratios), 3),
        spread=percent((max(ratios) - min(ratios)) / statistics.median(ratios)),
        without_us=round(statistics.median(bare) * 1e6, 1),
        full_us=round(statistics.median(whole) * 1e6, 1),
        together_us=round((statistics.median(whole) - statistics.median(bare)) * 1e6, 1),
    )
