"""Which answers below 300 prove that a call has run."""

from __future__ import annotations

import pytest

from gateway.odata.response_check import Response
from gateway.writes.plan import CallWrite
from gateway.writes.success import is_call_done

CALLS = {
    "action": CallWrite(path="Sets/N.Do", body={}),
    "action with a result": CallWrite(path="Sets/N.Do", body={}, has_result=True),
    "service": CallWrite(path="/api/services/G/S/do", body={}),
    "service with an output": CallWrite(path="/api/services/G/S/do", body={}, has_result=True),
}
JSON = b'{"value":1}'
EVERY = frozenset(CALLS)
ANSWERS: dict[tuple[int, bytes], frozenset[str]] = {
    (200, JSON): EVERY,
    (201, JSON): EVERY,
    (204, b""): EVERY,
    (200, b""): frozenset({"service"}),
    (201, b""): frozenset({"service"}),
    (204, JSON): frozenset(),
    (101, b""): frozenset(),
    (202, JSON): frozenset(),
    (206, JSON): frozenset(),
    (200, b'{"value":' + b"[" * 10_000): frozenset(),
}


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_run_only_where_the_answer_says_so(name: str, status: int, body: bytes) -> None:
    response = Response(status, {"content-type": "application/json"}, body, "")

    assert is_call_done(CALLS[name], response) is (name in ANSWERS[status, body])
