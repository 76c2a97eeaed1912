"""What becomes of operations that fail as a whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.failures import refused_answer
from gateway.request import Answer


def error(code: str, path: str, **extensions: object) -> dict[str, Any]:
    return {"message": "No.", "path": [path], "extensions": {"code": code, **extensions}}


BUSY = error("OVERLOADED", "a", retryAfter=2.0)
LONG = error("OVERLOADED", "b", retryAfter=9.0)
OTHER = error("UPSTREAM_THROTTLED", "b")


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        (None, [BUSY, LONG]),
        ({"a": None, "b": None}, [LONG, BUSY]),
        ({"a": None, "__typename": "Query"}, [LONG]),
        ({"a": [None, None]}, [LONG]),
    ],
)
def test_what_only_waited_has_no_data(data: Any, errors: list[dict[str, Any]]) -> None:
    answer = refused_answer(Answer(data, errors), ["a", "b"])

    assert answer.data is msgspec.UNSET
    assert answer.errors == [{"message": "No.", "extensions": LONG["extensions"]}]


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"a": None, "b": {"nodes": []}}, [BUSY]),
        ({"a": [None, {"id": "1"}]}, [BUSY]),
        ({"a": None, "b": None}, [BUSY, OTHER]),
    ],
    ids=["from a cache", "a row from a cache", "another error"],
)
def test_what_has_something_to_say_says_it(data: Any, errors: list[dict[str, Any]]) -> None:
    answer = Answer(data, errors)

    assert refused_answer(answer, ["a", "b"]) is answer
