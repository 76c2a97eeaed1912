"""The example of live stock: a program in TypeScript that shows what is sold while it runs."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from tests.support.node import Tools
from tests.support.pages import ROOT

ITEM = "D0003"


@pytest.fixture(scope="module")
def shown(typescript: Tools, address: str) -> Any:
    return typescript.run("stock.mjs", f"{address}/graphql", ITEM)


def available(places: list[Any]) -> dict[str, Decimal]:
    return {place["warehouse"]: Decimal(place["available"]) for place in places}


def test_what_was_sold_is_shown(shown: Any) -> None:
    before, after = map(available, shown)

    assert len(before) > 2
    assert before["Main site 11"] - after["Main site 11"] == 3
    assert {name for name in before if before[name] != after[name]} == {"Main site 11"}
    assert {place["item"] for place in shown[0]} == {ITEM}


def test_the_first_answer_costs_what_the_table_says(gateway: Any, spent: Any) -> None:
    text = (ROOT / "examples" / "typescript" / "live_stock.ts").read_text("utf-8")
    document = re.search(r"graphql\(`(.*?)`\)", text, re.DOTALL)
    assert document

    gateway.execute(document[1].replace("subscription", "query"), items=["D0001"])

    spent.check_row("typescript/live_stock.ts")
