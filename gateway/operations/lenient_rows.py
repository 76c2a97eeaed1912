"""Rows built from untyped JSON, for answers that do not fit their row types.

The structs are those of the typed decoder, and good values are the same, and so are ids and cursors made of them. What
does not fit stays as it came: graphql-core completes such rows value by value, and each error gets its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

import msgspec
from msgspec import UNSET

from .row_types import RowType


def lenient_row(row_type: RowType, raw: object) -> object:
    """Return a row of untyped JSON: a value that does not fit stays as it came, a missing required one is UNSET.

    For a row of a type that cannot be here, the name of that type is returned instead.
    """
    if not isinstance(raw, dict):
        return raw
    if _has_other_type(row_type, raw.get("@odata.type")):
        return raw["@odata.type"]
    values: dict[str, Any] = {}
    for attribute, name in row_type.layout.wire_names.items():
        # The same defaults as the struct has, so that either decoder builds the same row.
        value = raw.get(name, row_type.absent[attribute])
        inner = row_type.layout.complex_types.get(attribute) or _expanded(row_type, attribute)
        if inner is not None and isinstance(value, list):
            value = [lenient_row(inner, item) for item in value]
        elif inner is not None:
            value = lenient_row(inner, value)
        elif attribute in row_type.layout.kinds:
            value = _as_typed(row_type.layout.kinds[attribute], value)
        values[attribute] = value
    if row_type.level.needs_rest:
        values["rest"] = plain_json(_undeclared(row_type, raw))
    return row_type.struct(**values)


def _has_other_type(row_type: RowType, type_name: object) -> bool:
    """Return whether a row names another type than the only possible one. The alias of the namespace may differ."""
    if not row_type.single_type or not isinstance(type_name, str):
        return False
    return _unqualified(type_name) != _unqualified(row_type.level.info.csdl)


def _unqualified(name: str) -> str:
    return name.rpartition("#")[2].rpartition(".")[2]


def _as_typed(kind: str, value: object) -> object:
    """Return a number or plain JSON as the typed decoder would; any other value as it is."""
    if isinstance(value, list) and kind != "JSON":
        return [_as_typed(kind.strip("[]"), item) for item in value]
    match kind:
        case "Decimal" if isinstance(value, str) or type(value) is int:
            try:
                return Decimal(value)
            except InvalidOperation:
                return value
        case "Float" if isinstance(value, Decimal) or type(value) is int:
            return _as_float(value)
        case "JSON" if value is not None and value is not UNSET:
            return plain_json(value)
        case _:
            return value


def _as_float(value: Decimal | int) -> object:
    try:
        number = float(value)
    except OverflowError:
        return value
    return number if isfinite(number) else value


def plain_json(value: object) -> object:
    """Return decoded JSON as JSON text, with all digits of its numbers; None for null."""
    if value is None:
        return None
    return msgspec.Raw(_as_number(value))


def _expanded(row_type: RowType, attribute: str) -> RowType | None:
    return row_type.expanded.get(int(attribute[1:])) if attribute[0] == "c" else None


def _undeclared(row_type: RowType, raw: Mapping[str, object]) -> dict[str, object]:
    """Return the undeclared properties: neither annotations nor properties that the metadata lists."""
    type_name = raw.get("@odata.type")
    csdl = type_name.lstrip("#") if isinstance(type_name, str) else row_type.level.info.csdl
    declared = row_type.declared.get(csdl, frozenset())
    return {name: value for name, value in raw.items() if "@" not in name and name not in declared}


def parse_count(raw: object) -> int | None:
    """Return a number of rows, which some services send as text; None for anything else."""
    if isinstance(raw, str) and raw.isdecimal() and len(raw) <= 18:
        return int(raw)
    return raw if type(raw) is int and raw >= 0 else None


def untyped_json(body: bytes | msgspec.Raw) -> object:
    """Return decoded JSON with exact decimals. Raises msgspec.DecodeError for other text."""
    return _untyped.decode(body)


_untyped = msgspec.json.Decoder(float_hook=Decimal)
_as_number = msgspec.json.Encoder(decimal_format="number").encode
