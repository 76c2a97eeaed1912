"""Subscriptions by the reference clients: graphql-ws and graphql-sse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.node import Tools


@pytest.fixture(scope="module")
def results(tools: Tools, endpoint: str) -> Any:
    return tools.run("subscriptions.mjs", endpoint)


@pytest.mark.parametrize(("transport", "account"), [("webSocket", "US-001"), ("events", "US-002")])
def test_a_change_made_by_a_mutation_arrives(results: Any, transport: str, account: str) -> None:
    assert "errors" not in results[transport]["changed"]
    change = results[transport]["changed"]["data"]["entityChanged"]

    assert (change["kind"], change["set"]) == ("UPDATED", "customersV3")
    assert change["node"]["id"] == change["id"]
    assert change["node"]["customerAccount"] == account
    assert change["node"]["nameAlias"].startswith("Turn ")
    assert isinstance(change["node"]["creditLimit"], str)


@pytest.mark.parametrize("transport", ["webSocket", "events"])
def test_queries_are_answered_in_the_scope_of_the_connection(results: Any, transport: str) -> None:
    customers = results[transport]["query"]["data"]["customersV3"]

    assert len(customers["nodes"]) == 3
    assert customers["totalCount"] < 300


def test_what_cannot_run_is_an_error_over_websockets(results: Any) -> None:
    assert results["webSocket"]["refused"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert results["webSocket"]["unknown"] == ["BAD_ARGUMENT"]


def test_what_cannot_run_is_the_only_result_of_an_event_stream(results: Any) -> None:
    [refused] = results["events"]["refused"]["errors"]
    [unknown] = results["events"]["unknown"]["errors"]

    assert refused["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert unknown["extensions"]["code"] == "BAD_ARGUMENT"


def test_a_websocket_is_acknowledged_pinged_and_closed(
    results: Any,
) -> None:
    assert results["webSocket"]["events"] == ["connected", "pong", "closed 1000"]


def test_parameters_of_the_connection_are_checked(results: Any) -> None:
    assert results["badTime"] == [4400, "X-D365-Timeout is not a number of seconds."]


def test_a_page_of_a_foreign_origin_gets_no_websocket(results: Any) -> None:
    assert results["foreign"] == 403


def test_a_subscription_without_a_stream_is_told_how_to_get_one(results: Any) -> None:
    [error] = results["plain"]["body"]["errors"]

    assert results["plain"]["status"] == 406
    assert error["extensions"]["code"] == "NOT_ACCEPTABLE"
    assert "text/event-stream" in error["message"]
