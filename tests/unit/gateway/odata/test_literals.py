import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.odata.literals import duration_seconds, kind_of, parse_value, to_url
from gateway.odata.query import Literal
from tests.support.expressions import ENUM, VALUES, lit, literals, parsed, plain

SPELLED = [
    # type, what a caller gives, its normal form, its URL literal
    ("Edm.String", "O'Neil", "O'Neil", "'O''Neil'"),
    ("Edm.String", "", "", "''"),
    ("Edm.String", "日本 %20+&#", "日本 %20+&#", "'日本 %20+&#'"),
    ("Edm.Boolean", True, True, "true"),
    ("Edm.Boolean", False, False, "false"),
    ("Edm.Byte", 255, 255, "255"),
    ("Edm.SByte", -128, -128, "-128"),
    ("Edm.Int16", 32767, 32767, "32767"),
    ("Edm.Int32", -(2**31), -(2**31), "-2147483648"),
    ("Edm.Int64", "9223372036854775807", 2**63 - 1, "9223372036854775807"),
    ("Edm.Int64", "+5", 5, "5"),
    ("Edm.Decimal", "39.950", Decimal("39.950"), "39.950"),
    ("Edm.Decimal", 3, Decimal(3), "3"),
    ("Edm.Decimal", Decimal("0.1"), Decimal("0.1"), "0.1"),
    ("Edm.Decimal", "1E+3", Decimal("1E+3"), "1000"),
    ("Edm.Decimal", "-1.5e-7", Decimal("-1.5E-7"), "-0.00000015"),
    ("Edm.Decimal", ".5", Decimal("0.5"), "0.5"),
    ("Edm.Double", 1, 1.0, "1.0"),
    ("Edm.Double", 1e300, 1e300, "1e+300"),
    ("Edm.Double", Decimal("0.5"), 0.5, "0.5"),
    ("Edm.Double", "INF", math.inf, "INF"),
    ("Edm.Double", "-INF", -math.inf, "-INF"),
    ("Edm.Single", -math.inf, -math.inf, "-INF"),
    ("Edm.Single", 3.4028234663852886e38, 3.4028234663852886e38, "3.4028234663852886e+38"),
    (
        "Edm.Guid",
        "6F1A4B0E-8D1C-4F0E-9B59-0D4B3C7A2F10",
        "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10",
        "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10",
    ),
    ("Edm.Date", "2024-02-29", "2024-02-29", "2024-02-29"),
    ("Edm.TimeOfDay", "13:45", "13:45:00", "13:45:00"),
    ("Edm.TimeOfDay", "13:45:59.1230", "13:45:59.123", "13:45:59.123"),
    ("Edm.DateTimeOffset", "2024-01-31T12:00Z", "2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
    (
        "Edm.DateTimeOffset",
        "2024-01-31t00:30:00.5000+01:00",
        "2024-01-30T23:30:00.5Z",
        "2024-01-30T23:30:00.5Z",
    ),
    (
        "Edm.DateTimeOffset",
        "2154-12-31T23:59:59.123456789012z",
        "2154-12-31T23:59:59.123456789012Z",
        "2154-12-31T23:59:59.123456789012Z",
    ),
    ("Edm.DateTimeOffset", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z", None),
    ("Edm.Duration", "p1dt2h", "P1DT2H", "duration'P1DT2H'"),
    ("Edm.Duration", "+PT0.5S", "PT0.5S", "duration'PT0.5S'"),
    ("Edm.Duration", "-P3D", "-P3D", "duration'-P3D'"),
    ("Edm.Binary", "+/8=", "-_8=", "binary'-_8='"),
    ("Edm.Binary", "-_8", "-_8=", "binary'-_8='"),
    ("Edm.Binary", "", "", "binary''"),
    (ENUM, "Yes", "Yes", f"{ENUM}'Yes'"),
    ("Sales.Colors", "Red, Blue", "Red,Blue", "Sales.Colors'Red,Blue'"),
    ("Sales.Größe", "Übergroß", "Übergroß", "Sales.Größe'Übergroß'"),
    ("Sales.Colors", "-3", "-3", "Sales.Colors'-3'"),
    ("Edm.String", None, None, "null"),
    (ENUM, None, None, "null"),
]


@pytest.mark.parametrize(("edm_type", "given_value", "normal", "text"), SPELLED)
def test_a_value_has_one_normal_form_and_one_literal(edm_type, given_value, normal, text):
    value = parse_value(edm_type, given_value)

    assert (value, type(value)) == (normal, type(normal))
    assert to_url(Literal(value, edm_type)) == (text or value)
    assert parse_value(edm_type, value) == value


REFUSED = [
    ("Edm.String", 5, "expected text, not 5"),
    ("Edm.String", "a\ud800", "expected well-formed Unicode text"),
    ("Edm.Boolean", 1, "expected true or false, not 1"),
    ("Edm.Byte", 256, "expected a whole number from 0 to 255, not 256"),
    ("Edm.SByte", -129, "from -128 to 127"),
    ("Edm.Int16", 2**15, "from -32768 to 32767"),
    ("Edm.Int32", "2147483648", "from -2147483648 to 2147483647"),
    ("Edm.Int32", True, "a whole number"),
    ("Edm.Int32", 1.0, "a whole number"),
    ("Edm.Int64", 2**63, "a whole number"),
    ("Edm.Int64", "1 or 1 eq 1", "a whole number"),
    ("Edm.Int64", "٣", "a whole number"),
    ("Edm.Decimal", 0.1, "a decimal number"),
    ("Edm.Decimal", True, "a decimal number"),
    ("Edm.Decimal", "NaN", "a decimal number"),
    ("Edm.Decimal", Decimal("Infinity"), "a decimal number"),
    ("Edm.Decimal", "1e999", "of at most 100 digits"),
    ("Edm.Decimal", "1" * 101, "of at most 100 digits"),
    ("Edm.Decimal", "1,5", "a decimal number"),
    ("Edm.Double", True, "a number"),
    ("Edm.Double", "1.5", "a number"),
    ("Edm.Double", 10**400, "fits in floating point"),
    ("Edm.Single", 1e39, "fits in single precision"),
    ("Edm.Guid", "6f1a4b0e8d1c4f0e9b590d4b3c7a2f10", "a Guid such as"),
    ("Edm.Date", "2023-02-29", "a date such as"),
    ("Edm.Date", "20230201", "a date such as"),
    ("Edm.TimeOfDay", "24:00:00", "a time of day such as"),
    ("Edm.TimeOfDay", "12:00:00.", "a time of day such as"),
    ("Edm.DateTimeOffset", "2024-01-31T12:00:00", "with an offset such as"),
    ("Edm.DateTimeOffset", "2024-01-31", "with an offset such as"),
    ("Edm.DateTimeOffset", "2024-13-31T12:00:00Z", "with an offset such as"),
    ("Edm.DateTimeOffset", "2024-01-31T25:00:00Z", "with an offset such as"),
    ("Edm.DateTimeOffset", "0001-01-01T00:00:00+14:00", "with an offset such as"),
    ("Edm.DateTimeOffset", 0, "with an offset such as"),
    ("Edm.Duration", "P", "a duration such as"),
    ("Edm.Duration", "P1DT", "a duration such as"),
    ("Edm.Duration", "P1Y", "a duration such as"),
    ("Edm.Duration", 60, "a duration such as"),
    ("Edm.Binary", "a", "base64 text"),
    ("Edm.Binary", "a'b!", "base64 text"),
    ("Edm.Binary", "é", "base64 text"),
    ("Edm.Binary", 1, "base64 text"),
    (ENUM, "Yes' or '1", "the name of an enum member"),
    (ENUM, 1, "the name of an enum member"),
    ("Edm.GeographyPoint", "POINT(1 2)", "values of type Edm.GeographyPoint are not supported"),
]


@pytest.mark.parametrize(("edm_type", "value", "message"), REFUSED)
def test_a_value_of_the_wrong_form_is_refused(edm_type, value, message):
    with pytest.raises(ValueError, match=message):
        parse_value(edm_type, value)
    with pytest.raises(ValueError, match=message):
        to_url(Literal(value, edm_type))


def test_a_message_shows_only_the_start_of_a_long_value():
    with pytest.raises(ValueError, match="a Guid") as caught:
        parse_value("Edm.Guid", "x" * 10_000)

    assert len(str(caught.value)) < 200


def test_nan_has_a_literal():
    assert to_url(lit("NaN", "Edm.Double")) == "NaN"
    assert to_url(lit(math.nan, "Edm.Single")) == "NaN"


@given(st.sampled_from(list(VALUES)).flatmap(literals))
def test_another_reader_reads_back_every_literal(literal):
    assert parsed(f"F eq {to_url(literal)}") == ("eq", ("F",), plain(literal))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P1DT0.5S", "86400.5"),
        ("-PT1H1M1S", "-3661"),
        ("+P2D", "172800"),
        ("PT0S", "0"),
    ],
)
def test_durations_have_an_exact_length(text, seconds):
    assert duration_seconds(text) == Decimal(seconds)


@pytest.mark.parametrize(
    ("edm_type", "kind"),
    [
        ("Edm.String", "string"),
        ("Edm.SByte", "number"),
        ("Edm.Single", "number"),
        ("Edm.DateTimeOffset", "temporal"),
        ("Edm.TimeOfDay", "temporal"),
        ("Edm.Date", "date"),
        ("Edm.Stream", "other"),
        (ENUM, "enum"),
    ],
)
def test_types_have_a_kind(edm_type, kind):
    assert kind_of(edm_type) == kind
