"""Which rules a row alone decides."""

from __future__ import annotations

from typing import Any

import pytest

from schema.policy import Grant, SetGrant

LOCAL: list[dict[str, Any] | None] = [
    None,
    {"group": {"eq": "10"}},
    {"group": {"in": ["10", "$claims.groups"]}, "amount": {"gte": 5, "lt": 9}},
    {"or": [{"group": {"eq": "10"}}, {"not": {"open": {"eq": True}}}]},
]
RELATED: list[dict[str, Any]] = [
    {"party": {"name": {"eq": "x"}}},
    {"lines": {"some": {"price": {"gt": 5}}}},
    {"lines": {"none": {}}},
    {"and": [{"group": {"eq": "10"}}, {"not": {"party": {"name": {"eq": "x"}}}}]},
]


@pytest.mark.parametrize("where", LOCAL, ids=str)
def test_a_rule_about_columns_is_local(where: dict[str, Any] | None) -> None:
    assert Grant("clerk", SetGrant(where=where)).is_local


@pytest.mark.parametrize("where", RELATED, ids=str)
def test_a_rule_about_related_rows_is_not_local(where: dict[str, Any]) -> None:
    assert not Grant("clerk", SetGrant(where=where)).is_local
