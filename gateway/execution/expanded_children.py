"""Children that came inside their parents: pages and rows are put into the slots of many parents at once.

The quick way, for plans whose rows all come in one answer, over rows just decoded. It only ever succeeds: rows that
need more than looking at (a link to the rest of the children, a list that is none) raise Surprise, and ``run`` does
the same parent by parent, with requests and errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET

from gateway.odata.dialect import Dialect
from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.pages import Failure, Page
from gateway.operations.row_types import parse_count
from gateway.planning.page_window import empty_page, keyset_page
from gateway.planning.plan import ChildPlan, ReadPlan, Via

from .answer_checks import check_expanded
from .decimal_text import text_type
from .page_cutter import Cutter, column_of

_NO_LINK = frozenset({None})
Place = Callable[[Sequence[Any]], None]


def is_whole(plan: ReadPlan) -> bool:
    """Return whether all that is below the plan's rows comes inside them, as typed values."""
    return plan.row_type.typed and all(
        child.via is Via.EXPAND and child.owners is None and is_whole(child.plan)
        for child in plan.children
    )


def is_raw(plan: ReadPlan) -> bool:
    """Return whether the rows of a list may stay JSON text until completion, because nothing inspects them earlier."""
    assert plan.window is not None
    return plan.window.null_order is None and is_whole(plan)


def placing(plan: ReadPlan, dialect: Dialect, *, texts: bool) -> Place:
    """Return the function that puts all children of a whole plan's rows in their places.

    ``texts``: it makes text of their decimals too. It raises Surprise, or what ``texts`` raises.
    """
    places = [_child(child, dialect, texts=texts) for child in plan.children]
    if texts:
        places.insert(0, text_type(plan.row_type).convert)

    def place(rows: Sequence[Any]) -> None:
        for one in places:
            one(rows)

    return place


def _child(child: ChildPlan, dialect: Dialect, *, texts: bool) -> Place:
    slot = child.child.slot
    get, below = column_of(slot), placing(child.plan, dialect, texts=texts)
    if child.plan.window is None:
        return lambda rows: below([row for row in get(rows) if row is not None])
    paged = _paged if child.paged else _cut
    cut = paged(child, dialect)
    get_links = column_of(f"n{child.child.index}")

    def place_pages(rows: Sequence[Any]) -> None:
        found = get(rows)
        if UNSET in found or not _NO_LINK.issuperset(get_links(rows)):
            raise FastPathMiss
        lists = [some or [] for some in found]
        below([row for some in lists for row in some])
        for row, page in zip(rows, cut(rows, lists), strict=True):
            setattr(row, slot, page)

    return place_pages


Cut = Callable[[Sequence[Any], list[list[Any]]], Sequence[Page | Failure]]
"""(parents, children of each) → page of each."""


def _cut(child: ChildPlan, dialect: Dialect) -> Cut:
    """All rows came: the window is cut here."""
    assert child.plan.window is not None
    same = () if child.join is None else child.join.target
    cutter = Cutter(
        child.plan.window,
        child.plan.row_type,
        dialect,
        same=same,
        ordered=dialect.expand_options,
        proves=child.in_order is not None,
    )

    def cut(_: Sequence[Any], lists: list[list[Any]]) -> Sequence[Page | Failure]:
        pages = [page for page in cutter.pages(lists) if page is not None]
        if len(pages) < len(lists):
            raise FastPathMiss
        return pages

    return cut


def _paged(child: ChildPlan, _: Dialect) -> Cut:
    """Just the window's rows came."""
    window, row_type = child.plan.window, child.plan.row_type
    assert window is not None
    get_totals = column_of(f"k{child.child.index}")

    def cut(parents: Sequence[Any], lists: list[list[Any]]) -> list[Page]:
        totals = [parse_count(total) for total in get_totals(parents)]
        for rows in lists:
            check_expanded(rows, window)
        if window.count_only:
            return [empty_page(window, total) for total in totals]
        return [
            keyset_page(rows, window, row_type, total)
            for rows, total in zip(lists, totals, strict=True)
        ]

    return cut
