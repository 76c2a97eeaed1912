"""What is planned for a random operation is what it selects: compared without running it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.operations.global_ids import node_id
from gateway.request import GraphQLRequest
from tests.support.operations import operations
from tests.support.plan_shape import differences
from tests.support.soak import bounded
from tests.support.zoo_model import DIALECTS, Zoo, schema_of

ROOTS = (
    ("orders", "orders"),
    ("parties", "parties"),
    ("lines", "lines"),
    ("two", "orders(first: 2)"),
    ("order", 'order(area: "A1", orderId: 0)'),
    ("party", 'party(area: "A1", partyId: "p1")'),
    ("item", 'item(itemId: "i1")'),
    ("node", f'node(id: "{node_id("Order", "A1", 0)}")'),
    ("nodes", f'nodes(ids: ["{node_id("Person", "A1", "p1")}", "{node_id("Item", "i1")}"])'),
)
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}


@pytest.mark.parametrize("can_expand", [True, False], ids=["expand", "no expand"])
@pytest.mark.parametrize("dialect", DIALECTS)
@settings(
    max_examples=int(bounded("12", "1000")),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_a_plan_has_the_shape_of_its_operation(
    dialect: str, can_expand: bool, data: st.DataObject
) -> None:
    schema = SCHEMAS[dialect]
    engine = Zoo(DIALECTS[dialect], can_expand=can_expand, schema=schema).engine
    operation = data.draw(operations(schema.core, ROOTS))
    valid = engine.read(GraphQLRequest(query=operation.text, variables=operation.variables))
    query = engine.plan(valid)

    for variant in range(3):
        assert list(differences(schema, valid, query, variant)) == []
