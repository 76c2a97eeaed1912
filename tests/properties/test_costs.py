"""Costs that must not grow, counted rather than timed: requests, rows, types, documents, blocks of memory."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable

import pytest

from gateway.documents.store import DocumentLimits, Documents
from gateway.engine import Engine
from gateway.engine.known_plans import KnownPlans
from gateway.operations.cache import PreparedOperations
from gateway.operations.operation_caches import OperationCaches
from gateway.operations.row_types import Row
from gateway.request import GraphQLRequest, PlannedQuery
from tests.bench.workload import (
    Service,
    alias_query,
    engine_over,
    nested_query,
    wide_query,
)

pytestmark = pytest.mark.anyio

FILTERED = """query ($v: String!, $n: Int!) {
  orders(first: $n, where: { orderName: { gt: $v } }) { nodes { orderNumber orderName total } }
}"""


def plan(engine: Engine, query: str, **variables: object) -> PlannedQuery:
    return engine.plan(engine.read(GraphQLRequest(query=query, variables=variables)))


def struct_types() -> set[type]:
    """The classes of rows, pages and answers; who holds them keeps those of other tests from going meanwhile."""
    gc.collect()
    return {
        result
        for result in gc.get_objects()
        if isinstance(result, type) and result.__name__ in ("Row", "Page", "Answer")
    }


def blocks_of(run: Callable[[], object]) -> int:
    """How many blocks of memory what ``run`` gives takes."""
    gc.collect()
    before = sys.getallocatedblocks()
    remaining = run()
    gc.collect()
    taken = sys.getallocatedblocks() - before
    del remaining
    return taken


# Requests and rows


async def test_a_list_with_expanded_children_is_one_request() -> None:
    for rows in (1, 100, 1_000):
        answer = await engine_over(Service()).execute(GraphQLRequest(query=nested_query(rows=rows)))
        assert (len(answer.requests), answer.rows, answer.errors) == (1, rows, [])


async def test_key_batches_are_cut_by_the_url_alone() -> None:
    engine = engine_over(Service(), expand=False)
    answer = await engine.execute(GraphQLRequest(query=nested_query(rows=100)))
    # One for the list; 100 customers and the lines of 100 orders, some 50 keys a URL of 2,000 characters.
    assert len(answer.requests) <= 1 + 3 + 4
    assert all(len(request.url) <= 2_000 for request in answer.requests)
    # 100 orders, their customers, five lines each: nothing is read twice.
    assert answer.rows == 100 + 100 + 500


@pytest.mark.parametrize("aliases", [10, 100, 200])
async def test_the_rows_of_aliases_by_key_are_decoded_once(aliases: int) -> None:
    answer = await engine_over(Service()).execute(GraphQLRequest(query=alias_query(aliases)))
    assert answer.rows == aliases
    assert len(answer.requests) <= 1 + aliases // 25


async def test_more_fields_are_not_more_requests() -> None:
    engine = engine_over(Service())
    for fields in (5, 75, 300):
        answer = await engine.execute(GraphQLRequest(query=wide_query(fields)))
        assert len(answer.requests) == 1


async def test_bytes_of_an_answer_hold_no_more_than_was_asked() -> None:
    service = Service()
    answer = await engine_over(service).execute(GraphQLRequest(query=wide_query(20, 100)))
    body = (await service.send(answer.requests[0])).body
    assert len(answer.encode()) < len(body)


# Documents


async def test_a_document_that_was_seen_is_not_prepared_again() -> None:
    engine = engine_over(Service())
    query = nested_query(rows=10)
    first, second = plan(engine, query), plan(engine, query)
    assert second.prepared is first.prepared
    assert second.prepared.document is first.prepared.document


async def test_other_variables_share_prepared_operation_and_row_type() -> None:
    engine = engine_over(Service())
    plans = [plan(engine, FILTERED, v=f"x{i}", n=i) for i in range(5)]
    assert len({id(p.prepared) for p in plans}) == 1
    assert len({id(p.roots[0].plan.row_type) for p in plans}) == 1  # type: ignore[union-attr]


async def test_each_value_of_skip_and_include_is_prepared_once() -> None:
    engine = engine_over(Service())
    query = (
        "query ($more: Boolean!, $v: String!) { orders(first: 1, where: { orderName: { gt: $v } })"
        " { nodes { orderNumber total @include(if: $more) } } }"
    )
    plans = [plan(engine, query, more=i % 2 == 0, v=str(i)) for i in range(20)]
    assert len({id(p.prepared) for p in plans}) == 2


async def test_schema_types_are_made_once() -> None:
    engine = engine_over(Service())
    plan(engine, nested_query(rows=10))
    created = engine.schema.made_types
    for number in range(20):
        plan(engine, f"# {number}\n{nested_query(rows=10)}")
    assert engine.schema.made_types == created


# Generated types


@pytest.mark.heavy
async def test_a_thousand_filter_values_make_no_new_types() -> None:
    service = Service()
    engine = engine_over(service)
    await engine.execute(GraphQLRequest(query=FILTERED, variables={"v": "a", "n": 2}))
    before = struct_types()
    for number in range(1_000):
        answer = await engine.execute(
            GraphQLRequest(query=FILTERED, variables={"v": f"v{number}", "n": number % 7})
        )
        assert not answer.errors
    assert struct_types() == before


@pytest.mark.heavy
@pytest.mark.parametrize("expand", [True, False], ids=["expanded", "key batches"])
async def test_executing_again_makes_no_new_types(expand: bool) -> None:
    engine = engine_over(Service(), expand=expand)
    request = GraphQLRequest(query=nested_query(rows=20))
    await engine.execute(request)
    before = struct_types()
    for _ in range(20):
        await engine.execute(request)
    assert struct_types() == before


@pytest.mark.heavy
async def test_aliases_of_one_selection_share_their_types() -> None:
    engine = engine_over(Service())
    plan(engine, alias_query(1))
    one = struct_types()
    plan(engine, alias_query(100))
    # A row, its page and an answer: as many as for the single field.
    assert len(struct_types() - one) <= 3


@pytest.mark.heavy
async def test_types_go_with_their_document() -> None:
    engine = engine_over(Service())
    before = struct_types()
    await engine.execute(GraphQLRequest(query=nested_query(rows=5)))
    assert struct_types() > before
    await asyncio.sleep(0)  # until then the event loop holds finished tasks with their results
    engine._documents = Documents(engine.schema.catalog, engine.schema.core, DocumentLimits())
    engine._prepared = PreparedOperations(engine.schema.catalog)
    engine.caches = OperationCaches(engine._documents, engine._prepared)
    engine._plans = KnownPlans(engine._planner)
    left = struct_types() - before
    assert {result.__name__ for result in left} <= {"Answer"}  # which others may have use for


# Memory


@pytest.mark.heavy
async def test_memory_does_not_grow_with_executions() -> None:
    service = Service()
    engine = engine_over(service)
    request = GraphQLRequest(query=nested_query(rows=20))
    for _ in range(5):
        (await engine.execute(request)).encode()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(50):
        (await engine.execute(request)).encode()
    gc.collect()
    # Fifty answers of 20 rows are some 80,000 blocks; caches of the interpreter may take a few.
    assert sys.getallocatedblocks() - before < 500


@pytest.mark.heavy
async def test_a_row_costs_its_values_and_little_beside() -> None:
    service = Service()
    engine = engine_over(service)
    query = wide_query(20, 1_000)
    await engine.execute(GraphQLRequest(query=query))
    result = plan(engine, query)
    row_type = result.roots[0].plan.row_type  # type: ignore[union-attr]
    request = (await engine.execute(GraphQLRequest(query=query))).requests[0]
    body = (await service.send(request)).body
    # 20 values and the struct that holds them; whole numbers below 257 are shared.
    assert blocks_of(lambda: row_type.page.decode(body)) <= 1_000 * 24


async def test_rows_are_no_load_for_the_garbage_collector() -> None:
    service = Service()
    engine = engine_over(service)
    request = GraphQLRequest(query=nested_query(rows=500))
    answer = await engine.execute(request)
    assert answer.rows == 500
    tracked = sum(isinstance(result, Row) for result in gc.get_objects())
    assert tracked == 0
