"""The columns of a list as Spark and Arrow have them, from what the gateway says of them.

Decimal          decimal(p, s) of the metadata, without these decimal(38, 16)
Int, Long        int, bigint        Boolean     boolean      Float    double
Date, DateTime   date, timestamp    all else    string; times of day as 12:30:00, lists and JSON as JSON text
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

_TYPES: dict[str, tuple[DataType, pa.DataType]] = {
    "Boolean": (BooleanType(), pa.bool_()),
    "Int": (IntegerType(), pa.int32()),
    "Long": (LongType(), pa.int64()),
    "Float": (DoubleType(), pa.float64()),
    "Date": (DateType(), pa.date32()),
    "DateTime": (TimestampType(), pa.timestamp("us", tz="UTC")),
}


class SchemaError(ValueError):
    """A schema is not that of the list."""


@dataclass(frozen=True)
class Column:
    """A column of a list."""

    name: str
    path: tuple[str, ...]
    """Keys from the row to the value."""
    type: str
    """GraphQL name."""
    nullable: bool
    precision: int = 38
    scale: int = 16
    values: tuple[str, ...] | None = None
    """Of an enum."""
    where: str | None = None
    """Name in ``where``; None: no filter."""
    operators: frozenset[str] = frozenset()

    @property
    def spark_type(self) -> DataType:
        """Its type in Spark."""
        if self.type == "Decimal":
            return DecimalType(self.precision, self.scale)
        return _TYPES[self.type][0] if self.type in _TYPES else StringType()

    @property
    def arrow_type(self) -> pa.DataType:
        """Its type in Arrow."""
        if self.type == "Decimal":
            return pa.decimal128(self.precision, self.scale)
        return _TYPES[self.type][1] if self.type in _TYPES else pa.string()


def columns_of(described: Iterable[dict[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of a description."""
    return tuple(
        Column(
            name=column["name"],
            path=tuple(column["path"]),
            type=column["type"],
            nullable=column["nullable"],
            precision=column.get("precision", 38),
            scale=column.get("scale", 16),
            values=tuple(column["values"]) if "values" in column else None,
            where=column.get("where"),
            operators=frozenset(column.get("operators", ())),
        )
        for column in described
    )


def schema_of(columns: Iterable[Column]) -> StructType:
    """Return the schema of a list."""
    return StructType([StructField(c.name, c.spark_type, c.nullable) for c in columns])


def fields_of(names: Sequence[str]) -> str:
    """Return the selection of columns: ``customerAccount customerGroup{description}``."""
    below: dict[str, list[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        below.setdefault(first, []).append(rest)
    return " ".join(
        name if rests == [""] else f"{name}{{{' '.join(rests)}}}" for name, rests in below.items()
    )


def check_schema(schema: StructType, columns: Iterable[Column]) -> None:
    """Raise SchemaError for a column that the list does not have, or has as another type."""
    types = {column.name: column.spark_type for column in columns}
    for field in schema.fields:
        if field.name not in types:
            raise SchemaError(f"The list has no column {field.name}.")
        if field.dataType != types[field.name]:
            own, requested = types[field.name].simpleString(), field.dataType.simpleString()
            raise SchemaError(f"The column {field.name} is {own}, and not {requested}.")


def arrow_schema(schema: StructType, columns: Iterable[Column]) -> pa.Schema:
    """Return the schema of the batches that Spark expects."""
    types = {column.name: column.arrow_type for column in columns}
    return pa.schema([pa.field(f.name, types[f.name], f.nullable) for f in schema.fields])


def converted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns and types of a schema. Raises ArrowInvalid for a value that does not fit."""
    arrays = [_cast(batch.column(field.name), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, of_type: pa.DataType) -> pa.Array:
    return (
        times_of_day(array.cast(of_type)) if pa.types.is_time(array.type) else array.cast(of_type)
    )


def times_of_day(texts: pa.Array) -> pa.Array:
    """Return times without the zeros at the end of a fraction: ``12:30:00``, ``12:30:00.5``."""
    return pc.replace_substring_regex(texts, r"(\.\d*[1-9])0+$|\.0+$", r"\1")
