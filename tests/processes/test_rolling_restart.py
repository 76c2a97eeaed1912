"""A rolling restart of two replicas under load: no request fails, and streams go on at the other one."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.balancer import Balancer
from tests.support.manual_clock import until
from tests.support.process import PATIENCE, Running, running
from tests.support.streaming import ACK, INIT, PROTOCOL, subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
ROWS = "{ customersV3(first: 2) { nodes { customerAccount } } }"
CHANGES = 'subscription { entityChanged(set: "CustomersV3", companies: ["usmf"]) { kind id } }'
PAUSE = 0.05


class Load:
    """Clients, and what became of their requests."""

    def __init__(self, port: int) -> None:
        self.url = f"127.0.0.1:{port}/graphql"
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.is_over = False

    async def repeat(self, turn: Callable[[], Coroutine[None, None, None]]) -> None:
        while not self.is_over:
            try:
                await turn()
            except Exception as error:
                self.failures.append(f"{turn.__name__}: {error!r}")
                await asyncio.sleep(PAUSE)

    async def http(self) -> None:
        """A client that keeps its connection for as long as the server does."""
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            while not self.is_over:
                answer = await http.post(f"http://{self.url}", json={"query": ROWS})
                assert answer.json()["data"]["customersV3"]["nodes"], answer.text
                self.done["http"] += 1
                await asyncio.sleep(PAUSE)

    async def event_stream(self) -> None:
        """A client that subscribes again when the stream says so."""
        body, accept = {"query": CHANGES}, {"accept": "text/event-stream"}
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as http,
            http.stream("POST", f"http://{self.url}", json=body, headers=accept) as stream,
        ):
            assert stream.status_code == 200
            self.done["event stream"] += 1
            lines = [line async for line in stream.aiter_lines() if line not in {"", ":"}]
        assert [line.partition(":")[0] for line in lines] == ["retry"] or self.is_over, lines

    async def socket(self) -> None:
        """A client with a subscription and queries on one socket, which connects again after 1001."""
        async with connect(f"ws://{self.url}", subprotocols=[PROTOCOL]) as socket:
            await socket.send(json.dumps(INIT))
            assert json.loads(await socket.recv()) == ACK
            await socket.send(json.dumps(subscribe(CHANGES, "changes")))
            self.done["socket"] += 1
            try:
                while not self.is_over:
                    await socket.send(json.dumps(subscribe(ROWS, "rows")))
                    while (message := json.loads(await socket.recv()))["type"] != "complete":
                        assert message["type"] == "ping" or message["payload"].get("data"), message
                    assert message["id"] == "rows", message
                    self.done["query on a socket"] += 1
                    await asyncio.sleep(PAUSE)
            except ConnectionClosed as closed:
                # A query that the server has begun is answered before; one that crosses the close frame never begins.
                if closed.rcvd is None or closed.rcvd.code != 1001:
                    raise


async def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    balancer = Balancer()

    def start() -> tuple[Running, int]:
        replica = stack.enter_context(
            running(
                tmp_path,
                "serve",
                "--port",
                "0",
                D365_SHUTDOWN__DRAIN="1",
                D365_SUBSCRIPTIONS__INTERVAL="1",
            )
        )
        url = replica.wait_for(r"GraphQL: +(http://\S+)")
        port = int(url.rsplit(":")[-1].partition("/")[0])
        balancer.ports.add(port)
        return replica, port

    with ExitStack() as stack:
        (first, port_1), (second, port_2) = start(), start()
        async with balancer.running():
            await until(lambda: len(balancer.ready) == 2)
            load = Load(balancer.port)
            kinds = (load.http, load.http, load.http, load.event_stream, load.socket, load.socket)
            clients = [asyncio.create_task(load.repeat(kind)) for kind in kinds]
            await until(lambda: load.done.total() > 30)

            assert await asyncio.to_thread(first.end, signal.SIGTERM) == 0
            balancer.ports.discard(port_1)
            _, port_3 = await asyncio.to_thread(start)
            await until(lambda: port_3 in balancer.ready)
            assert await asyncio.to_thread(second.end, signal.SIGTERM) == 0
            balancer.ports.discard(port_2)
            before = load.done.total()
            await until(lambda: load.done.total() > before + 30)

            load.is_over = True
            for client in clients[3:]:  # streams that wait for ever
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    assert load.failures == []
    # Each stream began at least twice: where it was cut, it went on elsewhere.
    assert load.done["event stream"] >= 2
    assert load.done["socket"] >= 4
    assert set(balancer.taken) == {port_1, port_2, port_3}
    for replica in (first, second):
        assert "Traceback" not in replica.errors
