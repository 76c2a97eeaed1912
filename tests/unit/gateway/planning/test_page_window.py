"""``page_window`` and ``page_arguments``: which part of a list, as filters and positions."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadArgument, GatewayError, InvalidCursor, PageLimitExceeded
from gateway.odata.dialect import ODATA
from gateway.odata.query import FALSE, Query, Resource
from gateway.odata.render import filter_text
from gateway.operations.connection_parts import ConnectionRequirements
from gateway.operations.cursors import Cursor, keyset_cursor, offset_cursor
from gateway.planning.page_arguments import Paging
from gateway.planning.page_window import (
    OrderTerm,
    Span,
    Window,
    order_by,
    rows_beyond,
    span,
    with_window,
)
from tests.support.zoo_model import schema_of

CATALOG = schema_of(ODATA).catalog
ORDER = CATALOG.object("Zoo.Order")


def term(name: str, descending: bool = False) -> OrderTerm:
    return OrderTerm(ORDER.fields[name], descending)


NUMBER, NUMBER_DOWN = term("number"), term("number", True)
MUST, MUST_DOWN = term("numberMust"), term("numberMust", True)
ID, ID_DOWN = term("orderId"), term("orderId", True)


@pytest.mark.parametrize(
    ("terms", "values", "backward", "expected"),
    [
        ([ID], [5], False, "OrderId gt 5"),
        ([ID], [5], True, "OrderId lt 5"),
        ([ID_DOWN], [5], False, "OrderId lt 5"),
        ([ID_DOWN], [5], True, "OrderId gt 5"),
        ([MUST, ID], [1, 5], False, "NumberMust ge 1 and (NumberMust gt 1 or OrderId gt 5)"),
        ([MUST_DOWN, ID], [1, 5], False, "NumberMust le 1 and (NumberMust lt 1 or OrderId gt 5)"),
        ([MUST, ID], [1, 5], True, "NumberMust le 1 and (NumberMust lt 1 or OrderId lt 5)"),
        # Nulls come first where the order rises.
        ([NUMBER, ID], [1, 5], False, "Number ge 1 and (Number gt 1 or OrderId gt 5)"),
        ([NUMBER, ID], [None, 5], False, "not (Number eq null) or OrderId gt 5"),
        (
            [NUMBER, ID],
            [1, 5],
            True,
            "(Number le 1 or Number eq null) and (Number lt 1 or Number eq null or OrderId lt 5)",
        ),
        ([NUMBER, ID], [None, 5], True, "Number eq null and OrderId lt 5"),
        (
            [NUMBER_DOWN, ID],
            [1, 5],
            False,
            "(Number le 1 or Number eq null) and (Number lt 1 or Number eq null or OrderId gt 5)",
        ),
        ([NUMBER_DOWN, ID], [None, 5], False, "Number eq null and OrderId gt 5"),
        ([NUMBER_DOWN, ID], [None, 5], True, "not (Number eq null) or OrderId lt 5"),
    ],
)
def test_rows_beyond_a_cursor(
    terms: list[OrderTerm], values: list[Any], backward: bool, expected: str
) -> None:
    assert filter_text(rows_beyond(terms, values, backward=backward, nulls=True)) == expected


@pytest.mark.parametrize(
    ("terms", "values", "backward", "expected"),
    [
        (
            [NUMBER, ID],
            [1, 5],
            False,
            "(Number ge 1 or Number eq null) and (Number gt 1 or Number eq null or OrderId gt 5)",
        ),
        ([NUMBER, ID], [None, 5], False, "Number eq null and OrderId gt 5"),
        ([NUMBER, ID], [1, 5], True, "Number le 1 and (Number lt 1 or OrderId lt 5)"),
        ([NUMBER, ID], [None, 5], True, "not (Number eq null) or OrderId lt 5"),
        ([NUMBER_DOWN, ID], [1, 5], False, "Number le 1 and (Number lt 1 or OrderId gt 5)"),
        ([NUMBER_DOWN, ID], [None, 5], False, "not (Number eq null) or OrderId gt 5"),
    ],
)
def test_rows_beyond_a_cursor_where_nulls_come_last(
    terms: list[OrderTerm], values: list[Any], backward: bool, expected: str
) -> None:
    beyond = rows_beyond(terms, values, backward=backward, nulls=True, nulls_last=True)

    assert filter_text(beyond) == expected


def test_a_service_without_nulls_is_not_asked_for_null() -> None:
    beyond = rows_beyond([NUMBER_DOWN, ID], [1, 5], backward=False, nulls=False)

    assert filter_text(beyond) == "Number le 1 and (Number lt 1 or OrderId gt 5)"


def test_nothing_comes_after_null_where_the_order_falls() -> None:
    assert rows_beyond([NUMBER_DOWN], [None], backward=False, nulls=True) == FALSE


def test_a_backward_window_turns_the_order_round() -> None:
    assert [o.descending for o in order_by([ID, NUMBER_DOWN], backward=False)] == [False, True]
    assert [o.descending for o in order_by([ID, NUMBER_DOWN], backward=True)] == [True, False]


def window(**given: Any) -> Window:
    values: dict[str, Any] = {
        "size": 3,
        "order": (ID,),
        "keyset": True,
        "is_default_order": True,
        "needs": ConnectionRequirements({"rows"}),
        **given,
    }
    return Window(**values)


@pytest.mark.parametrize(
    ("given", "top", "count"),
    [
        ({}, 3, False),
        ({"needs": ConnectionRequirements({"rows", "next"})}, 4, False),
        ({"needs": ConnectionRequirements({"rows", "previous"})}, 3, False),
        ({"needs": ConnectionRequirements({"rows", "previous"}), "backward": True}, 4, False),
        ({"needs": ConnectionRequirements({"rows", "next"}), "backward": True}, 3, False),
        ({"needs": ConnectionRequirements({"rows", "total"})}, 3, True),
        (
            {"needs": ConnectionRequirements({"rows", "total"}), "after": Cursor(values=(1,))},
            3,
            False,
        ),
    ],
)
def test_one_more_row_is_read_only_if_it_is_needed(
    given: dict[str, Any], top: int, count: bool
) -> None:
    query = with_window(Query(resource=Resource("Orders")), window(**given), ODATA)

    assert (query.top, query.count) == (top, count)


def test_a_window_between_two_cursors_is_a_filter_with_two_ends() -> None:
    given = window(after=Cursor(values=(1,)), before=Cursor(values=(9,)))
    query = with_window(Query(resource=Resource("Orders")), given, ODATA)

    assert query.where is not None
    assert filter_text(query.where) == "OrderId gt 1 and OrderId lt 9"


@pytest.mark.parametrize(
    ("given", "total", "expected"),
    [
        ({}, None, Span(0, 3, False, False)),
        ({}, 10, Span(0, 3, True, False)),
        ({}, 2, Span(0, 2, False, False)),
        ({"after": Cursor(offset=4)}, 10, Span(5, 8, True, True)),
        ({"after": Cursor(offset=4)}, None, Span(5, 8, False, True)),
        ({"after": Cursor(offset=20)}, 10, Span(21, 21, False, True)),
        ({"before": Cursor(offset=2)}, None, Span(0, 2, True, False)),
        ({"before": Cursor(offset=8)}, None, Span(0, 3, True, False)),
        ({"after": Cursor(offset=1), "before": Cursor(offset=4)}, None, Span(2, 4, True, True)),
        ({"after": Cursor(offset=5), "before": Cursor(offset=2)}, None, Span(6, 6, True, True)),
        ({"backward": True}, 10, Span(7, 10, False, True)),
        ({"backward": True}, 2, Span(0, 2, False, False)),
        ({"backward": True, "before": Cursor(offset=5)}, None, Span(2, 5, True, True)),
        ({"backward": True, "before": Cursor(offset=2)}, None, Span(0, 2, True, False)),
        (
            {"backward": True, "after": Cursor(offset=1), "before": Cursor(offset=9)},
            None,
            Span(6, 9, True, True),
        ),
        (
            {"backward": True, "after": Cursor(offset=6), "before": Cursor(offset=3)},
            None,
            Span(7, 7, True, True),
        ),
    ],
)
def test_positions(given: dict[str, Any], total: int | None, expected: Span) -> None:
    assert span(window(keyset=False, **given), total) == expected


@pytest.mark.parametrize(
    ("needs", "given", "count_only"),
    [
        (ConnectionRequirements(), {}, True),
        (ConnectionRequirements({"total"}), {}, True),
        (ConnectionRequirements({"rows"}), {}, False),
        (ConnectionRequirements({"rows"}), {"size": 0}, True),
        (ConnectionRequirements({"next"}), {}, False),
        (ConnectionRequirements({"next"}), {"before": Cursor(values=(1,))}, True),
        (ConnectionRequirements({"previous"}), {}, True),
        (ConnectionRequirements({"previous"}), {"backward": True}, False),
    ],
)
def test_rows_are_read_only_for_what_needs_them(
    needs: ConnectionRequirements, given: dict[str, Any], count_only: bool
) -> None:
    assert window(needs=needs, **given).count_only is count_only


# -- arguments

PAGING = Paging(ODATA, default_page=50, max_page=1_000)


def read(paging: Paging = PAGING, **arguments: Any) -> Window:
    return paging.window(ORDER, arguments, ConnectionRequirements({"rows"}), ("Orders", None, None))


@pytest.mark.parametrize(
    ("arguments", "size", "backward"),
    [
        ({}, 50, False),
        ({"first": None}, 50, False),
        ({"first": 0}, 0, False),
        ({"first": 1_000}, 1_000, False),
        ({"last": 7}, 7, True),
        ({"first": None, "last": 7}, 7, True),
    ],
)
def test_sizes(arguments: dict[str, Any], size: int, backward: bool) -> None:
    document = read(**arguments)

    assert (document.size, document.backward) == (size, backward)


def test_the_default_is_never_more_than_the_maximum() -> None:
    assert read(Paging(ODATA, default_page=50, max_page=10)).size == 10


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"first": -1}, BadArgument),
        ({"last": -1}, BadArgument),
        ({"first": 1_001}, PageLimitExceeded),
        ({"last": 1_001}, PageLimitExceeded),
        ({"first": 1, "last": 1}, BadArgument),
        ({"first": 0, "last": 0}, BadArgument),
    ],
)
def test_sizes_that_cannot_be(arguments: dict[str, Any], error: type[GatewayError]) -> None:
    with pytest.raises(error):
        read(**arguments)


def test_the_key_ends_every_order_and_a_term_counts_once() -> None:
    document = read(orderBy=[{"number": "DESC"}, {"orderId": "DESC"}, {"number": "ASC"}])

    assert [(t.field.name, t.descending) for t in document.order] == [
        ("number", True),
        ("orderId", True),
        ("area", False),
    ]
    assert document.keyset
    assert not document.is_default_order


@pytest.mark.parametrize("name", ["flag", "colour", "uid", "open"])
def test_an_order_that_cannot_be_compared_uses_positions(name: str) -> None:
    assert not read(orderBy=[{name: "ASC"}]).keyset


def test_a_cursor_comes_back_in_the_types_of_the_order() -> None:
    text = keyset_cursor(read().binding, ["A1", "7"])

    assert read(after=text).after == Cursor(values=("A1", 7))


@pytest.mark.parametrize(
    "values", [["A1", "x"], ["A1", 2**40], [5, 7], [["A1"], 7], [{"a": 1}, 7], [b"A1", 7]]
)
def test_a_forged_cursor_of_other_types_is_refused(values: list[Any]) -> None:
    with pytest.raises(InvalidCursor) as caught:
        read(after=keyset_cursor(read().binding, values))

    assert caught.value.code == "INVALID_CURSOR"


def test_a_position_in_a_list_of_keys_is_refused_and_the_reverse() -> None:
    flags: dict[str, Any] = {"orderBy": [{"flag": "ASC"}]}
    with pytest.raises(InvalidCursor):
        read(after=offset_cursor(read().binding, 5))
    with pytest.raises(InvalidCursor):
        read(before=keyset_cursor(read(**flags).binding, [True, "A1", 7]), **flags)

    assert read(after=offset_cursor(read(**flags).binding, 5), **flags).after == Cursor(offset=5)


def test_a_cursor_of_another_order_filter_or_scope_is_refused() -> None:
    text = keyset_cursor(read().binding, ["A1", 7])
    others = [
        PAGING.window(ORDER, {}, ConnectionRequirements(), ("Orders", None, ("usmf",))),
        PAGING.window(ORDER, {}, ConnectionRequirements(), ("Lines", None, None)),
        read(orderBy=[{"area": "DESC"}]),
    ]

    assert len({w.binding for w in (*others, read())}) == 4
    with pytest.raises(InvalidCursor):
        read(orderBy=[{"area": "DESC"}], after=text)
