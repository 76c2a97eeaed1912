"""What is planned for a read is what it selects: compared for every golden case, without running it."""

from __future__ import annotations

import pytest
from msgspec import structs

from gateway.dimensions.formats import MAIN_ACCOUNT, Formats
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.planning.plan import ListRoot, ReadPlan
from gateway.request import GraphQLRequest, PlannedQuery, ValidOperation
from gateway.runtime.assembly import Gateway
from tests.support.cases import Case, all_cases, engine, engine_of
from tests.support.plan_shape import differences

pytestmark = pytest.mark.anyio
VARIANTS = 3
"""Types of rows that are tried, if several are possible."""


def all_differences(by: Engine, request: GraphQLRequest) -> list[str]:
    # All texts of the rows are one segment.
    by.formats.put(Formats("-", (MAIN_ACCOUNT,), ("Department",)))
    try:
        operation = by.read(request)
        query = by.plan(operation)
    except OperationRefused:
        return []
    return [
        difference
        for variant in range(VARIANTS)
        for difference in differences(by.schema, operation, query, variant)
    ]


CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_plan_has_the_shape_of_its_selection(case: Case, sandboxed: Gateway) -> None:
    assert all_differences(engine_of(case, sandboxed), case.request) == []
    without_expand = engine_of(case, sandboxed, expand="never")
    assert all_differences(without_expand, case.request) == []


LIST = GraphQLRequest(
    query="""{ customersV3(where: {organizationName: {contains: "a"}}) {
      pageInfo { endCursor }
      nodes { organizationName creditLimit customerGroup { description } }
    } }"""
)


async def _planned_list(sandboxed: Gateway) -> tuple[Engine, ValidOperation, PlannedQuery]:
    by = engine(sandboxed)
    operation = by.read(LIST)
    return by, operation, by.plan(operation)


def _list_plan(query: PlannedQuery) -> ReadPlan:
    (root,) = query.roots
    assert isinstance(root, ListRoot)
    return root.plan


def _with_plan(query: PlannedQuery, plan: ReadPlan) -> PlannedQuery:
    (root,) = query.roots
    return structs.replace(query, roots=(structs.replace(root, plan=plan),))


async def test_a_property_that_is_not_selected_is_a_difference(sandboxed: Gateway) -> None:
    by, operation, query = await _planned_list(sandboxed)
    plan = _list_plan(query)
    assert len(plan.query.select) >= 3
    for name in plan.query.select:
        select = tuple(other for other in plan.query.select if other != name)
        mutant = structs.replace(plan, query=structs.replace(plan.query, select=select))

        assert list(differences(by.schema, operation, _with_plan(query, mutant))) != [], name


async def test_a_relation_without_a_plan_is_a_difference(sandboxed: Gateway) -> None:
    by, operation, query = await _planned_list(sandboxed)
    plan = _list_plan(query)
    mutant = structs.replace(plan, children=(), query=structs.replace(plan.query, expand=()))

    assert list(differences(by.schema, operation, _with_plan(query, mutant))) != []


async def test_another_selection_is_a_difference(sandboxed: Gateway) -> None:
    by, _, query = await _planned_list(sandboxed)
    other = by.read(
        structs.replace(LIST, query=LIST.query.replace("creditLimit", "x: creditLimit"))
    )
    (found,) = differences(by.schema, other, query)

    assert "organizationName, creditLimit" in found
