"""Follows a list: a micro-batch is what ``changes`` answers since a cursor, and its offset is the cursor.

A batch that is repeated after a failure has the rows that it had, or newer versions of them, and it may have more: it
ends at the same cursor, or, if the list has moved on, with all that has changed until now. So each change is in some
batch, a batch has each row once, and storing rows by ``_id`` stores each once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import pyarrow as pa
from pyspark.sql.datasource import SimpleDataSourceStreamReader
from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from .columns import Column, arrow_schema, times_of_day
from .connection import Connection, GatewayError
from .options import Options

ROW_ID = "_id"
CHANGE_TYPE = "_change_type"
_CURSOR, _BATCH = "cursor", "batch"
"""The number makes offsets differ when rows come a second time, as the cursor then may stay."""
_NOW = "now"
"""The cursor of a stream that begins without the list: another one at each request."""
_LONGEST_STAY = 3600.0
"""Seconds after which a cursor without rows is stored all the same, before it is too old."""
_QUERY = """query SparkChanges($set: String!, $where: JSON, $companies: [String!], $since: String) {
  changes(set: $set, where: $where, companies: $companies, since: $since) {
    upserts { kind id node { ... on %s { %s } } } deletes { id reason } cursor hasMore resyncRequired
  }
}"""


Offset: TypeAlias = dict[str, Any]


class ResyncRequired(GatewayError):
    """What has changed since the offset is not known any more."""


class ChangesReader(SimpleDataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads the changes of a list."""

    def __init__(
        self,
        options: Options,
        described: dict[str, Any],
        columns: tuple[Column, ...],
        schema: StructType,
    ) -> None:
        self._options = options
        self._columns = {column.name: column for column in columns}
        self._query = _QUERY % (described["type"], described["fields"])
        own = tuple(Column(name, (name,), "ID", nullable=False) for name in (ROW_ID, CHANGE_TYPE))
        self._schema = arrow_schema(schema, (*columns, *own))
        self._ahead: tuple[str, str, float] | None = None
        """An offset, the last cursor since which nothing has come, and when the offset was new."""
        self._ends, self._has_ended = False, False

    def initialOffset(self) -> Offset:  # noqa: N802 - Spark's name
        """Return the offset of a new stream: the beginning of the list, or the cursor of the options."""
        return {_CURSOR: self._options.starting_cursor or "", _BATCH: 0}

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        """End with what has changed until now."""
        self._ends = True

    def read(self, start: Offset) -> tuple[Iterator[Any], Offset]:
        """Return what has changed, and the next offset. Raises GatewayError."""
        if self._has_ended:
            return iter(()), start
        since, began = start[_CURSOR], time.monotonic()
        cursor = since
        if self._ahead is not None and self._ahead[0] == since:
            _, cursor, began = self._ahead
        batches: list[pa.RecordBatch] = []
        rows, has_more = 0, True
        while has_more and rows < self._options.rows_per_batch:
            changes = self._changes(cursor)
            cursor, has_more = changes["cursor"], changes["hasMore"]
            batches.append(self._batch(changes))
            rows += batches[-1].num_rows
        self._has_ended = self._ends and not has_more
        is_new = since in ("", _NOW)
        if not (rows or self._ends or is_new) and time.monotonic() - began < _LONGEST_STAY:
            # The same offset: an empty batch would be stored at every trigger.
            self._ahead = (since, cursor, began)
            return iter(()), start
        return iter(latest(batches)), {_CURSOR: cursor, _BATCH: start[_BATCH] + bool(rows)}

    def readBetweenOffsets(  # noqa: N802 - Spark's name
        self, start: Offset, end: Offset
    ) -> Iterator[Any]:
        """Return what has changed between two offsets, as it is now. Raises GatewayError."""
        batches: list[pa.RecordBatch] = []
        cursor, has_more = start[_CURSOR], start != end
        while has_more:
            changes = self._changes(cursor)
            cursor = changes["cursor"]
            has_more = changes["hasMore"] and cursor != end[_CURSOR]
            batches.append(self._batch(changes))
        return iter(latest(batches))

    def _changes(self, cursor: str) -> dict[str, Any]:
        """Return what has changed since a cursor. Raises GatewayError."""
        changes = self._query_changes(cursor)
        if changes["resyncRequired"] and self._options.fails_on_resync:
            raise ResyncRequired(
                f"What has changed in {self._options.set} since the offset is not known any more. Start with a new"
                " checkpoint and an empty table, or set failOnResync=false to read all rows again: those that are gone"
                " stay then."
            )
        return changes

    def _query_changes(self, cursor: str) -> dict[str, Any]:
        """Return what the gateway answers since a cursor. Raises GatewayError."""
        options = self._options
        variables: dict[str, Any] = {"set": options.set, "where": options.where}
        if options.companies is not None:
            variables["companies"] = [each.strip() for each in options.companies.split(",")]
        if cursor:
            variables["since"] = cursor
        changes: dict[str, Any] = Connection(options).query(self._query, variables)["changes"]
        return changes

    def _batch(self, changes: dict[str, Any]) -> pa.RecordBatch:
        """Return changes as rows. Raises ArrowInvalid for a value that does not fit its column."""
        # A row that has gone between the two reads comes among the deletes of a later answer.
        upserts = [change for change in changes["upserts"] if change["node"] is not None]
        deletes = changes["deletes"]
        nodes = [change["node"] for change in upserts]
        arrays = []
        for field in self._schema:
            if field.name == ROW_ID:
                values = [change["id"] for change in (*upserts, *deletes)]
            elif field.name == CHANGE_TYPE:
                values = [change["kind"] for change in upserts]
                values += [change["reason"] for change in deletes]
            else:
                column = self._columns[field.name]
                values = [_value(column, node) for node in nodes] + [None] * len(deletes)
                if column.type == "TimeOfDay":
                    arrays.append(times_of_day(pa.array(values, pa.string())))
                    continue
            arrays.append(_array(values, field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def latest(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return the last change of each row: tables take one row only for each of theirs."""
    seen = set[str]()
    result: list[pa.RecordBatch] = []
    for batch in reversed(batches):
        is_last = []
        for row_id in reversed(batch.column(ROW_ID).to_pylist()):
            is_last.append(row_id not in seen)
            seen.add(row_id)
        kept = batch.filter(pa.array(is_last[::-1], pa.bool_()))
        if kept.num_rows:
            result.append(kept)
    return result[::-1]


def _value(column: Column, node: dict[str, Any]) -> Any:
    """Return the value of a column, as the export has it."""
    value: Any = node
    for key in column.path:
        value = None if value is None else value[key]
    if value is not None and column.type == "JSON":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value


def _array(values: list[Any], of_type: pa.DataType) -> pa.Array:
    """Return values of JSON as an array: decimals, large numbers, dates and times are texts there."""
    if pa.types.is_floating(of_type) or pa.types.is_boolean(of_type) or pa.types.is_int32(of_type):
        return pa.array(values, type=of_type)
    texts = pa.array([value if value is None else str(value) for value in values], pa.string())
    return texts if pa.types.is_string(of_type) else texts.cast(of_type)
