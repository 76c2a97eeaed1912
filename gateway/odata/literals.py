"""Converts values between Python, URL literals and JSON, by their Edm types.

``parse_value`` checks what callers send; ``to_url`` passes every value but text through it once more, so that a value
of the wrong form ends in ``ValueError`` and never in a URL: nothing can be injected into a filter. Percent-encoding is
done by ``render``.

Literal forms: OData ABNF,
https://docs.oasis-open.org/odata/odata/v4.01/os/abnf/odata-abnf-construction-rules.txt (``primitiveLiteral``),
URL Conventions 5.1.1.14, https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html.
JSON forms: https://docs.oasis-open.org/odata/odata-json-format/v4.01/odata-json-format-v4.01.html, 7.1.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from types import MappingProxyType

import msgspec

from .query import Literal, Value

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "Edm.String": "string",
        "Edm.Boolean": "boolean",
        "Edm.Guid": "guid",
        "Edm.Binary": "binary",
        "Edm.Duration": "duration",
        "Edm.Date": "date",
        "Edm.DateTimeOffset": "temporal",
        "Edm.TimeOfDay": "temporal",
    }
    | dict.fromkeys(
        (
            "Edm.SByte",
            "Edm.Byte",
            "Edm.Int16",
            "Edm.Int32",
            "Edm.Int64",
            "Edm.Decimal",
            "Edm.Double",
            "Edm.Single",
        ),
        "number",
    )
)

_MAX_DIGITS = 100
"""Digits of the longest Decimal: ``1E+999999999`` must not become a gigabyte of zeros."""
_SINGLE_MAX = 3.4028235677973366e38
"""Numbers beyond it round to infinity in single precision (IEEE 754 binary32)."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?")
_ZONED = re.compile(r"([0-9-]{10})[Tt]([0-9:.]+)([Zz]|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(
    r"([+-]?)P(?=[0-9T])([0-9]{1,9}D)?"
    r"(?:T(?=[0-9])([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}(?:\.[0-9]{1,12})?S)?)?"
)
_MEMBERS = re.compile(r"[^\W\d]\w*(?:, ?[^\W\d]\w*)*|[+-]?[0-9]{1,19}")


def kind_of(edm_type: str) -> str:
    """Return the kind of a type, which is a key of ``Dialect.operators``; a type outside ``Edm`` is an enum."""
    if not edm_type.startswith("Edm."):
        return "enum"
    return _KINDS.get(edm_type, "other")


def to_url(literal: Literal) -> str:
    """Return the literal in URL form, before percent-encoding: ``O'Neil`` → ``'O''Neil'``. Raises ValueError."""
    if literal.value is None:
        return "null"
    # Checked again, though callers' values have been: cursors, keys of rows and settings come this way too.
    value = parse_value(literal.type, literal.value)
    match literal.type:
        case "Edm.String":
            return _quoted(str(value))
        case "Edm.Duration":
            return f"duration'{value}'"
        case "Edm.Binary":
            return f"binary'{value}'"
        case "Edm.Boolean":
            return "true" if value else "false"
        case "Edm.Decimal":
            # Never 1E+2: the ABNF of decimalValue has exponents only since OData 4.01.
            return f"{value:f}"
        case "Edm.Double" | "Edm.Single":
            return _floating_text(value)
        case name if name.startswith("Edm."):
            return str(value)
        case name:
            # An enum: its literal begins with the qualified name of the type.
            return name + _quoted(str(value))


def to_url_array(literals: Sequence[Literal]) -> str:
    """Return a collection as the value of a parameter alias, before percent-encoding: ``["a","b"]``.

    Its items have the form of JSON (ABNF ``array``, URL Conventions 5.1.2). Raises ValueError.
    """
    values = [to_json(parse_value(literal.type, literal.value)) for literal in literals]
    return _encode_array(values).decode()


def to_json(value: Value) -> object:
    """Return the value as JSON holds it: infinities and NaN are strings (JSON format 4.01, section 7.1)."""
    if isinstance(value, float) and not math.isfinite(value):
        return _floating_text(value)
    return value


_encode_array = msgspec.json.Encoder(decimal_format="number").encode


def parse_value(edm_type: str, value: object) -> Value:
    """Return a caller's value in its normal form; None stays None. Raises ValueError with a message for the caller.

    ``("Edm.DateTimeOffset", "2024-01-31T13:00:00.500+01:00")`` → ``"2024-01-31T12:00:00.5Z"``.
    """
    if value is None:
        return None
    if not edm_type.startswith("Edm."):
        return _enum_member(value)
    parse = _PARSERS.get(edm_type)
    if parse is None:
        raise ValueError(f"values of type {edm_type} are not supported")
    return parse(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _floating_text(value: Value) -> str:
    number = float(value or 0)
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "INF" if number > 0 else "-INF"
    return repr(number)


def _refused(expected: str, value: object) -> ValueError:
    return ValueError(f"expected {expected}, not {value!r:.60}")


def _matched(pattern: re.Pattern[str], expected: str, value: object) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _refused(expected, value)
    return match


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _refused("text", value)
    # A lone surrogate has no UTF-8 form, so it could not be percent-encoded.
    if _SURROGATE.search(value):
        raise _refused("well-formed Unicode text", value)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused("true or false", value)
    return value


def _integer(low: int, high: int, value: object) -> int:
    expected = f"a whole number from {low} to {high}"
    # Not isinstance: True is an int. Text is accepted because JavaScript cannot hold 64 bits.
    number = value if type(value) is int else int(_matched(_INTEGER, expected, value).group())
    if not low <= number <= high:
        raise _refused(expected, value)
    return number


def _decimal(value: object) -> Decimal:
    expected = f"a decimal number of at most {_MAX_DIGITS} digits"
    if type(value) is int or isinstance(value, Decimal):
        number = Decimal(value)
    else:
        number = Decimal(_matched(_DECIMAL, expected, value).group())
    # Exponents count too: f"{number:f}" of 1E+999999999 would be a gigabyte.
    digits = len(number.as_tuple().digits)
    if not number.is_finite() or digits > _MAX_DIGITS or abs(number.adjusted()) > _MAX_DIGITS:
        raise _refused(expected, value)
    return number


def _floating(limit: float, value: object) -> float:
    if value in ("INF", "-INF", "NaN"):
        return float(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _refused('a number, "INF", "-INF" or "NaN"', value)
    try:
        number = float(value)
    except OverflowError:
        raise _refused("a number that fits in floating point", value) from None
    if math.isfinite(number) and abs(number) > limit:
        raise _refused("a number that fits in single precision", value)
    return number


def _guid(value: object) -> str:
    expected = "a Guid such as 6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10"
    return _matched(_GUID, expected, value).group().lower()


def _date(value: object) -> str:
    expected = "a date such as 2024-01-31"
    text = _matched(_DATE, expected, value).group()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise _refused(expected, value) from None


def _time_of_day(value: object) -> str:
    expected = "a time of day such as 13:45:00"
    minutes, seconds, fraction = _matched(_TIME, expected, value).groups()
    try:
        whole = time.fromisoformat(f"{minutes}:{seconds or '00'}").isoformat()
    except ValueError:
        raise _refused(expected, value) from None
    return whole + _minimal(fraction)


def _date_time(value: object) -> str:
    expected = "a date and time with an offset such as 2024-01-31T12:00:00Z"
    day, clock, zone = _matched(_ZONED, expected, value).groups()
    try:
        whole, _, fraction = _time_of_day(clock).partition(".")
        # datetime has microseconds only, OData up to 12 digits: the fraction is carried as text.
        moment = datetime.fromisoformat(f"{_date(day)}T{whole}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refused(expected, value) from None
    return f"{moment.isoformat()[:19]}{_minimal(fraction)}Z"


def _minimal(fraction: str | None) -> str:
    digits = (fraction or "").rstrip("0")
    return f".{digits}" if digits else ""


def _duration(value: object) -> str:
    expected = "a duration such as P1DT2H30M (days, hours, minutes, seconds)"
    text = value.upper() if isinstance(value, str) else value
    return _matched(_DURATION, expected, text).group().removeprefix("+")


def _binary(value: object) -> str:
    if not isinstance(value, str):
        raise _refused("base64 text", value)
    # Both alphabets of base64 are accepted, with or without padding (RFC 4648); OData writes base64url.
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _refused("base64 text", value) from None
    return base64.urlsafe_b64encode(data).decode()


def _enum_member(value: object) -> str:
    return _matched(_MEMBERS, "the name of an enum member", value).group().replace(" ", "")


def duration_seconds(text: str) -> Decimal:
    """Return the exact seconds of a duration: ``P1DT0.5S`` → ``86400.5``. Raises ValueError."""
    sign, *parts = _matched(_DURATION, "a duration", text).groups()
    units = (86_400, 3_600, 60, 1)
    total = sum(
        (Decimal(part[:-1]) * unit for part, unit in zip(parts, units, strict=True) if part),
        Decimal(0),
    )
    return -total if sign == "-" else total


_PARSERS: Mapping[str, Callable[[object], Value]] = MappingProxyType(
    {
        "Edm.String": _string,
        "Edm.Boolean": _boolean,
        "Edm.SByte": partial(_integer, -(2**7), 2**7 - 1),
        "Edm.Byte": partial(_integer, 0, 2**8 - 1),
        "Edm.Int16": partial(_integer, -(2**15), 2**15 - 1),
        "Edm.Int32": partial(_integer, -(2**31), 2**31 - 1),
        "Edm.Int64": partial(_integer, -(2**63), 2**63 - 1),
        "Edm.Decimal": _decimal,
        "Edm.Double": partial(_floating, math.inf),
        "Edm.Single": partial(_floating, _SINGLE_MAX),
        "Edm.Guid": _guid,
        "Edm.Date": _date,
        "Edm.DateTimeOffset": _date_time,
        "Edm.TimeOfDay": _time_of_day,
        "Edm.Duration": _duration,
        "Edm.Binary": _binary,
    }
)
