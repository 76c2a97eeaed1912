"""One changed row, many subscribers: what is read upstream grows with what they ask, not with how many they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.errors import BadArgument
from gateway.execute import GraphQLRequest
from gateway.live import open_live
from gateway.setting_groups import SubscriptionOptions
from gateway.settings import Settings
from gateway.subscriptions.changes import Change, Kind
from gateway.subscriptions.hub import Hub
from gateway.subscriptions.sharing import Batch
from gateway.subscriptions.streams import Streams
from tests.support.changing import csdl
from tests.support.ticking import Ticking, until

pytestmark = pytest.mark.anyio
NAME = 'subscription { entityChanged(set: "things") { kind node { ... on Thing { name } } } }'
BOTH = 'subscription { entityChanged(set: "things") { kind node { id ... on Thing { name } } } }'
ALIASED = (
    'subscription { changed: entityChanged(set: "things") { kind node { ... on Thing { name } } } }'
)
VARIABLE = """subscription ($with: Boolean!) {
  entityChanged(set: "things") { kind node { ... on Thing { name @include(if: $with) } } }
}"""
NO_NODE = 'subscription { entityChanged(set: "things") { kind id } }'


@dataclass
class Crowd:
    """Subscribers of one service, whose requests are kept."""

    streams: Streams
    ticking: Ticking
    asked: list[str] = field(default_factory=list)
    name: str = "one"

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/$metadata"):
            return httpx.Response(200, text=csdl("Name"))
        self.asked.append(str(request.url))
        row = {"@odata.etag": f'W/"{self.name}"', "Id": "1", "Name": self.name}
        is_one = request.url.path.endswith(")")
        return httpx.Response(200, json=row if is_one else {"value": [row]})

    async def hear(self, request: GraphQLRequest) -> Any:
        async with aclosing(self.streams.results(request)) as results:
            return json.loads(await anext(results))

    async def change(self, *requests: GraphQLRequest) -> list[Any]:
        """Change the row while all these listen; return what each hears of it."""
        hearing = [asyncio.create_task(self.hear(request)) for request in requests]
        hub = self.streams.hub
        await until(lambda: sum(len(w.feeds) for w in hub._watches.values()) == len(requests))
        await self.ticking.asleep()
        self.asked.clear()
        self.name = "two"
        self.ticking.wake()
        return list(await asyncio.gather(*hearing))


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    async with opened() as found:
        yield found


@asynccontextmanager
async def opened() -> AsyncIterator[Crowd]:
    ticking = Ticking()
    hub = Hub(SubscriptionOptions(), lambda _event: None, ticking.clock)
    found = Crowd(Streams(None, hub), ticking)  # type: ignore[arg-type] - opened below
    settings = Settings(
        url="https://x.example/data", auth="none", dialect="odata", cache_dir=None, language="none"
    )
    transport = httpx.MockTransport(found.answer)
    async with open_live(settings, transport=transport, observe=lambda _event: None) as live:
        found.streams.live = live
        yield found
        await hub.close()


def asking(query: str = NAME, **values: Any) -> GraphQLRequest:
    return GraphQLRequest(query=query, **values)


HEARD = {"data": {"entityChanged": {"kind": "UPDATED", "node": {"name": "two"}}}}


@pytest.mark.parametrize("count", [1, 50, 2_000])
async def test_equal_subscribers_cost_one_read_however_many_they_are(
    crowd: Crowd, count: int
) -> None:
    heard = await crowd.change(*(asking() for _ in range(count)))

    assert heard == [HEARD] * count
    assert len(crowd.asked) == 2  # the poll, and the row


async def test_each_selection_set_of_variables_and_time_is_read_once(crowd: Crowd) -> None:
    of_each = (
        asking(),
        asking(BOTH),
        asking(VARIABLE, variables={"with": True}),
        asking(VARIABLE, variables={"with": False}),
        asking(NO_NODE),
        asking(timeout=5.0),
    )

    heard = await crowd.change(*of_each * 20)

    assert heard[:6] == heard[6:12] == heard[-6:]
    assert [h["data"]["entityChanged"].get("node") for h in heard[:6]] == [
        {"name": "two"},
        {"id": heard[1]["data"]["entityChanged"]["node"]["id"], "name": "two"},
        {"name": "two"},
        {},
        None,
        {"name": "two"},
    ]
    assert len(crowd.asked) <= 1 + 5


async def test_another_response_key_is_another_answer(crowd: Crowd) -> None:
    one, other = await crowd.change(asking(), asking(ALIASED))

    assert one == HEARD
    assert other == {"data": {"changed": HEARD["data"]["entityChanged"]}}


async def test_scopes_do_not_share(crowd: Crowd) -> None:
    await crowd.change(asking(companies=("usmf",)), asking(companies=("demf",)), asking())

    assert len(crowd.asked) == 2 * 3


async def test_who_leaves_does_not_end_the_read_of_the_others() -> None:
    batch = Batch([Change(Kind.UPDATED, "1", None)])
    gate, reads = asyncio.Event(), 0

    async def read() -> list[bytes]:
        nonlocal reads
        reads += 1
        await gate.wait()
        return [b"x"]

    first, second = (asyncio.create_task(batch.shared("key", read)) for _ in range(2))
    await until(lambda: reads)
    first.cancel()
    gate.set()

    assert await second == [b"x"]
    assert reads == 1
    assert first.cancelled()


async def test_a_read_that_fails_fails_for_each_and_is_not_repeated() -> None:
    batch = Batch([])
    reads = 0

    async def read() -> list[bytes]:
        nonlocal reads
        reads += 1
        raise BadArgument("no")

    found = await asyncio.gather(
        *(batch.shared("key", read) for _ in range(3)), return_exceptions=True
    )

    assert [type(one) for one in found] == [BadArgument] * 3
    assert reads == 1
