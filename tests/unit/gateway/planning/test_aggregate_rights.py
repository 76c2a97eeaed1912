"""What roles give of aggregates: rows of roles with the right, columns that all of them give in plain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA
from schema.catalog import Catalog
from schema.catalog.role_catalog import role_catalog
from schema.policy import Mask, Right, Role, RoleView
from schema.types.build import build_schema
from tests.support.memory_odata import Row
from tests.support.roles import grant, policy_of, role, rules_of
from tests.support.zoo_model import Zoo, model

pytestmark = pytest.mark.anyio
BOTH = frozenset({Right.READ, Right.AGGREGATE})
WHOLE = build_schema(
    catalog := Catalog(model(), abilities_of(ODATA)), LoadedResolvers(catalog), aggregates=True
)
A1, B2 = ({"area": {"eq": area}} for area in ("A1", "B2"))
LINES: list[Row] = [
    {"Area": area, "OrderId": n, "LineNo": 1, "Price": n, "Note": f"n{n}"}
    for n, area in enumerate(("A1", "A1", "B2"), 1)
]


def ruled(*roles: Role) -> Zoo:
    rules = rules_of(WHOLE, ODATA, *roles)
    seen = role_catalog(WHOLE.catalog, RoleView(policy_of(*roles), [r.name for r in roles]))
    schema = build_schema(seen, LoadedResolvers(seen), aggregates=True)
    zoo = Zoo(ODATA, schema=schema, rules=rules)
    zoo.tables.rows["Lines"] = LINES
    return zoo


def lines(name: str = "r", /, **given: Any) -> Role:
    return role(name, {"Lines": grant(**{"rights": BOTH, **given})})


SUM = 'linesAggregate { count sum(field: "price") }'
ANSWERS: Mapping[str, tuple[tuple[Role, ...], str, Any]] = {
    "all rows": ((lines(),), SUM, {"count": 3, "sum": "6"}),
    "rows that pass the rule": ((lines(where=A1),), SUM, {"count": 2, "sum": "3"}),
    "rows of any role": ((lines(where=A1), lines("s", where=B2)), SUM, {"count": 3, "sum": "6"}),
    "no rows of a role without the right": (
        (lines(where=A1, rights=frozenset({Right.READ})), lines("s", where=B2)),
        SUM,
        {"count": 1, "sum": "3"},
    ),
    "a role without the right has no such field": (
        (lines(rights=frozenset({Right.READ})),),
        SUM,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "hidden columns do not exist": ((lines(deny=("Price",)),), SUM, "BAD_ARGUMENT"),
    "masked columns are not aggregated": (
        (lines(masks={"Note": Mask.HASH}),),
        'linesAggregate { countDistinct(field: "note") }',
        "UNSUPPORTED_QUERY",
    ),
    "nor grouped by": (
        (lines(masks={"Note": Mask.LAST4}),),
        'linesAggregate(groupBy: ["note"]) { groups { count } }',
        "UNSUPPORTED_QUERY",
    ),
    "nor in order or having": (
        (lines(masks={"Note": Mask.NULL}),),
        'linesAggregate { groups(having: [{ function: COUNT, field: "note", gt: 0 }]) { count } }',
        "UNSUPPORTED_QUERY",
    ),
    "columns that only some rows show": (
        (lines(where=A1, deny=("Price",)), lines("s", where=B2)),
        SUM,
        "UNSUPPORTED_QUERY",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_roles_bound_aggregates(what: str) -> None:
    roles, text, expected = ANSWERS[what]

    answer = (await ruled(*roles).execute(f"{{ {text} }}")).to_builtins()

    if isinstance(expected, str):
        assert [e["extensions"]["code"] for e in answer["errors"]] == [expected]
    else:
        assert answer["data"] == {"linesAggregate": expected}


async def test_a_hidden_column_is_refused_as_an_unknown_one() -> None:
    zoo = ruled(lines(deny=("Price",)))
    messages = []
    for name in ("price", "qqqqq"):
        answer = await zoo.execute(f'{{ linesAggregate {{ sum(field: "{name}") }} }}')
        (error,) = answer.to_builtins()["errors"]
        messages.append(error["message"].replace(name, "X").partition(" Did you mean")[0])

    assert messages[0] == messages[1]
    assert zoo.tables.requests == []
