"""Scalars: what comes in, what goes out, what is refused and in which words."""

from __future__ import annotations

import base64
import decimal
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from graphql import GraphQLError, parse_value
from hypothesis import given
from hypothesis import strategies as st

from schema.types.scalars import DEFINITIONS, MAX_EXPONENT

D = decimal.Decimal


def from_json(scalar: str, value: object) -> object:
    parse = DEFINITIONS[scalar][1].parse_value
    assert parse is not None
    return parse(value)


def from_literal(scalar: str, text: str) -> object:
    parse = DEFINITIONS[scalar][1].parse_literal
    assert parse is not None
    return parse(parse_value(text), None)


def to_json(scalar: str, value: object) -> object:
    serialize = DEFINITIONS[scalar][1].serialize
    assert serialize is not None
    return serialize(value)


@pytest.mark.parametrize(
    ("scalar", "value", "parsed"),
    [
        ("Decimal", "123.10", D("123.10")),
        ("Decimal", "-0.5", D("-0.5")),
        ("Decimal", ".5", D("0.5")),
        ("Decimal", "1e3", D("1E+3")),
        ("Decimal", 12345678901234567890, D("12345678901234567890")),
        ("Decimal", 0.1, D("0.1")),
        ("Decimal", 123456789012345.0, D("123456789012345.0")),
        ("Decimal", 1e-7, D("1E-7")),
        ("Decimal", 0.0, D("0.0")),
        ("Long", "9223372036854775807", 2**63 - 1),
        ("Long", -5, -5),
        ("DateTime", "2020-01-31T12:00:00Z", "2020-01-31T12:00:00Z"),
        ("DateTime", "2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00Z"),
        ("DateTime", "2020-01-01t10:00z", "2020-01-01T10:00:00Z"),
        ("DateTime", "2020-01-01T10:00:00.1230000Z", "2020-01-01T10:00:00.123Z"),
        ("DateTime", "2020-01-01T10:00:00.000Z", "2020-01-01T10:00:00Z"),
        ("Date", "2020-02-29", "2020-02-29"),
        ("TimeOfDay", "23:59", "23:59:00"),
        ("TimeOfDay", "07:00:00.500", "07:00:00.5"),
        ("Duration", "PT90M", "PT1H30M"),
        ("Duration", "-P1DT0.5S", "-P1DT0.5S"),
        ("Duration", "P0D", "PT0S"),
        ("Duration", "+PT36H", "P1DT12H"),
        (
            "UUID",
            "3FA85F64-5717-4562-B3FC-2C963F66AFA6",
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        ),
        ("Base64", "++//", "--__"),
        ("Base64", "_w", "_w=="),
        ("Base64", "", ""),
        ("JSON", {"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_a_variable_is_read_in_its_normal_form(scalar: str, value: object, parsed: object) -> None:
    found = from_json(scalar, value)

    assert (found, type(found)) == (parsed, type(parsed))
    assert str(found) == str(parsed)


@pytest.mark.parametrize(
    ("scalar", "literal", "parsed"),
    [
        (
            "Decimal",
            "0.1000000000000000055511151231257827",
            D("0.1000000000000000055511151231257827"),
        ),
        ("Decimal", "7", D("7")),
        ("Decimal", '"7.50"', D("7.50")),
        ("Decimal", "1e2", D("1E+2")),
        ("Long", "9007199254740993", 9007199254740993),
        ("Long", '"-1"', -1),
        ("Date", '"2020-01-01"', "2020-01-01"),
    ],
)
def test_a_literal_is_read_digit_by_digit(scalar: str, literal: str, parsed: object) -> None:
    assert str(from_literal(scalar, literal)) == str(parsed)


@pytest.mark.parametrize(
    ("scalar", "value", "reason"),
    [
        ("Decimal", "12,5", 'it must be a decimal number such as "123.45"'),
        ("Decimal", "NaN", 'it must be a decimal number such as "123.45"'),
        ("Decimal", "1" * 201, 'it must be a decimal number such as "123.45"'),
        ("Decimal", "1e999", f"its exponent is beyond {MAX_EXPONENT}"),
        ("Decimal", True, "it must be a string"),
        ("Decimal", None, "it must be a string"),
        ("Decimal", 0.12345678901234567, "a JSON number of that many digits is not exact"),
        ("Decimal", float("nan"), "a JSON number of that many digits is not exact"),
        ("Decimal", float("inf"), "a JSON number of that many digits is not exact"),
        ("Long", "9223372036854775808", "it does not fit into 64 bits"),
        ("Long", -(2**63) - 1, "it does not fit into 64 bits"),
        ("Long", "1.0", 'it must be an integer such as "123"'),
        ("Long", 1.0, "it must be an integer; send integers beyond 32 bits as strings"),
        ("Long", False, "it must be a string"),
        ("DateTime", "2020-01-01", "it must be a date and time with an offset"),
        ("DateTime", "2020-01-01T10:00:00", "it must be a date and time with an offset"),
        ("DateTime", "2020-02-30T10:00:00Z", "there is no such date and time"),
        ("DateTime", "2020-01-01T10:00:60Z", "there is no such date and time"),
        ("DateTime", "0001-01-01T00:00:00+10:00", "there is no such date and time"),
        ("DateTime", 5, "it must be a string"),
        ("Date", "2020-1-1", 'it must be a date such as "2020-01-31"'),
        ("Date", "2021-02-29", "there is no such date"),
        ("TimeOfDay", "24:00", 'it must be a time such as "23:59:59"'),
        ("Duration", "P1M", "it must be a duration in days, hours, minutes and seconds"),
        ("Duration", "P", "it must be a duration in days, hours, minutes and seconds"),
        ("Duration", "PT", "it must be a duration in days, hours, minutes and seconds"),
        ("UUID", "3fa85f6457174562b3fc2c963f66afa6", "it must be a GUID such as"),
        ("Base64", "a b", "it must be base64 text"),
        ("Base64", "A", "it must be base64 text"),
        ("Base64", "AAAA=", "it must be base64 text"),
        ("Base64", "ÄÄ", "it must be base64 text"),
    ],
)
def test_a_refusal_names_scalar_value_and_reason(scalar: str, value: object, reason: str) -> None:
    with pytest.raises(GraphQLError) as refused:
        from_json(scalar, value)

    assert refused.value.message.startswith(f"{scalar} cannot represent ")
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("scalar", "literal", "message"),
    [
        (
            "Decimal",
            "true",
            "Decimal cannot represent true: it must be a string or int or float literal.",
        ),
        ("Long", "1.5", "Long cannot represent 1.5: it must be a string or int literal."),
        ("Date", "20200101", "Date cannot represent 20200101: it must be a string literal."),
        ("Date", '"2021-13-01"', 'Date cannot represent "2021-13-01": there is no such date.'),
        ("UUID", "[]", "UUID cannot represent []: it must be a string literal."),
    ],
)
def test_a_wrong_literal_is_refused_at_its_place(scalar: str, literal: str, message: str) -> None:
    with pytest.raises(GraphQLError) as refused:
        from_literal(scalar, literal)

    assert refused.value.message == message
    assert refused.value.nodes is not None


@pytest.mark.parametrize(
    ("scalar", "value", "out"),
    [
        ("Decimal", D("123.10"), "123.10"),
        ("Decimal", D("1E+2"), "1E+2"),
        ("Decimal", 5, "5"),
        ("Decimal", "5.0", "5.0"),
        ("Long", 2**53 + 1, "9007199254740993"),
        ("Long", "7", "7"),
        ("DateTime", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("Base64", "_w==", "_w=="),
        ("JSON", [1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_values_leave_exactly(scalar: str, value: object, out: object) -> None:
    assert to_json(scalar, value) == out


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("Decimal", 1.5),
        ("Decimal", D("NaN")),
        ("Decimal", True),
        ("Decimal", "x"),
        ("Long", 1.0),
        ("Long", 2**64),
        ("DateTime", datetime(2020, 1, 1, tzinfo=UTC)),
        ("Date", 20200101),
        ("UUID", None),
        ("Base64", b"\x00"),
    ],
)
def test_a_value_of_the_wrong_type_does_not_leave(scalar: str, value: object) -> None:
    with pytest.raises(GraphQLError, match=f"{scalar} cannot represent"):
        to_json(scalar, value)


@pytest.mark.parametrize("scalar", DEFINITIONS)
def test_every_scalar_says_where_its_format_is_specified(scalar: str) -> None:
    definition = DEFINITIONS[scalar][1]

    assert definition.name == scalar
    assert str(definition.specified_by_url).startswith("https://")
    assert definition.description


def there_and_back(scalar: str, value: object) -> object:
    """Out as JSON text, in again as a variable."""
    return from_json(scalar, json.loads(json.dumps(to_json(scalar, value))))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_decimals_survive_the_way_out_and_in(value: decimal.Decimal) -> None:
    back = there_and_back("Decimal", value)

    assert (back, str(back)) == (value, str(value))


@given(st.integers(-(2**63), 2**63 - 1))
def test_longs_survive_the_way_out_and_in(value: int) -> None:
    assert there_and_back("Long", value) == value
    assert from_literal("Long", str(value)) == value


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 10))
def test_a_json_float_of_few_digits_is_an_exact_decimal(n: int, places: int) -> None:
    written = D(n).scaleb(-places)

    assert from_json("Decimal", float(written)) == written


@given(st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=45))))))
def test_instants_of_any_offset_are_the_same_text(value: datetime) -> None:
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        return
    read = from_json("DateTime", value.isoformat())

    assert read == from_json("DateTime", utc.isoformat())
    assert datetime.fromisoformat(str(read)) == value
    assert there_and_back("DateTime", read) == read


@given(st.dates())
def test_dates_survive_the_way_out_and_in(value: date) -> None:
    assert there_and_back("Date", value.isoformat()) == value.isoformat()


@given(st.times())
def test_times_survive_the_way_out_and_in(value: time) -> None:
    read = from_json("TimeOfDay", value.isoformat())

    assert time.fromisoformat(str(read)) == value
    assert there_and_back("TimeOfDay", read) == read


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
def test_durations_of_the_same_length_are_the_same_text(
    seconds: int, minutes: int, hours: int, negative: bool
) -> None:
    sign = "-" if negative else ""
    total = seconds + 60 * minutes + 3600 * hours
    read = from_json("Duration", f"{sign}PT{hours}H{minutes}M{seconds}S")

    assert read == from_json("Duration", f"{sign}PT{total}S" if total < 10**12 else str(read))
    assert there_and_back("Duration", read) == read


@given(st.uuids())
def test_guids_survive_the_way_out_and_in(value: uuid.UUID) -> None:
    assert there_and_back("UUID", str(value)) == str(value)
    assert from_json("UUID", str(value).upper()) == str(value)


@given(st.binary())
def test_both_alphabets_of_base64_are_the_same_text(value: bytes) -> None:
    written = base64.urlsafe_b64encode(value).decode()

    assert from_json("Base64", base64.b64encode(value).decode()) == written
    assert from_json("Base64", written.rstrip("=")) == written
    assert there_and_back("Base64", written) == written
