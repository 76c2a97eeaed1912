"""Whatever step of an operation fails, its client gets an answer: over HTTP, event streams and WebSockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.completion import Completer
from gateway.documents.store import Documents
from gateway.engine import Engine
from gateway.engine.known_plans import KnownPlans
from gateway.events import ErrorRaised, Event
from gateway.execution.plan_runner import PlanRunner
from gateway.execution.single_read import SingleRead
from gateway.introspection.answers import Introspection
from gateway.operations.cache import PreparedOperations
from gateway.planning.planner import Planner
from gateway.request import Answer
from gateway.subscriptions.hub import Hub
from gateway.subscriptions.polling import Poll
from gateway.subscriptions.start import ActiveSubscription
from gateway.writes.operations import Mutations
from tests.support.event_stream import asked
from tests.support.manual_clock import until
from tests.support.streaming import Served, serving, subscribe

pytestmark = pytest.mark.anyio
QUERY = "{ customersV3(first: 1) { nodes { __typename } } }"
WHOLE_WAY = "{ customersV3(first: 1) { nodes { __typename } pageInfo { endCursor } } }"
"""With a cursor it is not the usual query, which takes a short way past some of the stages."""
RENAME = """mutation { updateCustomerV3(
  key: { dataAreaId: "usmf", customerAccount: "US-007" }, patch: { nameAlias: "By failures" }
) { userErrors { message } } }"""
CHANGES = """subscription { entityChanged(set: "CustomersV3", companies: ["usmf"]) {
  kind node { ... on CustomerV3 { nameAlias } } } }"""
SECRET = "S3CRET"

OF_A_QUERY: dict[str, tuple[Any, str]] = {
    "reading the document": (Documents, "get"),
    "reading variables": (Documents, "variables"),
    "checking": (Engine, "read"),
    "preparing": (PreparedOperations, "prepare"),
    "binding": (Planner, "plan"),
    "introspection": (Introspection, "answer"),
    "loading": (PlanRunner, "run"),
    "making the answer": (Completer, "complete_query"),
}
OF_A_KNOWN_QUERY: dict[str, tuple[Any, str]] = {
    "finding its plan": (KnownPlans, "find"),
    "reading by it": (SingleRead, "data"),
}
OF_A_MUTATION: dict[str, tuple[Any, str]] = {
    "reading the document": (Documents, "get"),
    "running the mutations": (Mutations, "perform"),
    "completing payloads": (Completer, "complete_mutation"),
}
OF_A_SUBSCRIPTION: dict[str, tuple[Any, str]] = {
    "reading the document": (Documents, "get"),
    "reading variables": (Documents, "variables"),
    "beginning": ("gateway.subscriptions.streams", "start_subscription"),
    "choosing a watch": (Hub, "feed"),
    "making the poll": (ActiveSubscription, "poll"),
    "polling": (Poll, "changes"),
}
OF_A_CHANGE: dict[str, tuple[Any, str]] = {
    "handing changes over": ("gateway.subscriptions.hub", "Batch"),
    "asking for the rows": (ActiveSubscription, "rows"),
    "making results": ("gateway.subscriptions.streams", "payloads"),
}


class Failing:
    """Stands in the place of a function; raises at once, whether it would be awaited or not."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self._error(SECRET)

    def __get__(self, *_: Any) -> Failing:
        return self


def break_at(patch: pytest.MonkeyPatch, place: tuple[Any, str], error: type[Exception]) -> None:
    owner, name = place
    if isinstance(owner, str):
        patch.setattr(f"{owner}.{name}", Failing(error))
    else:
        patch.setattr(owner, name, Failing(error))


ERRORS = pytest.mark.parametrize("error", [KeyError, RuntimeError])
"""Of any kind, and of the kind that Starlette raises for a client who has gone."""


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
async def served(sandbox: Starlette, events: list[Event]) -> AsyncIterator[Served]:
    async with serving(sandbox, events, max_failures=0) as opened:
        yield opened


@pytest.fixture(autouse=True)
def failing(events: list[Event]) -> None:
    events.clear()


def check(errors: Any, events: list[Event]) -> None:
    assert [error["extensions"]["code"] for error in errors] == ["INTERNAL_ERROR"]
    assert SECRET not in json.dumps(errors)
    raised = [event for event in events if isinstance(event, ErrorRaised)]
    assert {event.error_id for event in raised} == {errors[0]["extensions"]["errorId"]}
    assert any(SECRET in (event.detail or "") for event in raised)


async def over_http(served: Served, query: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{served.port}/graphql"
        answer = await client.post(url, json={"query": query})
    return answer.json()["errors"]


async def over_events(served: Served, query: str) -> Any:
    async with asked(served, query) as stream:
        *_, said, last = await stream.rest()
    assert last == "event: complete\ndata:\n\n"
    return json.loads(said.removeprefix("event: next\ndata: "))["errors"]


async def over_socket(served: Served, query: str) -> Any:
    async with served.begun() as ws:
        await ws.say(subscribe(query))
        answer = await ws.hear()
        if answer["type"] == "next":
            assert (await ws.hear())["type"] == "complete"
        await ws.say({"type": "ping"})
        assert await ws.hear() == {"type": "pong"}
    return answer["payload"] if answer["type"] == "error" else answer["payload"]["errors"]


WAYS = {"HTTP": over_http, "events": over_events, "WebSocket": over_socket}


@ERRORS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", OF_A_QUERY)
async def test_query_is_answered(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    stage: str,
    error: type[Exception],
) -> None:
    break_at(monkeypatch, OF_A_QUERY[stage], error)

    # Of a structure that is not known from the time before.
    alias = f"{stage} {way} {error.__name__}".replace(" ", "_")
    query = WHOLE_WAY.replace("__typename", f"{alias}: __typename")
    check(await WAYS[way](served, query), events)


@ERRORS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", OF_A_KNOWN_QUERY)
async def test_query_that_comes_again_is_answered(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    stage: str,
    error: type[Exception],
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(2):
            url = f"http://127.0.0.1:{served.port}/graphql"
            assert "data" in (await client.post(url, json={"query": QUERY})).json()
    break_at(monkeypatch, OF_A_KNOWN_QUERY[stage], error)

    check(await WAYS[way](served, QUERY), events)


@ERRORS
@pytest.mark.parametrize("way", WAYS)
async def test_answer_that_cannot_be_encoded_is_an_error(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    error: type[Exception],
) -> None:
    real = Answer.encode
    failed: list[Answer] = []

    def encode(answer: Answer) -> bytes:
        if not failed:  # what is said of the failure is encoded by the same means
            failed.append(answer)
            raise error(SECRET)
        return real(answer)

    monkeypatch.setattr(Answer, "encode", encode)

    check(await WAYS[way](served, QUERY), events)


@ERRORS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", OF_A_MUTATION)
async def test_mutation_is_answered(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    stage: str,
    error: type[Exception],
) -> None:
    break_at(monkeypatch, OF_A_MUTATION[stage], error)

    check(await WAYS[way](served, RENAME), events)


@ERRORS
@pytest.mark.parametrize("way", ["events", "WebSocket"])
@pytest.mark.parametrize("stage", OF_A_SUBSCRIPTION)
async def test_subscription_is_answered(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    stage: str,
    error: type[Exception],
) -> None:
    break_at(monkeypatch, OF_A_SUBSCRIPTION[stage], error)

    check(await WAYS[way](served, CHANGES), events)
    await until(lambda: not served.hub.watches)


@ERRORS
@pytest.mark.parametrize("stage", OF_A_CHANGE)
async def test_running_subscription_is_answered(
    served: Served,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    error: type[Exception],
) -> None:
    async with served.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await served.watched()
        break_at(monkeypatch, OF_A_CHANGE[stage], error)
        async with httpx.AsyncClient(trust_env=False) as client:
            alias = f"By {stage} {error.__name__}"[:20]
            url = f"http://127.0.0.1:{served.port}/graphql"
            await client.post(url, json={"query": RENAME.replace("By failures", alias)})
        answer = await ws.hear()

    assert answer["type"] == "error"
    check(answer["payload"], events)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "query",
    [
        "{ __typename(a: 1) }",
        "{ __schema(x: 1) { queryType { name } } }",
        '{ __type(nam: "x") { name } }',
        "{ customersV3 { nodes { __typename(a: 1) } } }",
        "mutation { __typename(a: 1) }",
        "subscription { __typename(a: 1) }",
        """{ customersV3(first: "Expected value of type 'Nope' not to include unknown field 'x', found: ")
           { nodes { id } } }""",
    ],
)
async def test_wrong_argument_of_a_meta_field_is_invalid(
    served: Served, way: str, query: str
) -> None:
    errors = await WAYS[way](served, query)

    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}
