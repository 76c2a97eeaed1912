"""Values of imported rows: numbers and cells of CSV as GraphQL takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from gateway.errors import BadArgument

AS_TEXT = frozenset({"Decimal", "Long"})
"""Scalars whose values are text in the API, and may be numbers in a file."""
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def plain_json(value: Any) -> Any:
    """Return a JSON value with floats in the place of decimals, for fields of any JSON."""
    if isinstance(value, dict):
        return {name: plain_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return list(map(plain_json, value))
    return float(value) if isinstance(value, Decimal) else value


def decode_cell(cell: str, name: str) -> Any:
    """Return the JSON value in a cell. Raises BadArgument."""
    try:
        return _decode(cell)
    except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
        raise BadArgument(f"{name} is no JSON: lists are written as JSON.") from error


def boolean(text: str) -> Any:
    """Return a Boolean; any other text as it is."""
    folded = text.strip().casefold()
    if folded in _YES or folded in _NO:
        return folded in _YES
    return text


def cell_value(scalar: str, cell: str, name: str) -> Any:
    """Return the value of a cell of a scalar type; text if it is another type. Raises BadArgument."""
    read = _READ.get(scalar)
    if read is None:
        return cell
    try:
        value = read(cell)
    except ValueError:
        value = cell
    if value is cell:
        raise BadArgument(f"{name} is no {scalar}.")
    return value


_READ: Mapping[str, Callable[[str], Any]] = {"Int": int, "Float": float, "Boolean": boolean}
