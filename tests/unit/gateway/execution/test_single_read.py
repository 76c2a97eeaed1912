"""``gateway.execution.single_read``: the short way answers what the whole way answers, whatever the upstream sends.

The short way is interpreted at first, and compiled for operations that have come again and again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
import pytest

from gateway.cache.answer_store import AnswerStore
from gateway.cache.environment_answers import EnvironmentAnswers
from gateway.cache.operation_reads import ReadSharing
from gateway.cache.touched_sets import TouchedSets
from gateway.config.cache_models import CacheOptions
from gateway.engine import Engine
from gateway.errors import UpstreamRejected
from gateway.events import ErrorRaised, Event, OperationServed
from gateway.execution.fast_path import Slicing
from gateway.execution.page_decoder import SMALL
from gateway.execution.single_read import SingleRead
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.planning.plan import ListRoot
from gateway.request import Answer, GraphQLRequest
from tests.bench.workload import JSON, Service, answer, engine_over
from tests.support.held import at, world

pytestmark = pytest.mark.anyio
LIST = """query List {
  kind: __typename
  list: orders(first: 3) { nodes { orderNumber total } pageInfo { hasNextPage } }
}"""
QUERIES = {
    "a page": LIST,
    "a total": "{ orders(first: 2) { totalCount nodes { orderNumber } } }",
    "from the end": "{ orders(last: 2) { nodes { orderNumber total } pageInfo { hasPreviousPage } } }",
    "related rows": "{ orders(first: 2) { nodes { orderNumber customer { name } } } }",
    "edges": "{ orders(first: 2) { edges { node { orderNumber } } } }",
    "cursors": "{ orders(first: 2) { edges { cursor } } }",
    "two lists": "{ a: orders(first: 2) { nodes { orderNumber } } b: orders { totalCount } }",
}


@dataclass
class Scripted(Service):
    """The service of the benchmarks, which answers something else at last."""

    instead: bytes | Exception | None = None
    urls: list[str] = field(default_factory=list)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        self.urls.append(request.url)
        if isinstance(self.instead, Exception):
            raise self.instead
        if self.instead is not None:
            url = f"{self.root}/{request.url}"
            return Response(200, {"content-type": JSON}, self.instead, url)
        if "$count?" in f"{request.url}?":
            return Response(200, {"content-type": "text/plain"}, b"40", request.url)
        return await super().send(request)


def rows(*changes: dict[str, Any], **page: Any) -> bytes:
    """Return a page of two rows that are changed in this way, and more that stands beside them."""
    url = "Orders?$select=dataAreaId,OrderNumber,Total&$top=4"
    body = orjson.loads(answer(url))
    body["value"] = [{**row, **more} for row, more in zip(body["value"], changes, strict=False)]
    return orjson.dumps({**body, **page})


ODD: dict[str, bytes | Exception] = {
    "fewer rows": rows({}, {}),
    "no rows": rows(),
    "as many rows as requested": rows({}, {}, {}, {}),
    "more rows than requested": rows({}, {}, {}, {})[:-2]
    + b","
    + rows({})[rows({}).index(b"[") + 1 :],
    "a row twice": rows({"OrderNumber": "A"}, {"OrderNumber": "A"}),
    "a number with an exponent": rows({"Total": 1e30}, {"Total": 1e-9}),
    "a null": rows({"Total": None}, {"OrderNumber": None}),
    "another type": rows({"Total": "many"}, {"OrderNumber": 7}),
    "a missing column": b'{"value":[{"OrderNumber":"A"}]}',
    "a next link": rows({}, {}, **{"@odata.nextLink": "http://elsewhere.invalid/Orders?$skip=2"}),
    "a number of all rows": rows({}, {}, **{"@odata.count": 77}),
    "no page": b'{"value":7}',
    "no JSON": b"<html>",
    "nothing": b"",
    "an error": UpstreamRejected("No.", hint="Ask otherwise."),
}


def shown(answered: Answer) -> dict[str, Any]:
    """Return all that is known of an answer but ids."""
    body = answered.to_builtins()
    for error in body.get("errors", ()):
        error["extensions"].pop("errorId", None)
    return {
        "body": body,
        "order": [*(body.get("data") or ())],
        "requests": [request.url for request in answered.requests],
        "rows": answered.rows,
        "kind": (answered.kind, answered.name, answered.reused),
    }


def of_events(events: list[Event]) -> list[Any]:
    """Return what was observed, but for ids and seconds."""
    return [
        (event.code, event.message, event.detail)
        if isinstance(event, ErrorRaised)
        else (event.name, event.requests, event.rows, event.errors, event.codes, event.size)
        if isinstance(event, OperationServed)
        else event
        for event in events
    ]


COMPILED = Slicing(interpreted=-1)


async def answered(
    query: str,
    instead: bytes | Exception | None,
    runs: int = 0,
    slicing: Slicing | None = None,
) -> tuple[dict[str, Any], list[Any], list[str]]:
    """Return the answer of an engine that has answered the operation so often, its events, and what it requested."""
    service, events = Scripted(), list[Event]()
    engine = engine_over(service, observe=events.append, slicing=slicing)
    request = GraphQLRequest(query=query)
    for _ in range(runs):
        await engine.execute(request)
    service.instead = instead
    events.clear()
    service.urls.clear()
    return shown(await engine.execute(request)), of_events(events), service.urls


async def answered_the_whole_way(query: str, instead: bytes | Exception | None) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.engine.engine.usual_read", lambda *_: None)
        return await answered(query, instead)


@pytest.mark.parametrize("instead", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", ["a page", "a total"])
async def test_the_short_way_answers_as_the_whole_one(name: str, instead: bytes) -> None:
    query = QUERIES[name]
    whole = await answered_the_whole_way(query, instead)

    assert await answered(query, instead) == whole
    assert await answered(query, instead, slicing=COMPILED) == whole
    assert await answered(query, instead, 3, COMPILED) == whole


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
async def test_an_operation_that_comes_again_is_answered_alike(query: str) -> None:
    whole = await answered_the_whole_way(query, None)

    assert await answered(query, None) == whole
    assert await answered(query, None, 3, COMPILED) == whole


SELECTED = "{ nodes { orderNumber total } pageInfo { hasNextPage } }"
VALUES = {
    "a filter": '{ orders(first: 3, where: {orderNumber: {ne: "%s"}}) ' + SELECTED + " }",
    "an empty filter": '{ orders(first: 3, where: {orderNumber: {in: []}, site: {ne: "%s"}}) '
    + SELECTED
    + " }",
    "a total": '{ orders(first: 3, where: {site: {ne: "%s"}}) { totalCount nodes { orderNumber } } }',
    "a long filter": '{ orders(first: 3, where: {orderNumber: {in: ["%s"'
    + "".join(f', "SO-{i:06}"' for i in range(300))
    + "]}}) "
    + SELECTED
    + " }",
    "by case": '{ orders(first: 3, where: {site: {contains: "%s"}}) ' + SELECTED + " }",
    "related rows": '{ orders(first: 2, where: {site: {ne: "%s"}}) { nodes { total customer { name } } } }',
}


async def after_others(query: str, values: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Return the answer for the last of some values, and what was requested for it."""
    service = Scripted()
    engine = engine_over(service)
    for value in values:
        service.urls.clear()
        result = shown(await engine.execute(GraphQLRequest(query=query % value)))
    return result, service.urls


@pytest.mark.parametrize("query", VALUES.values(), ids=VALUES.keys())
async def test_a_new_value_is_answered_as_by_a_cold_engine(query: str) -> None:
    others = ("SO-900001", "SO-900002", "SO-900003")

    assert await after_others(query, (*others, "SO-900004")) == await after_others(
        query, ("SO-900004",)
    )


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were completed the short way."""
    bodies: list[bytes] = []
    original = SingleRead._completed

    def noted(self: SingleRead, body: bytes, *, learns: bool) -> Any:
        bodies.append(body)
        return original(self, body, learns=learns)

    monkeypatch.setattr(SingleRead, "_completed", noted)
    return bodies


@pytest.mark.parametrize(
    ("query", "is_short"),
    [(query, name not in {"cursors", "two lists"}) for name, query in QUERIES.items()],
    ids=QUERIES.keys(),
)
async def test_usual_queries_go_the_short_way(
    completed: list[bytes], query: str, is_short: bool
) -> None:
    await answered(query, None)

    assert len(completed) == is_short


@pytest.mark.parametrize(
    ("name", "is_short"), [("a filter", True), ("related rows", True), ("a long filter", False)]
)
async def test_new_values_go_the_short_way(
    completed: list[bytes], name: str, is_short: bool
) -> None:
    await after_others(VALUES[name], ("SO-900001", "SO-900002", "SO-900003"))

    assert len(completed) == (3 if is_short else 0)


async def test_what_comes_often_is_compiled() -> None:
    engine = engine_over(Service(), slicing=Slicing(interpreted=100))
    made = list[bool]()
    for _ in range(4):
        result = await engine.execute(GraphQLRequest(query=LIST))
        assert isinstance(result.data, dict)
        made.append(isinstance(result.data["list"], dict))

    assert made == [True, True, False, False]


async def test_a_long_page_is_compiled_at_once() -> None:
    engine = engine_over(Service())
    query = LIST.replace("first: 3", "first: 400")
    result = await engine.execute(GraphQLRequest(query=query))

    assert isinstance(result.data, dict)
    assert isinstance(result.data["list"], msgspec.Struct)


async def test_an_operation_that_comes_once_makes_no_class(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_over(Service())
    made: list[object] = []
    monkeypatch.setattr(msgspec, "defstruct", lambda *args, **_: made.append(args))
    monkeypatch.setattr("builtins.exec", lambda *args: made.append(args))
    query = "{ orders(first: 2) { nodes { o: orderNumber total } } }"

    assert (await engine.execute(GraphQLRequest(query=query))).errors == []
    assert made == []


@pytest.mark.parametrize("options", [{"trace": True}, {"max_page": 1}], ids=["a trace", "first"])
async def test_what_differs_goes_the_whole_way(
    completed: list[bytes], options: dict[str, Any]
) -> None:
    engine = engine_over(Service())
    await engine.execute(GraphQLRequest(query=LIST))
    completed.clear()
    await engine.execute(GraphQLRequest(query=LIST, **options))

    assert completed == []


GROUPS = '{ customerGroups(companies: ["usmf"]) { nodes { customerGroupId description } } }'


def latest(engine: Engine, query: str) -> object:
    (root,) = engine.plan(engine.read(GraphQLRequest(query=query))).roots
    assert isinstance(root, ListRoot)
    return root.plan.derived.usual._latest


async def test_operations_that_share_an_answer_complete_it_once(completed: list[bytes]) -> None:
    async with world() as running:
        first = [await running.ask(GROUPS) for _ in range(3)][-1]
        completed.clear()
        running.upstream.asked.clear()
        running.upstream.holds = at("CustomerGroups")
        asked = [running.ask(GROUPS) for _ in range(5)]
        await running.until(running.upstream.holding.is_set)
        running.upstream.let_go.set()
        answers = await asyncio.gather(*asked)
        del asked
        kept = latest(running.gateway.engine, GROUPS)

    assert answers == [first] * 5
    assert len(running.upstream.asked) == 1
    assert len(completed) == 1
    assert kept is None


MANY = """{ orders(first: 400) { nodes {
  orderNumber orderName reference customer { name } lines(first: 5) { nodes { itemNumber quantity } }
} } }"""


class Shared(Service):
    """The service of the benchmarks, whose answers come when the test lets them."""

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        await asyncio.sleep(0.01)
        return await super().send(request)


def sharing(service: Service) -> Engine:
    engine = engine_over(service)
    answers = EnvironmentAnswers("bench", AnswerStore(1_000), CacheOptions())
    touched = TouchedSets(engine.schema.catalog.model)
    engine.reads.sharing = ReadSharing(answers=answers, touched=touched)
    return engine


@pytest.mark.parametrize("cancelled", [(), (0,), (1,), (0, 1)])
async def test_large_answers_are_completed_once(
    monkeypatch: pytest.MonkeyPatch, cancelled: tuple[int, ...]
) -> None:
    engine, made, begun = sharing(Shared()), list[int](), asyncio.Event()
    original = SingleRead._completed_in_slices

    async def noted(self: SingleRead, response: Response, *, learns: bool) -> Any:
        made.append(len(response.body))
        begun.set()
        await asyncio.sleep(0)
        return await original(self, response, learns=learns)

    monkeypatch.setattr(SingleRead, "_completed_in_slices", noted)
    request = GraphQLRequest(query=MANY)
    first = shown(await engine.execute(request))
    await engine.execute(request)
    made.clear()
    begun.clear()
    tasks = [asyncio.ensure_future(engine.execute(request)) for _ in range(4)]
    await begun.wait()
    for number in cancelled:
        tasks[number].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert made[0] > SMALL
    # Once more if whoever was at it has left.
    assert len(made) <= 1 + len(cancelled)
    whole = [shown(each)["body"] for each in answers if isinstance(each, Answer)]
    assert whole == [first["body"]] * (4 - len(cancelled))


async def test_a_cancelled_operation_takes_no_answer_from_others() -> None:
    async with world() as running:
        first = [await running.ask(GROUPS) for _ in range(3)][-1]
        running.upstream.holds = at("CustomerGroups")
        asked = [running.ask(GROUPS) for _ in range(4)]
        await running.until(running.upstream.holding.is_set)
        # Whoever sent it, and one of those who wait for it.
        asked[0].cancel()
        asked[2].cancel()
        running.upstream.let_go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [isinstance(a, asyncio.CancelledError) for a in answers] == [True, False] * 2
    assert answers[1] == answers[3] == first
    assert running.upstream.given_up == []


async def test_a_read_that_nobody_waits_for_is_given_up() -> None:
    async with world() as running:
        for _ in range(3):
            await running.ask(GROUPS)
        running.upstream.holds = at("CustomerGroups")
        asked = [running.ask(GROUPS) for _ in range(3)]
        await running.until(running.upstream.holding.is_set)
        for task in asked:
            task.cancel()
        await running.until(lambda: bool(running.upstream.given_up))

    assert len(running.upstream.given_up) == 1
