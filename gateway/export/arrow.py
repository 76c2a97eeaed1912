"""Formats with typed columns: Parquet, and the streaming format of Arrow. They need the extra ``parquet`` (arro3).

    Decimal          decimal128 of the property's precision and scale, without these decimal128(38, 16)
    Int, Long        int32, int64          Boolean          bool          Float     float64
    Date             date32                DateTime         timestamp[us, UTC]
    TimeOfDay        time64[us]            all else         text; lists and JSON as JSON text

A value that does not fit its column fails the export: nothing is rounded. arro3 pulls batches and pushes bytes, so a
file is written in a thread of its own, which gets the rows page by page, and holds the interpreter while it writes one:
so a page is written before the next one is converted. At most a group of rows waits in memory.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from queue import Queue
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

from gateway.errors import NotInstalled, UpstreamMalformed

from .columns import Cells, ColumnReader, json_text, scalar_of
from .decimal_column import Convert, decimals
from .pages import Rows
from .selection import Column

if TYPE_CHECKING:
    from arro3.core import Array, DataType, RecordBatch

ArrowFormat: TypeAlias = Literal["parquet", "arrow"]
_GROUP_CELLS = 1 << 19
"""Values of a row group in Parquet, which are in memory, encoded, until it is written."""
_GROUP_ROWS = 16_384
"""Rows of a group at most."""
_GROUP_BYTES = 1 << 20
"""Bytes that wait for the pages of all columns to be full, and of all dictionaries. The defaults, a mebibyte a column,
are 40 MiB for 20 columns whose values are all different, and make a larger file."""
_PAGE_BYTES = 1 << 15, 1 << 12
"""Bytes of a page, or dictionary, of one column: at most, and at least."""
_CELLS = 20_000
"""Values after which other tasks have a turn: some 2 ms."""
_SCALE, _PRECISION = 16, 38
_MICROSECONDS = len("2024-01-31T12:00:00.123456Z")
_TIME_MICROSECONDS = len("12:00:00.123456")


class _Aborted(Exception):
    """The export has ended early."""


class _ColumnType(Struct, frozen=True):
    """How the values of a column become an Arrow array."""

    type: DataType
    convert: Convert
    """Returns values that arro3 takes for the type; or texts, and the types to which they are cast, one by one.
    Raises ValueError."""


class ArrowWriter:
    """Writes rows as columns."""

    def __init__(self, columns: Sequence[Column], form: ArrowFormat) -> None:
        """Raise NotInstalled without arro3."""
        try:
            import arro3.core  # noqa: PLC0415 - an extra, 14 MB
            import arro3.io  # noqa: PLC0415 - likewise
        except ImportError as error:
            raise NotInstalled(
                f"The format {form} is not installed.",
                hint="Install the extra: pip install 'd365-graphql-gateway[parquet]'",
            ) from error
        self.rows = 0
        self._form = form
        self._columns = columns
        self._types = [_type_of(column) for column in columns]
        self._schema = arro3.core.Schema(
            [
                arro3.core.Field(column.name, of_type.type, nullable=column.nullable)
                for column, of_type in zip(columns, self._types, strict=True)
            ]
        )
        self._reader = ColumnReader(columns)
        self._sink = _Sink()
        self._batches: Queue[RecordBatch | None] = Queue()
        self._is_aborted = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="export", daemon=True)

    def begin(self) -> bytes:
        """Start the thread."""
        self._thread.start()
        return b""

    def collect(self, rows: list[Any]) -> tuple[Cells, ...]:
        """Return the columns of rows."""
        return self._reader.collect(rows)

    def page(self, page: Rows) -> Iterator[bytes]:
        """Pass rows to the thread, and yield what it has written. Raises UpstreamMalformed, OSError."""
        from arro3.core import RecordBatch  # noqa: PLC0415 - an extra

        columns = self._reader.take(page)
        if columns:
            arrays, cells = [], 0
            for column, of_type, values in zip(self._columns, self._types, columns, strict=True):
                arrays.append(_array(column, of_type, values))
                cells += len(values)
                if cells >= _CELLS:
                    cells = 0
                    yield b""
            self._batches.put(RecordBatch.from_arrays(arrays, schema=self._schema))
            del arrays
            self._batches.join()
            self.rows += len(columns[0])
        self._check()
        yield self._sink.take()

    def end(self) -> bytes:
        """Wait for the thread, and return the rest. Blocks while the last rows are written."""
        self._batches.put(None)
        self._thread.join()
        self._check()
        return self._sink.take()

    def close(self) -> None:
        """End the thread, if the export has ended early."""
        if self._thread.is_alive():
            self._is_aborted = True
            self._batches.put(None)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        """Write all batches: the thread."""
        from arro3.core import RecordBatchReader  # noqa: PLC0415 - an extra
        from arro3.io import write_ipc_stream, write_parquet  # noqa: PLC0415 - likewise

        pulled = self._pulled()
        sink: Any = self._sink  # arro3 asks for no more of a file
        try:
            reader = RecordBatchReader.from_batches(self._schema, pulled)
            if self._form == "parquet":
                rows, size = _limits(len(self._columns))
                write_parquet(
                    reader,
                    sink,
                    compression="zstd(1)",
                    max_row_group_size=rows,
                    data_page_size_limit=size,
                    dictionary_page_size_limit=size,
                )
            else:
                write_ipc_stream(reader, sink, compression=None)
        except BaseException as error:
            self._error = error
            # What passes rows on must not wait for ever.
            for _ in pulled:
                pass

    def _pulled(self) -> Iterator[RecordBatch]:
        while (batch := self._batches.get()) is not None:
            yield batch
            self._batches.task_done()
        if self._is_aborted:
            raise _Aborted


def _limits(columns: int) -> tuple[int, int]:
    """Return the rows of a group, and the bytes of a page and of a dictionary, of a file with so many columns."""
    most, least = _PAGE_BYTES
    return (
        min(_GROUP_ROWS, max(1, _GROUP_CELLS // columns)),
        min(most, max(least, _GROUP_BYTES // columns)),
    )


class _Sink(io.RawIOBase):
    """The file that arro3 writes: what it has written until somebody takes it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: deque[bytes] = deque()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, piece: Any, /) -> int:
        """Take a copy of a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces = self._pieces
        return b"".join([pieces.popleft() for _ in range(len(pieces))])


def _array(column: Column, of_type: _ColumnType, cells: Cells) -> Array:
    """Return the array of a column. Raises UpstreamMalformed if a value does not fit."""
    from arro3.core import Array, DataType  # noqa: PLC0415 - an extra

    try:
        values, steps = of_type.convert(cells)
        if not steps:
            return Array(values, type=of_type.type)
        array = Array(values, type=DataType.utf8())
        for step in steps:
            array = array.cast(step)
    except (ValueError, ArithmeticError) as error:
        raise _misfit(column, of_type) from error
    # A text that is no value of the type becomes null.
    if array.null_count != cells.count(None):
        raise _misfit(column, of_type)
    return array


def _misfit(column: Column, of_type: _ColumnType) -> UpstreamMalformed:
    return UpstreamMalformed(
        f"A value of {column.name} does not fit the type of its column, {of_type.type}.",
        hint="Export NDJSON or CSV, which have every value as it is.",
    )


def _type_of(column: Column) -> _ColumnType:
    from arro3.core import DataType  # noqa: PLC0415 - an extra

    match scalar_of(column.field):
        case "JSON":
            return _ColumnType(DataType.utf8(), lambda cells: (_json_texts(cells), ()))
        case "Boolean":
            return _plain(DataType.bool())
        case "Int":
            return _plain(DataType.int32())
        case "Float":
            return _ColumnType(DataType.float64(), lambda cells: (_floats(cells), ()))
        case "Long":
            return _cast(DataType.int64())
        case "Decimal":
            precision, scale = decimal_facets(column)
            return _ColumnType(DataType.decimal128(precision, scale), decimals(precision, scale))
        case "Date":
            return _cast(DataType.date32())
        case "DateTime":
            return _cast(DataType.timestamp("us", tz="UTC"), _MICROSECONDS)
        case "TimeOfDay":
            return _cast(DataType.time64("us"), _TIME_MICROSECONDS)
        case _:
            return _plain(DataType.utf8())


def _plain(of_type: DataType) -> _ColumnType:
    """Return the type of a column whose values are what arro3 takes for it."""
    return _ColumnType(of_type, lambda cells: (cells, ()))


def _cast(of_type: DataType, longest: int | None = None) -> _ColumnType:
    """Return the type of a column of texts of at most so many characters; longer ones are more precise."""

    def convert(cells: Cells) -> tuple[Cells, Sequence[DataType]]:
        if longest is not None and max(map(len, filter(None, cells)), default=0) > longest:
            raise ValueError
        return cells, (of_type,)

    return _ColumnType(of_type, convert)


def decimal_facets(column: Column) -> tuple[int, int]:
    """Return precision and scale of a decimal column."""
    prop = column.field.prop
    if prop is None or prop.scale is None or not 0 <= prop.scale <= _PRECISION:
        return _PRECISION, _SCALE
    precision = _PRECISION if prop.precision is None else prop.precision
    return min(max(precision, prop.scale, 1), _PRECISION), prop.scale


def _json_texts(cells: Cells) -> Cells:
    return [None if cell is None else json_text(cell) for cell in cells]


def _floats(cells: Cells) -> Cells:
    return [None if cell is None else float(cell) for cell in cells]
