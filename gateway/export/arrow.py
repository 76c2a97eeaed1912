"""Formats with typed columns: Parquet, and the streaming format of Arrow. They need the extra ``parquet`` (arro3).

    Decimal          decimal128 of the property's precision and scale, without these decimal128(38, 16)
    Int, Long        int32, int64          Boolean          bool          Float     float64
    Date             date32                DateTime         timestamp[us, UTC]
    TimeOfDay        time64[us]            all else         text; lists and JSON as JSON text

A value that does not fit its column fails the export: nothing is rounded. arro3 pulls batches and pushes bytes, so a
file is written in a thread of its own, which gets the rows page by page; at most a group of rows waits in memory.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from queue import Queue
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from gateway.errors import NotInstalled, UpstreamMalformed

from .formats import cells_reader, json_text
from .selection import Column

if TYPE_CHECKING:
    from arro3.core import Array, DataType, RecordBatch

ArrowFormat: TypeAlias = Literal["parquet", "arrow"]
GROUP = 32_768
"""Rows of a group in Parquet, which are in memory until they are written."""
_WAITING = 16
"""Pages that may wait for the thread."""
_SCALE, _PRECISION = 16, 38
_MICROSECONDS = len("2024-01-31T12:00:00.123456Z")
_TIME_MICROSECONDS = len("12:00:00.123456")


class _Aborted(Exception):
    """The export has ended early."""


class _ColumnType(Struct, frozen=True):
    """How the values of a column become an Arrow array."""

    type: DataType
    convert: Callable[[list[Any]], list[Any]]
    """Returns values that arro3 takes for the type, or texts that are cast to it. Raises ValueError."""
    is_cast: bool = False


class ArrowWriter:
    """Writes rows as columns."""

    def __init__(self, columns: Sequence[Column], form: ArrowFormat) -> None:
        """Raise NotInstalled without arro3."""
        try:
            import arro3.core  # noqa: PLC0415 - an extra, 14 MB
            import arro3.io  # noqa: F401, PLC0415 - likewise
        except ImportError as error:
            raise NotInstalled(
                f"The format {form} is not installed.",
                hint="Install the extra: pip install 'd365-graphql-gateway[parquet]'",
            ) from error
        self.rows = 0
        self._form = form
        self._columns = columns
        self._types = [_type_of(column) for column in columns]
        self._cells = cells_reader(columns)
        self._sink = _Sink()
        self._batches: Queue[RecordBatch | None] = Queue(_WAITING)
        self._is_aborted = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="export", daemon=True)

    def begin(self) -> bytes:
        """Start the thread."""
        self._thread.start()
        return b""

    def page(self, nodes: msgspec.Raw) -> Iterator[bytes]:
        """Pass rows to the thread, and yield what it has written. Raises UpstreamMalformed, OSError."""
        rows = self._cells(nodes)
        if rows:
            self._batches.put(self._batch(rows))
            self.rows += len(rows)
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

    def _batch(self, rows: list[Sequence[Any]]) -> RecordBatch:
        from arro3.core import RecordBatch  # noqa: PLC0415 - an extra

        values = zip(*rows, strict=True)
        arrays = [
            _array(column, of_type, list(cells))
            for column, of_type, cells in zip(self._columns, self._types, values, strict=True)
        ]
        return RecordBatch.from_arrays(arrays, schema=self._schema())

    def _schema(self) -> Any:
        from arro3.core import Field, Schema  # noqa: PLC0415 - an extra

        return Schema(
            [
                Field(column.name, of_type.type, nullable=column.nullable)
                for column, of_type in zip(self._columns, self._types, strict=True)
            ]
        )

    def _write(self) -> None:
        """Write all batches: the thread."""
        from arro3.core import RecordBatchReader  # noqa: PLC0415 - an extra
        from arro3.io import write_ipc_stream, write_parquet  # noqa: PLC0415 - likewise

        pulled = self._pulled()
        sink: Any = self._sink  # arro3 asks for no more of a file
        try:
            reader = RecordBatchReader.from_batches(self._schema(), pulled)
            if self._form == "parquet":
                write_parquet(reader, sink, compression="zstd(1)", max_row_group_size=GROUP)
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
        if self._is_aborted:
            raise _Aborted


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


def _array(column: Column, of_type: _ColumnType, cells: list[Any]) -> Array:
    """Return the array of a column. Raises UpstreamMalformed if a value does not fit."""
    from arro3.core import Array, DataType  # noqa: PLC0415 - an extra

    try:
        values = of_type.convert(cells)
        if not of_type.is_cast:
            return Array(values, type=of_type.type)
        array = Array(values, type=DataType.utf8()).cast(of_type.type)
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

    field = column.field
    if field.many or (field.value is not None and field.value.many) or field.type_name == "JSON":
        return _ColumnType(DataType.utf8(), _json_texts)
    match field.type_name:
        case "Boolean":
            return _ColumnType(DataType.bool(), _same)
        case "Int":
            return _ColumnType(DataType.int32(), _same)
        case "Float":
            return _ColumnType(DataType.float64(), _floats)
        case "Long":
            return _ColumnType(DataType.int64(), _same, is_cast=True)
        case "Decimal":
            precision, scale = decimal_facets(column)
            return _ColumnType(
                DataType.decimal128(precision, scale),
                lambda cells: _decimals(cells, scale),
                is_cast=True,
            )
        case "Date":
            return _ColumnType(DataType.date32(), _same, is_cast=True)
        case "DateTime":
            instant = DataType.timestamp("us", tz="UTC")
            return _ColumnType(instant, lambda c: _short(c, _MICROSECONDS), is_cast=True)
        case "TimeOfDay":
            time = DataType.time64("us")
            return _ColumnType(time, lambda c: _short(c, _TIME_MICROSECONDS), is_cast=True)
        case _:
            return _ColumnType(DataType.utf8(), _same)


def decimal_facets(column: Column) -> tuple[int, int]:
    """Return precision and scale of a decimal column."""
    prop = column.field.prop
    if prop is None or prop.scale is None or not 0 <= prop.scale <= _PRECISION:
        return _PRECISION, _SCALE
    precision = _PRECISION if prop.precision is None else prop.precision
    return min(max(precision, prop.scale, 1), _PRECISION), prop.scale


def _same(cells: list[Any]) -> list[Any]:
    return cells


def _json_texts(cells: list[Any]) -> list[Any]:
    return [None if cell is None else json_text(cell) for cell in cells]


def _floats(cells: list[Any]) -> list[Any]:
    return [None if cell is None else float(cell) for cell in cells]


def _decimals(cells: list[Any], scale: int) -> list[Any]:
    """Return decimals without exponents. Raises ValueError for one with more digits than the scale."""
    present = [cell for cell in cells if cell is not None]
    joined = "".join(present)
    # Few digits fit, wherever the point is.
    if max(map(len, present), default=0) <= scale + 1 and "E" not in joined and "e" not in joined:
        return cells
    texts: list[Any] = []
    for cell in cells:
        text = cell
        if text is not None:
            if "E" in text or "e" in text:
                text = format(Decimal(text), "f")
            fraction = text.partition(".")[2]
            if len(fraction) > scale and fraction[scale:].strip("0"):
                raise ValueError
        texts.append(text)
    return texts


def _short(cells: list[Any], longest: int) -> list[Any]:
    """Return texts of at most so many characters. Raises ValueError for one that is more precise."""
    if any(cell is not None and len(cell) > longest for cell in cells):
        raise ValueError
    return cells
