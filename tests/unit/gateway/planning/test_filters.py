"""``gateway.planning.filters``: coerced arguments as expressions, printed as OData writes them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadArgument
from gateway.odata.dialect import ODATA
from gateway.odata.query import Expr
from gateway.odata.render import filter_text
from gateway.planning.filters import MAX_ITEMS, WhereReader, all_of
from tests.support.zoo_model import FO, schema_of

CATALOG = schema_of(ODATA).catalog
FINOPS = schema_of(FO).catalog


def text(expr: Expr | None) -> str | None:
    return None if expr is None else filter_text(expr)


def order(given: Any) -> str | None:
    return text(WhereReader(CATALOG).read("Zoo.Order", given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ({}, None),
        ({"number": None}, None),
        ({"number": {}}, None),
        ({"number": {"eq": 1}}, "Number eq 1"),
        ({"number": {"ne": 1}}, "Number ne 1"),
        ({"number": {"gt": 1, "lte": 5}}, "Number gt 1 and Number le 5"),
        ({"number": {"gte": 1}, "flag": {"eq": True}}, "Number ge 1 and Flag eq true"),
        ({"number": {"lt": -1}}, "Number lt -1"),
        ({"number": {"in": [1, 2]}}, "Number in (1,2)"),
        ({"number": {"in": []}}, "Number in ()"),
        ({"number": {"nin": [1]}}, "not (Number in (1))"),
        ({"number": {"eq": None}}, "Number eq null"),
        ({"number": {"ne": None}}, "not (Number eq null)"),
        ({"number": {"isNull": True}}, "Number eq null"),
        ({"number": {"isNull": False}}, "not (Number eq null)"),
        ({"text": {"eq": "O'Neil"}}, "Text eq 'O''Neil'"),
        ({"text": {"contains": "a"}}, "contains(Text,'a')"),
        ({"text": {"startsWith": "a"}}, "startswith(Text,'a')"),
        ({"text": {"endsWith": "*"}}, "endswith(Text,'*')"),
        ({"open": {"eq": True}}, "Open eq Zoo.NoYes'Yes'"),
        ({"open": {"ne": False}}, "Open ne Zoo.NoYes'No'"),
        ({"colour": {"eq": "DARK_GREEN"}}, "Colour eq Zoo.Colour'DarkGreen'"),
        ({"colour": {"in": ["RED", "BLUE"]}}, "Colour in (Zoo.Colour'Red',Zoo.Colour'Blue')"),
        ({"rights": {"has": ["READ"]}}, "Rights has Zoo.Rights'Read'"),
        ({"rights": {"has": ["READ", "WRITE"]}}, "Rights has Zoo.Rights'Read,Write'"),
        ({"not": {"rights": {"has": ["READ"]}}}, "not (Rights has Zoo.Rights'Read')"),
        ({"rights": {"eq": ["WRITE", "READ"]}}, "Rights eq Zoo.Rights'Write,Read'"),
        ({"rights": {"ne": []}}, "Rights ne Zoo.Rights'0'"),
        ({"rights": {"in": ["READ"]}}, "Rights in (Zoo.Rights'Read')"),
        ({"party": {"name": {"eq": "x"}}}, "Party/Name eq 'x'"),
        ({"party": {"not": {"name": {"eq": "x"}}}}, "not (Party/Name eq 'x')"),
        ({"and": []}, None),
        ({"and": [{"number": {"eq": 1}}]}, "Number eq 1"),
        (
            {"and": [{"number": {"eq": 1}}, {}, {"flag": {"eq": True}}]},
            "Number eq 1 and Flag eq true",
        ),
        ({"or": [{"number": {"eq": 1}}, {"number": {"eq": 2}}]}, "Number eq 1 or Number eq 2"),
        ({"or": []}, "false"),
        ({"or": [{}]}, "true"),
        ({"or": [{"number": {"eq": 1}}, {}]}, "Number eq 1 or true"),
        ({"not": {"number": {"eq": 1}}}, "not (Number eq 1)"),
        ({"not": {}}, None),
        (
            {"or": [{"number": {"eq": 1}}, {"flag": {"eq": True}}], "small": {"gt": 0}},
            "(Number eq 1 or Flag eq true) and Small gt 0",
        ),
        ({"lines": {"some": {"price": {"gt": 1}}}}, "Lines/any(x0:x0/Price gt 1)"),
        ({"lines": {"some": {}}}, "Lines/any()"),
        ({"lines": {"none": {"price": {"gt": 1}}}}, "not Lines/any(x0:x0/Price gt 1)"),
        ({"lines": {"some": None}}, None),
        (
            {"lines": {"some": {"note": {"eq": "a"}}, "none": {"note": {"eq": "b"}}}},
            "Lines/any(x0:x0/Note eq 'a') and not Lines/any(x0:x0/Note eq 'b')",
        ),
        # Days: the wire holds a moment, noon by custom.
        (
            {"due": {"eq": "2024-01-31"}},
            "Due ge 2024-01-31T00:00:00Z and Due lt 2024-02-01T00:00:00Z",
        ),
        (
            {"due": {"ne": "2024-01-31"}},
            "Due lt 2024-01-31T00:00:00Z or Due ge 2024-02-01T00:00:00Z",
        ),
        ({"due": {"gt": "2024-01-31"}}, "Due ge 2024-02-01T00:00:00Z"),
        ({"due": {"gte": "2024-01-31"}}, "Due ge 2024-01-31T00:00:00Z"),
        (
            {"due": {"lt": "2024-01-31"}},
            "Due ge 1900-01-02T00:00:00Z and Due lt 2024-01-31T00:00:00Z",
        ),
        (
            {"due": {"lte": "2024-01-31"}},
            "Due ge 1900-01-02T00:00:00Z and Due lt 2024-02-01T00:00:00Z",
        ),
        (
            {"due": {"in": ["2024-01-31"]}},
            "Due ge 2024-01-31T00:00:00Z and Due lt 2024-02-01T00:00:00Z",
        ),
        (
            {"due": {"nin": ["2024-01-31"]}},
            "not (Due ge 2024-01-31T00:00:00Z and Due lt 2024-02-01T00:00:00Z)",
        ),
        ({"day": {"lt": "2024-01-31"}}, "Day lt 2024-01-31"),
        ({"moment": {"lt": "2024-01-31T00:00:00Z"}}, "Moment lt 2024-01-31T00:00:00Z"),
    ],
)
def test_what_a_filter_says(given: Any, expected: str | None) -> None:
    assert order(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"moment": {"lt": "2024-01-31T00:00:00Z"}},
            "Moment ge 1900-01-02T00:00:00Z and Moment lt 2024-01-31T00:00:00Z",
        ),
        ({"moment": {"gt": "2024-01-31T00:00:00Z"}}, "Moment gt 2024-01-31T00:00:00Z"),
    ],
)
def test_a_date_that_shows_as_null_is_before_nothing(given: Any, expected: str) -> None:
    assert text(WhereReader(FINOPS).read("Zoo.Order", given)) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"number": {"gt": None}}, "where.number.gt cannot be null."),
        ({"number": {"in": None}}, "where.number.in cannot be null."),
        ({"text": {"contains": None}}, "where.text.contains cannot be null."),
        ({"number": {"isNull": None}}, "where.number.isNull takes true or false."),
        ({"small": {"eq": 70_000}}, "where.small.eq: expected a whole number"),
        ({"due": {"eq": "9999-12-31"}}, "where.due.eq: 9999-12-31 is not a day"),
        ({"number": {"in": list(range(MAX_ITEMS + 1))}}, "where.number.in has 4,001 items"),
        ({"or": [{}] * (MAX_ITEMS + 1)}, "where.or has 4,001 items"),
    ],
)
def test_errors_name_the_place_of_a_bad_operand(given: Any, said: str) -> None:
    with pytest.raises(BadArgument) as caught:
        order(given)

    assert caught.value.message.startswith(said)
    assert caught.value.hint or "isNull" in said or "9999" in said


def test_all_of_nothing_is_nothing_and_of_one_that_one() -> None:
    one = WhereReader(CATALOG).read("Zoo.Order", {"number": {"eq": 1}})

    assert all_of() is None
    assert all_of(None, None) is None
    assert all_of(None, one) is one
