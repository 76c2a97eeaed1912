"""Slots: the limit grows while it is used, whatever its fraction."""

from __future__ import annotations

import pytest
from msgspec import Struct

from gateway.admission.slots import Outcome, Sent, Slots
from gateway.admission.work import ORDINARY, Lane, Work


class Item(Struct, frozen=True):
    work: Work
    is_write: bool = False


def answer(slots: Slots[Item], now: float) -> None:
    """Take all slots, and free them with answers."""
    taken = 0
    while slots.begins(ORDINARY, is_write=False, now=now):
        taken += 1
    for _ in range(taken):
        sent = Sent(work=ORDINARY, is_write=False, kind="k", outcome=Outcome.ANSWERED, seconds=0.1)
        slots.ended(sent, now)


@pytest.mark.parametrize("value", [1.0, 1.4, 1.9, 2.6, 3.8, 5.1])
def test_a_limit_that_is_used_grows(value: float) -> None:
    slots: Slots[Item] = Slots(dict.fromkeys(Lane, 1.0), start=4, highest=16)
    slots.limit.value = value
    for second in range(25):
        answer(slots, float(second))

    assert slots.limit.value > value + 3
