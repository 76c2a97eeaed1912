"""Fast path for ``$expand``: assigns decoded children to the slots of all parents.

For plans whose rows all come in one answer. It sends nothing and reports nothing: rows that need a request or an error
(a link to the rest of the children, a value that is no list) raise FastPathMiss, and ``child_loader`` does the same
parent by parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET

from gateway.odata.dialect import Dialect
from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.lenient_rows import parse_count
from gateway.operations.pages import Failure, Page
from gateway.planning.page_window import empty_page, keyset_page
from gateway.planning.plan import ChildPlan, ReadPlan, Via

from .answer_checks import check_expanded
from .decimal_text import text_type
from .page_cutter import Cutter, column_of

_NO_LINK = frozenset({None})
Place = Callable[[Sequence[Any]], None]


def is_whole(plan: ReadPlan) -> bool:
    """Return whether everything below the plan's rows comes inside them, as typed values that need no redaction."""
    row_type = plan.row_type
    return (
        row_type.typed
        and row_type.redact is None
        and all(
            child.via is Via.EXPAND and child.owners is None and is_whole(child.plan)
            for child in plan.children
        )
    )


def is_raw(plan: ReadPlan) -> bool:
    """Return whether the rows of a list may stay JSON text until completion, because nothing inspects them earlier."""
    assert plan.window is not None
    return plan.window.null_order is None and is_whole(plan)


def placer(plan: ReadPlan, dialect: Dialect, *, texts: bool, learns: bool = False) -> Place:
    """Return a function that puts all children that came inside a plan's rows into their slots.

    ``texts``: it turns decimals into text as well. ``learns``: it notes how long lists are. The function raises
    FastPathMiss, or what ``decimal_text.texts`` raises.
    """
    places = [
        _child(child, dialect, texts=texts, learns=learns)
        for child in plan.children
        if child.via is Via.EXPAND
    ]
    if texts:
        places.insert(0, text_type(plan.row_type).convert)

    def place(rows: Sequence[Any]) -> None:
        for place_child in places:
            place_child(rows)

    return place


def _child(child: ChildPlan, dialect: Dialect, *, texts: bool, learns: bool) -> Place:
    slot = child.child.slot
    get, below = column_of(slot), placer(child.plan, dialect, texts=texts, learns=learns)
    if child.plan.window is None:
        return lambda rows: below([row for row in get(rows) if row is not None])
    pages_of = (_pages_as_sent if child.paged else _pages_cut_here)(child, dialect)
    get_links = column_of(f"n{child.child.index}")

    def place_pages(rows: Sequence[Any]) -> None:
        values = get(rows)
        # A next link beside a list inside ``$expand`` says that not all of its rows came.
        if UNSET in values or not _NO_LINK.issuperset(get_links(rows)):
            raise FastPathMiss
        lists = [value or [] for value in values]
        all_rows = [row for own in lists for row in own]
        if learns and not child.paged:
            child.child.lengths.learn(len(lists), len(all_rows))
        below(all_rows)
        for row, page in zip(rows, pages_of(rows, lists), strict=True):
            setattr(row, slot, page)

    return place_pages


PagesOf = Callable[[Sequence[Any], list[list[Any]]], Sequence[Page | Failure]]
"""(parents, children of each) → page of each."""


def _pages_cut_here(child: ChildPlan, dialect: Dialect) -> PagesOf:
    """Return the function for lists that came whole: their window is cut here."""
    assert child.plan.window is not None
    cutter = Cutter(
        child.plan.window,
        child.plan.row_type,
        dialect,
        same=() if child.join is None else child.join.target,
        ordered=dialect.expand_options,
        proves=child.in_order is not None,
    )

    def pages_of(_: Sequence[Any], lists: list[list[Any]]) -> Sequence[Page | Failure]:
        pages = [page for page in cutter.pages(lists) if page is not None]
        if len(pages) < len(lists):
            raise FastPathMiss
        return pages

    return pages_of


def _pages_as_sent(child: ChildPlan, _: Dialect) -> PagesOf:
    """Return the function for lists of which just the window's rows came."""
    window, row_type = child.plan.window, child.plan.row_type
    assert window is not None
    get_totals = column_of(f"k{child.child.index}")

    def pages_of(parents: Sequence[Any], lists: list[list[Any]]) -> list[Page]:
        totals = [parse_count(total) for total in get_totals(parents)]
        for rows in lists:
            check_expanded(rows, window)
        if window.count_only:
            return [empty_page(window, total) for total in totals]
        return [
            keyset_page(rows, window, row_type, total)
            for rows, total in zip(lists, totals, strict=True)
        ]

    return pages_of
