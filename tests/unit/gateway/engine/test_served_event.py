"""``gateway.engine.served_event``: what is said of an operation and its caller."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.engine.served_event import MOST_SHOWN, served_event, slow_event
from gateway.identity.caller import Caller
from gateway.odata.query import Request
from gateway.request import Answer, GraphQLRequest

ANN = Caller(kind="token", issuer="https://x", subject="ann")


def error(code: str | None) -> dict[str, Any]:
    return {"message": "m", "extensions": {} if code is None else {"code": code}}


@pytest.mark.parametrize(
    ("data", "codes", "outcome", "said"),
    [
        ({"a": 1}, [], "ok", ()),
        ({"a": None}, ["UPSTREAM_TIMEOUT"] * 2, "partial", ("UPSTREAM_TIMEOUT",)),
        (None, ["UPSTREAM_TIMEOUT", "BAD_ARGUMENT"], "error", ("UPSTREAM_TIMEOUT", "BAD_ARGUMENT")),
        (None, ["GRAPHQL_VALIDATION_FAILED"], "client_error", ("GRAPHQL_VALIDATION_FAILED",)),
        (None, ["RATE_LIMITED"], "client_error", ("RATE_LIMITED",)),
        (None, ["INTERNAL_ERROR"], "error", ("INTERNAL_ERROR",)),
        (None, [None], "client_error", ("GRAPHQL_ERROR",)),
    ],
)
def test_the_outcome_says_whose_fault_it_was(
    data: object, codes: list[str | None], outcome: str, said: tuple[str, ...]
) -> None:
    answer = Answer(data, [error(code) for code in codes])
    event = served_event(GraphQLRequest(query="{ a }"), answer, 1.0, None)

    assert (event.outcome, event.codes) == (outcome, said)


def test_callers_are_digests_and_nobody_is_none() -> None:
    answer = Answer({"a": 1})
    ann = served_event(GraphQLRequest(query="{ a }", caller=ANN), answer, 1.0, "ap")
    nobody = served_event(GraphQLRequest(query="{ a }", caller=Caller()), answer, 1.0, None)

    assert (ann.caller, ann.profile) == (ANN.log_id, "ap")
    assert nobody.caller is None
    assert "ann" not in str(ann)


def test_own_time_is_never_less_than_nothing() -> None:
    """The environment's time is that of all waits, which may end after the answer."""
    event = served_event(
        GraphQLRequest(query="{ a }"), Answer({"a": 1}, upstream_seconds=3.0), 1.0, None
    )

    assert (event.own, event.upstream) == (0.0, 1.0)


def test_a_slow_operation_shows_the_first_requests() -> None:
    sent = tuple(Request("GET", f"Sets?$filter=Name eq 'Ann {n}'", {}) for n in range(99))
    answer = Answer({"a": 1}, requests=sent)
    event = slow_event(served_event(GraphQLRequest(query="{ a }"), answer, 9.0, None), answer)

    assert (event.sent, len(event.plan)) == (99, MOST_SHOWN)
    assert event.plan[0] == "GET Sets?$filter=Name eq '…'"
