"""``value_conversion``: cleaning in both directions, and that compiled and interpreted cleaning agree."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    BadArgument,
    GatewayError,
    NotFinite,
    UnknownEnumValue,
    UpstreamMalformed,
)
from gateway.operations.completion_compiler import Compiler, FastPathMiss
from gateway.operations.value_conversion import clean_date, day_bounds, from_upstream, to_literal
from schema.catalog.records import Clean, EnumInfo, ValueType

COLOUR = EnumInfo(
    "Colour",
    "T.Colour",
    False,
    {"Red": "RED", "DarkRed": "DARK_RED"},
    {},
    {"RED": "Red", "DARK_RED": "DarkRed"},
)
NO_YES = EnumInfo(
    "NoYes", "T.NoYes", False, {"No": "NO", "Yes": "YES"}, {}, {"NO": "No", "YES": "Yes"}
)
RIGHTS = EnumInfo(
    "Rights",
    "T.Rights",
    True,
    {"Read": "READ", "Write": "WRITE"},
    {},
    {"READ": "Read", "WRITE": "Write"},
)

TYPES: dict[str, ValueType] = {
    "String": ValueType("String", "Edm.String", "string"),
    "Int": ValueType("Int", "Edm.Int32", "number"),
    "Long": ValueType("Long", "Edm.Int64", "number"),
    "Decimal": ValueType("Decimal", "Edm.Decimal", "number"),
    "Float": ValueType("Float", "Edm.Double", "number"),
    "Boolean": ValueType("Boolean", "Edm.Boolean", "boolean"),
    "NoYes": ValueType("Boolean", "T.NoYes", "boolean", Clean.NO_YES, NO_YES),
    "Colour": ValueType("Colour", "T.Colour", "enum", Clean.NONE, COLOUR),
    "Rights": ValueType("Rights", "T.Rights", "flags", Clean.NONE, RIGHTS),
    "DateTime": ValueType("DateTime", "Edm.DateTimeOffset", "temporal"),
    "null date": ValueType("DateTime", "Edm.DateTimeOffset", "temporal", Clean.NULL_DATE),
    "date": ValueType("Date", "Edm.DateTimeOffset", "date", Clean.DATE),
    "key date": ValueType("Date", "Edm.DateTimeOffset", "date", Clean.KEY_DATE),
    "UUID": ValueType("UUID", "Edm.Guid", "guid"),
    "Base64": ValueType("Base64", "Edm.Binary", "binary"),
    "JSON": ValueType("JSON", "Edm.Untyped", "other"),
}
NEVER = "1900-01-01T00:00:00Z"
NOON_NEVER = "1900-01-01T12:00:00Z"
LATE = "2154-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("kind", "raw", "clean"),
    [
        *((kind, None, None) for kind in TYPES),
        ("String", "", ""),
        ("String", "x", "x"),
        ("Int", -(2**31), -(2**31)),
        ("Int", 2**31 - 1, 2**31 - 1),
        ("Long", 2**63 - 1, 2**63 - 1),
        ("Long", "-5", "-5"),
        ("Decimal", Decimal("1.10"), Decimal("1.10")),
        ("Decimal", 5, 5),
        ("Float", 1.5, 1.5),
        ("Float", 5, 5),
        ("Float", Decimal("1.5"), 1.5),
        ("Boolean", True, True),
        ("NoYes", "No", False),
        ("NoYes", "Yes", True),
        ("Colour", "DarkRed", "DARK_RED"),
        ("Rights", "Read", ["READ"]),
        ("Rights", "Read, Write", ["READ", "WRITE"]),
        ("Rights", "Read,Write", ["READ", "WRITE"]),
        ("Rights", "0", []),
        ("DateTime", NEVER, NEVER),
        ("null date", NEVER, None),
        ("null date", NOON_NEVER, None),
        ("null date", LATE, LATE),
        ("date", NEVER, None),
        ("date", NOON_NEVER, None),
        ("date", "2024-01-31T12:00:00Z", "2024-01-31"),
        ("date", LATE, "2154-12-31"),
        ("key date", NOON_NEVER, "1900-01-01"),
        ("DateTime", "2024-01-31T01:00:00.500+02:00", "2024-01-30T23:00:00.5Z"),
        ("DateTime", "2024-01-31T01:00:00.0000000Z", "2024-01-31T01:00:00.0000000Z"),
        ("DateTime", "2024-01-31T12:00-05:00", "2024-01-31T17:00:00Z"),
        ("null date", "1900-01-01T02:00:00+02:00", None),
        ("date", "2024-01-31T00:30:00+01:00", "2024-01-30"),
        ("key date", "2024-01-31T00:30:00+01:00", "2024-01-30"),
        ("UUID", "x", "x"),
        ("JSON", {"a": [1]}, {"a": [1]}),
    ],
)
def test_what_leaves(kind: str, raw: object, clean: object) -> None:
    assert from_upstream(TYPES[kind], raw) == clean


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("String", 5),
        ("String", ["x"]),
        ("Int", "5"),
        ("Int", 1.5),
        ("Int", True),
        ("Int", 2**31),
        ("Int", -(2**31) - 1),
        ("Long", "x"),
        ("Long", 1.5),
        ("Long", True),
        ("Decimal", "x"),
        ("Decimal", True),
        ("Decimal", Decimal("sNaN")),
        ("Float", "1.5"),
        ("Float", "nan"),
        ("Float", float("inf")),
        ("Float", Decimal("1e400")),
        ("Float", True),
        ("Boolean", "true"),
        ("Boolean", 1),
        ("DateTime", "2024-01-31T01:00:00"),
        ("DateTime", "2024-02-30T01:00:00+01:00"),
        ("DateTime", "yesterday"),
        ("null date", 5),
        ("date", {}),
    ],
)
def test_a_value_of_another_type_is_malformed(kind: str, raw: object) -> None:
    with pytest.raises(UpstreamMalformed) as caught:
        from_upstream(TYPES[kind], raw)

    assert str(raw) not in caught.value.message.split() or len(str(raw)) < 3


@pytest.mark.parametrize("kind", ["Float", "Decimal"])
@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("INF", "INF"),
        ("-INF", "-INF"),
        ("NaN", "NaN"),
        (Decimal("Infinity"), "INF"),
        (Decimal("-Infinity"), "-INF"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_a_number_that_graphql_cannot_hold_has_its_own_code(
    kind: str, raw: object, shown: str
) -> None:
    with pytest.raises(NotFinite) as caught:
        from_upstream(TYPES[kind], raw)

    assert caught.value.code == "NOT_FINITE"
    assert f"is {shown}," in caught.value.message


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("Colour", "Green"),
        ("Colour", "RED"),
        ("Colour", 0),
        ("Colour", []),
        ("NoYes", "Maybe"),
        ("NoYes", True),
        ("NoYes", ["No"]),
        ("NoYes", {}),
        ("Rights", "Read,Admin"),
        ("Rights", ""),
        ("Rights", 3),
    ],
)
def test_a_member_that_is_not_listed_has_its_own_code(kind: str, raw: object) -> None:
    with pytest.raises(UnknownEnumValue) as caught:
        from_upstream(TYPES[kind], raw)

    assert caught.value.code == "UNKNOWN_ENUM_VALUE"
    assert TYPES[kind].scalar in caught.value.message or kind == "NoYes"


@pytest.mark.parametrize(
    ("kind", "given", "value", "edm"),
    [
        ("String", "x", "x", "Edm.String"),
        ("Int", 5, 5, "Edm.Int32"),
        ("Long", "5", 5, "Edm.Int64"),
        ("Decimal", Decimal("1.10"), Decimal("1.10"), "Edm.Decimal"),
        ("Boolean", True, True, "Edm.Boolean"),
        ("NoYes", True, "Yes", "T.NoYes"),
        ("NoYes", False, "No", "T.NoYes"),
        ("Colour", "DARK_RED", "DarkRed", "T.Colour"),
        ("date", "2024-01-31", "2024-01-31T12:00:00Z", "Edm.DateTimeOffset"),
        ("key date", "2024-01-31", "2024-01-31T12:00:00Z", "Edm.DateTimeOffset"),
        ("null date", "2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z", "Edm.DateTimeOffset"),
    ],
)
def test_what_comes_in(kind: str, given: object, value: object, edm: str) -> None:
    literal = to_literal(TYPES[kind], given, what="where.x.eq")

    assert (literal.value, literal.type) == (value, edm)
    assert literal.is_enum is TYPES[kind].is_enum


def test_what_the_upstream_type_cannot_hold_names_the_argument() -> None:
    byte = ValueType("Int", "Edm.Byte", "number")

    with pytest.raises(BadArgument, match=r"where\.age\.eq: .*0 to 255") as caught:
        to_literal(byte, 300, what="where.age.eq")

    assert caught.value.hint == "The upstream type is Edm.Byte."


@pytest.mark.parametrize("kind", ["NoYes", "Colour", "date", "key date", "null date", "String"])
@given(data=st.data())
def test_what_came_out_goes_in_again(kind: str, data: st.DataObject) -> None:
    raws: dict[str, Any] = {
        "NoYes": st.sampled_from(["No", "Yes"]),
        "Colour": st.sampled_from(["Red", "DarkRed"]),
        "String": st.text(alphabet="abc*' "),
        "null date": st.just("2024-01-31T13:00:00Z"),
    }
    raw = data.draw(raws.get(kind, st.just("2024-01-31T12:00:00Z")))

    assert to_literal(TYPES[kind], from_upstream(TYPES[kind], raw), what="x").value == raw


@pytest.mark.parametrize(
    ("day", "bounds"),
    [
        ("2024-02-28", ("2024-02-28T00:00:00Z", "2024-02-29T00:00:00Z")),
        ("1999-12-31", ("1999-12-31T00:00:00Z", "2000-01-01T00:00:00Z")),
    ],
)
def test_a_day_lies_between_two_moments(day: str, bounds: tuple[str, str]) -> None:
    assert day_bounds(day, "x") == bounds


@pytest.mark.parametrize("day", ["9999-12-31", "0000-01-01", "x"])
def test_a_day_without_a_next_one_cannot_be_compared(day: str) -> None:
    with pytest.raises(BadArgument, match=r"where\.d\.eq: "):
        day_bounds(day, "where.d.eq")


@pytest.mark.parametrize("clean", [c for c in Clean if c not in (Clean.NO_YES, Clean.ACCOUNT)])
def test_cleaning_a_date_never_touches_another_one(clean: Clean) -> None:
    found = clean_date(clean, LATE)

    assert found == (LATE[:10] if clean in (Clean.DATE, Clean.KEY_DATE) else LATE)


RAW = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**33), 2**33),
    st.decimals(allow_nan=False) | st.just(Decimal("NaN")),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["2024-01-31T00:30:00.50+01:00", "1900-01-01T00:30:00+01:00", "2024-13-01T00:00:00+01:00"]
    ),
    st.sampled_from([NEVER, NOON_NEVER, LATE, "No", "Yes", "Red", "Read, Write", "Read,x", ""]),
    st.lists(st.integers(), max_size=1),
)
EXPECTED: dict[str, Any] = {
    "Int": int,
    "Long": int,
    "Decimal": Decimal,
    "Float": float,
    "Boolean": bool,
}


@pytest.mark.heavy
@pytest.mark.parametrize("kind", TYPES)
@given(raw=RAW)
def test_compiled_and_interpreted_cleaning_agree(kind: str, raw: object) -> None:
    """Over what the typed decoder lets through: values of the right JSON type, and null."""
    value = TYPES[kind]
    wanted = str if value.is_enum else EXPECTED.get(value.scalar, str)
    if raw is not None and type(raw) is not wanted:
        return
    if kind == "Int" and isinstance(raw, int) and abs(raw) >= 2**31:
        return
    compiler = Compiler()
    name = compiler.define("x", compiler._converted(value, "x.a", nullable=True))
    function = compiler._link(name)

    try:
        expected = from_upstream(value, raw)
    except GatewayError:
        with pytest.raises((FastPathMiss, KeyError, TypeError, UpstreamMalformed)):
            function(SimpleNamespace(a=raw))
        return
    expected = str(expected) if kind == "Long" and expected is not None else expected
    assert function(SimpleNamespace(a=raw)) == expected
