"""The GraphQL scalars of the table in ``schema.model.edm``, as Strawberry scalars.

Values stay exact: a Decimal or a Long is written as a string and read from a string or from the digits of a literal,
so no JSON parser on the way can round it. Every text is normalised on input (``2020-01-01T01:00:00+01:00`` becomes
``2020-01-01T00:00:00Z``), so equal values are equal texts in filters, cursors and cache keys. On output the gateway
passes values that are already GraphQL's; serialisation only rejects values of the wrong type.

Hand-written fields are annotated with the names exported here (``def total(self) -> scalars.Decimal``).

Formats: OData 4.01 ABNF (primitive literals); Strawberry scalars: https://strawberry.rocks/docs/types/scalars.
"""

from __future__ import annotations

import base64
import binascii
import decimal
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NewType

import strawberry
from graphql import (
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    StringValueNode,
    ValueNode,
    print_ast,
)
from graphql.pyutils import inspect
from strawberry.scalars import JSON as STRAWBERRY_JSON
from strawberry.types.scalar import ScalarDefinition

Decimal = NewType("Decimal", decimal.Decimal)
Long = NewType("Long", int)
DateTime = NewType("DateTime", str)
Date = NewType("Date", str)
TimeOfDay = NewType("TimeOfDay", str)
Duration = NewType("Duration", str)
UUID = NewType("UUID", str)
Base64 = NewType("Base64", str)
JSON = NewType("JSON", object)

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
EXACT_FLOAT_DIGITS = 15
"""A double distinguishes all decimals of this many digits, so a JSON number with no more digits arrived exactly."""
# Bounds for numbers that are short to write and huge to print, such as 1e999999.
MAX_DECIMAL_TEXT = 200
MAX_EXPONENT = 400

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,9})?", re.ASCII)
_LONG = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_FRACTION = r"(?:\.(\d{1,12}))?"
_DATE_TIME = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[Tt](\d\d:\d\d)(?::(\d\d){_FRACTION})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(rf"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d){_FRACTION})?", re.ASCII)
_DURATION = re.compile(
    r"([+-])?P(?:(\d{1,12})D)?(?:T(?=\d)(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,12}(?:\.\d{1,12})?)S)?)?",
    re.ASCII | re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

_TO_URL_SAFE = str.maketrans("+/", "-_")


class _Refused(Exception):
    """Why a text is not a value of the scalar; ``_scalar`` turns it into a GraphQLError."""


def parse_decimal(text: str) -> decimal.Decimal:
    """Return the exact value of a decimal number: ``"123.10"`` keeps its last zero."""
    if len(text) > MAX_DECIMAL_TEXT or _DECIMAL.fullmatch(text) is None:
        raise _Refused('it must be a decimal number such as "123.45"')
    number = decimal.Decimal(text)
    if number and abs(number.adjusted()) > MAX_EXPONENT:
        raise _Refused(f"its exponent is beyond {MAX_EXPONENT}")
    return number


def parse_long(text: str) -> int:
    """Return a 64-bit integer."""
    if _LONG.fullmatch(text) is None:
        raise _Refused('it must be an integer such as "123"')
    return _in_64_bits(int(text))


def _in_64_bits(number: int) -> int:
    if not LONG_MIN <= number <= LONG_MAX:
        raise _Refused("it does not fit into 64 bits")
    return number


def parse_date_time(text: str) -> str:
    """Return an instant in UTC: ``2020-01-01T01:00+01:00`` → ``2020-01-01T00:00:00Z``."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise _Refused('it must be a date and time with an offset such as "2020-01-31T12:00:00Z"')
    day, minute, second, fraction, offset = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{offset.upper()}")
        whole = instant.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError) as error:
        raise _Refused("there is no such date and time") from error
    return f"{whole}{_fraction(fraction)}Z"


def _fraction(digits: str | None) -> str:
    significant = (digits or "").rstrip("0")
    return f".{significant}" if significant else ""


def parse_date(text: str) -> str:
    """Return a calendar date in ISO form."""
    if _DATE.fullmatch(text) is None:
        raise _Refused('it must be a date such as "2020-01-31"')
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise _Refused("there is no such date") from error


def parse_time_of_day(text: str) -> str:
    """Return a time of day with seconds: ``12:30`` → ``12:30:00``."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _Refused('it must be a time such as "23:59:59"')
    hour, minute, second, fraction = match.groups()
    return f"{hour}:{minute}:{second or '00'}{_fraction(fraction)}"


def parse_duration(text: str) -> str:
    """Return a day-time duration in its shortest form: ``PT90M`` → ``PT1H30M``."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise _Refused(
            'it must be a duration in days, hours, minutes and seconds such as "P1DT2H30M"'
        )
    sign, days, hours, minutes, seconds = match.groups()
    whole, _, fraction = (seconds or "0").partition(".")
    total = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(whole)
    day, rest = divmod(total, 86_400)
    hour, rest = divmod(rest, 3_600)
    minute, second = divmod(rest, 60)
    tail = _fraction(fraction)
    units = ((hour, "H"), (minute, "M"))
    clock = "".join(f"{n}{unit}" for n, unit in units if n)
    clock += f"{second}{tail}S" if second or tail else ""
    spelled = "P" + (f"{day}D" if day else "") + (f"T{clock}" if clock else "")
    if spelled == "P":
        return "PT0S"
    return f"-{spelled}" if sign == "-" else spelled


def parse_uuid(text: str) -> str:
    """Return a GUID in its hyphenated form, lower-cased."""
    if _UUID.fullmatch(text) is None:
        raise _Refused('it must be a GUID such as "3fa85f64-5717-4562-b3fc-2c963f66afa6"')
    return text.lower()


def parse_base64(text: str) -> str:
    """Return base64url with padding, as OData writes it, for base64 of either alphabet, padded or not."""
    # Clients send both alphabets, with and without padding.
    bare = text.rstrip("=").translate(_TO_URL_SAFE)
    padded = bare + "=" * (-len(bare) % 4)
    try:
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _Refused("it must be base64 text") from error
    if len(text) not in (len(bare), len(padded)):
        raise _Refused("it must be base64 text")
    return base64.urlsafe_b64encode(data).decode("ascii")


def _error(name: str, shown: str, why: str, node: ValueNode | None = None) -> GraphQLError:
    return GraphQLError(f"{name} cannot represent {shown}: {why}.", node)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _decimal_value(value: object) -> decimal.Decimal:
    if isinstance(value, float):
        # ``repr`` returns the shortest digits that identify a double: those of the sender, if they are few.
        text = repr(value)
        digits = re.sub(r"[eE].*|\D", "", text).strip("0")
        if len(digits) > EXACT_FLOAT_DIGITS or text in ("nan", "inf", "-inf"):
            raise _Refused("a JSON number of that many digits is not exact; send it as a string")
        return parse_decimal(text)
    return parse_decimal(str(value) if _is_int(value) else _text(value))


def _long_value(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return _in_64_bits(value)
    if isinstance(value, float):
        raise _Refused("it must be an integer; send integers beyond 32 bits as strings")
    return parse_long(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Refused("it must be a string")
    return value


def _decimal_out(value: object) -> str:
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return str(value)
    return str(value) if _is_int(value) else str(parse_decimal(_text(value)))


def _long_out(value: object) -> str:
    return str(_long_value(value))


def _scalar(
    name: str,
    description: str,
    url: str,
    parse_text: Callable[[str], object],
    *,
    parse: Callable[[object], object] | None = None,
    serialize: Callable[[object], object] = _text,
    literals: tuple[type[ValueNode], ...] = (StringValueNode,),
) -> ScalarDefinition:
    """Return a scalar; ``parse`` reads a JSON value, ``parse_text`` the text of a literal of one of ``literals``."""
    from_json = parse or (lambda value: parse_text(_text(value)))

    def serialize_value(value: object) -> object:
        try:
            return serialize(value)
        except _Refused as refused:
            raise _error(name, inspect(value), str(refused)) from refused

    def parse_value(value: object) -> object:
        try:
            return from_json(value)
        except _Refused as refused:
            raise _error(name, inspect(value), str(refused)) from refused

    def parse_literal(node: ValueNode, _variables: Mapping[str, Any] | None = None) -> object:
        if not isinstance(node, literals):
            kinds = " or ".join(kind.kind.removesuffix("_value") for kind in literals)
            raise _error(name, print_ast(node), f"it must be a {kinds} literal", node)
        try:
            return parse_text(node.value)  # type: ignore[attr-defined]
        except _Refused as refused:
            raise _error(name, print_ast(node), str(refused), node) from refused

    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=url,
        serialize=serialize_value,
        parse_value=parse_value,
        parse_literal=parse_literal,
    )


_XSD = "https://www.w3.org/TR/xmlschema11-2/"
_RFC3339 = "https://datatracker.ietf.org/doc/html/rfc3339"

DEFINITIONS: Mapping[str, tuple[object, ScalarDefinition]] = {
    "Decimal": (
        Decimal,
        _scalar(
            "Decimal",
            "An exact decimal number, as a string.",
            f"{_XSD}#decimal",
            parse_decimal,
            parse=_decimal_value,
            serialize=_decimal_out,
            literals=(StringValueNode, IntValueNode, FloatValueNode),
        ),
    ),
    "Long": (
        Long,
        _scalar(
            "Long",
            "A 64-bit integer, as a string.",
            f"{_XSD}#long",
            parse_long,
            parse=_long_value,
            serialize=_long_out,
            literals=(StringValueNode, IntValueNode),
        ),
    ),
    "DateTime": (
        DateTime,
        _scalar(
            "DateTime",
            "An instant in UTC: `2020-01-31T12:00:00Z`.",
            f"{_RFC3339}#section-5.6",
            parse_date_time,
        ),
    ),
    "Date": (
        Date,
        _scalar("Date", "A calendar date: `2020-01-31`.", f"{_RFC3339}#section-5.6", parse_date),
    ),
    "TimeOfDay": (
        TimeOfDay,
        _scalar("TimeOfDay", "A time of day: `23:59:59`.", f"{_XSD}#time", parse_time_of_day),
    ),
    "Duration": (
        Duration,
        _scalar(
            "Duration",
            "A length of time in days to seconds: `P1DT2H30M`.",
            f"{_XSD}#dayTimeDuration",
            parse_duration,
        ),
    ),
    "UUID": (
        UUID,
        _scalar(
            "UUID",
            "A GUID: `3fa85f64-5717-4562-b3fc-2c963f66afa6`.",
            "https://datatracker.ietf.org/doc/html/rfc9562",
            parse_uuid,
        ),
    ),
    "Base64": (
        Base64,
        _scalar(
            "Base64",
            "Bytes as base64url text. `/files/{id}/{field}` has those of a row as they are: `GET` reads them,"
            " `PUT` writes them.",
            "https://datatracker.ietf.org/doc/html/rfc4648#section-5",
            parse_base64,
        ),
    ),
    "JSON": (
        JSON,
        strawberry.scalar(
            name="JSON",
            description="Any JSON value.",
            specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
            serialize=lambda value: value,
            parse_value=lambda value: value,
        ),
    ),
}
"""GraphQL name → the Python annotation for the scalar, and its definition."""

SCALAR_MAP: Mapping[object, ScalarDefinition] = {
    **dict(DEFINITIONS.values()),
    # The same Python values, so that hand-written fields may use the usual annotations too.
    decimal.Decimal: DEFINITIONS["Decimal"][1],
    STRAWBERRY_JSON: DEFINITIONS["JSON"][1],
}
