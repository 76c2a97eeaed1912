"""``gateway.completion``: rows that the compiled functions cannot answer are completed slowly, with an event."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from gateway.errors import UpstreamUnavailable
from gateway.events import ErrorRaised, Event, FastPathFailed, Observer, tee
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.operations import completion_compiler
from gateway.request import Answer, GraphQLRequest
from tests.bench.workload import CLEANED, Service, engine_over, nested_query
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio
QUERY = nested_query(CLEANED, rows=10)


@pytest.fixture
def events() -> list[Event]:
    return []


def failures(events: list[Event]) -> list[FastPathFailed]:
    return [event for event in events if isinstance(event, FastPathFailed)]


async def execute(service: Service, events: list[Event], *observers: Observer) -> Answer:
    engine = engine_over(service, observe=tee(events.append, *observers))
    return await engine.execute(GraphQLRequest(query=QUERY))


def inject_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a function that compiled code calls fail as a programming error does."""

    def fail(_self: completion_compiler.ConnectionCompletion, *_: Any) -> Any:
        raise TypeError("a secret of the data")

    original = completion_compiler.Compiler.compile_connection

    def connected(*args: Any, **options: Any) -> completion_compiler.ConnectionCompletion:
        made = original(*args, **options)
        return structs.replace(made, head=lambda *a: fail(made, *a))

    monkeypatch.setattr(completion_compiler.Compiler, "compile_connection", connected)


async def test_good_rows_are_completed_fast(events: list[Event]) -> None:
    await execute(Service(), events)

    assert failures(events) == []


async def test_a_bug_costs_time_but_no_answer(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await execute(Service(), [])
    inject_bug(monkeypatch)

    answer = await execute(Service(), events)

    assert answer.to_builtins() == right.to_builtins()
    raw, decoded = failures(events)
    assert (raw.stage, raw.reason, raw.error, raw.count) == ("raw", "defect", "TypeError", 1)
    assert (decoded.stage, decoded.reason, decoded.count) == ("decoded", "defect", 2)
    assert raw.place is not None
    assert raw.place.startswith("test_completion.py:")
    assert "secret" not in repr(events)


async def test_a_bug_is_an_error_in_tests(
    events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    inject_bug(monkeypatch)

    answer = await execute(Service(), events, raise_defects)

    assert [error["extensions"]["code"] for error in answer.errors] == ["INTERNAL_ERROR"]
    (raised,) = (event for event in events if isinstance(event, ErrorRaised))
    assert "The compiled completion failed: TypeError in test_completion.py:" in str(raised.detail)


async def test_an_error_that_was_reported_keeps_no_frames(events: list[Event]) -> None:
    class Down(Service):
        async def send(self, request: Request, *, safe: bool | None = None) -> Response:
            try:
                raise OSError("refused")
            except OSError as cause:
                raised.extend((cause, UpstreamUnavailable("Down.")))
                raise raised[1] from cause

    raised: list[Exception] = []

    answer = await execute(Down(), events)

    assert [error["extensions"]["code"] for error in answer.errors] == ["UPSTREAM_UNAVAILABLE"]
    assert [error.__traceback__ for error in raised] == [None, None]


async def spoil(service: Service, good: bytes, bad: bytes) -> None:
    """Change a value in what a service answers."""
    (request,) = (await execute(service, [])).requests
    answer = await service.send(request)
    assert good in answer.body
    body = answer.body.replace(good, bad, 1)
    service._answers[request.url] = structs.replace(answer, body=body)


async def test_an_unknown_enum_member_is_no_bug(events: list[Event]) -> None:
    service = Service()
    await spoil(service, b'"Delivered"', b'"Neither"')

    answer = await execute(service, events)

    assert [error["extensions"]["code"] for error in answer.errors] == ["UNKNOWN_ENUM_VALUE"]
    assert [(f.stage, f.reason, f.error) for f in failures(events)] == [
        ("raw", "value", "KeyError"),
        ("decoded", "value", "KeyError"),
    ]


async def test_a_row_of_another_type_is_no_bug(events: list[Event]) -> None:
    service = Service()
    await spoil(service, b'"ShipDate":"2', b'"ShipDate":7,"x":"2')

    answer = await execute(service, events)

    assert len(answer.errors) == 1
    assert [(f.stage, f.reason) for f in failures(events)][-1] == ("decoded", "mismatch")
