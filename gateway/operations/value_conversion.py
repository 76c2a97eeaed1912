"""One value on its way between GraphQL and the wire: cleaning in both directions.

Outbound (:func:`from_upstream`) gives what a GraphQL scalar or enum serialises; inbound (:func:`to_literal`)
gives what OData compares with. The compiled completion in ``complete`` inlines the outbound half; a
differential test keeps the two equal. Clean values: design section 3; sentinels: reference ``d365-odata``
section 2.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import isfinite

from gateway.errors import (
    BadArgument,
    NotFinite,
    UnknownEnumValue,
    UpstreamError,
    UpstreamMalformed,
)
from gateway.odata.literals import parse_value
from gateway.odata.query import Literal, Value
from schema.catalog.records import Clean, EnumInfo, ValueType

from .row_types import plain_json

_INSTANT = "Edm.DateTimeOffset"
_DELIMITER = re.compile(r"(?<!\\)-")
"""A delimiter of segments; inside a segment a backslash escapes it (reference ``d365-odata`` section 5.4)."""
NULL_DAY = "1900-01-01"
FIRST_DAY = "1900-01-02T00:00:00Z"
"""The first moment that is not the null date."""
_BOOLEANS: Mapping[object, bool] = {"No": False, "Yes": True}
_INT_BITS = 1 << 31
NO_FLAG = "0"
"""A set of flags that holds none, where the enum names no such member (CSDL 4.01 section 10.2)."""
_NOT_FINITE: Mapping[str, str] = {
    "INF": "INF",
    "Infinity": "INF",
    "-INF": "-INF",
    "-Infinity": "-INF",
    "NaN": "NaN",
}
"""The special numbers as OData and as Python's Decimal spell them → OData's spelling."""
_TEXT = frozenset({"String", "DateTime", "Date", "TimeOfDay", "Duration", "UUID", "Base64"})


def from_upstream(value: ValueType, raw: object) -> object:
    """Return one upstream value as GraphQL shows it.

    Raises UpstreamMalformed or UnknownEnumValue where it is not of its type, NotFinite for what no GraphQL number
    can hold.
    """
    if raw is None:
        return None
    if value.enum is not None:
        return _enum_from_upstream(value, value.enum, raw)
    if value.edm == _INSTANT and isinstance(raw, str):
        return clean_date(value.clean, in_utc(raw))
    if value.scalar in _TEXT and isinstance(raw, str):
        return account_number(raw) if value.clean is Clean.ACCOUNT else raw
    if value.scalar == "Float" and isinstance(raw, Decimal) and raw.is_finite():
        raw = float(raw)  # JSON that was decoded without a type keeps its digits
    if _is_number_of(value.scalar, raw) or value.scalar == "JSON":
        return raw
    if value.scalar == "Boolean" and isinstance(raw, bool):
        return raw
    if value.scalar in ("Float", "Decimal"):
        _refuse_not_finite(value, raw)
    raise UpstreamMalformed(
        f"The upstream sent a value that is not {value.edm}.",
        hint="The environment's metadata may have changed: reload it.",
        detail=f"{value.edm}: {type(raw).__name__}",
    )


def each_from_upstream(value: ValueType, raw: object) -> list[object]:
    """Return each item of a list cleaned; a bad item is the error that belongs at its place.

    Raises UpstreamMalformed for what is no list.
    """
    if not isinstance(raw, list):
        raise UpstreamMalformed("The upstream sent something that is no list.")
    return [_item(value, item) for item in raw]


def _item(value: ValueType, raw: object) -> object:
    try:
        return from_upstream(value, raw)
    except UpstreamError as error:
        return error


def from_untyped(value: ValueType, raw: object, *, is_list: bool) -> object:
    """Return the result of an operation, whose JSON was decoded without a type. Raises UpstreamError."""
    if value.scalar == "JSON" and isinstance(raw, list) and is_list:
        return [plain_json(item) for item in raw]
    if is_list and raw is not None:
        return each_from_upstream(value, raw)
    return plain_json(raw) if value.scalar == "JSON" else from_upstream(value, raw)


def account_number(raw: str) -> str:
    r"""Return the account number in a display value: ``US\-009`` → ``US-009``.

    Raises UpstreamMalformed for a display value of several segments, which no number can stand for.
    """
    if _DELIMITER.search(raw):
        raise UpstreamMalformed(
            "This display value has several segments, so it is no account number.",
            hint="The setting account_numbers is for fields that hold customers, vendors or banks only.",
        )
    return raw.replace("\\-", "-")


def display_value(number: str) -> str:
    r"""Return an account number, or a part of one, as display values spell it: ``US-009`` → ``US\-009``."""
    return number.replace("-", "\\-")


def in_utc(raw: str) -> str:
    """Return an instant as UTC: ``2024-01-31T01:00:00+02:00`` → ``2024-01-30T23:00:00Z``. Raises UpstreamMalformed."""
    if raw[-1:] == "Z":
        return raw  # nearly all services: the text is passed on as it came
    try:
        return str(parse_value(_INSTANT, raw))
    except ValueError as error:
        raise UpstreamMalformed(
            "The upstream sent a date and time without an offset, or one that does not exist.",
            hint="Edm.DateTimeOffset has an offset, such as 2024-01-31T12:00:00Z.",
        ) from error


def clean_date(clean: Clean, raw: str) -> str | None:
    """Clean a date-time's text: 1900-01-01 is null, an X++ date has no time."""
    if clean is Clean.NONE:
        return raw
    if clean is not Clean.KEY_DATE and raw.startswith(NULL_DAY):
        return None
    return raw if clean is Clean.NULL_DATE else raw[:10]


def _is_number_of(scalar: str, raw: object) -> bool:
    if isinstance(raw, bool):
        return False
    if scalar == "Int":
        return isinstance(raw, int) and -_INT_BITS <= raw < _INT_BITS
    if scalar == "Long":
        return isinstance(raw, int) or (isinstance(raw, str) and raw.lstrip("-").isdigit())
    if scalar == "Decimal":
        return isinstance(raw, int) or (isinstance(raw, Decimal) and raw.is_finite())
    return scalar == "Float" and isinstance(raw, int | float) and isfinite(raw)


def _refuse_not_finite(value: ValueType, raw: object) -> None:
    """Raise NotFinite for the special numbers of OData (JSON format 4.01 section 7.1); pass all else."""
    text = _NOT_FINITE.get(str(raw)) if isinstance(raw, str | Decimal) else None
    if text is not None:
        raise NotFinite(
            f"The upstream's value is {text}, which GraphQL's {value.scalar} cannot hold.",
            hint="Only finite numbers can be shown: correct the value in the source.",
        )


def _enum_from_upstream(value: ValueType, enum: EnumInfo, raw: object) -> object:
    if value.clean is Clean.NO_YES and isinstance(raw, str) and raw in _BOOLEANS:
        return _BOOLEANS[raw]
    if enum.flags and isinstance(raw, str):
        return [] if raw == NO_FLAG else [_member(enum, name.strip()) for name in raw.split(",")]
    return _member(enum, raw)


def _member(enum: EnumInfo, raw: object) -> str:
    name = enum.to_graphql.get(raw) if isinstance(raw, str) else None
    if name is None:
        raise UnknownEnumValue(
            f"The upstream sent a value of enum {enum.name} that the metadata does not list.",
            hint="The environment's metadata is newer than the gateway's: reload it.",
            detail=f"{enum.csdl}: {raw!r}",
        )
    return name


def to_literal(value: ValueType, given: object, *, what: str) -> Literal:
    """Turn a coerced GraphQL value into a literal of the upstream type. ``what`` names it in errors."""
    if value.enum is not None:
        if value.clean is Clean.NO_YES:
            return Literal("Yes" if given else "No", value.edm, is_enum=True)
        return Literal(_member_names(value.enum, given), value.edm, is_enum=True)
    if value.clean in (Clean.DATE, Clean.KEY_DATE):
        return Literal(f"{given}T12:00:00Z", value.edm)
    if value.clean is Clean.ACCOUNT and isinstance(given, str):
        given = display_value(given)
    return Literal(_parsed(value.edm, given, what), value.edm)


def to_literals(value: ValueType, given: Sequence[object], *, what: str) -> tuple[Literal, ...]:
    """Return the items of a list as literals of the upstream type. Raises BadArgument."""
    return tuple(to_list_item(value, item, what=f"{what}[{i}]") for i, item in enumerate(given))


def to_list_item(value: ValueType, given: object, *, what: str) -> Literal:
    """Return one item of a list. An item that is a set of flags is text as OData spells it: ``Read,Write``."""
    if value.scalar == "JSON" and not value.edm.startswith("Edm."):
        return Literal(_parsed(value.edm, given, what), value.edm, is_enum=True)
    return to_literal(value, given, what=what)


def _member_names(enum: EnumInfo, given: object) -> str:
    """Return the CSDL names of enum values: ``[READ, WRITE]`` → ``Read,Write``; no flag at all is ``0``."""
    if not isinstance(given, list):
        return enum.to_csdl[str(given)]
    return ",".join(enum.to_csdl[str(name)] for name in dict.fromkeys(given)) or NO_FLAG


def _parsed(edm: str, given: object, what: str) -> Value:
    try:
        return parse_value(edm, given)
    except ValueError as error:
        raise BadArgument(f"{what}: {error}", hint=f"The upstream type is {edm}.") from error


def day_bounds(day: object, what: str) -> tuple[str, str]:
    """Return the first moment of a day and of the next one: values of an X++ date lie between."""
    try:
        start = date.fromisoformat(str(day))
        following = start + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise BadArgument(f"{what}: {day} is not a day that can be compared.") from error
    return f"{start}T00:00:00Z", f"{following}T00:00:00Z"
