"""Reads the rows of a package's file: comma-separated values with a header, as the data format of its project has them.

Lines and records have a limit, so that a file cannot fill the memory: one line without an end, or one record of many.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import TypeAlias

from gateway.errors import UpstreamMalformed
from gateway.odata.query import Value
from schema.model.records import Model

from .archive import encoding_of
from .cells import Convert, converter
from .choice import PackagePlan
from .records import NoPackage

Row: TypeAlias = Mapping[str, Value]
_MAX_RECORD = 4_000_000
"""Characters of a record."""


def read_rows(
    file: BufferedReader,
    plan: PackagePlan,
    model: Model,
    company: str,
    *,
    skip: int,
    has_nulls: bool,
) -> Iterator[tuple[int, Row]]:
    """Yield the number and the values, by property, of the rows of a file after the first ``skip`` ones. Blocks.

    Raises NoPackage if it has not all columns, UpstreamMalformed if a row cannot be read.
    """
    declared = plan.declared
    text = io.TextIOWrapper(file, encoding_of(file, declared.encoding), errors="strict", newline="")
    lines = _Lines(text)
    records = csv.reader(lines, delimiter=declared.delimiter, quotechar=declared.quote, strict=True)
    number = 0
    try:
        header = next(records, [])
        readers, fixed = _readers(header, plan, model, company, has_nulls=has_nulls)
        for number, cells in enumerate(records, 1):
            lines.begin()
            if number <= skip or not cells:
                continue
            if len(cells) != len(header):
                raise ValueError("it has another number of cells than the header")
            try:
                row = {name: convert(cells[index]) for name, index, convert in readers}
            except (ValueError, ArithmeticError) as error:
                raise ValueError(f"its {_unreadable(cells, readers)} is not of its type") from error
            yield number, {**row, **fixed} if fixed else row
    except (ValueError, csv.Error) as error:
        raise UpstreamMalformed(
            f"Row {number + 1:,} of the data package cannot be read.",
            hint="Are delimiter, encoding, decimal and dates in packages.sets those of the project's data format?",
            detail=type(error).__name__ if isinstance(error, UnicodeError) else str(error),
        ) from error


def _readers(
    header: Sequence[str], plan: PackagePlan, model: Model, company: str, *, has_nulls: bool
) -> tuple[list[tuple[str, int, Convert]], dict[str, Value]]:
    """Return how the cells of a row are read, and the values that no cell has. Raises NoPackage."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        places.setdefault(name.strip().casefold(), []).append(index)
    readers: list[tuple[str, int, Convert]] = []
    fixed: dict[str, Value] = {}
    missing: list[str] = []
    for prop in plan.columns:
        column = plan.declared.columns.get(prop.name, prop.name)
        found = places.get(column.casefold(), [])
        if len(found) == 1:
            convert = converter(prop, model, plan.declared, has_nulls=has_nulls)
            if prop.name == plan.company_property:
                convert = _lower
            readers.append((prop.name, found[0], convert))
        elif prop.name == plan.company_property and not found and not plan.needs_company:
            fixed[prop.name] = company
        else:
            missing.append(column)
    if missing:
        raise NoPackage(
            f"the package has no column {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
            f"Map the fields in the data project, or name columns in packages.sets.{plan.entity_set}.columns.",
        )
    return readers, fixed


def _unreadable(cells: Sequence[str], readers: Sequence[tuple[str, int, Convert]]) -> str:
    """Return the first property whose cell cannot be read."""
    for name, index, convert in readers:
        try:
            convert(cells[index])
        except (ValueError, ArithmeticError):
            return name
    return ""


def _lower(cell: str) -> str:
    return cell.strip().lower()


class _Lines:
    """The lines of a text, of which a record may have so many characters."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._left = _MAX_RECORD

    def begin(self) -> None:
        """Note that a record has ended."""
        self._left = _MAX_RECORD

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_RECORD)
        self._left -= len(line)
        if self._left < 0:
            raise ValueError("a record is too long")
        if not line:
            raise StopIteration
        return line
