"""Graceful shutdown: no write is lost, none is done that was reported as not sent, no response is cut off."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway import lifespan
from gateway.app import create_app
from gateway.cli import bounded_http as protocol
from gateway.cli.bounded_http import BoundedProtocol
from gateway.cli.draining import ShutdownSteps, in_order, steps_of
from gateway.cli.server import GracefulServer
from gateway.config.settings import Settings
from gateway.config.shutdown_models import ShutdownOptions
from gateway.events import RequestRetried
from gateway.http.admin_app import until_stopping
from gateway.shutdown import is_stopping
from tests.support.changing_metadata import build_here
from tests.support.environments import settings_of
from tests.support.held import GROUP, Held, at, world
from tests.support.manual_clock import until
from tests.support.observers import raise_defects
from tests.support.process import running
from tests.support.soak import bounded
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
UNHURRIED = ShutdownSteps()
QUICK = ShutdownSteps(grace=0.2, answers=0.2)
ROWS = "{ customersV3(first: 2) { nodes { customerAccount } } }"
UPDATE = (
    'mutation { updateCustomerGroup(key: {dataAreaId: "usmf", customerGroupId: "10"},'
    ' patch: {description: "x"}) { customerGroup { description } userErrors { code } } }'
)


def is_read(request: httpx.Request) -> bool:
    return request.method == "GET"


def is_write(request: httpx.Request) -> bool:
    return request.method == "POST"


def codes(data: dict[str, dict[str, list[dict[str, str]]]], key: str) -> list[str]:
    return [error["code"] for error in data[key]["userErrors"]]


async def test_queued_writes_are_not_sent_and_sent_ones_are_answered() -> None:
    async with world(concurrency=1) as here:
        here.upstream.holds = is_write
        sent = here.ask(f"mutation {{ a: {GROUP % 'S1'} b: {GROUP % 'S2'} }}")
        await here.until(here.upstream.holding.is_set)
        queued = here.ask(f"mutation {{ a: {GROUP % 'S3'} b: {GROUP % 'S4'} }}")
        await here.until(lambda: len(here.gateway.client.unfinished) == 2)

        here.gateway.client.shutdown.refuse()
        data = (await queued)["data"]
        assert (codes(data, "a"), codes(data, "b")) == (["NOT_SENT"], ["NOT_SENT"])
        assert not sent.done()

        here.upstream.let_go.set()
        data = (await sent)["data"]
        assert (codes(data, "a"), codes(data, "b")) == ([], ["NOT_SENT"])
        assert here.upstream.writes == ["POST /data/CustomerGroups"]


async def test_an_unanswered_write_has_an_unknown_outcome() -> None:
    async with world() as here:
        here.upstream.holds = is_write
        asked = here.ask(f"mutation {{ a: {GROUP % 'S5'} b: {GROUP % 'S6'} }}")
        await here.until(here.upstream.holding.is_set)

        here.gateway.client.shutdown.abandon()
        data = (await asked)["data"]

        assert (codes(data, "a"), codes(data, "b")) == (["OUTCOME_UNKNOWN"], ["NOT_SENT"])
        (error,) = data["a"]["userErrors"]
        assert "CustomerGroups" in error["message"]
        assert here.upstream.given_up == ["POST /data/CustomerGroups"]


async def test_a_throttled_write_is_not_sent_again() -> None:
    async with world(retries=4) as here:
        here.upstream.instead = httpx.Response(429, headers={"Retry-After": "1"})
        asked = here.ask(f"mutation {{ a: {GROUP % 'S7'} }}")
        await here.until(lambda: any(isinstance(e, RequestRetried) for e in here.events))
        here.gateway.client.shutdown.refuse()

        assert codes((await asked)["data"], "a") == ["NOT_SENT"]
        assert len(here.upstream.writes) == 1


# Over a socket


@dataclass
class Served:
    app: Starlette
    upstream: Held
    server: GracefulServer
    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def post(
        self, query: str, path: str = "/graphql", **headers: str
    ) -> asyncio.Task[httpx.Response]:
        async def answer() -> httpx.Response:
            async with httpx.AsyncClient(timeout=PATIENCE) as http:
                url = f"http://127.0.0.1:{self.port}{path}"
                return await http.post(url, json={"query": query}, headers=headers)

        return asyncio.ensure_future(answer())


@asynccontextmanager
async def serving(
    steps: ShutdownSteps = UNHURRIED, environments: Mapping[str, Any] = MappingProxyType({})
) -> AsyncIterator[Served]:
    upstream = Held()
    settings = Settings.model_validate(
        {"cache_dir": None, "language": None, "concurrency": 1, "environments": environments}
    )
    app = create_app(settings, transport=upstream, observe=raise_defects, build_model=build_here)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, http=BoundedProtocol, lifespan="off", log_config=None, proxy_headers=False
        )
        result = Served(app, upstream, GracefulServer(config, steps), listener)
        async with app.router.lifespan_context(app):
            upstream.asked.clear()
            serve = asyncio.ensure_future(result.server._serve(sockets=[listener]))
            await until(lambda: result.server.started)
            try:
                yield result
            finally:
                result.server.should_exit = True
                upstream.let_go.set()
                await asyncio.wait_for(serve, PATIENCE)


@pytest.mark.parametrize("path", ["/graphql", "/e/acme/graphql"])
async def test_running_writes_are_answered_in_json_before_the_end(path: str) -> None:
    acme = {"url": "https://acme.example/data", "auth": "none", "dialect": "finops"}
    async with serving(QUICK, {"acme": acme} if path.startswith("/e/") else {}) as here:
        state = here.app.state
        if path.startswith("/e/"):
            assert (await here.post(ROWS, path)).status_code == 200
        here.upstream.holds = is_write
        here.upstream.asked.clear()
        asked = [here.post(f"mutation {{ a: {GROUP % f'T{n}'} }}", path) for n in range(8)]
        named = state.environments.find("acme") if state.environments else state.environment
        client = named.live.gateway.client
        await until(lambda: here.upstream.holding.is_set() and len(client.unfinished) == 8)
        assert state.shutdown.is_awaited
        here.server.should_exit = True
        answers = [response.json() for response in await asyncio.gather(*asked)]

        body = sorted(code for a in answers for code in codes(a["data"], "a"))
        assert body == [*["NOT_SENT"] * 7, "OUTCOME_UNKNOWN"]
        assert here.upstream.writes == ["POST /data/CustomerGroups"]


@pytest.mark.parametrize(
    ("query", "held", "code"),
    [
        (ROWS, at("/CustomersV3"), "STOPPING"),
        (UPDATE, is_read, "OUTCOME_UNKNOWN"),
    ],
    ids=["a read", "a mutation whose row is read"],
)
async def test_unfinished_requests_are_refused_in_json(
    query: str, held: Callable[[httpx.Request], bool], code: str
) -> None:
    async with serving(QUICK) as here:
        here.upstream.holds = held
        asked = here.post(query)
        await until(here.upstream.holding.is_set)
        here.server.should_exit = True
        response = await asked

        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == code


async def path_of_file(here: Served) -> str:
    query = "{ accounting { attachments(first: 1) { nodes { downloadPath } } } }"
    found = (await here.post(query)).json()["data"]["accounting"]["attachments"]["nodes"]
    return f"/files/{found[0]['downloadPath']}"


async def test_a_download_that_has_not_begun_is_refused_in_json() -> None:
    async with serving(QUICK) as here:
        path = await path_of_file(here)
        here.upstream.holds = lambda request: "$select=FileContents" in str(request.url)
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            asked = asyncio.ensure_future(http.get(f"http://127.0.0.1:{here.port}{path}"))
            await until(here.upstream.holding.is_set)
            here.server.should_exit = True
            response = await asked

        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "STOPPING"


@pytest.mark.parametrize("is_whole", [True, False], ids=["the rest comes", "the client stalls"])
async def test_an_upload_is_written_as_a_whole_or_not_at_all(*, is_whole: bool) -> None:
    async with serving(UNHURRIED if is_whole else QUICK) as here:
        path = await path_of_file(here)
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(
            f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nnew".encode()
        )
        await until(lambda: bool(here.upstream.writes))
        here.server.should_exit = True
        await until(lambda: not here.server.servers[0].is_serving())
        if is_whole:
            writer.write(b"est")
        head, _, body = (await asyncio.wait_for(reader.read(), PATIENCE)).partition(b"\r\n\r\n")
        writer.close()
        async with httpx.AsyncClient(
            transport=here.upstream.sandbox, base_url="http://localhost"
        ) as http:
            there = await http.get("/data/VendorInvoiceDocumentAttachments?cross-company=true")
        files = [base64.b64decode(row["FileContents"]) for row in there.json()["value"]]

        assert [file for file in files if file.startswith(b"new")] == [b"newest"] * is_whole
        assert head.split()[1] == (b"200" if is_whole else b"503")
        assert is_whole or json.loads(body)["errors"][0]["extensions"]["code"] == "NOT_SENT"


async def test_a_gateway_that_drains_serves_but_is_not_ready() -> None:
    async with serving(ShutdownSteps(drain=PATIENCE)) as here:
        url = f"http://127.0.0.1:{here.port}"
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            assert (await http.get(f"{url}/readyz")).status_code == 200
            states = until_stopping(here.app)
            assert [state.state for state in states()] == ["ready"]
            here.server.should_exit = True
            await until(lambda: is_stopping(here.app))
            ready = await http.get(f"{url}/readyz")
            assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
            assert ready.headers["connection"] == "close"
            assert [state.state for state in states()] == ["stopping"]
            # A new connection, as that of a balancer that has not noticed yet.
            answer = await here.post(ROWS)
            assert answer.json()["data"]["customersV3"]
        here.server._captured_signals.append(signal.SIGINT)
        await until(lambda: not here.server.servers[0].is_serving())
        here.server._captured_signals.clear()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), (0.0, 120.0)),
        (Settings(host="0.0.0.0", operation_timeout=30), (5.0, 30.0)),
        (Settings(shutdown=ShutdownOptions(drain=2, grace=7)), (2.0, 7.0)),
        (settings_of(environments={"a": {"operation_timeout": 300}}), (0.0, 300.0)),
        (settings_of(profiles={"p": {"sets": ["*"], "operation_timeout": 400}}), (0.0, 400.0)),
    ],
    ids=["loopback", "for others", "as set", "an environment", "a profile"],
)
def test_steps_come_from_the_settings(settings: Settings, expected: tuple[float, float]) -> None:
    steps = steps_of(settings)
    assert (steps.drain, steps.grace) == expected


async def test_the_end_waits_for_environments_and_jobs() -> None:
    """Those of the store are not declared, and a job that runs goes on elsewhere from its next checkpoint."""

    class Jobs:
        held = 1

        def hand_over(self) -> None:
            asyncio.get_running_loop().call_later(0.2, setattr, self, "held", 0)

    async with serving(ShutdownSteps(grace=1.0, may_grow=True)) as here:
        (environment,) = lifespan._environments_of(here.app)
        longest = environment.live.gateway.settings.operation_timeout
        jobs = here.app.state.jobs = Jobs()
        began = asyncio.get_running_loop().time()
        await here.server.shutdown([here.listener])
        assert asyncio.get_running_loop().time() - began >= 0.2
        assert jobs.held == 0
        assert here.server._steps.grace == longest > 1.0


def test_streams_end_one_after_the_other() -> None:
    @dataclass(eq=False)
    class Open:
        is_running: bool

        def shutdown(self) -> None:
            """Nothing runs here."""

    idle, many = [Open(False)] * 2, [Open(True) for _ in range(1_000)]
    plan = list(in_order([*idle, *many], spread=3.0))
    assert [seconds for seconds, c in plan if not c.is_running] == [0.0, 0.0]
    pauses = [seconds for seconds, c in plan if c.is_running]
    assert (pauses[0], len(set(pauses)), round(pauses[-1], 2)) == (0.0, 1_000, 3.0)
    assert {id(c) for _, c in plan if c.is_running} == {id(c) for c in many}
    assert [round(s, 2) for s, _ in in_order(many[:3], spread=3.0)] == [0.0, 0.01, 0.02]


async def test_a_connection_in_the_backlog_is_served() -> None:
    async with serving() as here:
        with socket.create_connection(("127.0.0.1", here.port)) as wire:
            # Nothing ran since: the server stops before it has accepted this one.
            wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await here.server.shutdown([here.listener])
            wire.settimeout(PATIENCE)
            answer = await asyncio.to_thread(wire.recv, 1_000)

        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer


async def test_a_request_during_shutdown_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "LAST_REQUEST", PATIENCE)
    async with serving() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        await until(lambda: here.server.server_state.connections)
        here.server.should_exit = True
        await until(lambda: not here.server.servers[0].is_serving())
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()

        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer


@pytest.mark.heavy
@pytest.mark.parametrize("workers", bounded(["2"], ["1", "2"]))
def test_no_connection_is_reset_during_shutdown(tmp_path: Path, workers: str) -> None:
    """Clients that connect anew all the time are answered, or refused where nobody listens any more."""
    query = json.dumps({"query": ROWS}).encode()
    request = (
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(query), query)
    )
    outcomes: list[str] = []

    def call_until_refused(port: int) -> None:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as wire:
                    wire.sendall(request)
                    answer = b""
                    while piece := wire.recv(65_536):
                        answer += piece
            except ConnectionRefusedError:
                return
            except OSError as error:
                outcomes.append(type(error).__name__)
                return
            outcomes.append(answer[:12].decode() or "closed")

    with running(tmp_path, "serve", "--port", "0", "--workers", workers) as gateway:
        url = gateway.wait_for(r"GraphQL: +(http://\S+)")
        port = int(url.rsplit(":")[-1].partition("/")[0])
        httpx.post(url, json={"query": ROWS}, timeout=PATIENCE).raise_for_status()
        threads = [threading.Thread(target=call_until_refused, args=(port,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        while len(outcomes) < 24:
            threading.Event().wait(0.01)
        assert gateway.end(signal.SIGTERM) == 0
        for thread in threads:
            thread.join(PATIENCE)

    assert set(outcomes) == {"HTTP/1.1 200"}
    assert "Traceback" not in gateway.errors
