"""Cells of a package's file → values as the service's JSON has them.

    2024-01-31 00:00:00   an X++ date        2024-01-31T12:00:00Z, as F&O sends dates
    2024-01-31 08:30:00   a date and time    2024-01-31T08:30:00Z
    1.234,50              decimal = ","      1234.50 is not guessed: thousands have no separator
    (nothing)             a date             1900-01-01T00:00:00Z, where the product stores no nulls
    Yes, yes, 1           an enum            the member's name

What cannot be read is an error and no null: a value that is guessed would be wrong in every copy of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from gateway.config.package_models import PackageSet
from gateway.odata.query import Value
from schema.model.records import EnumType, Model, Property

Convert = Callable[[str], Value]
_INTEGERS = frozenset({"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64"})
_NUMBERS = frozenset({"Edm.Decimal", "Edm.Double", "Edm.Single"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_DAY = r"(?P<{}>[0-9]{{1,4}})[-/.](?P<{}>[0-9]{{1,2}})[-/.](?P<{}>[0-9]{{1,4}})"
_TIME = (
    r"(?:[T ](?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]{1,6})0*)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_MOMENTS = {
    order: re.compile(_DAY.format(*names) + _TIME)
    for order, names in (
        ("ymd", ("year", "month", "day")),
        ("mdy", ("month", "day", "year")),
        ("dmy", ("day", "month", "year")),
    )
}
_NOON = 12
_CACHED = 8_192
_EMPTY_DAY = "1900-01-01"
_EMPTY: Mapping[str, Value] = {
    "Edm.Boolean": False,
    "Edm.Guid": "00000000-0000-0000-0000-000000000000",
    "Edm.TimeOfDay": "00:00:00",
}


def converter(prop: Property, model: Model, declared: PackageSet, *, has_nulls: bool) -> Convert:
    """Return what reads the cells of a property; it raises ValueError for one that is not of its type."""
    name = prop.type.name
    enum = model.enum_types.get(name)
    if enum is not None:
        return _enum(enum)
    if name == "Edm.String":
        return str
    if name in ("Edm.DateTimeOffset", "Edm.Date"):
        return _moments(prop, declared, has_nulls=has_nulls)
    empty: Value = None if has_nulls else _empty(name)
    read = _reader(name, declared)
    return lambda cell: read(text) if (text := cell.strip()) else empty


def _empty(name: str) -> Value:
    """Return what a product without nulls has in the place of a value."""
    if name in _INTEGERS or name in _NUMBERS:
        return 0
    return _EMPTY.get(name)


def _reader(name: str, declared: PackageSet) -> Convert:
    if name in _INTEGERS:
        return _integer
    if name in _NUMBERS:
        return _number if declared.decimal == "." else _number_with_comma
    match name:
        case "Edm.Boolean":
            return _boolean
        case "Edm.Guid":
            return lambda text: str(UUID(text))
        case _:
            return str


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("no integer")
    return int(text)


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number")
    return Decimal(text)


def _number_with_comma(text: str) -> Decimal:
    if "." in text:
        raise ValueError("no number with a comma")
    return _number(text.replace(",", ".", 1))


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.casefold())
    if value is None:
        raise ValueError("no Boolean")
    return value


def _enum(enum: EnumType) -> Convert:
    by_text = {str(member.value): member.name for member in reversed(enum.members)}
    by_text |= {member.name.casefold(): member.name for member in enum.members}
    by_text |= {member.name: member.name for member in enum.members}

    def read(cell: str) -> Value:
        text = cell.strip()
        if not text:
            return None
        name = by_text.get(text) or by_text.get(text.casefold())
        if name is None:
            raise ValueError("no member of the enum")
        return name

    return read


def _moments(prop: Property, declared: PackageSet, *, has_nulls: bool) -> Convert:
    """Return what reads dates. Those of a file repeat, and parsing one takes microseconds."""
    is_date = prop.type.name == "Edm.Date"
    is_noon = prop.ax_type == "Date"
    pattern = _MOMENTS[declared.dates]

    def text_of(moment: datetime) -> str:
        if is_date:
            return f"{moment:%Y-%m-%d}".rjust(10, "0")
        if is_noon:
            moment = moment.replace(hour=_NOON, minute=0, second=0, microsecond=0)
        return f"{moment.replace(tzinfo=None).isoformat()}Z"

    @lru_cache(maxsize=_CACHED)
    def read(cell: str) -> Value:
        text = cell.strip()
        if not text:
            return None if has_nulls else text_of(datetime.fromisoformat(_EMPTY_DAY))
        match = pattern.fullmatch(text)
        if match is None:
            raise ValueError("no date")
        return text_of(_moment(match))

    return read


def _moment(match: re.Match[str]) -> datetime:
    """Return a moment in UTC. Raises ValueError for one that does not exist."""
    parts = {name: int(match[name] or 0) for name in ("year", "month", "day", "hour", "minute")}
    if len(match["year"]) != 4:
        raise ValueError("no year")
    if match["half"]:
        if not 1 <= parts["hour"] <= 12:
            raise ValueError("no hour")
        parts["hour"] = parts["hour"] % 12 + (12 if match["half"] in "Pp" else 0)
    part = int((match["part"] or "").ljust(6, "0") or 0)
    text = f"{parts['year']:04}-{parts['month']:02}-{parts['day']:02}"
    zone = match["zone"] or "Z"
    clock = f"{parts['hour']:02}:{parts['minute']:02}:{int(match['second'] or 0):02}.{part:06}"
    return datetime.fromisoformat(f"{text}T{clock}{zone}").astimezone(UTC)
