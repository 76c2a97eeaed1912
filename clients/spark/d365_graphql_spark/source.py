"""The data source ``d365``: what Spark asks for when a list is read, or its changes are followed."""

from __future__ import annotations

from typing import Any

from pyspark.sql.datasource import DataSource, DataSourceReader, SimpleDataSourceStreamReader
from pyspark.sql.types import StringType, StructField, StructType

from .changes import CHANGE_TYPE, ROW_ID, ChangesReader
from .columns import check_schema, columns_of, fields_of, schema_of
from .connection import Connection
from .options import OptionError, Options, read_options
from .reader import FilteringReader, ListReader


class D365DataSource(DataSource):
    """A list of Dynamics 365 Finance & Operations, by a d365-graphql-gateway."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "d365"

    def schema(self) -> StructType:
        """Return the schema of the list, by the metadata. Raises OptionError, GatewayError."""
        options = read_options(self.options)
        schema = schema_of(columns_of(_describe(options, options.select)["columns"]))
        return _of_changes(schema) if options.is_changes else schema

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads the list. Raises OptionError, SchemaError, GatewayError."""
        options = read_options(self.options)
        if options.is_changes:
            raise OptionError("changes=true is for spark.readStream.")
        described = _describe(options, options.select or fields_of(schema.fieldNames()))
        columns = columns_of(described["columns"])
        check_schema(schema, columns)
        kind = FilteringReader if options.pushdown else ListReader
        return kind(options, described["fields"], columns, schema)

    def simpleStreamReader(  # noqa: N802 - Spark's name
        self, schema: StructType
    ) -> SimpleDataSourceStreamReader:
        """Return what follows the list. Raises OptionError, SchemaError, GatewayError."""
        options = read_options(self.options)
        if not options.is_changes:
            raise OptionError("spark.readStream needs changes=true, which adds two columns.")
        names = [name for name in schema.fieldNames() if name not in (ROW_ID, CHANGE_TYPE)]
        described = _describe(options, options.select or fields_of(names))
        columns = columns_of(described["columns"])
        check_schema(schema, (*columns, *columns_of(_OF_CHANGES)))
        return ChangesReader(options, described, columns, schema)


_OF_CHANGES = [
    {"name": name, "path": [name], "type": "ID", "nullable": False}
    for name in (ROW_ID, CHANGE_TYPE)
]


def _describe(options: Options, fields: str | None) -> dict[str, Any]:
    parameters = {"describe": "columns"}
    if fields is not None:
        parameters["fields"] = fields
    return Connection(options).describe(parameters)


def _of_changes(schema: StructType) -> StructType:
    """Return the schema of changes: rows that are gone have nothing but their id."""
    of_changes = [StructField(name, StringType(), nullable=False) for name in (ROW_ID, CHANGE_TYPE)]
    values = [StructField(field.name, field.dataType, nullable=True) for field in schema.fields]
    return StructType([*of_changes, *values])
