"""Event streams over sockets: their events, who gets one, and how they end."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.events import Event, OperationServed
from gateway.events.streams import SubscriptionPolled
from gateway.http.graphql_endpoint import accepts_stream
from tests.support.event_stream import SILENCE, STREAM, asked
from tests.support.manual_clock import until
from tests.support.streaming import Served, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
QUERY = "{ customersV3(first: 1) { nodes { __typename } } }"
CHANGES = 'subscription { entityChanged(set: "CustomersV3", companies: ["usmf"]) { kind id } }'
RENAME = """mutation { updateCustomerV3(
  key: { dataAreaId: "usmf", customerAccount: "US-007" }, patch: { nameAlias: "By events" }
) { userErrors { message } } }"""


def event(result: Any) -> str:
    return f"event: next\ndata: {json.dumps(result, separators=(',', ':'))}\n\n"


COMPLETE = "event: complete\ndata:\n\n"


@pytest.fixture(scope="module")
async def served(sandbox: Starlette) -> AsyncIterator[Served]:
    async with serving(sandbox, [], heartbeat=0.1) as opened:
        yield opened


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_query_is_one_event(served: Served, method: str) -> None:
    async with asked(served, QUERY, method=method) as stream:
        data = {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}

        assert await stream.rest() == [event({"data": data}), COMPLETE]
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-cache, no-transform"


@pytest.mark.parametrize(
    ("query", "method", "code"),
    [
        ("{ nothing }", "POST", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { entityChanged(set: "no") { id } }', "POST", "BAD_ARGUMENT"),
        ('subscription { entityChanged(set: "no") { id } }', "GET", "BAD_ARGUMENT"),
        (RENAME, "GET", "METHOD_NOT_ALLOWED"),
    ],
)
async def test_operation_that_cannot_run_is_the_only_event(
    served: Served, query: str, method: str, code: str
) -> None:
    async with asked(served, query, method=method) as stream:
        said, last = await stream.rest()

        answer = json.loads(said.removeprefix("event: next\ndata: "))
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
        assert last == COMPLETE


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_changes_are_sent_at_once_with_heartbeats_between(
    served: Served, method: str
) -> None:
    async with asked(served, CHANGES, method=method) as stream:
        assert await stream.piece() == SILENCE
        await served.watched()
        async with asked(served, RENAME) as write:
            assert '"userErrors":[]' in (await write.rest())[0]
        said = await stream.event()

    event = json.loads(said.removeprefix("event: next\ndata: "))
    assert event["data"]["entityChanged"]["kind"] == "UPDATED"


async def test_polls_are_not_logged_as_operations(sandbox: Starlette) -> None:
    events: list[Event] = []
    async with serving(sandbox, events) as served, asked(served, CHANGES):
        await served.watched()

    polled = [event for event in events if isinstance(event, SubscriptionPolled)]
    rows = polled[0].rows
    assert rows > 0
    assert {(p.set, p.requests, p.rows, p.changes) for p in polled} == {("customersV3", 1, rows, 0)}
    assert not [event for event in events if isinstance(event, OperationServed)]


async def test_disconnect_ends_the_watch(served: Served) -> None:
    async with asked(served, CHANGES) as stream:
        await until(lambda: served.hub.watches)
        stream.writer.close()
        await until(lambda: not served.hub.watches)


@pytest.mark.parametrize(
    ("accept", "query", "status", "kind"),
    [
        ("application/json", CHANGES, 406, "application/json"),
        (
            "application/graphql-response+json",
            CHANGES,
            406,
            "application/graphql-response+json",
        ),
        ("*/*", CHANGES, 406, "application/json"),
        ("application/json, text/event-stream", CHANGES, 200, "text/event-stream"),
        ("application/json, text/event-stream", QUERY, 200, "application/json"),
        ("text/event-stream;q=0, */*", QUERY, 200, "application/json"),
        ("text/event-stream", QUERY, 200, "text/event-stream"),
    ],
)
async def test_subscription_is_a_stream_if_accepted(
    served: Served, accept: str, query: str, status: int, kind: str
) -> None:
    async with asked(served, query, {"accept": accept}) as stream:
        assert (stream.status, stream.headers["content-type"].split(";")[0]) == (status, kind)
        if status == 406:
            [error] = (await stream.body())["errors"]
            assert error["extensions"] == {"code": "NOT_ACCEPTABLE"}
            assert "text/event-stream" in error["message"]


async def test_bad_request_is_no_stream(served: Served) -> None:
    async with asked(served, QUERY, {**STREAM, "content-type": "text/plain"}) as stream:
        assert stream.status == 415


async def test_too_many_streams_are_refused(sandbox: Starlette) -> None:
    async with (
        serving(sandbox, [], max_connections=1) as served,
        asked(served, CHANGES),
        asked(served, CHANGES) as another,
    ):
        assert (another.status, another.headers["retry-after"]) == (503, "5")


async def test_a_shutdown_has_streams_begin_again(sandbox: Starlette) -> None:
    async with serving(sandbox, []) as served, asked(served, CHANGES) as stream:
        await until(lambda: served.hub.watches)
        served.server.should_exit = True

        (last,) = await stream.rest()
        assert re.fullmatch(r"retry: \d{3,4}\n\n", last)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream; q=0.5", True),
        ("text/event-stream;q=0", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_streams_must_be_named_in_accept(accept: str, expected: bool) -> None:
    assert accepts_stream(accept) is expected
