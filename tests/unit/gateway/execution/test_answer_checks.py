"""Wrong answers: other types, duplicate rows, more rows than requested, a missing count."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

import httpx
import pytest

from tests.support import random_rows as worlds
from tests.support.hostile import JSON, always, codes, encode, hostile, on, value
from tests.support.zoo_model import DIALECTS, Zoo

pytestmark = pytest.mark.anyio

KEYS = "{ orders(first: 3) { nodes { area orderId } } }"
MALFORMED = "UPSTREAM_MALFORMED"


def order(number: int, **more: object) -> dict[str, object]:
    return {"Area": "A", "OrderId": number, **more}


# Byte order marks


async def test_json_behind_a_byte_order_mark_is_read() -> None:
    body = BOM_UTF8 + encode({"value": [order(1)]})

    answer = await hostile().ask(KEYS, always(body))

    assert answer == {"data": {"orders": {"nodes": [{"area": "A", "orderId": 1}]}}}


async def test_a_row_and_an_error_behind_a_byte_order_mark_are_read() -> None:
    error = BOM_UTF8 + encode({"error": {"code": "", "message": "No such thing."}})
    query = '{ item(itemId: "i1") { weight } }'

    row = await hostile().ask(query, always(BOM_UTF8 + encode({"ItemId": "i1", "Weight": 1.5})))
    refused = await hostile().ask(query, always(error, 400))

    assert row == {"data": {"item": {"weight": 1.5}}}
    assert "No such thing." in refused["errors"][0]["message"]


# Types


@pytest.mark.parametrize(
    "reported", ["#Zoo.Party", "#Zoo.Nonsense", "Zoo.Line", "https://x.example/$metadata#Zoo.Line"]
)
async def test_a_row_of_another_type_is_the_upstreams_error(reported: str) -> None:
    rows = value(order(1), order(2, **{"@odata.type": reported}))

    answer = await hostile().ask(KEYS, rows)

    assert [code for _, code in codes(answer)] == [MALFORMED]
    assert codes(answer)[0][0] == ["orders", "nodes", 1]


@pytest.mark.parametrize(
    "reported",
    ["#Zoo.Order", "Zoo.Order", "#Alias.Order", "https://x.example/$metadata#Zoo.Order", None],
)
async def test_a_row_may_say_its_own_type(reported: str | None) -> None:
    answer = await hostile().ask(KEYS, value(order(1, **{"@odata.type": reported})))

    assert answer == {"data": {"orders": {"nodes": [{"area": "A", "orderId": 1}]}}}


# Rows twice, rows too many


@pytest.mark.parametrize(
    "query",
    [
        KEYS,
        "{ orders(first: 3) { nodes { id } } }",
        "{ orders(first: 3) { nodes { orderId area lines { nodes { lineNo } } } } }",
        "{ orders(first: 3) { edges { cursor } totalCount } }",
    ],
)
async def test_a_row_twice_in_a_list_is_noticed(query: str) -> None:
    rows = value(*(order(n, Lines=[]) for n in (1, 2, 1)), **{"@odata.count": 3})

    answer = await hostile().ask(query, on("Orders", rows))

    assert codes(answer) == [(["orders"], MALFORMED)]


async def test_rows_that_share_a_part_of_their_key_are_no_doubles() -> None:
    rows = value(order(1), {"Area": "B", "OrderId": 1})

    answer = await hostile().ask(KEYS, rows)

    assert len(answer["data"]["orders"]["nodes"]) == 2


async def test_a_row_twice_over_pages_is_noticed() -> None:
    pages = {
        "": {"value": [order(1), order(2)], "@odata.nextLink": "Orders?$skiptoken=2"},
        "$skiptoken=2": {"value": [order(2)]},
    }

    def script(request: httpx.Request) -> httpx.Response:
        query = request.url.query.decode()
        body = pages[query if query in pages else ""]
        return httpx.Response(200, content=encode(body), headers=JSON)

    answer = await hostile().ask(KEYS, script)

    assert codes(answer) == [(["orders"], MALFORMED)]


async def test_a_row_twice_in_a_key_batch_costs_the_relation() -> None:
    zoo = hostile(can_expand=False)
    zoo.tables.rows["Lines"] = [
        {"Area": "A1", "OrderId": 0, "LineNo": n, "Price": 1, "Article": f"i{n}"} for n in range(2)
    ]

    answer = await zoo.ask(
        "{ lines(first: 2) { nodes { item { itemId } } } }",
        on("Items", value({"ItemId": "i0"}, {"ItemId": "i0"})),
    )

    assert {code for _, code in codes(answer)} == {MALFORMED}


@pytest.mark.parametrize(
    "query", [KEYS, "{ orders(first: 3) { pageInfo { hasNextPage } nodes { area } } }"]
)
async def test_more_rows_than_asked_for_are_noticed(query: str) -> None:
    answer = await hostile().ask(query, value(*map(order, range(9))))

    assert codes(answer) == [(["orders"], MALFORMED)]


async def test_more_rows_below_a_row_than_asked_for_are_noticed() -> None:
    lines = [{"Area": "A", "OrderId": 1, "LineNo": n, "Price": 1} for n in range(9)]
    rows = value(order(1, Lines=lines), order(2, Lines=[]))

    answer = await hostile().ask(
        "{ orders(first: 3) { nodes { orderId lines(first: 2) { nodes { lineNo } } } } }", rows
    )

    assert codes(answer) == [(["orders", "nodes", 0, "lines"], MALFORMED)]


# Counts


def uncounted(dialect: str, *, can_expand: bool = True) -> Zoo:
    zoo = Zoo(DIALECTS[dialect], can_expand=can_expand)
    zoo.tables = worlds.tables(7, 5, insensitive=dialect == "finops")
    zoo.tables.counts = False
    return zoo


@pytest.mark.parametrize("can_expand", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("first", [5, 50])
async def test_a_missing_count_is_derived_or_requested(
    first: int, dialect: str, can_expand: bool
) -> None:
    """A related list fits its page; of a list that does not, the root asks for the count by itself."""
    lists = "lines(first: 50) { totalCount nodes { lineNo } }"
    query = f"{{ orders(first: {first}) {{ totalCount nodes {{ orderId {lists} }} }} }}"
    counted = uncounted(dialect, can_expand=can_expand)
    counted.tables.counts = True

    result = await uncounted(dialect, can_expand=can_expand).execute(query)
    expected = await counted.execute(query)

    assert expected.errors == []
    assert result.to_builtins() == expected.to_builtins()


async def test_a_missing_count_of_children_is_an_upstream_error() -> None:
    zoo = uncounted("odata")
    zoo.tables.rows["Lines"] = [
        {"Area": "A1", "OrderId": 0, "LineNo": n, "Price": 1} for n in range(9)
    ]
    zoo.tables.rows["Orders"] = [{"Area": "A1", "OrderId": 0}]

    answer: Any = (
        await zoo.execute("{ orders { nodes { lines(first: 2) { totalCount nodes { price } } } } }")
    ).to_builtins()

    assert [code for _, code in codes(answer)] == [MALFORMED]
