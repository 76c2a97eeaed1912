"""Operations share reads that are under way, and answers that are cached: requests are counted at the transport."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.admission.work import Lane
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.cache.in_flight import InFlight
from gateway.cache.touched_sets import TouchedSets
from gateway.config.setting_models import SubscriptionOptions
from gateway.config.settings import Settings
from gateway.events import Event, RequestSent
from gateway.identity.caller import Caller
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import SANDBOX_ROOT
from gateway.runtime.generations import open_generations
from gateway.runtime.profile_instances import ProfileRegistry
from gateway.runtime.role_views import role_views_of
from gateway.subscriptions.hub import Hub
from gateway.subscriptions.start import start_subscription
from tests.support.held import GROUP, World, at, world
from tests.support.manual_clock import Ticking

pytestmark = pytest.mark.anyio
GROUPS = '{ customerGroups(companies: ["usmf"]) { nodes { customerGroupId description } } }'
ONE = '{ customerGroups(companies: ["usmf"], first: 1) { nodes { customerGroupId } } }'
CUSTOMERS = '{ customersV3(companies: ["usmf"], first: 1) { nodes { customerAccount } } }'
KEPT = {"cache": {"ttl": 60, "stale": 30, "stale_if_error": 300, "sets": ["CustomerGroups"]}}


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def clocked(running: World) -> Time:
    """Let a test move the clock by which answers age."""
    answers = running.gateway.client.answers
    assert isinstance(answers, EnvironmentAnswers)
    clock = Time()
    answers._now = clock
    return clock


async def ask(running: World, query: str, **options: Any) -> dict[str, Any]:
    request = GraphQLRequest(query=query, **options)
    return (await running.gateway.engine.execute(request)).to_builtins()


def age(answer: dict[str, Any]) -> Any:
    return answer.get("extensions", {}).get("cache")


async def idle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_equal_reads_at_the_same_time_are_sent_once() -> None:
    async with world() as running:
        running.upstream.holds = at("CustomerGroups")
        first, second = running.ask(GROUPS), running.ask(GROUPS)
        await running.until(running.upstream.holding.is_set)
        third = running.ask(GROUPS)
        await idle()
        running.upstream.let_go.set()
        answers = await asyncio.gather(first, second, third)

    assert len(running.upstream.asked) == 1
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0]["data"]["customerGroups"]["nodes"]) > 1


async def test_an_operation_that_is_cancelled_takes_no_read_from_others() -> None:
    async with world() as running:
        running.upstream.holds = at("CustomerGroups")
        first, second = running.ask(GROUPS), running.ask(GROUPS)
        await running.until(running.upstream.holding.is_set)
        first.cancel()
        await idle()
        running.upstream.let_go.set()
        answer = await second

    assert "errors" not in answer
    assert (len(running.upstream.asked), running.upstream.given_up) == (1, [])


async def test_a_read_that_nobody_waits_for_is_given_up() -> None:
    async with world() as running:
        running.upstream.holds = at("CustomerGroups")
        both = running.ask(GROUPS), running.ask(GROUPS)
        await running.until(running.upstream.holding.is_set)
        for task in both:
            task.cancel()
        await running.until(lambda: bool(running.upstream.given_up))

    assert len(running.upstream.given_up) == 1


async def test_errors_are_those_of_all_who_wait() -> None:
    async with world(retries=0) as running:
        running.upstream.holds = at("CustomerGroups")
        both = running.ask(GROUPS), running.ask(GROUPS)
        await running.until(running.upstream.holding.is_set)
        running.upstream.sandbox = httpx.MockTransport(lambda _: httpx.Response(503))  # type: ignore[assignment]
        running.upstream.let_go.set()
        answers = await asyncio.gather(*both)

    assert len(running.upstream.asked) == 1
    codes = [answer["errors"][0]["extensions"]["code"] for answer in answers]
    assert codes == ["UPSTREAM_UNAVAILABLE"] * 2


async def test_no_read_joins_one_that_began_before_a_write() -> None:
    async with world() as running:
        running.upstream.holds = lambda request: request.method == "GET"
        before = running.ask(GROUPS)
        await running.until(running.upstream.holding.is_set)
        running.upstream.holds = lambda request: False
        await ask(running, "mutation { a: %s }" % (GROUP % "T1"))
        after = await ask(running, GROUPS)
        running.upstream.let_go.set()
        await before

    names = [n["customerGroupId"] for n in after["data"]["customerGroups"]["nodes"]]
    assert "T1" in names


async def test_short_operations_are_not_joined_by_long_ones() -> None:
    async with world(operation_timeout=30) as running:
        running.upstream.holds = at("CustomerGroups")
        short = running.ask(GROUPS, timeout=1)
        await running.until(running.upstream.holding.is_set)
        long = running.ask(GROUPS)
        await running.until(lambda: len(running.upstream.asked) == 2)
        running.upstream.let_go.set()
        await asyncio.gather(short, long)


async def test_who_joins_one_that_waits_no_longer_sends_its_own() -> None:
    async with world(concurrency=1) as running:
        running.upstream.holds = at("CustomersV3")
        blocking = running.ask(CUSTOMERS)
        await running.until(running.upstream.holding.is_set)
        short, long = running.ask(GROUPS, timeout=10), running.ask(GROUPS, timeout=15)
        await idle()
        running.pass_time(9.5)
        refused = await short
        running.upstream.let_go.set()
        await asyncio.gather(long, blocking)

    assert refused["errors"][0]["extensions"]["code"] == "OVERLOADED"
    assert "errors" not in long.result()
    assert len(running.upstream.asked) == 2


async def test_a_read_that_is_given_up_before_it_begins_leaves_nothing() -> None:
    reads = InFlight()

    async def never() -> Response:
        raise AssertionError

    flight = reads.begin("key", never(), 0.0)
    flight.leave()
    await idle()

    assert (flight.task.cancelled(), len(reads)) == (True, 0)


async def test_the_sets_of_a_read_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, find = list[str](), TouchedSets.of

    def counted(self: TouchedSets, url: str) -> frozenset[str] | None:
        found.append(url)
        return find(self, url)

    monkeypatch.setattr(TouchedSets, "of", counted)
    async with world(**KEPT) as running:
        await ask(running, GROUPS)
        await ask(running, GROUPS)

    assert len(running.upstream.asked) == 1
    assert len(found) == 2


async def test_without_coalescing_every_read_is_sent() -> None:
    async with world(cache={"coalesce": False}) as running:
        await asyncio.gather(running.ask(GROUPS), running.ask(GROUPS))

    assert len(running.upstream.asked) == 2


async def test_an_answer_is_kept_and_its_age_told() -> None:
    async with world(**KEPT) as running:
        clock = clocked(running)
        first = await ask(running, GROUPS)
        clock.now += 42.5
        second = await ask(running, GROUPS)

    assert len(running.upstream.asked) == 1
    assert second["data"] == first["data"]
    assert (age(first), age(second)) == (None, {"age": 42, "stale": False})


async def test_only_sets_on_the_list_are_cached() -> None:
    async with world(**KEPT) as running:
        await ask(running, CUSTOMERS)
        answer = await ask(running, CUSTOMERS)

    assert (len(running.upstream.asked), age(answer)) == (2, None)


async def test_categories_choose_sets() -> None:
    async with world(cache={"ttl": 60, "categories": ["reference"]}) as running:
        answers = running.gateway.client.answers
        assert isinstance(answers, EnvironmentAnswers)
        cached = answers.cached

    assert "CustomerGroups" in cached
    assert "CustomersV3" not in cached


async def test_an_old_answer_is_used_once_more_while_it_is_read_anew() -> None:
    async with world(**KEPT) as running:
        clock = clocked(running)
        await ask(running, GROUPS)
        clock.now += 70
        stale, again = await asyncio.gather(ask(running, GROUPS), ask(running, GROUPS))
        await running.until(lambda: len(running.upstream.asked) == 2)
        await idle()
        clock.now += 5
        fresh = await ask(running, GROUPS)

    assert age(stale) == age(again) == {"age": 70, "stale": True}
    assert age(fresh) == {"age": 5, "stale": False}
    assert len(running.upstream.asked) == 2


async def test_a_much_older_answer_is_read_anew() -> None:
    async with world(**KEPT) as running:
        clock = clocked(running)
        await ask(running, GROUPS)
        clock.now += 91
        answer = await ask(running, GROUPS)

    assert (len(running.upstream.asked), age(answer)) == (2, None)


@pytest.mark.parametrize("status", [429, 503])
async def test_an_old_answer_serves_while_the_environment_does_not(status: int) -> None:
    async with world(retries=0, **KEPT) as running:
        clock = clocked(running)
        good = await ask(running, GROUPS)
        running.upstream.sandbox = httpx.MockTransport(lambda _: httpx.Response(status))  # type: ignore[assignment]
        clock.now += 300
        old = await ask(running, GROUPS)
        clock.now += 61
        failed = await ask(running, GROUPS)

    assert (old["data"], age(old)) == (good["data"], {"age": 300, "stale": True})
    assert "errors" in failed


async def test_cached_answers_serve_while_nothing_may_be_sent() -> None:
    """The environment has asked for an hour of silence; what is not cached is refused at once."""
    async with world(**KEPT) as running:
        clock = clocked(running)
        good = await ask(running, GROUPS)
        refusal = httpx.Response(429, headers={"retry-after": "3600"})
        running.upstream.sandbox = httpx.MockTransport(lambda _: refusal)  # type: ignore[assignment]
        await ask(running, CUSTOMERS)
        running.upstream.asked.clear()
        young = await ask(running, GROUPS)
        clock.now += 300
        old = await ask(running, GROUPS)
        others = [await ask(running, query) for query in (CUSTOMERS, ONE)]
        fresh = await ask(running, GROUPS, fresh=True)

    assert young["data"] == old["data"] == good["data"]
    assert (age(young), age(old)) == ({"age": 0, "stale": False}, {"age": 300, "stale": True})
    codes = [answer["errors"][0]["extensions"]["code"] for answer in (*others, fresh)]
    assert codes == ["OVERLOADED", "UPSTREAM_THROTTLED", "OVERLOADED"]
    assert running.upstream.asked == []


async def test_a_client_may_insist_on_fresh_rows() -> None:
    async with world(**KEPT) as running:
        clock = clocked(running)
        await ask(running, GROUPS)
        clock.now += 10
        fresh = await ask(running, GROUPS, fresh=True)
        clock.now += 10
        later = await ask(running, GROUPS)

    assert (len(running.upstream.asked), age(fresh)) == (2, None)
    assert age(later) == {"age": 10, "stale": False}


async def test_our_own_writes_evict() -> None:
    async with world(**KEPT) as running:
        await ask(running, GROUPS)
        await ask(running, "mutation { a: %s }" % (GROUP % "T2"))
        answer = await ask(running, GROUPS)

    names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
    assert ("T2" in names, age(answer)) == (True, None)


async def test_a_write_whose_answer_is_lost_evicts_too() -> None:
    async with world(**KEPT) as running:
        await ask(running, GROUPS)
        running.upstream.instead = httpx.Response(502)
        await ask(running, "mutation { a: %s }" % (GROUP % "T3"))
        running.upstream.asked.clear()
        await ask(running, GROUPS)

    assert len(running.upstream.asked) == 1


async def test_what_was_read_while_a_write_ran_is_not_cached() -> None:
    async with world(**KEPT) as running:
        running.upstream.holds = lambda request: request.method == "POST"
        writing = running.ask("mutation { a: %s }" % (GROUP % "T4"))
        await running.until(running.upstream.holding.is_set)
        await ask(running, GROUPS)
        running.upstream.let_go.set()
        await writing
        answer = await ask(running, GROUPS)

    names = [n["customerGroupId"] for n in answer["data"]["customerGroups"]["nodes"]]
    assert "T4" in names


async def test_masks_are_applied_to_what_was_cached() -> None:
    """Two roles share an answer of the service; each gets its own view of it."""
    roles = {
        "clerk": {"sets": {"CustomerGroups": {"masks": {"Description": "last4"}}}},
        "other": {"sets": {"CustomerGroups": {}}},
    }
    settings = Settings.model_validate(
        {"cache_dir": None, "language": None, "inbound": {"anonymous": True}, "roles": roles} | KEPT
    )
    events = list[Event]()
    async with open_generations(settings, observe=events.append) as live:
        profiles = ProfileRegistry(live, events.append)
        views = role_views_of(settings, live, profiles, events.append)
        assert views is not None
        shown = {}
        for name in ("other", "clerk", "other"):
            caller = Caller(kind="token", subject=name, roles=(name,))
            view = await views.live(None, views.view_of(caller))
            with view.serving() as gateway:
                request = GraphQLRequest(query=GROUPS, caller=caller)
                shown[name] = (await gateway.engine.execute(request)).to_builtins()
        sent = [e for e in events if isinstance(e, RequestSent) and "CustomerGroups" in str(e.url)]
        await views.close()
        await profiles.close()

    clear, masked = (shown[name]["data"]["customerGroups"]["nodes"] for name in ("other", "clerk"))
    assert len(sent) == 1
    assert [row["description"] == masked[n]["description"] for n, row in enumerate(clear)] == (
        [False] * len(clear)
    )


async def test_changes_that_a_subscription_sees_evict() -> None:
    async with world(**KEPT) as running:
        await ask(running, GROUPS)
        engine = running.gateway.engine
        query = 'subscription { entityChanged(set: "customerGroups") { kind } }'
        hub = Hub(SubscriptionOptions(interval=1), running.events.append, Ticking().clock)
        subscription = start_subscription(
            running.gateway, engine.read(GraphQLRequest(query=query)), hub.options
        )
        assert engine.reads.sharing is not None
        answers = engine.reads.sharing.answers
        entity_set = subscription.change_query.entity_set
        poll = subscription.poll(
            hub.options,
            engine.execute_unlogged,
            lambda: 0.0,
            running.events.append,
            lambda: answers.wrote({entity_set}),
        )
        await poll.changes()
        running.upstream.asked.clear()
        before = await ask(running, GROUPS)
        create = {"dataAreaId": "usmf", "CustomerGroupId": "T9", "Description": "by another"}
        await httpx.AsyncClient(transport=running.upstream.sandbox).post(
            f"{SANDBOX_ROOT}/CustomerGroups", json=create
        )
        found = await poll.changes()
        after = await ask(running, GROUPS)

    assert age(before) is not None
    assert (len(found), age(after)) == (1, None)
    names = [n["customerGroupId"] for n in after["data"]["customerGroups"]["nodes"]]
    assert "T9" in names


async def test_other_selections_and_pages_are_other_answers() -> None:
    async with world(**KEPT) as running:
        await ask(running, GROUPS)
        one = await ask(running, ONE)
        await ask(running, GROUPS, companies=("demf",))

    assert len(one["data"]["customerGroups"]["nodes"]) == 1
    # The argument companies bounds the scope of the request, so the third reads nothing of demf.
    assert len(running.upstream.asked) >= 2


async def test_a_lane_with_credentials_of_its_own_has_answers_of_its_own() -> None:
    async with world(**KEPT) as running:
        answers = running.gateway.client.answers
        assert isinstance(answers, EnvironmentAnswers)
        answers.apart = frozenset({Lane.EXPORT})
        await ask(running, GROUPS)
        export = await ask(running, GROUPS, lane=Lane.EXPORT)
        again = await ask(running, GROUPS, lane=Lane.EXPORT)
        person = await ask(running, GROUPS)

    assert [age(answer) is None for answer in (export, again, person)] == [True, False, False]


TOO_LONG = f"""{GROUPS[:-1]} long: customerGroups(
  companies: ["usmf"], where: {{ description: {{ eq: "{"x" * 400}" }} }}
) {{ nodes {{ description }} }} }}"""
"""Its URL is sent in a ``$batch``, whose parts are not cached."""


@pytest.mark.parametrize(
    ("query", "lifetime"),
    [
        (GROUPS, 60.0),
        (f"{GROUPS[:-1]} {CUSTOMERS[1:]}", 0.0),
        (CUSTOMERS, 0.0),
        ("{ __typename }", 0.0),
        (TOO_LONG, 0.0),
    ],
)
async def test_answers_live_as_long_as_all_that_they_are_made_of(
    query: str, lifetime: float
) -> None:
    async with world(**KEPT, max_url_length=400) as running:
        clock = clocked(running)
        request = GraphQLRequest(query=query)
        first = await running.gateway.engine.execute(request)
        clock.now += 20
        second = await running.gateway.engine.execute(request)

    assert (first.errors, second.errors) == ([], [])
    assert (first.lifetime, second.lifetime) == (lifetime, lifetime)
    assert second.age == (20.0 if lifetime else second.age)
