"""Decimals as an Arrow column: exact, and in the time that they take.

arro3 parses a text faster for a small scale, and multiplying whole columns costs next to nothing. So texts are parsed
with as many digits behind the point as a page really has, and then brought to the scale of the column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from arro3.core import DataType

Convert: TypeAlias = Callable[[list[Any]], "tuple[list[Any], Sequence[DataType]]"]
_PARSED = (2, 4, 6, 10)
"""Scales with which texts are parsed, if they are smaller than that of the column."""
_MAX_PRECISION = 38


def decimals(precision: int, scale: int) -> Convert:
    """Return a function from the values of a column to texts and the types to which they are cast.

    It raises ValueError for a value with more digits behind the point than the scale.
    """
    from arro3.core import DataType  # noqa: PLC0415 - an extra

    whole = DataType.decimal128(precision, scale)
    # Narrower ones with as many digits before the point: what does not fit the column must not fail to be parsed only.
    steps = [
        (re.compile(rf"\.\d{{{digits + 1}}}"), (DataType.decimal128(_MAX_PRECISION, digits), whole))
        for digits in _PARSED
        if digits < scale
    ]
    beyond = re.compile(rf"\.\d{{{scale}}}\d*[1-9]")

    def convert(cells: list[Any]) -> tuple[list[Any], Sequence[DataType]]:
        texts = cells
        try:
            joined = _joined(cells)
        except TypeError:  # numbers: rows with related rows beside them are decoded as such
            texts = [None if cell is None else str(cell) for cell in cells]
            joined = _joined(texts)
        if "E" in joined or "e" in joined:
            texts = [None if text is None else format(Decimal(text), "f") for text in texts]
            joined = _joined(texts)
        for more, types in steps:
            if more.search(joined) is None:
                return texts, types
        if beyond.search(joined) is not None:
            raise ValueError
        return texts, (whole,)

    return convert


def _joined(cells: list[Any]) -> str:
    return " ".join([cell for cell in cells if cell is not None])
