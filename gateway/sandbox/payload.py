"""Reads request bodies into stored values, with the refusals of F&O's deserialiser (sections 5.1 and 5.4).

Numbers are read as exact decimals, so that an amount is stored as it was sent.
"""

from __future__ import annotations

import binascii
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from .exchange import Incoming
from .refusal import Refusal
from .values import NULL_DATE, Field, Kind, Stored, binary_text, moment_text
from .world import World

_GUID = re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?")
_DURATION = re.compile(r"-?P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_DIGITS = 400
_BOUNDS = {
    "Edm.Byte": (0, 255),
    "Edm.SByte": (-128, 127),
    "Edm.Int16": (-(2**15), 2**15 - 1),
    "Edm.Int32": (-(2**31), 2**31 - 1),
    "Edm.Int64": (-(2**63), 2**63 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRules:
    """How bodies are read, as the settings decide."""

    finops: bool
    refuse_null: bool = True
    """Whether null for a property that is not nullable is an error, or means its unset value."""
    hours_east: float = 0
    """Time zone in which the service takes the day of a moment that is sent for a date-only property."""


def json_object(incoming: Incoming) -> dict[str, Any]:
    """Return the object of a JSON body. Raises Refusal 415 or 400 for anything else."""
    kind = incoming.headers.get("content-type", "application/json")
    if not kind.strip().lower().startswith("application/json"):
        raise Refusal(415, f"A supported MIME type could not be found for '{kind}'.")
    try:
        body = json.loads(incoming.body or b"{}", parse_float=Decimal, parse_constant=_refuse)
        # Escapes can spell half a surrogate pair, which no database stores.
        json.dumps(body, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as problem:
        raise Refusal(400, "An error occurred while parsing the JSON of the request.") from problem
    if not isinstance(body, dict):
        raise Refusal(400, "The request body is not a JSON object.")
    return body


def _refuse(name: str) -> Any:
    raise ValueError(name)


def read_values(
    body: Mapping[str, Any], type_name: str, world: World, rules: BodyRules
) -> dict[str, Stored]:
    """Return property → stored value of a body, without control information. Raises Refusal 400."""
    fields = world.fields_of(type_name)
    navigations = world.navigations_of(type_name)
    values: dict[str, Stored] = {}
    for name, value in body.items():
        if name.startswith("@") or name.partition("@")[1]:
            _check_control(name)
        elif name in navigations:
            raise Refusal(
                400, f"The navigation property '{name}' cannot be written with its owner."
            )
        elif name in fields:
            values[name] = read_value(fields[name], value, rules)
        elif not _is_open(world, type_name):
            raise Refusal(
                400,
                f"The property '{name}' does not exist on type '{type_name}'. Make sure to only use"
                " property names that are defined by the type.",
            )
    return values


def _check_control(name: str) -> None:
    if name.endswith("@odata.bind"):
        raise Refusal(400, f"The annotation '{name}' is not supported in a request.")


def _is_open(world: World, type_name: str) -> bool:
    return any(getattr(t, "open", False) for t in world.model.lineage(type_name))


def read_value(field: Field, value: Any, rules: BodyRules) -> Stored:
    """Return one JSON value as it is stored. Raises Refusal 400 if it is not of the property's type."""
    if value is None:
        return _null(field, rules)
    try:
        stored = _READERS[field.kind](field, value)
        if rules.finops and field.declared.ax_type == "Date":
            stored = _day(str(stored), rules.hours_east)
    except (ValueError, KeyError, TypeError, ArithmeticError, binascii.Error) as problem:
        literal = value if isinstance(value, str) else json.dumps(value, default=str)
        raise Refusal(
            400,
            f"Cannot convert the literal '{literal}' to the expected type"
            f" '{field.declared.type.name}' (property '{field.name}').",
        ) from problem
    return stored


def _null(field: Field, rules: BodyRules) -> Stored:
    declared = field.declared
    if not declared.nullable and rules.refuse_null:
        raise Refusal(
            400,
            f"A null value was found for the property named '{field.name}', which has the expected"
            f" type '{declared.type.name}[Nullable=False]'. The expected type"
            f" '{declared.type.name}[Nullable=False]' does not allow null values.",
        )
    if field.has_nulls and declared.nullable:
        return None
    return None if field.kind is Kind.ENUM and declared.nullable else field.unset


def _day(stored: str, hours_east: float) -> str:
    """Return noon of the day on which a moment falls in the service's time zone (section 5.4)."""
    if stored == NULL_DATE:
        return stored
    local = dt.datetime.fromisoformat(stored) + dt.timedelta(hours=hours_east)
    return f"{local.date().isoformat()}T12:00:00"


def _text(_: Field, value: Any) -> str:
    return _string(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _matching(pattern: re.Pattern[str]) -> Callable[[Field, Any], str]:
    def read(_: Field, value: Any) -> str:
        if not pattern.fullmatch(_string(value)):
            raise ValueError(value)
        return str(value)

    return read


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(value)
    number = Decimal(value)
    if abs(number.adjusted()) > _DIGITS:
        raise ValueError(value)
    return number


def _real(_: Field, value: Any) -> float:
    number = float(_number(value))
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _integer(field: Field, value: Any) -> int:
    number = _number(value)
    low, high = _BOUNDS.get(field.declared.type.name, _BOUNDS["Edm.Int64"])
    if number != int(number) or not low <= number <= high:
        raise ValueError(value)
    return int(number)


def _boolean(_: Field, value: Any) -> int:
    if not isinstance(value, bool):
        raise TypeError(value)
    return int(value)


def _moment(_: Field, value: Any) -> str:
    if not _OFFSET.fullmatch(_string(value)):
        raise ValueError(value)
    return moment_text(dt.datetime.fromisoformat(value))


def _binary(_: Field, value: Any) -> str:
    return binary_text(_string(value))


def _enum(field: Field, value: Any) -> Stored:
    if "," in _string(value) and not (field.enum is not None and field.enum.flags):
        raise ValueError(value)
    return field.to_stored(value)


def _json(field: Field, value: Any) -> str:
    expected = list if field.declared.type.many else (dict, str, int, Decimal)
    if not isinstance(value, expected):
        raise TypeError(value)
    return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number))).decode()


_READERS: dict[Kind, Callable[[Field, Any], Stored]] = {
    Kind.TEXT: _text,
    Kind.DECIMAL: lambda f, v: f.to_stored(_number(v)),
    Kind.INTEGER: _integer,
    Kind.REAL: _real,
    Kind.BOOLEAN: _boolean,
    Kind.MOMENT: _moment,
    Kind.DATE: _matching(_DATE),
    Kind.TIME: _matching(_TIME),
    Kind.DURATION: _matching(_DURATION),
    Kind.GUID: lambda f, v: f.to_stored(_matching(_GUID)(f, v)),
    Kind.BINARY: _binary,
    Kind.ENUM: _enum,
    Kind.JSON: _json,
}
