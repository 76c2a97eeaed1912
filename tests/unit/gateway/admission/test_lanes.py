"""The lane of an operation: by its door, its caller's roles and what it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.admission.lanes import LaneChoice
from gateway.admission.work import Lane, Work
from gateway.config.settings import Settings
from gateway.identity.caller import ANONYMOUS, Caller
from tests.support.held import at, world

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
        (0.0, 10.0), caller, door, Lane.FEDERATION if is_federated else Lane.INTERACTIVE
    )

    assert work == Work(lane=lane, caller=caller.log_id, may_wait_until=9.0)


def test_callers_without_roles_have_that_of_anonymous_ones() -> None:
    choice = LaneChoice.of(Settings.model_validate({"roles": {"anonymous": {"lane": "export"}}}))

    assert choice.work((0.0, 10.0), ANONYMOUS, Lane.INTERACTIVE).lane is Lane.EXPORT


def test_the_longest_wait_counts_from_the_beginning() -> None:
    choice = LaneChoice.of(Settings.model_validate({"admission": {"wait": 5}}))

    assert choice.work((100.0, 120.0), ANONYMOUS, Lane.INTERACTIVE).may_wait_until == 105.0
    assert choice.work((100.0, 2.0), ANONYMOUS, Lane.INTERACTIVE).may_wait_until == 101.8


@pytest.mark.parametrize(
    ("roles", "weight"),
    [((), 1.0), (("clerk",), 1.0), (("clerk", "router"), 20.0), (("small",), 0.5), (("x",), 1.0)],
)
def test_the_largest_weight_of_the_roles_counts(roles: Sequence[str], weight: float) -> None:
    settings = Settings.model_validate(
        {"roles": {"clerk": {}, "router": {"weight": 20}, "small": {"weight": 0.5}}}
    )
    caller = Caller(kind="token", subject="someone", roles=tuple(roles))

    assert LaneChoice.of(settings).work((0.0, 10.0), caller, Lane.INTERACTIVE).weight == weight


@pytest.mark.anyio
async def test_an_operation_that_only_waited_is_told_to_come_again() -> None:
    async with world(concurrency=1) as running:
        running.upstream.holds = at("CustomerGroups")
        first = running.ask("{ customerGroups { nodes { customerGroupId } } }")
        await running.until(running.upstream.holding.is_set)
        second = running.ask("{ currencies { nodes { currencyCode } } }", timeout=10)
        await asyncio.sleep(0.01)
        running.pass_time(9.5)
        answer = await second
        running.upstream.let_go.set()
        await first

    (error,) = answer["errors"]
    assert "data" not in answer
    assert error["extensions"]["code"] == "OVERLOADED"
    assert error["extensions"]["retryAfter"] >= 1
    assert len(running.upstream.asked) == 1
