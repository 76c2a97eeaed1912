"""``gateway.execution.page_cutter``: the pages of many lists are those of each list by itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamMalformed
from gateway.execution.page_cutter import Cutter
from gateway.odata.dialect import ODATA
from gateway.odata.finops import FINOPS
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.cursors import Cursor
from gateway.operations.pages import Failure, Page
from gateway.planning.page_window import OrderTerm, Window
from tests.support.zoo_model import DIALECTS, schema_of

LINE = schema_of(ODATA).catalog.object("Zoo.Line")
KEY = ("area", "orderId", "lineNo")
ROW_TYPE: Any = SimpleNamespace(attribute=lambda field: field.name)
JOINED = tuple(LINE.fields[name] for name in KEY[:2])


@dataclass(frozen=True)
class Row:
    area: Any
    orderId: Any  # noqa: N815 - as the field is called
    lineNo: Any  # noqa: N815
    number: int


def window(
    names: tuple[str, ...] = KEY,
    *,
    size: int = 2,
    is_default_order: bool = True,
    backward: bool = False,
    after: Cursor | None = None,
) -> Window:
    return Window(
        size=size,
        backward=backward,
        order=tuple(OrderTerm(LINE.fields[name]) for name in names),
        keyset=True,
        is_default_order=is_default_order,
        after=after,
        needs=ConnectionRequirements({"rows"}),
    )


WINDOWS = {
    "first": window(),
    "first 0": window(size=0),
    "last": window(backward=True),
    "after": window(after=Cursor(("a", 1, 1))),
    "nullable": window(("note", *KEY)),
    "asked order": window(("price", *KEY), is_default_order=False),
}


@st.composite
def lists(draw: st.DrawFn) -> list[list[Any]]:
    """Lists whose rows have the joined columns in common."""
    result: list[list[Any]] = []
    for _ in range(draw(st.integers(0, 5))):
        order = draw(st.integers(1, 2))
        numbers = draw(st.lists(st.integers(0, 5), max_size=5))
        result.append([Row("a", order, line, n) for n, line in enumerate(numbers)])
    return result


@pytest.mark.heavy
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", WINDOWS)
@given(lists())
def test_pages_of_many_lists_are_those_of_each(name: str, dialect: str, given: Any) -> None:
    chosen = WINDOWS[name]
    if name in ("nullable", "asked order"):
        given = [[SimpleNamespace(**vars(r), note=None, price=r.number) for r in g] for g in given]
    together = Cutter(chosen, ROW_TYPE, DIALECTS[dialect], same=JOINED).pages(given)
    alone = Cutter(chosen, ROW_TYPE, DIALECTS[dialect])

    assert together == [alone.page(rows) for rows in given]


def test_a_list_that_cannot_be_put_in_order_fails_alone() -> None:
    good = [Row("a", 1, 2, 0), Row("a", 1, 1, 1)]
    bad = [Row("a", 1, 2, 0), Row("a", 1, "x", 1)]
    first, second = Cutter(window(), ROW_TYPE, ODATA, same=JOINED).pages([good, bad])

    assert isinstance(second, Failure)
    assert isinstance(second.error, UpstreamMalformed)
    assert isinstance(first, Page)
    assert [row.number for row in first.rows] == [1, 0]


def test_a_page_says_how_much_more_there_is() -> None:
    rows = [Row("a", 1, n, n) for n in (3, 1, 2)]
    (page,) = Cutter(window(), ROW_TYPE, ODATA).pages([rows])

    assert isinstance(page, Page)
    assert [row.lineNo for row in page.rows] == [1, 2]
    assert (page.has_next, page.has_previous, page.total) == (True, False, 3)


@pytest.mark.parametrize(
    ("texts", "proven"),
    [
        (["US-001", "us-002", "US-010"], True),
        (["1", "10", "2", "a", "A1"], True),
        (["A-1", "A-10", "A-2", "B"], True),
        (["A", "A-1"], True),
        (["A-1", "A1"], False),
        (["A-1", "A-2", "A1"], False),
        (["A'1", "A1"], False),
        (["A 1", "A1"], False),
        (["A_1", "A/1"], False),
        (["a", "\u00e4"], False),
        (["\u00e4a", "\u00e4b"], True),
    ],
)
def test_text_order_is_proven_by_letters_and_digits(texts: list[str], proven: bool) -> None:
    rows = [Row(text, 1, 1, n) for n, text in enumerate(reversed(texts))]
    page = Cutter(window(size=20), ROW_TYPE, FINOPS).page(rows)

    assert (page is not None) is proven
    if page is not None:
        assert [row.area for row in page.rows] == texts


def test_lists_that_cannot_be_proven_are_cut_in_one_order() -> None:
    rows = [Row(text, 1, 1, 0) for text in ("A1", "A-1")]
    page = Cutter(window(size=20), ROW_TYPE, FINOPS, proves=False).page(rows)

    assert page is not None
    assert [row.area for row in page.rows] == ["A-1", "A1"]


def test_a_list_that_came_in_order_is_not_sorted() -> None:
    rows = [Row(text, 1, 1, 0) for text in ("b", "A1", "A-1")]
    page = Cutter(window(size=2), ROW_TYPE, ODATA, ordered=True).page(rows)

    assert page is not None
    assert [row.area for row in page.rows] == ["b", "A1"]
    assert page.has_next
