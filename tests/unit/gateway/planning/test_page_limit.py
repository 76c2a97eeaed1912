"""Pages as long as the upstream's own: no second request for one row more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.odata.dialect import Dialect
from tests.support.zoo_model import FO, Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMA = schema_of(FO)
LIMITED = replace(FO, page_limit=10)


async def ask(
    rows: int, arguments: str, *, dialect: Dialect = LIMITED, page_size: int = 10
) -> tuple[dict[str, Any], list[str]]:
    upstream = Zoo(dialect, schema=SCHEMA)
    upstream.tables.page_size = page_size
    upstream.tables.rows["Orders"] = [
        {"Area": "a", "OrderId": i, "Flag": True} for i in range(rows)
    ]
    info = "hasNextPage hasPreviousPage"
    query = f"{{ orders({arguments}) {{ nodes {{ orderId }} pageInfo {{ {info} }} }} }}"
    answer = (await upstream.execute(query)).to_builtins()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]["orders"], upstream.tables.requests


@pytest.mark.parametrize("order", ["", ", orderBy: [{ flag: ASC }]"], ids=["keys", "positions"])
@pytest.mark.parametrize(
    ("rows", "size", "has_next", "requests"),
    [
        (9, 10, False, 1),
        (10, 10, False, 1),
        (11, 10, True, 1),
        (20, 20, False, 2),
        (21, 20, True, 2),
        (30, 15, True, 2),
    ],
)
async def test_the_next_link_tells_whether_there_are_more(
    rows: int, size: int, has_next: bool, requests: int, order: str
) -> None:
    page, sent = await ask(rows, f"first: {size}{order}")

    assert len(page["nodes"]) == min(rows, size)
    assert page["pageInfo"] == {"hasNextPage": has_next, "hasPreviousPage": False}
    assert len(sent) == requests


async def test_a_page_from_the_end_too() -> None:
    page, sent = await ask(11, "last: 10")

    assert [row["orderId"] for row in page["nodes"]] == list(range(1, 11))
    assert page["pageInfo"]["hasPreviousPage"]
    assert len(sent) == 1


@pytest.mark.parametrize("page_size", [4, 25], ids=["smaller", "larger"])
async def test_an_upstream_whose_pages_are_of_another_size_loses_nothing(page_size: int) -> None:
    page, _ = await ask(25, "first: 10", page_size=page_size)

    assert [row["orderId"] for row in page["nodes"]] == list(range(10))
    assert page["pageInfo"]["hasNextPage"]
