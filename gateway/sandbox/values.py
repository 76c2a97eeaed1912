"""How each kind of property is stored, compared and written.

Strings compare without case and trailing blanks, as by SQL Server's collation (section 1.2), so a text property has a
second, *folded* column for filters and orders. Decimals and durations are stored as exact text and in a sortable
fixed-width form (of a duration's seconds), never as floats. Moments are ISO text in UTC without the ``Z``, so that
fractions sort.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import Enum
from functools import cached_property
from typing import Any

import orjson

from schema.model.records import EnumType, Model, Property

Stored = str | int | float | None

NULL_DATE = "1900-01-01T12:00:00"
NULL_MOMENT = "1900-01-01T00:00:00"
MAX_MOMENT = "2154-12-31T23:59:59"
_SHIFT = 10**38
_DURATION = re.compile(
    r"(?P<sign>-)?P(?=.)(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_EXACT = Context(prec=80)
"""The default context would round at 28 digits."""


class Kind(Enum):
    """Classes of values that are stored and compared alike."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    DATE = "date"
    TIME = "time"
    DURATION = "duration"
    GUID = "guid"
    BINARY = "binary"
    ENUM = "enum"
    JSON = "json"
    """Complex values, collections and geography, stored as the JSON of the answer."""


KINDS = {
    "Edm.String": Kind.TEXT,
    "Edm.Decimal": Kind.DECIMAL,
    "Edm.Byte": Kind.INTEGER,
    "Edm.SByte": Kind.INTEGER,
    "Edm.Int16": Kind.INTEGER,
    "Edm.Int32": Kind.INTEGER,
    "Edm.Int64": Kind.INTEGER,
    "Edm.Double": Kind.REAL,
    "Edm.Single": Kind.REAL,
    "Edm.Boolean": Kind.BOOLEAN,
    "Edm.DateTimeOffset": Kind.MOMENT,
    "Edm.Date": Kind.DATE,
    "Edm.TimeOfDay": Kind.TIME,
    "Edm.Duration": Kind.DURATION,
    "Edm.Guid": Kind.GUID,
    "Edm.Binary": Kind.BINARY,
}
NUMBERS = frozenset({Kind.DECIMAL, Kind.INTEGER, Kind.REAL})
SHADOWED = frozenset({Kind.TEXT, Kind.DECIMAL, Kind.DURATION})
"""Kinds with a second column for comparing."""


def fold(text: str) -> str:
    """Return the form in which two strings are compared."""
    return text.casefold().rstrip(" ")


def sortable(number: Decimal) -> str:
    """Return a fixed-width text that sorts as the number does, exact to 16 places."""
    return f"{int(_EXACT.scaleb(number, 16)) + _SHIFT:039d}"


def duration_seconds(text: str) -> Decimal:
    """Return the seconds of ``-P1DT2H30M1.5S``. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    total = sum((Decimal(match[unit] or 0) * size for unit, size in _UNITS.items()), Decimal())
    return -total if match["sign"] else total


def decimal_text(number: Decimal) -> str:
    """Return the number as JSON writes it: ``39.95``, no exponent, no trailing zeros (section 2.4)."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def binary_text(text: str) -> str:
    """Return the stored form of base64 in either alphabet, padded or not. Raises ValueError for anything else."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    padded = plain + "=" * (-len(plain) % 4)
    return base64.b64encode(base64.b64decode(padded, validate=True)).decode()


def moment_text(moment: dt.datetime) -> str:
    """Return the stored form of a point in time."""
    utc = moment.astimezone(dt.UTC) if moment.tzinfo else moment
    text = utc.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


@dataclass(frozen=True)
class Field:
    """A property as the store and the writer see it."""

    declared: Property
    kind: Kind
    enum: EnumType | None = None
    has_nulls: bool = False
    """Whether an unset value is null; F&O has no nulls but ``""``, 0 and 1900 (section 2.4)."""
    folds: bool = True
    """Whether texts compare without case and trailing blanks."""

    @property
    def name(self) -> str:
        return self.declared.name

    @cached_property
    def names_by_value(self) -> Mapping[int, str]:
        members = () if self.enum is None else self.enum.members
        return {m.value: m.name for m in reversed(members)}

    @cached_property
    def values_by_name(self) -> Mapping[str, int]:
        members = () if self.enum is None else self.enum.members
        return {m.name: m.value for m in members}

    @cached_property
    def unset(self) -> Stored:
        """The value in a row that does not set this property."""
        if self.has_nulls:
            return None
        if self.kind is Kind.MOMENT:
            return NULL_DATE if self.declared.ax_type == "Date" else NULL_MOMENT
        if self.kind is Kind.ENUM:
            return 0 if 0 in self.names_by_value else min(self.names_by_value, default=0)
        return _UNSET.get(self.kind, "")

    @cached_property
    def initial(self) -> Stored:
        """The value in a new row that does not set this property: its unset value, null only if that is allowed."""
        if self.kind is Kind.JSON and (self.declared.type.many or not self.declared.nullable):
            return "[]" if self.declared.type.many else "{}"
        if self.unset is not None or self.declared.nullable:
            return self.unset
        if self.kind is Kind.ENUM:
            return 0 if 0 in self.names_by_value else min(self.names_by_value, default=0)
        return _INITIAL.get(self.kind, _UNSET.get(self.kind, ""))

    def to_stored(self, value: Any) -> Stored:
        """Return the stored form of what the seeds or a request body say."""
        if value is None:
            return None
        return _TO_STORED[self.kind](self, value)

    def shadow(self, stored: Stored) -> str | None:
        """Return the comparing form of a stored text, decimal or duration."""
        if stored is None:
            return None
        if self.kind is Kind.TEXT:
            return fold(str(stored)) if self.folds else str(stored)
        number = duration_seconds(str(stored)) if self.kind is Kind.DURATION else Decimal(stored)
        return sortable(number)

    @cached_property
    def to_json(self) -> Callable[[Any], Any]:
        """Stored value → what orjson writes; never called with None."""
        if self.kind is Kind.ENUM:
            return self._enum_text
        return _TO_JSON.get(self.kind, _same)

    def _enum_text(self, value: int) -> str:
        member = self.names_by_value.get(value)
        if member is not None:
            return member
        return ",".join(
            n for v, n in sorted(self.names_by_value.items()) if v and value & v == v
        ) or str(value)


def _same(value: Any) -> Any:
    return value


def _enum_value(field: Field, value: Any) -> int:
    if isinstance(value, int):
        return value
    total = 0
    for name in str(value).split(","):
        total |= field.values_by_name[name.strip()]
    return total


def _moment(_field: Field, value: Any) -> str:
    if isinstance(value, dt.datetime):
        return moment_text(value)
    if isinstance(value, dt.date):
        return f"{value.isoformat()}T12:00:00"  # section 2.4: a date is noon UTC
    return moment_text(dt.datetime.fromisoformat(str(value)))


def _binary(_field: Field, value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


_TO_STORED: dict[Kind, Callable[[Field, Any], Stored]] = {
    Kind.TEXT: lambda _, v: str(v),
    Kind.DECIMAL: lambda _, v: decimal_text(Decimal(v)),
    Kind.INTEGER: lambda _, v: int(v),
    Kind.REAL: lambda _, v: float(v),
    Kind.BOOLEAN: lambda _, v: int(v),
    Kind.MOMENT: _moment,
    Kind.DATE: lambda _, v: str(v),
    Kind.TIME: lambda _, v: str(v),
    Kind.DURATION: lambda _, v: str(v),
    Kind.GUID: lambda _, v: str(v).lower(),
    Kind.BINARY: _binary,
    Kind.ENUM: _enum_value,
    Kind.JSON: lambda _, v: orjson.dumps(v).decode(),
}
_UNSET: dict[Kind, Stored] = {
    Kind.DECIMAL: "0",
    Kind.INTEGER: 0,
    Kind.REAL: 0.0,
    Kind.BOOLEAN: 0,
    Kind.GUID: "00000000-0000-0000-0000-000000000000",
    Kind.DURATION: "PT0S",
}
_INITIAL: dict[Kind, Stored] = {
    Kind.MOMENT: NULL_MOMENT,
    Kind.DATE: "1900-01-01",
    Kind.TIME: "00:00:00",
    Kind.DURATION: "PT0S",
}
_TO_JSON: dict[Kind, Callable[[Any], Any]] = {
    Kind.DECIMAL: orjson.Fragment,
    Kind.JSON: orjson.Fragment,
    Kind.BOOLEAN: bool,
    Kind.MOMENT: lambda v: v + "Z",
}


def plain(field: Field, stored: Stored) -> Any:
    """Return a stored value as Python has it: exact decimals, parsed JSON, enum names."""
    if stored is None:
        return None
    if field.kind is Kind.DECIMAL:
        return Decimal(stored)
    return orjson.loads(str(stored)) if field.kind is Kind.JSON else field.to_json(stored)


def fields_of(
    model: Model, type_name: str, *, has_nulls: bool, folds: bool = True
) -> dict[str, Field]:
    """Return the fields of a structured type by name; streams hold no value and are left out."""
    return {
        prop.name: field_of(model, prop, has_nulls=has_nulls, folds=folds)
        for prop in model.properties_of(type_name)
        if prop.type.name != "Edm.Stream"
    }


def field_of(model: Model, prop: Property, *, has_nulls: bool, folds: bool = True) -> Field:
    """Return the field of one property, or of a parameter that is written like one."""
    if prop.type.many:
        return Field(prop, Kind.JSON, has_nulls=has_nulls)
    name = prop.type.name
    if name in model.type_definitions:
        name = model.type_definitions[name].underlying
    enum = model.enum_types.get(name)
    kind = Kind.ENUM if enum is not None else KINDS.get(name, Kind.JSON)
    return Field(prop, kind, enum, has_nulls=has_nulls, folds=folds)
