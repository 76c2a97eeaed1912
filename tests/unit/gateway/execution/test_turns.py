"""Other requests get their turn while a large page is processed; small answers do without."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from gateway.engine import Engine
from gateway.request import Answer, GraphQLRequest
from tests.bench.workload import PLAIN, Service, engine_over, nested_query

pytestmark = pytest.mark.anyio
MANY = 10_000


async def turns_of(engine: Engine, query: str) -> tuple[int, Answer]:
    """Count how often a bystander runs while a query is executed, beyond those that waiting gives anyway."""
    turns = 0

    async def stand_by() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    bystander = asyncio.create_task(stand_by())
    answer = await engine.execute(GraphQLRequest(query=query))
    bystander.cancel()
    return turns, answer


@pytest.mark.heavy
@pytest.mark.parametrize(("expand", "least"), [(True, 30), (False, 60)], ids=["expand", "keys"])
async def test_a_page_of_ten_thousand_rows_lets_others_run(expand: bool, least: int) -> None:
    service = Service()
    engine = engine_over(service, expand=expand)
    few, _ = await turns_of(engine, nested_query(rows=10))
    turns, answer = await turns_of(engine, nested_query(rows=MANY))

    assert len(answer.to_builtins()["data"]["orders"]["nodes"]) == MANY
    # 16 MB of rows: a turn for each half of a million bytes, at the least.
    assert turns - few >= least


@pytest.mark.heavy
async def test_a_page_that_graphql_core_completes_lets_others_run() -> None:
    rows = 1_000
    service = Service()
    engine = engine_over(service)
    query = nested_query(PLAIN, rows)
    (request,) = (await engine.execute(GraphQLRequest(query=query))).requests
    good = await service.send(request)
    before, _, after = good.body.rpartition(b'"Priority":9')
    service._answers[request.url] = structs.replace(good, body=before + b'"Priority":"?"' + after)
    turns, answer = await turns_of(engine, query)

    assert [e["path"] for e in answer.errors] == [["orders", "nodes", rows - 1, "priority"]]
    assert turns >= rows // 50


async def test_a_small_answer_takes_one_turn_a_request() -> None:
    service = Service()
    engine = engine_over(service)
    one, _ = await turns_of(engine, nested_query(rows=1))
    some, _ = await turns_of(engine, nested_query(rows=30))

    assert some == one
