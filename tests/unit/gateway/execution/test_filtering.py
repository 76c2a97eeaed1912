"""Filters that the gateway applies itself (text with a star): pages read part by part, and their row budget."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from gateway.request import Answer, GraphQLRequest
from tests.support.zoo_model import FO, Zoo, schema_of

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
SCHEMA = schema_of(FO)
NOT_A_STAR = (
    '{ orders(first: 5, where: { text: { ne: "*" } }%s) { nodes { orderId } pageInfo { %s } } }'
)


def zoo(matching: range | None = None, **settings: Any) -> Zoo:
    """A thousand orders, of which the text of those in ``matching`` is other than a star."""
    result = Zoo(FO, schema=SCHEMA)
    result.tables.insensitive = True
    result.tables.rows["Orders"] = [
        {"Area": "a", "OrderId": i, "Text": "x" if matching is None or i in matching else "*"}
        for i in range(1_000)
    ]
    result.engine.reads.settings = structs.replace(result.engine.reads.settings, **settings)
    return result


async def ids(upstream: Zoo, arguments: str = "", info: str = "hasNextPage endCursor") -> Any:
    answer = (await upstream.execute(NOT_A_STAR % (arguments, info))).to_builtins()
    assert "errors" not in answer, answer["errors"]
    page = answer["data"]["orders"]
    return [row["orderId"] for row in page["nodes"]], page["pageInfo"]


async def test_a_page_whose_first_rows_match_reads_one_part() -> None:
    upstream = zoo()
    result, info = await ids(upstream)

    assert (result, info["hasNextPage"]) == ([0, 1, 2, 3, 4], True)
    assert [url.partition("&")[2] for url in upstream.tables.requests] == [
        "$orderby=Area,OrderId&$top=100&cross-company=true"
    ]


async def test_parts_grow_until_enough_rows_match() -> None:
    upstream = zoo(range(450, 460))
    result, info = await ids(upstream)

    assert (result, info["hasNextPage"]) == ([450, 451, 452, 453, 454], True)
    assert [url.partition("$top=")[2].partition("&")[0] for url in upstream.tables.requests] == [
        "100",
        "400",
    ]


async def test_pages_reach_every_matching_row_in_both_directions() -> None:
    matching = range(3, 1_000, 97)
    for end, place, more, edge in (
        ("first", "after", "hasNextPage", "endCursor"),
        ("last", "before", "hasPreviousPage", "startCursor"),
    ):
        upstream = zoo(matching)
        seen: list[int] = []
        cursor = "null"
        while True:
            query = (NOT_A_STAR % (f", {place}: {cursor}", f"{more} {edge}")).replace("first", end)
            page = (await upstream.execute(query)).to_builtins()["data"]["orders"]
            result = [row["orderId"] for row in page["nodes"]]
            seen = seen + result if end == "first" else result + seen
            if not page["pageInfo"][more]:
                break
            cursor = f'"{page["pageInfo"][edge]}"'
        assert seen == list(matching)


async def operation(upstream: Zoo, fields: int) -> Answer:
    aliases = " ".join(
        f'a{i}: orders(first: 5, where: {{ text: {{ ne: "*" }}, orderId: {{ gte: {i} }} }})'
        " { nodes { orderId } }"
        for i in range(fields)
    )
    return await upstream.engine.execute(GraphQLRequest(query=f"{{ {aliases} }}"))


async def test_each_of_many_fields_reads_a_part_of_the_list() -> None:
    answer = await operation(zoo(), 50)

    assert not answer.errors
    assert answer.rows == 50 * 100


async def test_the_rows_of_an_operation_have_a_budget() -> None:
    answer = (await operation(zoo(max_filtered_rows=350), 5)).to_builtins()
    codes = [error["extensions"]["code"] for error in answer["errors"]]

    assert codes == ["BUDGET_EXCEEDED"]
    assert "D365_MAX_FILTERED_ROWS" in answer["errors"][0]["extensions"]["hint"]


async def test_a_count_reads_them_all_and_spends_as_much() -> None:
    query = '{ orders(where: { text: { ne: "*" } }) { totalCount } }'
    counted = (await zoo(range(7)).execute(query)).to_builtins()
    refused = (await zoo(range(7), max_filtered_rows=999).execute(query)).to_builtins()

    assert counted["data"]["orders"]["totalCount"] == 7
    assert refused["errors"][0]["extensions"]["code"] == "BUDGET_EXCEEDED"
