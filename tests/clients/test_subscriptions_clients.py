"""Subscriptions by the reference clients: graphql-ws and graphql-sse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.node import Tools


@pytest.fixture(scope="module")
def told(tools: Tools, endpoint: str) -> Any:
    return tools.run("subscriptions.mjs", endpoint)


@pytest.mark.parametrize(("transport", "account"), [("webSocket", "US-001"), ("events", "US-002")])
def test_a_change_made_by_a_mutation_arrives(told: Any, transport: str, account: str) -> None:
    assert "errors" not in told[transport]["changed"]
    change = told[transport]["changed"]["data"]["entityChanged"]

    assert (change["kind"], change["set"]) == ("UPDATED", "customersV3")
    assert change["node"]["id"] == change["id"]
    assert change["node"]["customerAccount"] == account
    assert change["node"]["nameAlias"].startswith("Turn ")
    assert isinstance(change["node"]["creditLimit"], str)


@pytest.mark.parametrize("transport", ["webSocket", "events"])
def test_queries_are_answered_in_the_scope_of_the_connection(told: Any, transport: str) -> None:
    customers = told[transport]["query"]["data"]["customersV3"]

    assert len(customers["nodes"]) == 3
    assert customers["totalCount"] < 300


def test_what_cannot_run_is_an_error_over_websockets(told: Any) -> None:
    assert told["webSocket"]["refused"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert told["webSocket"]["unknown"] == ["BAD_ARGUMENT"]


def test_what_cannot_run_is_the_only_result_of_an_event_stream(told: Any) -> None:
    [refused] = told["events"]["refused"]["errors"]
    [unknown] = told["events"]["unknown"]["errors"]

    assert refused["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert unknown["extensions"]["code"] == "BAD_ARGUMENT"


def test_a_websocket_is_acknowledged_pinged_and_closed(
    told: Any,
) -> None:
    assert told["webSocket"]["events"] == ["connected", "pong", "closed 1000"]


def test_parameters_of_the_connection_are_checked(told: Any) -> None:
    assert told["badTime"] == [4400, "X-D365-Timeout is not a number of seconds."]


def test_a_page_of_a_foreign_origin_gets_no_websocket(told: Any) -> None:
    assert told["foreign"] == 403


def test_a_subscription_without_a_stream_is_told_how_to_get_one(told: Any) -> None:
    [error] = told["plain"]["body"]["errors"]

    assert told["plain"]["status"] == 406
    assert error["extensions"]["code"] == "NOT_ACCEPTABLE"
    assert "text/event-stream" in error["message"]
