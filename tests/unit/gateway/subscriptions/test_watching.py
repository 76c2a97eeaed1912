"""Watches: one poll for all equal subscriptions, its requests, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.config.setting_models import SubscriptionOptions
from gateway.errors import BudgetExceeded
from gateway.events import Event
from gateway.events.streams import WatchFailed
from gateway.planning.change_queries import ChangeQuery
from gateway.request import Answer, GraphQLRequest
from gateway.subscriptions.hub import Feed, FeedEnded, Hub
from gateway.subscriptions.polling import Poll
from tests.support.manual_clock import Ticking, until
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
BY_ETAG = ChangeQuery(
    name="things", has_company=True, where="ThingWhere", stamp=None, rows="query R"
)
BY_STAMP = ChangeQuery(
    name="things",
    has_company=True,
    where="ThingWhere",
    stamp="modifiedOn",
    rows="query R",
    newest="query N",
)


@dataclass
class World:
    """Rows of an upstream, what is asked of them, and who watches them."""

    options: SubscriptionOptions = field(default_factory=SubscriptionOptions)
    rows: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "a", "etag": "1"}])
    errors: list[dict[str, Any]] = field(default_factory=list)
    asked: list[GraphQLRequest] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ticking: Ticking = field(default_factory=Ticking)
    page: int = 1_000

    def __post_init__(self) -> None:
        self.hub = Hub(self.options, self.events.append, self.ticking.clock)

    async def ask(self, request: GraphQLRequest) -> Answer:
        self.asked.append(request)
        if self.errors:
            return Answer(None, self.errors)
        start = int(request.variables.get("after") or 0)
        end = start + request.variables["first"]
        info = {"hasNextPage": end < len(self.rows), "endCursor": str(end)}
        return Answer({"rows": {"nodes": self.rows[start:end], "pageInfo": info}})

    def poll(self, of: ChangeQuery = BY_ETAG) -> Poll:
        return Poll(
            query=of,
            where={"name": {"eq": "x"}},
            companies=("usmf",),
            ask=self.ask,
            page=self.page,
            most=self.options.max_watched_rows,
            late=self.options.late,
            now=self.ticking.clock.now,
            observe=self.events.append,
        )

    def feed(self, key: Hashable = "things") -> Any:
        return self.hub.feed(key, self.poll)


def world(**options: Any) -> World:
    return World(options=SubscriptionOptions(**options))


async def taken(feed: Feed) -> list[str]:
    changes = await asyncio.wait_for(feed.take(), PATIENCE)
    return [f"{change.kind} {change.id}" for change in changes]


async def ended(feed: Feed) -> list[str | None]:
    with pytest.raises(FeedEnded) as opened:
        await asyncio.wait_for(feed.take(), PATIENCE)
    return [error.get("extensions", {}).get("code") for error in opened.value.errors]


async def test_equal_subscriptions_share_a_poll() -> None:
    here = world()
    with here.feed() as one, here.feed() as other:
        await here.ticking.asleep()
        here.rows = [{"id": "a", "etag": "2"}]
        await here.ticking.tick()

        assert await taken(one) == await taken(other) == ["UPDATED a"]
        assert (len(here.asked), here.hub.watches) == (2, 1)


async def test_a_report_wakes_a_watch_but_polls_keep_their_distance() -> None:
    here = world(interval=10.0, woken_interval=2.0)
    with here.feed() as feed:
        await here.ticking.asleep()
        here.ticking.time += 1.5
        assert here.hub.wake({"other"}) == 0
        assert [here.hub.wake({""}) for _ in range(3)] == [1, 1, 1]
        await until(lambda: len(here.ticking.sleeps) == 2)
        here.rows = [{"id": "a", "etag": "2"}]
        await here.ticking.tick()
        assert await taken(feed) == ["UPDATED a"]
        here.ticking.time += 5.0
        here.hub.wake({""})
        await until(lambda: len(here.asked) == 3)

    assert here.ticking.sleeps[:3] == [10.0, 0.5, 10.0]


async def test_poll_ends_with_its_last_subscriber() -> None:
    here = world()
    with here.feed():
        with here.feed():
            await here.ticking.asleep()
        assert here.hub.watches == 1
    await asyncio.sleep(0)

    here.ticking.wake()
    await asyncio.sleep(0)
    assert (len(here.asked), here.hub.watches) == (1, 0)


async def test_polls_have_scope_and_filter_of_the_subscriber() -> None:
    here = world()
    with here.feed():
        await here.ticking.asleep()

    [request] = here.asked
    assert request.companies == ("usmf",)
    assert request.variables == {"first": 1_000, "after": None, "where": {"name": {"eq": "x"}}}


async def test_all_pages_are_read() -> None:
    here = world()
    here.page = 2
    here.rows = [{"id": str(n), "etag": "1"} for n in range(5)]
    with here.feed() as feed:
        await here.ticking.asleep()
        here.rows[4] = {"id": "4", "etag": "2"}
        await here.ticking.tick()

        assert await taken(feed) == ["UPDATED 4"]
    assert [r.variables["after"] for r in here.asked] == [None, "2", "4"] * 2


async def test_polling_by_stamp_reads_new_rows() -> None:
    here = world(late=30)
    here.rows = [{"id": "a", "etag": "1", "changed": "2023-05-01T12:00:00Z"}]
    with here.hub.feed("things", lambda: here.poll(BY_STAMP)) as feed:
        await here.ticking.asleep()
        here.rows = [{"id": "b", "etag": "1", "changed": "2023-05-01T12:10:00Z"}]
        await here.ticking.tick()

        assert await taken(feed) == ["CHANGED b"]
        await here.ticking.tick()
    assert [r.query for r in here.asked] == ["query N", "query R", "query R", "query R"]
    assert [r.variables["where"] for r in here.asked] == [
        {"name": {"eq": "x"}},
        *(
            {"and": [{"name": {"eq": "x"}}, {"modifiedOn": {"gte": f"2023-05-01T{since}Z"}}]}
            for since in ("11:59:30.000000", "11:59:30.000000", "12:09:30.000000")
        ),
    ]


async def test_too_many_rows_end_the_subscription() -> None:
    here = world(max_watched_rows=3)
    here.rows = [{"id": str(n), "etag": "1"} for n in range(4)]
    with here.feed() as feed:
        assert await ended(feed) == ["BUDGET_EXCEEDED"]


def upstream_is_away(retry_after: float | None = None) -> list[dict[str, Any]]:
    facts = {"code": "UPSTREAM_UNAVAILABLE", "retryAfter": retry_after}
    return [{"message": "away", "extensions": facts, "path": ["rows"]}]


async def test_failing_polls_back_off() -> None:
    here = world(interval=10, max_failures=9)
    with here.feed() as feed:
        await here.ticking.asleep()
        here.errors = upstream_is_away()
        for _ in range(6):
            await here.ticking.tick()
        here.errors = []
        here.rows = [{"id": "b", "etag": "1"}]
        await here.ticking.tick()

        assert await taken(feed) == ["CREATED b", "DELETED a"]
    assert here.ticking.sleeps == [10, 20, 40, 80, 160, 160, 160, 10]


async def test_failing_polls_respect_retry_after() -> None:
    here = world(interval=10)
    here.errors = upstream_is_away(retry_after=300)
    with here.feed():
        await here.ticking.asleep()

    assert here.ticking.sleeps == [300]


async def test_polls_that_fail_too_often_end_the_subscription() -> None:
    here = world(max_failures=2)
    here.errors = upstream_is_away()
    with here.feed() as feed:
        await here.ticking.asleep()
        await here.ticking.tick()
        here.ticking.wake()

        assert await ended(feed) == ["UPSTREAM_UNAVAILABLE"]
    failures = [event for event in here.events if isinstance(event, WatchFailed)]
    assert [event.over for event in failures] == [False, False, True]


async def test_client_error_ends_the_subscription_at_once() -> None:
    here = world()
    here.errors = [{"message": "no such field", "extensions": {"code": "BAD_USER_INPUT"}}]
    with here.feed() as feed:
        assert await ended(feed) == ["BAD_USER_INPUT"]
    assert len(here.asked) == 1


async def test_bug_in_a_poll_is_retried_without_details() -> None:
    here = world(max_failures=0)
    here.rows = [{"id": 5}]
    with here.feed() as feed:
        assert await ended(feed) == ["INTERNAL_ERROR"]
    assert any("ValidationError" in str(getattr(e, "detail", "")) for e in here.events)


async def test_ended_watch_is_started_again() -> None:
    here = world()
    here.errors = [{"message": "no", "extensions": {"code": "BAD_USER_INPUT"}}]
    with here.feed() as feed:
        await ended(feed)
        await asyncio.sleep(0)
        here.errors = []
        with here.feed() as another:
            await here.ticking.asleep()
            here.rows = []
            await here.ticking.tick()
            assert await taken(another) == ["DELETED a"]


async def test_slow_subscriber_ends_alone() -> None:
    here = world(max_pending=1)
    with here.feed() as slow, here.feed() as quick:
        await here.ticking.asleep()
        for version in "234":
            here.rows = [{"id": "a", "etag": version}]
            await here.ticking.tick()
            assert await taken(quick) == ["UPDATED a"]

        assert await ended(slow) == ["SUBSCRIBER_TOO_SLOW"]


async def test_watches_are_limited() -> None:
    here = world(max_watches=1)
    with here.feed("one"), here.feed("one"), pytest.raises(BudgetExceeded), here.feed("another"):
        pass
    with here.feed("another"):
        pass


async def test_connections_are_counted() -> None:
    here = world(max_connections=1)
    with here.hub.connection() as first:
        with here.hub.connection() as second:
            assert (first, second) == (True, False)
        with here.hub.connection() as third:
            assert third is False
    with here.hub.connection() as again:
        assert again is True


async def test_shutdown_ends_all_feeds() -> None:
    here = world()
    with here.feed() as feed:
        await here.ticking.asleep()
        here.rows = []
        await here.ticking.tick()
        await here.hub.close()

        assert await taken(feed) == ["DELETED a"]
        assert await ended(feed) == []
    with here.feed() as late:
        assert await ended(late) == []


async def test_close_waits_for_unfinished_tasks() -> None:
    here = world()
    done: list[str] = []

    async def write() -> None:
        await asyncio.sleep(0.01)
        done.append("written")

    here.hub.finish_in_background(asyncio.create_task(write()))
    await here.hub.close()
    assert done == ["written"]
