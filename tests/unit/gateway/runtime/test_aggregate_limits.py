"""Limits of roles hold for the rows that aggregates read."""

import pytest

from gateway.config.aggregate_models import AggregateOptions
from gateway.config.settings import Settings
from gateway.runtime.role_views import limited
from schema.policy import Role, RoleView
from schema.policy.records import Limits
from tests.support.roles import policy_of


@pytest.mark.parametrize(("own", "of_role", "rows"), [(10, 5, 5), (10, 20, 10), (10, None, 10)])
def test_a_role_lowers_the_rows_of_an_aggregate(own: int, of_role: int | None, rows: int) -> None:
    settings = Settings(aggregates=AggregateOptions(max_rows=own))
    view = RoleView(policy_of(Role(name="r", limits=Limits(max_rows=of_role))), ["r"])

    assert limited(settings, view).aggregates.max_rows == rows
