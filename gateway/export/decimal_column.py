"""Decimals as an Arrow column: exact, and in the time that they take.

Text is parsed with as many digits behind the point as a page really has, and then brought to the scale of the column,
as multiplying a whole column costs next to nothing. Short numbers are parsed as binary floats, in a quarter of the
time: arro3 multiplies them by the power of ten of the scale, and rounds to the next integer. That is the exact product
if it has at most 15 digits: both steps together are wrong by less than 10^15 * 2^-52, which is a quarter.
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
_EXACT_DIGITS = 15


def decimals(precision: int, scale: int) -> Convert:
    """Return a function from the values of a column to texts and the types to which they are cast.

    It raises ValueError for a value with more digits behind the point than the scale.
    """
    from arro3.core import DataType  # noqa: PLC0415 - an extra

    whole = DataType.decimal128(precision, scale)
    # Narrower ones with as many digits before the point: what does not fit the column must not fail to be parsed only.
    steps = [
        (digits, re.compile(rf"\.\d{{{digits + 1}}}"), DataType.decimal128(_MAX_PRECISION, digits))
        for digits in _PARSED
        if digits < scale
    ]
    binary = DataType.float64()
    beyond = re.compile(rf"\.\d{{{scale}}}\d*[1-9]")

    def convert(cells: list[Any]) -> tuple[list[Any], Sequence[DataType]]:
        texts, present, joined = _texts(cells)
        longest = max(map(len, present), default=0)
        for digits, _, narrow in steps:
            # A point and the digit before it leave no more than this behind it.
            if longest - 2 <= digits <= _EXACT_DIGITS - longest:
                return texts, (binary, narrow, whole)
        for digits, more, narrow in steps:
            if more.search(joined) is None:
                is_short = longest + digits <= _EXACT_DIGITS
                return texts, (binary, narrow, whole) if is_short else (narrow, whole)
        if beyond.search(joined) is not None:
            raise ValueError
        return texts, (whole,)

    return convert


def _texts(cells: list[Any]) -> tuple[list[Any], list[str], str]:
    """Return cells as texts without exponents; those of them that are no null; and these in one text."""
    try:
        present, joined = cells, " ".join(cells)
    except (
        TypeError
    ):  # nulls; or numbers, as rows with related rows beside them are decoded as such
        cells = [None if cell is None else str(cell) for cell in cells]
        present = [cell for cell in cells if cell is not None]
        joined = " ".join(present)
    if "E" in joined or "e" in joined:
        cells = [None if cell is None else format(Decimal(cell), "f") for cell in cells]
        present = [cell for cell in cells if cell is not None]
        joined = " ".join(present)
    return cells, present, joined
