"""Conversion of one value between OData and GraphQL.

Outbound, :func:`from_upstream` returns what a GraphQL scalar or enum serialises; inbound, :func:`to_literal` returns
what OData compares with. "Clean" values differ between the two: the null date 1900-01-01 is null, an X++ date has no
time, the enum NoYes is Boolean. ``completion_compiler`` inlines the outbound half; a differential test compares both.
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

from .lenient_rows import plain_json

INSTANT = "Edm.DateTimeOffset"
_DELIMITER = re.compile(r"(?<!\\)-")
"""The delimiter between segments of a display value; inside a segment a backslash escapes it."""
NULL_DAY = "1900-01-01"
FIRST_DAY = "1900-01-02T00:00:00Z"
"""The first moment after the null date, which is null whatever its time."""
_BOOLEANS: Mapping[object, bool] = {"No": False, "Yes": True}
_INT_BITS = 1 << 31
NO_FLAG = "0"
"""A set without any flag, if the enum has no member for that (CSDL 4.01, section 10.2)."""
_NOT_FINITE: Mapping[str, str] = {
    "INF": "INF",
    "Infinity": "INF",
    "-INF": "-INF",
    "-Infinity": "-INF",
    "NaN": "NaN",
}
"""Special numbers as OData and Python's Decimal spell them → OData's spelling."""
_TEXT = frozenset({"String", "DateTime", "Date", "TimeOfDay", "Duration", "UUID", "Base64"})


def from_upstream(value: ValueType, raw: object) -> object:
    """Return one upstream value as GraphQL answers it.

    Raises UpstreamMalformed or UnknownEnumValue if it is not of its type, NotFinite for infinity and "not a number".
    """
    if raw is None:
        return None
    if value.enum is not None:
        return _enum_from_upstream(value, value.enum, raw)
    if value.edm == INSTANT and isinstance(raw, str):
        return clean_date(value.clean, in_utc(raw))
    if value.scalar in _TEXT and isinstance(raw, str):
        return account_number(raw) if value.clean is Clean.ACCOUNT else raw
    if value.scalar == "Float" and isinstance(raw, Decimal) and raw.is_finite():
        raw = float(raw)  # JSON that was decoded without types has decimals
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
    """Return the converted items of a list, with an error in the place of each bad item.

    Raises UpstreamMalformed if it is not a list.
    """
    if not isinstance(raw, list):
        raise UpstreamMalformed("The upstream sent something that is not a list.")
    return [_item(value, item) for item in raw]


def _item(value: ValueType, raw: object) -> object:
    try:
        return from_upstream(value, raw)
    except UpstreamError as error:
        return error


def from_untyped(value: ValueType, raw: object, *, is_list: bool) -> object:
    """Return the result of a function or action, whose JSON was decoded without types. Raises UpstreamError."""
    if value.scalar == "JSON" and isinstance(raw, list) and is_list:
        return [plain_json(item) for item in raw]
    if is_list and raw is not None:
        return each_from_upstream(value, raw)
    return plain_json(raw) if value.scalar == "JSON" else from_upstream(value, raw)


def account_number(raw: str) -> str:
    r"""Return the account number in a display value: ``US\-009`` → ``US-009``.

    Raises UpstreamMalformed for a display value of several segments, which is no account number.
    """
    if _DELIMITER.search(raw):
        raise UpstreamMalformed(
            "This display value has several segments, so it is not an account number.",
            hint="Use the setting account_numbers for fields that hold only customers, vendors or banks.",
        )
    return raw.replace("\\-", "-")


def display_value(number: str) -> str:
    r"""Return an account number, or a part of one, as a display value: ``US-009`` → ``US\-009``."""
    return number.replace("-", "\\-")


def in_utc(raw: str) -> str:
    """Return an instant as UTC: ``2024-01-31T01:00:00+02:00`` → ``2024-01-30T23:00:00Z``. Raises UpstreamMalformed."""
    if raw[-1:] == "Z":
        return raw  # what nearly all services send
    try:
        return str(parse_value(INSTANT, raw))
    except ValueError as error:
        raise UpstreamMalformed(
            "The upstream sent a date and time without an offset, or one that does not exist.",
            hint="Edm.DateTimeOffset has an offset, such as 2024-01-31T12:00:00Z.",
        ) from error


def clean_date(clean: Clean, raw: str) -> str | None:
    """Return the clean text of a date and time: null for 1900-01-01, without time for an X++ date."""
    if clean is Clean.NONE:
        return raw
    if clean is not Clean.KEY_DATE and raw.startswith(NULL_DAY):
        return None
    return raw if clean is Clean.NULL_DATE else raw[:10]


def _is_number_of(scalar: str, raw: object) -> bool:
    # A bool is an int in Python, but not a number in JSON.
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
    """Raise NotFinite for OData's special numbers (JSON Format 4.01, section 7.1)."""
    text = _NOT_FINITE.get(str(raw)) if isinstance(raw, str | Decimal) else None
    if text is not None:
        raise NotFinite(
            f"The upstream's value is {text}, which GraphQL's {value.scalar} cannot represent.",
            hint="Correct the value in the source: only finite numbers can be answered.",
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


def to_literal(value: ValueType, argument: object, *, what: str) -> Literal:
    """Return a coerced GraphQL value as a literal of the upstream type.

    Raises BadArgument, with ``what`` as the name of the value.
    """
    if value.enum is not None:
        if value.clean is Clean.NO_YES:
            return Literal("Yes" if argument else "No", value.edm, is_enum=True)
        return Literal(_member_names(value.enum, argument), value.edm, is_enum=True)
    if value.clean in (Clean.DATE, Clean.KEY_DATE):
        return Literal(f"{argument}T12:00:00Z", value.edm)  # X++ dates are noon UTC
    if value.clean is Clean.ACCOUNT and isinstance(argument, str):
        argument = display_value(argument)
    return Literal(_parse(value.edm, argument, what), value.edm)


def to_literals(value: ValueType, items: Sequence[object], *, what: str) -> tuple[Literal, ...]:
    """Return the items of a list as literals of the upstream type. Raises BadArgument."""
    return tuple(to_list_item(value, item, what=f"{what}[{i}]") for i, item in enumerate(items))


def to_list_item(value: ValueType, item: object, *, what: str) -> Literal:
    """Return an item of a list as a literal; a set of flags is text in OData's spelling: ``Read,Write``."""
    if value.scalar == "JSON" and not value.edm.startswith("Edm."):
        return Literal(_parse(value.edm, item, what), value.edm, is_enum=True)
    return to_literal(value, item, what=what)


def _member_names(enum: EnumInfo, argument: object) -> str:
    """Return the CSDL names of enum values: ``[READ, WRITE]`` → ``Read,Write``; an empty list is ``0``."""
    if not isinstance(argument, list):
        return enum.to_csdl[str(argument)]
    return ",".join(enum.to_csdl[str(name)] for name in dict.fromkeys(argument)) or NO_FLAG


def _parse(edm: str, argument: object, what: str) -> Value:
    try:
        return parse_value(edm, argument)
    except ValueError as error:
        raise BadArgument(f"{what}: {error}", hint=f"The upstream type is {edm}.") from error


def day_bounds(day: object, what: str) -> tuple[str, str]:
    """Return the first moments of a day and of the next one. Raises BadArgument for text that is no day."""
    try:
        start = date.fromisoformat(str(day))
        # Overflows on 9999-12-31.
        following = start + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise BadArgument(f"{what}: {day} is not a day that can be compared.") from error
    return f"{start}T00:00:00Z", f"{following}T00:00:00Z"
