"""Reads a list: parts of it side by side, each as a stream of Arrow batches from the gateway's export."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, Filter, InputPartition
from pyspark.sql.types import StructType

from .columns import Column, arrow_schema, converted
from .connection import Connection, GatewayError
from .filters import push
from .options import Options

_END = b"\xff\xff\xff\xff\0\0\0\0"
"""The last bytes of an Arrow stream."""
_BUFFER = 1 << 18


@dataclass
class Part(InputPartition):
    """A range of keys, by the name that the gateway has given it."""

    name: str


class _Tail(io.RawIOBase):
    """A response that remembers its last bytes."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self._response = response
        self.last = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        size: int = self._response.readinto(buffer)
        self.last = (self.last + bytes(memoryview(buffer)[max(size - 8, 0) : size]))[-8:]
        return size


def read_stream(response: Any) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow stream. Raises EOFError if it was cut off, as a proxy may do it unnoticed."""
    tail = _Tail(response)
    # Arrow reads as many bytes as it asks for, or takes it for the end.
    whole = io.BufferedReader(tail, _BUFFER)
    try:
        with pa.ipc.open_stream(pa.PythonFile(whole, mode="r")) as batches:
            yield from batches
    except (pa.ArrowInvalid, OSError) as error:
        raise EOFError from error
    while whole.read(_BUFFER):
        pass
    if tail.last != _END:
        raise EOFError


class ListReader(DataSourceReader):
    """Reads the rows of a list."""

    def __init__(
        self, options: Options, fields: str, columns: tuple[Column, ...], schema: StructType
    ):
        self._options = options
        self._fields = fields
        self._columns = columns
        self._schema = schema
        self._conditions: list[dict[str, Any]] = []

    def partitions(self) -> list[InputPartition]:
        """Return the parts of the list. Raises GatewayError."""
        options = self._options
        if options.partitions is None:
            division = {"part_rows": str(options.rows_per_partition)}
        else:
            division = {"parts": str(options.partitions)}
        described = Connection(options).describe(
            {**self._parameters(), "describe": "parts", **division}
        )
        return [Part(name) for name in described["parts"]]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a part. Raises GatewayError."""
        assert isinstance(partition, Part)
        schema = arrow_schema(self._schema, self._columns)
        parameters = {**self._parameters(), "format": "arrow", "part": partition.name}
        with Connection(self._options).export(parameters) as response:
            try:
                for batch in read_stream(response):
                    yield converted(batch, schema)
            except EOFError as error:
                raise GatewayError(f"The export of {self._options.set} has broken off.") from error

    def _parameters(self) -> dict[str, str]:
        """Return what is the same for all parts and for their places."""
        options = self._options
        parameters = {"fields": self._fields}
        conditions = [] if options.where is None else [options.where]
        conditions += self._conditions
        if conditions:
            where = conditions[0] if len(conditions) == 1 else {"and": conditions}
            parameters["where"] = json.dumps(where, ensure_ascii=False, separators=(",", ":"))
        if options.companies is not None:
            parameters["companies"] = options.companies
        return parameters


class FilteringReader(ListReader):
    """Reads the rows of a list that match filters of Spark.

    A class of its own: Spark refuses one with this method while ``spark.sql.python.filterPushdown.enabled`` is false.
    """

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Pass on what can be, and return the filters that Spark must test."""
        self._conditions, left = push(self._columns, filters)
        return left
