"""``gateway.telemetry.clock_watch``: a clock that is set is an event; one that is corrected slowly is none."""

from __future__ import annotations

import time

import pytest

from gateway.events import ClockJumped, Event
from gateway.telemetry.clock_watch import ClockWatch


@pytest.mark.parametrize(
    ("steps", "jumps"),
    [((0.0, 0.5, 1.9, 0.9), []), ((7_200.0, 0.0), [7_200.0]), ((-60.0, 60.0), [-60.0, 60.0])],
)
def test_each_jump_is_told_once(steps: tuple[float, ...], jumps: list[float]) -> None:
    events: list[Event] = []
    offset = 0.0
    watch = ClockWatch(events.append, lambda: time.monotonic() + offset)
    for step in steps:
        offset += step
        watch.look()

    assert events == [ClockJumped(seconds=jump) for jump in jumps]
