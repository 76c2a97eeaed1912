"""One changed row, many subscribers: reads grow with their different selections, not with their number."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from gateway.changes.records import Kind
from gateway.config.setting_models import SubscriptionOptions
from gateway.config.settings import Settings
from gateway.errors import BadArgument
from gateway.request import GraphQLRequest
from gateway.runtime.generations import open_generations
from gateway.subscriptions.changes import Change
from gateway.subscriptions.hub import Hub
from gateway.subscriptions.sharing import Batch, Part, Reader
from gateway.subscriptions.start import ActiveSubscription, start_subscription
from gateway.subscriptions.streams import Streams
from tests.support.changing_metadata import csdl
from tests.support.manual_clock import Ticking, until

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
    rows: int = 1
    refused: str = ""
    """A property whose selection is refused."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/$metadata"):
            return httpx.Response(200, text=csdl("Name", *COLOURS))
        self.asked.append(str(request.url))
        if self.refused and self.refused in request.url.params.get("$select", ""):
            return httpx.Response(400, json={"error": {"code": "", "message": "no"}})
        rows = [self.row(number) for number in range(1, self.rows + 1)]
        if request.url.path.endswith(")"):
            return httpx.Response(200, json=rows[0])
        named = set(re.findall(r"'(\d+)'", request.url.params.get("$filter", "")))
        return httpx.Response(
            200, json={"value": [r for r in rows if not named or r["Id"] in named]}
        )

    def row(self, number: int) -> dict[str, str]:
        colours = {colour: f"{colour} {number}" for colour in COLOURS}
        etag = f'W/"{self.name}"'
        return {"@odata.etag": etag, "Id": str(number), "Name": self.name, **colours}

    def begin(self, request: GraphQLRequest) -> ActiveSubscription:
        with self.streams.live.serving() as gateway:
            return start_subscription(
                gateway, gateway.engine.read(request), self.streams.hub.options
            )

    async def hear(self, request: GraphQLRequest) -> Any:
        """Return the first result; all of them where several rows change."""
        async with aclosing(self.streams.results(request)) as results:
            items = [json.loads(await anext(results)) for _ in range(self.rows)]
            return items if self.rows > 1 else items[0]

    async def change(self, *requests: GraphQLRequest) -> list[Any]:
        """Change the rows while all these listen; return what each hears of them."""
        self.name = "one"
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
async def opened(rows: int = 1) -> AsyncIterator[Crowd]:
    ticking = Ticking()
    hub = Hub(SubscriptionOptions(), lambda _event: None, ticking.clock)
    opened_below: Any = None
    found = Crowd(Streams(opened_below, hub), ticking, rows=rows)
    settings = Settings(
        url="https://x.example/data", auth="none", dialect="odata", cache_dir=None, language="none"
    )
    transport = httpx.MockTransport(found.answer)
    async with open_generations(settings, transport=transport, observe=lambda _event: None) as live:
        found.streams.live = live
        yield found
        await hub.close()


def asking(query: str = NAME, **values: Any) -> GraphQLRequest:
    return GraphQLRequest(query=query, **values)


HEARD = {"data": {"entityChanged": {"kind": "UPDATED", "node": {"name": "two"}}}}


@pytest.mark.parametrize("count", [1, 50, pytest.param(2_000, marks=pytest.mark.heavy)])
async def test_equal_subscribers_share_one_read(crowd: Crowd, count: int) -> None:
    heard = await crowd.change(*(asking() for _ in range(count)))

    assert heard == [HEARD] * count
    assert len(crowd.asked) == 2  # the poll, and the row


async def test_equal_selection_variables_and_timeout_share_a_read(crowd: Crowd) -> None:
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
    assert len(crowd.asked) == 2  # the poll, and the row for all of them


async def test_other_response_key_is_another_answer(crowd: Crowd) -> None:
    one, other = await crowd.change(asking(), asking(ALIASED))

    assert one == HEARD
    assert other == {"data": {"changed": HEARD["data"]["entityChanged"]}}


async def test_scopes_do_not_share(crowd: Crowd) -> None:
    await crowd.change(asking(companies=("usmf",)), asking(companies=("demf",)), asking())

    assert len(crowd.asked) == 2 * 3


COLOURS = ("Red", "Green", "Blue", "Grey")


def selections(count: int) -> list[GraphQLRequest]:
    """Return subscriptions with different selections: properties, aliases, fragments and variables."""
    shapes = (
        "a{n}: name",
        "name b: {p}",
        "...on Thing {{ c{n}: {p} @include(if: $with) }}",
        "{p} @skip(if: $with) id",
    )
    query = """subscription ($with: Boolean = true) {{
      entityChanged(set: "things") {{ kind node {{ ... on Thing {{ __typename @include(if: $with) {} }} }} }}
    }}"""
    return [
        asking(
            query.format(shapes[n % 4].format(n=n, p=COLOURS[n % 3].lower())),
            variables={"with": n % 8 < 4},
            timeout=None if n % 3 else 60.0 + n,
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("rows", "count", "reads"), [(1, 20, 1), (50, 3, 1), (600, 3, 8)])
async def test_different_selections_are_read_together(rows: int, count: int, reads: int) -> None:
    async with opened(rows) as crowd:
        asked = selections(count)
        heard = await crowd.change(*asked)
        requests = crowd.asked.copy()
    async with opened(rows) as crowd:
        alone = [(await crowd.change(request))[0] for request in asked]

    assert heard == alone
    assert len(requests) == 1 + reads, requests  # the poll, and the key batches of one subscriber


async def test_failing_selection_is_its_subscribers_error(crowd: Crowd) -> None:
    crowd.refused = "Blue"
    asked = [
        asking(NAME.replace("name", name)) for name in ("name", "red", "blue", "green", "grey")
    ]

    heard = await crowd.change(*asked)

    assert [n for n, one in enumerate(heard) if "errors" in one] == [2]
    (error,) = heard[2]["errors"]
    assert error["path"] == ["entityChanged", "node"]
    assert error["extensions"]["code"] == "UPSTREAM_REJECTED"
    assert heard[2]["data"] == {"entityChanged": {"kind": "UPDATED", "node": None}}


@pytest.fixture
async def begun_once(crowd: Crowd) -> ActiveSubscription:
    return crowd.begin(asking())


def reader(
    begun_once: ActiveSubscription, timeout: float | None = None, company: str = "usmf"
) -> Reader:
    return Reader(replace(begun_once, companies=(company,)), timeout)


def changes(count: int) -> Batch:
    return Batch([Change(Kind.UPDATED, str(n), None) for n in range(count)])


async def test_leaving_reader_does_not_cancel_the_read(
    begun_once: ActiveSubscription,
) -> None:
    batch = changes(1)
    gate, reads = asyncio.Event(), 0

    async def read(_reader: Reader, _part: Part) -> list[bytes]:
        nonlocal reads
        reads += 1
        await gate.wait()
        return [b"x"]

    first, second = (
        asyncio.create_task(batch.results(reader(begun_once), 0, read)) for _ in range(2)
    )
    await until(lambda: reads)
    first.cancel()
    gate.set()

    assert await second == [b"x"]
    assert reads == 1
    assert first.cancelled()


async def test_failed_read_fails_for_each_reader(
    begun_once: ActiveSubscription,
) -> None:
    batch = changes(1)
    reads = 0

    async def read(_reader: Reader, _part: Part) -> list[bytes]:
        nonlocal reads
        reads += 1
        raise BadArgument("no")

    results = await asyncio.gather(
        *(batch.results(reader(begun_once), 0, read) for _ in range(3)), return_exceptions=True
    )

    assert [type(one) for one in results] == [BadArgument] * 3
    assert reads == 1


async def test_groups_read_later_parts_together(
    begun_once: ActiveSubscription,
) -> None:
    batch = changes(501)
    parts: list[tuple[Part, Reader]] = []

    async def read(reader: Reader, part: Part) -> list[bytes]:
        parts.append((part, reader))
        return [part.changes[0].id.encode()]

    one, two = reader(begun_once), reader(begun_once, timeout=1.0)
    other, late = reader(begun_once, company="demf"), reader(begun_once, timeout=2.0)
    await asyncio.gather(*(batch.results(each, 0, read) for each in (one, two, other)))
    await batch.results(late, 0, read)
    assert await batch.results(two, 500, read) == [b"500"]
    await until(lambda: len(parts) == 6)

    first, second, third, fourth, fifth, sixth = (part for part, _ in parts)
    assert first is second
    assert len({id(p) for p in (first, third, fourth, fifth)}) == 4
    assert fifth is sixth
    assert [each for part, each in parts if part is fifth] == [one, two]
    assert (len(first.changes), len(fifth.changes)) == (500, 1)
    assert await batch.results(one, 500, read) == [b"500"]
    assert len(parts) == 6
