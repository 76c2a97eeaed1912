"""Paging by a nullable field, if the service sorts nulls first, last, or in an unknown place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.odata.dialect import ODATA, NullOrder
from tests.support.zoo_model import Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMA = schema_of(ODATA)
PAGE = "%s(%s: 30, %s: %s, orderBy: [{ number: %s }]) { nodes { orderId } pageInfo { %s %s } }"
WAYS = pytest.mark.parametrize(
    ("nested", "can_expand"),
    [(False, True), (True, True), (True, False)],
    ids=["root", "expanded", "by key"],
)
WALKS = [(end, direction) for end in ("first", "last") for direction in ("ASC", "DESC")]


def zoo(known: NullOrder, *, nulls_last: bool, can_expand: bool = True) -> Zoo:
    """A hundred orders of one party, fourteen of them without a number."""
    result = Zoo(replace(ODATA, null_order=known), can_expand=can_expand, schema=SCHEMA)
    result.tables.nulls_last = nulls_last
    result.tables.rows["Parties"] = [{"Area": "a", "PartyId": "p", "Name": "P"}]
    result.tables.rows["Orders"] = [
        {"Area": "a", "OrderId": i, "Buyer": "p", "Number": None if i % 7 == 3 else i * 37 % 50}
        for i in range(100)
    ]
    return result


async def walk(result: Zoo, end: str, direction: str, *, nested: bool = False) -> Any:
    """Return the ids of all pages, or the code of the error that ends them."""
    place, more, edge = (
        ("after", "hasNextPage", "endCursor")
        if end == "first"
        else ("before", "hasPreviousPage", "startCursor")
    )
    cursor, ids = "null", []
    for _ in range(6):
        page = PAGE % ("orders", end, place, cursor, direction, more, edge)
        query = f'{{ party(area: "a", partyId: "p") {{ {page} }} }}' if nested else f"{{ {page} }}"
        answer = (await result.execute(query)).to_builtins()
        if "errors" in answer:
            return answer["errors"][0]["extensions"]["code"]
        data = answer["data"]["party"] if nested else answer["data"]
        ids += [row["orderId"] for row in data["orders"]["nodes"]]
        if not data["orders"]["pageInfo"][more]:
            return ids
        cursor = f'"{data["orders"]["pageInfo"][edge]}"'
    return "the same page for ever"


@WAYS
@pytest.mark.parametrize(("end", "direction"), WALKS)
@pytest.mark.parametrize(
    ("known", "nulls_last"),
    [("first", False), ("last", True), ("unknown", False)],
    ids=["first", "last", "unknown, first"],
)
async def test_no_row_is_lost_if_nulls_stand_where_assumed(
    known: NullOrder, nulls_last: bool, end: str, direction: str, can_expand: bool, nested: bool
) -> None:
    result = await walk(
        zoo(known, nulls_last=nulls_last, can_expand=can_expand), end, direction, nested=nested
    )

    assert len(result) == 100
    assert set(result) == set(range(100))


@WAYS
@pytest.mark.parametrize(("end", "direction"), WALKS)
async def test_nulls_at_the_other_end_are_an_error(
    end: str, direction: str, can_expand: bool, nested: bool
) -> None:
    upstream = zoo("unknown", nulls_last=True, can_expand=can_expand)

    assert await walk(upstream, end, direction, nested=nested) == "UPSTREAM_MALFORMED"


async def test_a_last_page_is_proven_each_time_it_is_read() -> None:
    upstream, cursor, codes = zoo("unknown", nulls_last=True), "null", []
    for _ in range(2):
        page = PAGE % ("orders", "first", "after", cursor, "ASC", "hasNextPage", "endCursor")
        read = (await upstream.execute(f"{{ {page} }}")).to_builtins()
        cursor = f'"{read["data"]["orders"]["pageInfo"]["endCursor"]}"'
    last = f"{{ orders(first: 30, after: {cursor}, orderBy: [{{ number: ASC }}]) {{ nodes {{ orderId }} }} }}"

    for _ in range(3):
        answer = (await upstream.execute(last)).to_builtins()
        codes += [error["extensions"]["code"] for error in answer["errors"]]

    assert codes == ["UPSTREAM_MALFORMED"] * 3


@pytest.mark.parametrize(("known", "nulls_last"), [("first", True), ("last", False)])
async def test_a_wrong_setting_fails_at_a_page_of_nulls_and_values(
    known: NullOrder, nulls_last: bool
) -> None:
    upstream = zoo(known, nulls_last=nulls_last)
    answer = await upstream.execute(
        "{ orders(first: 100, orderBy: [{ number: ASC }]) { nodes { orderId } } }"
    )
    (error,) = answer.to_builtins()["errors"]

    assert error["extensions"]["code"] == "UPSTREAM_MALFORMED"
    assert f'null_order = "{"last" if nulls_last else "first"}"' in error["extensions"]["hint"]


async def test_proving_a_list_without_nulls_costs_one_request() -> None:
    upstream = zoo("unknown", nulls_last=True)
    for row in upstream.tables.rows["Orders"]:
        row["Number"] = row["OrderId"]

    assert len(await walk(upstream, "first", "ASC")) == 100
    extra = [url for url in upstream.tables.requests if "$orderby" not in url]
    assert len(upstream.tables.requests) == 5
    assert [url.partition("?")[2] for url in extra] == [
        "$select=OrderId,Number,Area&$filter=Number eq null&$top=1"
    ]


async def test_a_list_that_fits_on_one_page_needs_no_proof() -> None:
    upstream = zoo("unknown", nulls_last=False)
    await upstream.execute(
        "{ orders(first: 500, orderBy: [{ number: ASC }]) { nodes { orderId } } }"
    )

    assert len(upstream.tables.requests) == 1


async def test_an_order_without_nullable_fields_needs_no_proof() -> None:
    upstream = zoo("unknown", nulls_last=False)
    cursor = "null"
    for _ in range(4):
        answer = await upstream.execute(
            f"{{ orders(first: 25, after: {cursor}) {{ pageInfo {{ endCursor }} }} }}"
        )
        cursor = f'"{answer.to_builtins()["data"]["orders"]["pageInfo"]["endCursor"]}"'

    assert len(upstream.tables.requests) == 4
