"""The lane of an operation: by its door, its caller's roles and what it reads."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.admission.lanes import LaneChoice
from gateway.admission.work import Lane, Work
from gateway.config.settings import Settings
from gateway.identity.caller import ANONYMOUS, Caller

SETTINGS = Settings.model_validate(
    {"roles": {"clerk": {}, "assistant": {"lane": "agent"}, "nightly": {"lane": "export"}}}
)


@pytest.mark.parametrize(
    ("door", "roles", "is_federated", "lane"),
    [
        (Lane.INTERACTIVE, (), False, Lane.INTERACTIVE),
        (Lane.INTERACTIVE, (), True, Lane.FEDERATION),
        (Lane.EXPORT, (), True, Lane.EXPORT),
        (Lane.SUBSCRIPTION, (), False, Lane.SUBSCRIPTION),
        (Lane.INTERACTIVE, ("assistant",), False, Lane.AGENT),
        (Lane.INTERACTIVE, ("assistant",), True, Lane.AGENT),
        (Lane.EXPORT, ("assistant",), False, Lane.EXPORT),
        (Lane.INTERACTIVE, ("assistant", "nightly"), False, Lane.AGENT),
        (Lane.INTERACTIVE, ("assistant", "clerk"), False, Lane.INTERACTIVE),
        (Lane.INTERACTIVE, ("assistant", "unknown"), False, Lane.AGENT),
        (Lane.INTERACTIVE, ("unknown",), False, Lane.INTERACTIVE),
    ],
)
def test_the_least_urgent_of_door_roles_and_reads_counts(
    door: Lane, roles: Sequence[str], is_federated: bool, lane: Lane
) -> None:
    caller = Caller(kind="token", subject="someone", roles=tuple(roles))
    work = LaneChoice.of(SETTINGS).work(
        0.0, caller, door, Lane.FEDERATION if is_federated else Lane.INTERACTIVE
    )

    assert work == Work(lane=lane, caller=caller.log_id)


def test_callers_without_roles_have_that_of_anonymous_ones() -> None:
    choice = LaneChoice.of(Settings.model_validate({"roles": {"anonymous": {"lane": "export"}}}))

    assert choice.work(0.0, ANONYMOUS, Lane.INTERACTIVE).lane is Lane.EXPORT


def test_the_longest_wait_counts_from_the_beginning() -> None:
    choice = LaneChoice.of(Settings.model_validate({"admission": {"wait": 5}}))

    assert choice.work(100.0, ANONYMOUS, Lane.INTERACTIVE).may_wait_until == 105.0


@pytest.mark.parametrize(
    ("roles", "weight"),
    [((), 1.0), (("clerk",), 1.0), (("clerk", "router"), 20.0), (("small",), 0.5), (("x",), 1.0)],
)
def test_the_largest_weight_of_the_roles_counts(roles: Sequence[str], weight: float) -> None:
    settings = Settings.model_validate(
        {"roles": {"clerk": {}, "router": {"weight": 20}, "small": {"weight": 0.5}}}
    )
    caller = Caller(kind="token", subject="someone", roles=tuple(roles))

    assert LaneChoice.of(settings).work(0.0, caller, Lane.INTERACTIVE).weight == weight
