"""Reads the rows of a package's file: comma-separated values with a header, as the data format of its project has them.

Rows are read and converted some at a time, column by column (``columns``). They have a limit of characters, so that a
file cannot fill the memory: with one line without an end, or one record of many.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BufferedReader
from itertools import chain, compress, islice
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from gateway.errors import UpstreamMalformed
from gateway.odata.query import Value
from schema.model.records import Model, Property

from .archive import encoding_of
from .cells import Convert, converter
from .choice import PackagePlan
from .columns import Cells, ReadColumn, read_column, remembering
from .records import NoPackage

Row: TypeAlias = Mapping[str, Value]
Passes: TypeAlias = Callable[[Row], bool]
_BATCH = 1_000
"""Records that are read and converted together."""
_MAX_CHARACTERS = 16_000_000
"""Characters of these records."""
_PIECE = 1 << 16
"""Bytes that are read and decoded together."""
_MOST_VERDICTS = 4_096
"""Decisions of a filter that are remembered."""


class FileRows(Struct, frozen=True):
    """Some rows of a file that pass the filter."""

    numbers: Sequence[int]
    """Their numbers in the file, from 1."""
    rows: Sequence[Any]
    """Objects that are encoded as the service's JSON has them."""
    last: int
    """Number of the last row that was read for them."""


class _Column(Struct, frozen=True):
    """A column of the file that is read."""

    name: str
    """Of the property."""
    index: int
    convert: Convert
    read: ReadColumn


def read_rows(
    file: BufferedReader,
    plan: PackagePlan,
    model: Model,
    company: str,
    *,
    skip: int,
    has_nulls: bool,
    passes: Passes | None = None,
) -> Iterator[FileRows]:
    """Yield the rows of a file after the first ``skip`` ones. Blocks.

    ``passes`` decides which of them, from the values that the filter compares. Raises NoPackage if the file has not all
    columns, UpstreamMalformed if a row cannot be read.
    """
    declared = plan.declared
    lines = _Lines(file, encoding_of(file, declared.encoding))
    records = csv.reader(
        chain.from_iterable(lines),
        delimiter=declared.delimiter,
        quotechar=declared.quote,
        strict=True,
    )
    size = min(plan.page, _BATCH)
    number = 0
    try:
        reader = _RowReader(next(records, []), plan, model, company, passes, has_nulls=has_nulls)
        while True:
            batch: list[list[str]] = []
            lines.left = _MAX_CHARACTERS
            try:
                # What was read before an error is there: it says where that is.
                batch += islice(records, min(size, skip - number) if number < skip else size)
            finally:
                first, number = number + 1, number + len(batch)
            if not batch:
                return
            if number > skip:
                rows = reader.read(first, batch)
                # While they are completed, nothing else of them need be in memory.
                del batch
                yield rows
                del rows
    except _Unreadable as error:
        raise _malformed(error.number + 1, error) from error
    except (ValueError, csv.Error) as error:
        raise _malformed(number + 1, error) from error


class _Unreadable(Exception):
    """A row cannot be read."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


class _RowReader:
    """Reads rows whose cells have the places that a header says."""

    def __init__(
        self,
        header: Sequence[str],
        plan: PackagePlan,
        model: Model,
        company: str,
        passes: Passes | None,
        *,
        has_nulls: bool,
    ) -> None:
        """Raise NoPackage if the header has not all columns."""
        self._width = len(header)
        self._columns, fixed = _columns_of(header, plan, model, company, has_nulls=has_nulls)
        self._fixed = tuple(fixed.values())
        names = [*(column.name for column in self._columns), *fixed]
        fields = [(f"v{number}", Any) for number in range(len(names))]
        wire = {f"v{number}": name for number, name in enumerate(names)}
        self._row = msgspec.defstruct("Row", fields, rename=wire, gc=False)
        self._filter = None if passes is None else _Filter(passes, plan, self._columns, fixed)

    def read(self, first: int, records: Sequence[list[str]]) -> FileRows:
        """Return those rows that pass the filter; ``first``: number of the first one. Raises _Unreadable, NoPackage."""
        numbers: Sequence[int] = range(first, first + len(records))
        last = numbers[-1]
        if not all(records):
            # Empty lines, which are counted.
            numbers = list(compress(numbers, records))
            records = list(filter(None, records))
        if not records:
            return FileRows((), (), last)
        try:
            cells = list(zip(*records, strict=True))
            if len(cells) != self._width:
                raise ValueError
            values = [column.read(cells[column.index]) for column in self._columns]
            verdicts = None if self._filter is None else self._filter.verdicts(cells, len(records))
        except (ValueError, ArithmeticError) as error:
            raise self._unreadable(numbers, records) from error
        fixed = [[value] * len(records) for value in self._fixed]
        rows: Sequence[Any] = list(map(self._row, *values, *fixed))
        if verdicts is not None:
            numbers, rows = list(compress(numbers, verdicts)), list(compress(rows, verdicts))
        return FileRows(numbers, rows, last)

    def _unreadable(self, numbers: Sequence[int], records: Sequence[list[str]]) -> Exception:
        """Return what is wrong with the first row that cannot be read."""
        for number, cells in zip(numbers, records, strict=True):
            if len(cells) != self._width:
                return _Unreadable(number, "it has another number of cells than the header")
            for column in self._columns:
                try:
                    column.convert(cells[column.index])
                except (ValueError, ArithmeticError):
                    return _Unreadable(number, f"its {column.name} is not of its type")
        return _Unreadable(numbers[0], "its values are not of their types")


class _Filter:
    """Decides which rows pass a filter: once for rows that are alike in what it compares."""

    def __init__(
        self,
        passes: Passes,
        plan: PackagePlan,
        columns: Sequence[_Column],
        fixed: Mapping[str, Value],
    ) -> None:
        self._passes = passes
        compared = [column for column in columns if column.name in plan.compared]
        self._columns = [(column.index, remembering(column.convert)) for column in compared]
        self._names = [column.name for column in compared]
        self._fixed = fixed
        self._verdicts: dict[tuple[Value, ...], bool] = {}

    def verdicts(self, cells: Sequence[Cells], rows: int) -> list[bool]:
        """Return for each row whether it passes. Raises NoPackage, ValueError, ArithmeticError."""
        if not self._columns:
            return [self._passes(self._fixed)] * rows
        values = [read(cells[index]) for index, read in self._columns]
        return list(map(self._verdict, zip(*values, strict=True)))

    def _verdict(self, values: tuple[Value, ...]) -> bool:
        verdict = self._verdicts.get(values)
        if verdict is None:
            if len(self._verdicts) > _MOST_VERDICTS:
                self._verdicts.clear()
            row = {**dict(zip(self._names, values, strict=True)), **self._fixed}
            verdict = self._verdicts[values] = self._passes(row)
        return verdict


def _columns_of(
    header: Sequence[str], plan: PackagePlan, model: Model, company: str, *, has_nulls: bool
) -> tuple[list[_Column], dict[str, Value]]:
    """Return the columns that are read, and the values that none of them has. Raises NoPackage."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(header):
        places.setdefault(name.strip().casefold(), []).append(index)
    columns: list[_Column] = []
    fixed: dict[str, Value] = {}
    missing: list[str] = []
    for prop in plan.columns:
        name = plan.declared.columns.get(prop.name, prop.name)
        indexes = places.get(name.casefold(), [])
        if len(indexes) == 1:
            columns.append(_column(prop, indexes[0], plan, model, has_nulls=has_nulls))
        elif prop.name == plan.company_property and not indexes and not plan.needs_company:
            fixed[prop.name] = company
        else:
            missing.append(name)
    if missing:
        raise NoPackage(
            f"the package has no column {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
            f"Map the fields in the data project, or name columns in packages.sets.{plan.entity_set}.columns.",
        )
    return columns, fixed


def _column(
    prop: Property, index: int, plan: PackagePlan, model: Model, *, has_nulls: bool
) -> _Column:
    if prop.name == plan.company_property:
        return _Column(prop.name, index, _lower, remembering(_lower))
    convert = converter(prop, model, plan.declared, has_nulls=has_nulls)
    read = read_column(prop.type.name, convert, plan.declared.decimal)
    return _Column(prop.name, index, convert, read)


def _malformed(number: int, error: Exception) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"Row {number:,} of the data package cannot be read.",
        hint="Are delimiter, encoding, decimal and dates in packages.sets those of the project's data format?",
        detail=type(error).__name__ if isinstance(error, UnicodeError) else str(error),
    )


def _lower(cell: str) -> str:
    return cell.strip().lower()


class _Lines:
    """The lines of a file. Those of some records may have so many characters together."""

    def __init__(self, file: BufferedReader, encoding: str) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder(encoding)("strict").decode
        self.left = _MAX_CHARACTERS
        """Characters that these records may still have."""

    def __iter__(self) -> Iterator[list[str]]:
        """Yield some lines at a time. Raises ValueError if there are too many characters."""
        rest = ""
        while True:
            piece = self._file.read(_PIECE)
            text = rest + self._decode(piece, final=not piece)
            self.left -= len(text) - len(rest)
            if self.left < 0:
                raise ValueError("a record is too long")
            lines = list(io.StringIO(text, newline=""))
            if not piece:
                yield lines
                return
            # The last one may go on, or have the first half of its end.
            rest = lines.pop() if lines else ""
            yield lines
