import re
import sqlite3
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UnsupportedQuery
from gateway.odata.finops import FINOPS
from gateway.odata.local_filter import comparable, evaluate, order_key
from gateway.odata.query import (
    And,
    Compare,
    Has,
    In,
    IsNull,
    Matches,
    Not,
    Operator,
    Or,
    Path,
    Some,
    TextMatch,
    Wildcard,
)
from tests.support.expressions import compare, joined, lit, matches, one_of, path

DATE = "Edm.DateTimeOffset"


def passes(expr, value, *, finops=False):
    absent = {"absent": FINOPS.absent} if finops else {}
    return evaluate(expr, lambda _: value, case_insensitive=finops, **absent)


ROWS = [
    # expression, value, answer as specified, answer by F&O's rules
    (compare("N", "eq", "abc"), "ABC ", False, True),
    (compare("N", "eq", " abc"), "abc", False, False),
    (compare("N", "gt", "B"), "a", True, False),
    (compare("N", "eq", "Straße"), "STRASSE", False, True),
    (matches("N", "contains", "B"), "abc", False, True),
    (matches("N", "startswith", "ab"), "abc", True, True),
    (matches("N", "endswith", "C"), "abc", False, True),
    (matches("N", "contains", "a*c"), "abc", False, False),
    (matches("N", "contains", "a*c"), "xa*cx", True, True),
    (one_of("N", "x", "ABC"), "abc", False, True),
    (one_of("N"), "abc", False, False),
    # nulls: equality is two-valued, functions are not
    (compare("N", "eq", "a"), None, False, False),
    (compare("N", "ne", "a"), None, True, True),
    (compare("N", "le", "a"), None, False, False),
    (matches("N", "contains", ""), None, None, None),
    (Not(matches("N", "contains", "")), None, None, None),
    (Or((matches("N", "contains", "a"), compare("N", "ne", "a"))), None, True, True),
    (And((matches("N", "contains", "a"), compare("N", "ne", "a"))), None, None, None),
    (And((matches("N", "contains", "a"), compare("N", "eq", "a"))), None, False, False),
    (one_of("N", "a", None), None, True, True),
    (compare("N", "eq", None), None, True, True),
    (compare("N", "ne", None), None, False, False),
    (compare("N", "ge", None), None, True, True),
    (compare("N", "gt", None), None, False, False),
    (compare("N", "ne", None), "a", True, True),
    (compare("N", "eq", None), "a", False, False),
    (IsNull(path("N"), "Edm.String"), None, True, True),
    # F&O's own nulls
    (IsNull(path("N"), "Edm.String"), "", False, True),
    (IsNull(path("N"), "Edm.String"), "a", False, False),
    (IsNull(path("D"), DATE), "1900-01-01T12:00:00Z", False, True),
    (IsNull(path("D"), DATE), "1900-01-02T00:00:00Z", False, False),
    (IsNull(path("Q"), "Edm.Int32"), 0, False, False),
    (compare("N", "eq", None), "", False, True),
    # every type by its own order
    (compare("Q", "lt", 10, "Edm.Int64"), "9", True, True),
    (compare("Q", "eq", Decimal("0.10"), "Edm.Decimal"), "0.1", True, True),
    (compare("Q", "eq", Decimal("0.1"), "Edm.Decimal"), Decimal("0.1"), True, True),
    (compare("Q", "gt", Decimal("39.94"), "Edm.Decimal"), 39, False, False),
    (compare("Q", "ne", 0.5, "Edm.Double"), 0.5, False, False),
    (compare("D", "gt", "2024-01-01T00:00:00Z", DATE), "2024-01-01T00:00:00.5Z", True, True),
    (compare("D", "eq", "2024-01-01T00:00:00Z", DATE), "2024-01-01T01:00:00+01:00", True, True),
    (compare("T", "lt", "12:00:00", "Edm.TimeOfDay"), "11:59:59.9", True, True),
    (compare("T", "eq", "PT60M", "Edm.Duration"), "PT1H", True, True),
    (compare("G", "eq", "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10", "Edm.Guid"),
     "6F1A4B0E-8D1C-4F0E-9B59-0D4B3C7A2F10", True, True),
    (compare("B", "eq", "-_8=", "Edm.Binary"), "+/8=", True, True),
    (compare("E", "eq", "Yes", "Ns.NoYes"), "Yes", True, True),
    (compare("O", "eq", True, "Edm.Boolean"), True, True, True),
    (Has(path("E"), lit("Red,Blue", "Ns.Colors")), "Red, Green, Blue", True, True),
    (Has(path("E"), lit("Red,Blue", "Ns.Colors")), "Red", False, False),
    (Has(path("E"), lit("Red", "Ns.Colors")), None, None, None),
    (Wildcard(path("N"), "A*c"), "ab\nc", False, True),
    (Wildcard(path("N"), "a*c", negated=True), "abd", True, True),
    (Wildcard(path("N"), "a.c"), "abc", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("expr", "value", "specified", "finops"), ROWS)
def test_a_filter_is_evaluated_by_the_upstreams_rules(expr, value, specified, finops):
    assert (passes(expr, value), passes(expr, value, finops=True)) == (specified, finops)


def test_any_cannot_be_evaluated_here():
    with pytest.raises(UnsupportedQuery, match="rows of a list cannot be combined"):
        passes(Some(path("Lines"), None), None)


def test_other_types_compare_as_they_come():
    assert comparable("Ns.NoYes", "Yes", case_insensitive=True) == "Yes"
    assert comparable("Edm.Int32", 5, case_insensitive=True) == 5
    assert comparable("Edm.Guid", None, case_insensitive=True) is None


# --- against SQLite -------------------------------------------------------------------------------

TEXT = st.text("aAb ", max_size=4)
TEXTS = st.builds(
    Compare, st.just(Path(("Name",))), st.sampled_from(Operator), TEXT.map(lit)
) | st.builds(Matches, st.just(Path(("Name",))), st.sampled_from(TextMatch), TEXT.map(lit))
NUMBERS = st.integers(-2, 2)
LEAVES = st.one_of(
    TEXTS,
    st.builds(
        Compare,
        st.just(Path(("Qty",))),
        st.sampled_from(Operator),
        NUMBERS.map(lambda n: lit(n, "Edm.Int32")),
    ),
    st.builds(
        In,
        st.just(Path(("Qty",))),
        st.lists(NUMBERS.map(lambda n: lit(n, "Edm.Int32")), max_size=3).map(tuple),
    ),
    st.sampled_from(["Name", "Qty"]).map(lambda n: IsNull(Path((n,)), "Edm.String")),
)
ROW = st.tuples(st.none() | TEXT, st.none() | NUMBERS)

SQL = {"eq": "IS", "ne": "IS NOT", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def sql(expr, bound):
    """Say the expression in SQL, where functions of null are null and OData's comparisons are not."""
    match expr:
        case And(terms):
            return "(" + " AND ".join(["1", *(sql(t, bound) for t in terms)]) + ")"
        case Or(terms):
            return "(" + " OR ".join(["0", *(sql(t, bound) for t in terms)]) + ")"
        case Not(term):
            return f"(NOT {sql(term, bound)})"
        case IsNull(Path((name,))):
            return f"({name} IS NULL)"
        case In(Path((name,)), values):
            bound.extend(v.value for v in values)
            return "(" + " OR ".join(["0", *([f"{name} IS ?"] * len(values))]) + ")"
        case Compare(Path((name,)), operator, literal):
            bound.append(literal.value)
            left, right = TRIMMED if name == "Name" else (name, "?")
            return f"coalesce({left} {SQL[operator.value]} {right}, 0)"
        case Matches(match=match, value=literal):
            bound.append(literal.value)
            return f"{match.value}(Name, ?)"
    raise AssertionError(expr)


TRIMMED = ("rtrim(Name) COLLATE NOCASE", "rtrim(?)")


def search(pattern):
    """Return a function of SQL whose answer is null where the text is."""

    def found(value, part):
        if value is None:
            return None
        return re.search(pattern.format(re.escape(part)), value, re.IGNORECASE) is not None

    return found


DATABASE = sqlite3.connect(":memory:")
for name, pattern in (("contains", "{}"), ("startswith", r"\A{}"), ("endswith", r"{}\Z")):
    DATABASE.create_function(name, 2, search(pattern))
DATABASE.execute("CREATE TABLE r (i INTEGER PRIMARY KEY, Name TEXT, Qty INTEGER)")


def fill(rows):
    DATABASE.execute("DELETE FROM r")
    DATABASE.executemany("INSERT INTO r VALUES (?, ?, ?)", [(i, *r) for i, r in enumerate(rows)])


@given(joined(LEAVES), st.lists(ROW, min_size=1, max_size=8))
def test_filters_agree_with_a_database(expr, rows):
    fill(rows)
    bound: list[Any] = []
    clause = sql(expr, bound)
    expected = [row[0] for row in DATABASE.execute(f"SELECT {clause} FROM r ORDER BY i", bound)]

    items = [
        evaluate(expr, {Path(("Name",)): name, Path(("Qty",)): qty}.get, case_insensitive=True)
        for name, qty in rows
    ]

    assert items == [None if e is None else bool(e) for e in expected]


@given(st.lists(ROW, max_size=10), st.tuples(st.booleans(), st.booleans()))
def test_orders_agree_with_a_database(rows, descending):
    fill(rows)
    first, second = ("DESC" if d else "ASC" for d in descending)
    order = f"rtrim(Name) COLLATE NOCASE {first}, Qty {second}, i"
    expected = [row[0] for row in DATABASE.execute(f"SELECT i FROM r ORDER BY {order}")]

    def key(i):
        return order_key(rows[i], ("Edm.String", "Edm.Int32"), descending, case_insensitive=True)

    assert sorted(range(len(rows)), key=key) == expected
