"""What the events of an environment become: numbers, times and the last errors."""

from __future__ import annotations

import sys

import msgspec
import pytest

from gateway.errors import RequestError, UpstreamMalformed
from gateway.events import (
    Address,
    ErrorRaised,
    Event,
    MetadataLoaded,
    MetadataReloaded,
    MetadataStale,
    OperationServed,
    ReloadFailed,
    RequestRetried,
    RequestSent,
)
from gateway.events.environments import EnvironmentFailed
from gateway.events.streams import SocketClosed
from gateway.status.counters import ERRORS, Counters
from gateway.status.process_status import ProcessStatus
from gateway.status.records import BOUNDS, SLOT, Calls, Facts, bucket_of, percentile, total_of


def sent(status: int, seconds: float = 0.1) -> RequestSent:
    return RequestSent(
        method="GET", url=Address("Things"), status=status, seconds=seconds, size=1, attempt=1
    )


def served(errors: int = 0) -> OperationServed:
    return OperationServed(name=None, seconds=0.1, requests=1, rows=1, errors=errors)


def raised(code: str, message: str = "No.") -> ErrorRaised:
    return ErrorRaised(code=code, error_id="1", message=message, detail="<html>secret body</html>")


class Clock:
    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([sent(200), sent(304), sent(204)], {"requests": 3, "answered": 3}),
        ([sent(429)], {"requests": 1, "throttled": 1}),
        ([sent(401), sent(403)], {"requests": 2, "denied": 2}),
        ([sent(400), sent(404)], {"requests": 2, "rejected": 2}),
        ([sent(500), sent(503)], {"requests": 2, "failed": 2}),
        ([sent(0)], {"requests": 1, "unanswered": 1}),
        ([RequestRetried(url="u", reason="503", wait=1, attempt=1)], {"retried": 1}),
        ([served(), served(2)], {"operations": 2, "operations_with_errors": 1}),
        ([SocketClosed(code=1000, reason="")], {}),
    ],
)
def test_events_are_counted(events: list[Event], expected: dict[str, int]) -> None:
    counters = Counters(Facts(), Clock())

    for event in events:
        counters.observe(event)

    counted = msgspec.to_builtins(total_of(counters.slots.values()))
    assert {name: n for name, n in counted.items() if name != "latencies" and n} == expected


def test_answers_have_latencies_and_lost_requests_have_none() -> None:
    counters = Counters(Facts(), Clock())

    for event in (*[sent(200, 0.1)] * 94, *[sent(429, 2.0)] * 6, sent(0, 100.0)):
        counters.observe(event)

    latencies = total_of(counters.slots.values()).latencies
    assert sum(latencies.values()) == 100
    assert percentile(latencies, 0.5) == pytest.approx(0.1, rel=0.2)
    assert percentile(latencies, 0.95) == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.001, 0.04, 1.0, 29.0, 400.0, 10_000.0])
def test_a_percentile_is_near_the_latency(seconds: float) -> None:
    got = percentile({bucket_of(seconds): 7}, 0.5)

    assert got is not None
    shown = min(max(seconds, BOUNDS[0] / 2), BOUNDS[-1])
    assert got == pytest.approx(shown, rel=0.5 if seconds <= BOUNDS[0] else 0.2)


def test_no_answers_have_no_percentile() -> None:
    assert percentile({}, 0.95) is None


def test_a_slot_lasts_a_quarter_of_an_hour() -> None:
    clock = Clock(10 * SLOT)
    counters = Counters(Facts(), clock)
    for at in (10 * SLOT, 11 * SLOT - 1, 11 * SLOT):
        clock.at = at
        counters.observe(served())

    assert {slot: calls.operations for slot, calls in counters.slots.items()} == {10: 2, 11: 1}
    clock.at = (11 + 97) * SLOT
    counters.forget()
    assert list(counters.slots) == []


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (raised("UPSTREAM_TIMEOUT", "Too slow."), ("operation", "UPSTREAM_TIMEOUT", "Too slow.")),
        (
            raised(
                "UPSTREAM_REJECTED",
                "The upstream refused the request on Things (status 400): Ann owes 5.",
            ),
            (
                "operation",
                "UPSTREAM_REJECTED",
                "The upstream refused the request on Things (status 400).",
            ),
        ),
        (
            raised("UPSTREAM_REJECTED", "Ann owes 5."),
            ("operation", "UPSTREAM_REJECTED", "The upstream refused a request."),
        ),
        (
            ReloadFailed(reason="poll", metadata="0", code="C", message="Gone.", hint=None),
            ("reload", "C", "Gone."),
        ),
        (
            MetadataStale(source="s", age=1.0, reason="Away."),
            ("metadata", "UPSTREAM_UNAVAILABLE", "Away."),
        ),
    ],
)
def test_errors_have_a_message_of_ours(event: Event, expected: tuple[str, str, str]) -> None:
    counters = Counters(Facts(), Clock())

    counters.observe(event)

    (error,) = counters.facts.errors
    assert (error.source, error.code, error.message) == expected
    assert b"secret" not in msgspec.json.encode(counters.facts)


@pytest.mark.parametrize("code", ["BAD_ARGUMENT", "FORBIDDEN", RequestError.code])
def test_errors_of_clients_are_not_the_environments(code: str) -> None:
    counters = Counters(Facts(), Clock())

    counters.observe(raised(code))

    assert counters.facts.errors == []


def test_a_storm_of_one_error_is_one_note() -> None:
    clock = Clock()
    counters = Counters(Facts(), clock)
    for number in range(50):
        clock.at += 1
        counters.observe(raised("UPSTREAM_TIMEOUT"))
        counters.observe(raised(UpstreamMalformed.code, f"{number % 2}"))

    notes = [(e.code, e.message, e.count, e.last - e.first) for e in counters.facts.errors]
    assert notes == [
        ("UPSTREAM_MALFORMED", "0", 25, 48.0),
        ("UPSTREAM_TIMEOUT", "No.", 50, 49.0),
        ("UPSTREAM_MALFORMED", "1", 25, 48.0),
    ]


def test_the_last_twenty_errors_are_kept_and_long_ones_are_cut() -> None:
    counters = Counters(Facts(), Clock())

    for number in range(30):
        counters.observe(raised("UPSTREAM_TIMEOUT", f"{number} {'x' * 1_000}"))

    messages = [error.message for error in counters.facts.errors]
    assert len(messages) == ERRORS
    assert messages[-1].startswith("29 xxx")
    assert {len(message) for message in messages} == {300}


def test_a_copy_that_nobody_confirmed_is_not_checked() -> None:
    clock = Clock()
    counters = Counters(Facts(), clock)
    loaded = MetadataLoaded(source="s", seconds=1, digest="0", size=1)

    counters.observe(MetadataStale(source="s", age=1.0, reason="Away."))
    counters.observe(loaded)
    assert counters.facts.checked is None

    clock.at += 60
    counters.observe(MetadataReloaded(reason="poll", metadata="0", changed=False, seconds=1))
    assert counters.facts.checked == clock.at


def test_a_failed_opening_is_a_state_until_it_opens() -> None:
    clock = Clock()
    status = ProcessStatus(clock)
    event = EnvironmentFailed(
        environment="acme", code="AUTH", message="No.", reason="<b>", hint=None, retry_after=5.0
    )

    status.observe(event)

    facts = status.counters("acme").facts
    assert (facts.state, facts.problem, facts.retry_at) == ("failed", "No.", clock.at + 5)
    assert [error.source for error in facts.errors] == ["opening"]
    assert "<b>" not in str(status.status_row("acme"))


def test_environments_without_anything_for_a_day_are_forgotten() -> None:
    clock = Clock()
    status = ProcessStatus(clock)
    status.counters("acme").observe(served())
    status.counters("busy").enter("open")

    status.forget()
    assert [name for name, _ in status.items()] == ["acme", "busy"]

    clock.at += 100_000
    status.forget()
    assert [name for name, _ in status.items()] == ["busy"]


def test_counting_a_request_keeps_nothing() -> None:
    counters, event = Counters(Facts()), sent(200)
    for _ in range(100):
        counters.observe(event)
    before = sys.getallocatedblocks()
    for _ in range(10_000):
        counters.observe(event)

    assert sys.getallocatedblocks() - before < 100


def test_sums_of_slots_add_latencies() -> None:
    total = total_of(
        [Calls(requests=1, latencies={3: 1}), Calls(requests=2, latencies={3: 1, 4: 1})]
    )

    assert (total.requests, total.latencies) == (3, {3: 2, 4: 1})
