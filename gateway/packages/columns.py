"""Columns of a package's file: what ``cells.converter`` reads cell by cell, for many rows in a fraction of the time.

Numbers in the form that JSON has stay the text that they are. What is left (dates, members of enums, Booleans) repeats,
so each distinct text is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from .cells import Convert

Cells: TypeAlias = Sequence[str]
ReadColumn: TypeAlias = Callable[[Cells], Sequence[Any]]
"""Returns values that can be encoded as JSON. Raises ValueError or ArithmeticError if a cell is not of its type."""
_MOST = 4_096
"""Distinct texts of a column that are remembered."""
_INTEGERS = frozenset(f"Edm.{name}" for name in ("Byte", "SByte", "Int16", "Int32", "Int64"))
_NUMBERS = frozenset({"Edm.Decimal", "Edm.Double", "Edm.Single"})
_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_column(edm: str, convert: Convert, decimal: str) -> ReadColumn:
    """Return what reads the column of a property of this type, whose cells are read by ``convert``."""
    if convert is str:
        return _as_it_is
    if edm in _INTEGERS:
        return _Numbers(convert, b"0123456789-")
    if edm in _NUMBERS and decimal == ".":
        return _Numbers(convert, b"0123456789-.")
    if edm in _NUMBERS or edm == "Edm.Guid":
        return lambda cells: list(map(convert, cells))
    return remembering(convert)


def remembering(convert: Convert) -> ReadColumn:
    """Return what reads the column of few distinct texts."""
    values = _Remembered(convert)

    def read(cells: Cells) -> list[Any]:
        if len(values) > _MOST:
            values.clear()
        return list(map(values.__getitem__, cells))

    return read


def _as_it_is(cells: Cells) -> Cells:
    """Return texts."""
    return cells


class _Remembered(dict[str, Any]):
    """Values by their texts."""

    def __init__(self, convert: Convert) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str) -> Any:
        value = self[text] = self._convert(text)
        return value


class _Numbers:
    """Reads numbers: those of JSON's own form all at once, else one by one."""

    def __init__(self, convert: Convert, characters: bytes) -> None:
        self._convert = convert
        self._characters = characters

    def __call__(self, cells: Cells) -> Sequence[Any]:
        """Return the values of a column."""
        joined = ",".join(cells).encode()
        # A text with another character is no such number, one with a comma is more than one.
        if not joined.translate(None, self._characters + b","):
            try:
                numbers = _decode(b"[%b]" % joined)
            except msgspec.DecodeError:
                pass
            else:
                if len(numbers) == len(cells):
                    return numbers
        return list(map(self._convert, cells))
