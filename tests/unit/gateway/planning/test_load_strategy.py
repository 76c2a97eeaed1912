"""``load_strategy``: when a relation is expanded, and how it is loaded otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from gateway.errors import UnsupportedQuery
from gateway.odata.dialect import ODATA, Dialect
from gateway.odata.query import Compare, Expr, Literal, Operator, Path
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.cursors import Cursor
from gateway.planning.joins import join_of
from gateway.planning.load_strategy import Expansion, Relation, expansion, fallback_strategy
from gateway.planning.page_arguments import Paging
from gateway.planning.page_window import Window
from gateway.planning.plan import Via
from tests.support.zoo_model import FO, schema_of

CATALOG = schema_of(FO).catalog
ORDER = CATALOG.object("Zoo.Order")
LINE = CATALOG.object("Zoo.Line")
LINES = ORDER.fields["lines"]
JOINED = Relation(LINES, ORDER, "Orders", LINE, join_of(LINES, CATALOG, FO))
UNJOINED = structs.replace(JOINED, join=None)
NO_WAY = structs.replace(UNJOINED, parent_set=None)
FILTER: Expr = Compare(Path(("Price",)), Operator.GT, Literal(1, "Edm.Int32"))
STARRED: Expr = Compare(Path(("Note",)), Operator.EQ, Literal("a*", "Edm.String"))


def window(**changes: Any) -> Window:
    needs = ConnectionRequirements({"rows"})
    plain = Paging(ODATA, 50, 1_000).window(LINE, {}, needs, ("Lines",))
    return structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("page", "where", "expected"),
    [
        (window(), None, Expansion.WINDOW),
        (window(), FILTER, Expansion.WINDOW),
        (window(after=Cursor((1,))), None, Expansion.WINDOW),
        (window(after=Cursor((1,)), null_order="unknown"), None, None),
        (window(after=Cursor((1,)), needs=ConnectionRequirements({"total"})), None, None),
        (window(keyset=False), None, Expansion.WHOLE),
        (None, None, Expansion.WHOLE),
        (None, FILTER, None),
    ],
)
def test_expand_with_options_carries_pages(
    page: Window | None, where: Expr | None, expected: Expansion | None
) -> None:
    assert ODATA.expand_options

    assert expansion(JOINED, where, page, ODATA) is expected


def test_a_page_that_cannot_be_read_otherwise_is_cut_out_of_all_rows() -> None:
    page = window(after=Cursor((1,)), needs=ConnectionRequirements({"total"}))

    assert expansion(NO_WAY, None, page, ODATA) is Expansion.WHOLE


def test_a_filter_that_must_be_tested_again_is_not_expanded() -> None:
    dialect: Dialect = replace(FO, expand_options=True)

    assert expansion(JOINED, STARRED, window(), dialect) is None


@pytest.mark.parametrize(
    ("relation", "page", "where", "expected"),
    [
        (JOINED, None, None, Expansion.WHOLE),
        (JOINED, None, FILTER, None),
        (JOINED, window(), FILTER, None),
        (JOINED, window(is_default_order=False), None, None),
        (JOINED, window(keyset=False), None, None),
        (JOINED, window(after=Cursor((1,))), None, None),
        (NO_WAY, window(keyset=False), None, Expansion.WHOLE),
        (NO_WAY, window(is_default_order=False), None, None),
    ],
)
def test_expand_without_options_brings_whole_lists(
    relation: Relation, page: Window | None, where: Expr | None, expected: Expansion | None
) -> None:
    assert not FO.expand_options

    assert expansion(relation, where, page, FO) is expected


def test_a_relation_is_read_in_key_batches_before_paths() -> None:
    assert fallback_strategy(JOINED) is Via.KEYS
    assert fallback_strategy(UNJOINED) is Via.PATH
    with pytest.raises(UnsupportedQuery, match="cannot be read from here"):
        fallback_strategy(NO_WAY)
