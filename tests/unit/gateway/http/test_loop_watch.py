"""A process whose event loop is behind refuses new operations before any work, until it has caught up."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.events import Event
from gateway.events.admission import LoopBehind, LoopCaughtUp
from gateway.http import loop_watch
from gateway.http.loop_watch import LoopWatch
from tests.support.environments import code_of, deployed, settings_of
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"


@pytest.mark.parametrize(
    ("lags", "behind"),
    [
        ((0.1, 0.9, 0.1, 0.9, 0.1), (False, False, False, False, False)),
        ((1.1, 0.1, 1.1, 0.1), (False, False, False, False)),
        ((1.1, 1.1, 0.9, 0.6, 0.4), (False, True, True, True, False)),
        ((9.0, 3.0, 0.2, 1.1, 1.1), (False, True, False, False, True)),
    ],
    ids=["in time", "late once", "late twice", "late again"],
)
def test_late_timers_in_a_row_are_a_sign(lags: tuple[float, ...], behind: tuple[bool, ...]) -> None:
    watch, events = LoopWatch(1.0), list[Event]()
    found = []
    for now, lag in enumerate(lags):
        watch.note(lag, float(now), events.append)
        found.append(watch.is_behind)
    assert tuple(found) == behind
    kinds = [type(event) for event in events]
    in_turn: list[type[Event]] = [LoopBehind, LoopCaughtUp, LoopBehind]
    assert kinds == in_turn[: len(kinds)]


async def test_operations_are_refused_while_the_loop_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_watch, "EVERY", 0.01)
    async with deployed(settings_of(max_loop_lag=0.03)) as here:
        await here.data(NAMES)
        requests = here.services["home"].requests
        while not here.said(LoopBehind):
            time.sleep(0.05)  # noqa: ASYNC251 - what makes a loop late
            await asyncio.sleep(0)

        refused = await here.post(NAMES)

        assert (refused.status_code, code_of(refused)) == (503, "OVERLOADED")
        assert refused.headers["retry-after"] == "1"
        assert (await here.http.get("/readyz")).status_code == 200
        assert here.services["home"].requests == requests
        await until(lambda: here.said(LoopCaughtUp))
        await here.data(NAMES)
