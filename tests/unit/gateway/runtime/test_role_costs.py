"""Limits of cost that roles have: they lower those of the settings, and add what these do not limit."""

from __future__ import annotations

import pytest

from gateway.config.cost_models import CostOptions
from gateway.config.settings import Settings
from gateway.runtime.role_views import limited
from schema.policy import Role, RoleView
from schema.policy.records import Limits
from tests.support.roles import policy_of

CLERK = Role(name="clerk", limits=Limits(max_cost=100, points_per_minute=600))
CHIEF = Role(name="chief", limits=Limits(max_cost=300, points_per_minute=200))
FREE = Role(name="free")
POLICY = policy_of(CLERK, CHIEF, FREE)


@pytest.mark.parametrize(
    ("roles", "own", "expected"),
    [
        (["clerk"], CostOptions(), (100, 600)),
        (["clerk"], CostOptions(max_cost=50, points_per_minute=60), (50, 60)),
        (["clerk"], CostOptions(max_cost=500), (100, 600)),
        # The most generous role counts.
        (["clerk", "chief"], CostOptions(), (300, 600)),
        (["clerk", "free"], CostOptions(max_cost=400), (400, None)),
        (["free"], CostOptions(), (None, None)),
    ],
)
def test_roles_lower_and_add_limits_of_cost(
    roles: list[str], own: CostOptions, expected: tuple[float | None, float | None]
) -> None:
    cost = limited(Settings(cost=own), RoleView(POLICY, roles)).cost

    assert (cost.max_cost, cost.points_per_minute) == expected
    assert cost.burst == own.burst
