"""One pause for all requests to a service that is too busy: how many requests it takes, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.errors import UpstreamThrottled
from gateway.events import Event
from gateway.events.admission import LimitLowered
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.retry import Clock, operation_ends_at
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
GET = Request("GET", "Sets?$top=1", {})
WRITE = Request("PATCH", "Sets(1)", {}, b"{}")
GOOD = httpx.Response(200, json={"value": []})


def busy(seconds: int | None = 7) -> httpx.Response:
    return httpx.Response(429, headers={} if seconds is None else {"Retry-After": str(seconds)})


@dataclass
class Service(httpx.AsyncBaseTransport):
    """Answers by a rule; its clock stands still but for waits, which end when they are let go on."""

    rule: Callable[[int], httpx.Response | Exception]
    sent: int = 0
    at: float = 1_000.0
    waits: list[float] = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[Event] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        number = self.sent
        await asyncio.sleep(0)
        answer = self.rule(number)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self.goes_on.wait()
        self.at += seconds

    def client(self, **settings: object) -> ODataClient:
        values = {"url": "https://fo.example/data", "concurrency": 4, **settings}
        clock = Clock(sleep=self.sleep, random=lambda: 0.0, now=lambda: self.at)
        return ODataClient(
            Settings.model_validate(values),
            transport=self,
            clock=clock,
            observe=self.events.append,
        )


def many(client: ODataClient, count: int) -> list[asyncio.Task[object]]:
    return [asyncio.ensure_future(client.send(GET)) for _ in range(count)]


async def outcomes(tasks: list[asyncio.Task[object]]) -> set[str]:
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return {type(outcome).__name__ for outcome in results}


async def test_many_operations_under_429_send_few_requests() -> None:
    service = Service(lambda _: busy())
    service.goes_on.set()

    async with service.client(retries=4) as client:
        assert await outcomes(many(client, 200)) == {"UpstreamThrottled"}

    # Four at a time at first, then one for each wait: four of those who came first, and of those who came behind.
    assert service.sent <= 4 + 2 * 4
    assert len(service.waits) == service.sent - 4


async def test_after_the_wait_one_probe_opens_the_way_for_all() -> None:
    service = Service(lambda number: busy() if number <= 4 else GOOD)

    async with service.client() as client:
        asked = many(client, 50)
        await until(lambda: bool(service.waits))
        assert service.sent == 4
        service.goes_on.set()
        assert await outcomes(asked) == {"Response"}

    assert service.sent == 4 + 50
    assert service.waits == [7.0]


async def test_a_request_that_comes_later_waits_too() -> None:
    service = Service(lambda number: busy() if number == 1 else GOOD)

    async with service.client() as client:
        asked = many(client, 1)
        await until(lambda: bool(service.waits))
        asked += many(client, 3)
        asked.append(asyncio.ensure_future(client.write(WRITE)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert service.sent == 1
        service.goes_on.set()
        assert await outcomes(asked) == {"Response"}

    assert (service.sent, service.waits) == (6, [7.0])


async def test_another_request_leads_if_the_leader_leaves() -> None:
    service = Service(lambda number: busy() if number == 1 else GOOD)

    async with service.client() as client:
        asked = many(client, 1)
        await until(lambda: bool(service.waits))
        asked += many(client, 2)
        await asyncio.sleep(0)
        asked[0].cancel()
        await until(lambda: len(service.waits) == 2)
        service.goes_on.set()
        assert await outcomes(asked[1:]) == {"Response"}

    assert (service.sent, service.waits) == (3, [7.0, 7.0])


async def test_a_probe_without_connection_opens_the_way() -> None:
    lost = httpx.ReadError("reset")
    service = Service(lambda number: busy() if number == 1 else lost if number == 2 else GOOD)
    service.goes_on.set()

    async with service.client() as client:
        assert await outcomes(many(client, 1)) == {"Response"}
        assert await outcomes(many(client, 1)) == {"Response"}

    assert service.sent == 4


async def test_too_long_a_wait_fails_at_once_for_all() -> None:
    service = Service(lambda _: busy(600))

    async with service.client(operation_timeout=120) as client:
        for _ in range(3):
            with pytest.raises(UpstreamThrottled) as caught:
                await client.send(GET)
        with pytest.raises(UpstreamThrottled):
            await client.write(WRITE)
        assert (service.sent, service.waits) == (1, [])
        assert caught.value.retry_after == 600.0
        service.at += 590
        with (
            pytest.raises(UpstreamThrottled) as caught,
            operation_ends_at(asyncio.get_running_loop().time() + 5),
        ):
            await client.send(GET)
        assert caught.value.retry_after == 10.0
        assert service.sent == 1


async def test_a_minute_is_waited_if_the_operation_has_it() -> None:
    """Microsoft's own example asks for 60 seconds; ``retry_wait_max`` bounds other waits only."""
    service = Service(lambda number: busy(60) if number == 1 else GOOD)
    service.goes_on.set()

    async with service.client() as client:
        with operation_ends_at(asyncio.get_running_loop().time() + 100):
            await client.send(GET)

    assert service.waits == [60.0]


async def test_a_minute_is_not_waited_if_the_operation_ends_before() -> None:
    service = Service(lambda number: busy(60) if number == 1 else GOOD)

    async with service.client() as client:
        with (
            operation_ends_at(asyncio.get_running_loop().time() + 50),
            pytest.raises(UpstreamThrottled),
        ):
            await client.send(GET)

    assert (service.sent, service.waits) == (1, [])


async def test_without_a_time_the_waits_grow_and_are_shared() -> None:
    service = Service(lambda _: busy(None))
    service.goes_on.set()

    async with service.client(retries=2, retry_wait_max=50) as client:
        assert await outcomes(many(client, 30)) == {"UpstreamThrottled"}

    assert service.waits[:2] == [15.0, 25.0]
    assert service.sent <= 4 + 2 * 2


async def test_one_refusal_among_answers_stops_nobody_else() -> None:
    """The service serves others, so there were too many at a time: the refused one comes again by itself."""
    service = Service(lambda number: busy(None) if number == 3 else GOOD)

    async with service.client() as client:
        assert await outcomes(many(client, 2)) == {"Response"}
        refused = many(client, 1)
        await until(lambda: bool(service.waits))
        assert await outcomes(many(client, 5)) == {"Response"}
        service.goes_on.set()
        assert await outcomes(refused) == {"Response"}

    assert (service.sent, service.waits) == (2 + 1 + 5 + 1, [0.5])


async def test_a_lowered_limit_is_an_event() -> None:
    service = Service(lambda number: busy(None) if number == 3 else GOOD)
    service.goes_on.set()

    async with service.client() as client:
        assert await outcomes(many(client, 2)) == {"Response"}
        assert await outcomes(many(client, 1)) == {"Response"}

    lowered = [event for event in service.events if isinstance(event, LimitLowered)]
    assert lowered == [LimitLowered(lane="interactive", limit=2, under_way=0, waiting=0)]


async def test_metadata_is_read_while_all_slots_are_taken() -> None:
    service, may_answer = Service(lambda _: GOOD), asyncio.Event()
    answer = service.handle_async_request

    async def slow_rows(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("$metadata"):
            await may_answer.wait()
        return await answer(request)

    service.handle_async_request = slow_rows  # type: ignore[method-assign]
    async with service.client(concurrency=1) as client:
        rows = many(client, 3)
        await client.fetch("https://fo.example/data/$metadata", {"Accept": "*/*"})
        may_answer.set()
        assert await outcomes(rows) == {"Response"}


async def test_a_refusal_that_names_a_wait_stops_all() -> None:
    service = Service(lambda number: busy(7) if number == 3 else GOOD)

    async with service.client() as client:
        assert await outcomes(many(client, 2)) == {"Response"}
        asked = many(client, 1)
        await until(lambda: bool(service.waits))
        asked += many(client, 5)
        await asyncio.sleep(0)
        assert service.sent == 3
        service.goes_on.set()
        assert await outcomes(asked) == {"Response"}

    assert service.waits == [7.0]


async def test_writes_hold_at_most_half_of_the_slots() -> None:
    service, may_answer = Service(lambda _: GOOD), asyncio.Event()
    answer = service.handle_async_request

    async def slow_writes(request: httpx.Request) -> httpx.Response:
        found = await answer(request)
        if request.method == "PATCH":
            await may_answer.wait()
        return found

    service.handle_async_request = slow_writes  # type: ignore[method-assign]
    async with service.client() as client:
        writes = [asyncio.ensure_future(client.write(WRITE)) for _ in range(16)]
        await until(lambda: service.sent == 2)
        assert await outcomes(many(client, 20)) == {"Response"}
        assert service.sent == 2 + 20
        may_answer.set()
        assert await outcomes(list(writes)) == {"Response"}
