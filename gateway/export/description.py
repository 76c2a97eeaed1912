"""Describes an export to programs that read it: its columns, with their types and filters, and its parts.

{"set": "CustomersV3", "type": "CustomerV3", "fields": "customerAccount creditLimit",
 "columns": [{"name": "customerAccount", "path": ["customerAccount"], "type": "String", "nullable": false,
              "where": "customerAccount", "operators": ["eq", "in", …]}, …],
 "parts": [".Lzc…", "Lzc….Qk0…", "Qk0…."]}
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from msgspec import Struct

from gateway.errors import BadArgument
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.catalog.records import InputRole, TypeKind
from schema.types.build import ODataSchema
from schema.unified.filters import UNIFIED_OPERATORS

from .arrow import decimal_facets
from .parts import MAX_PARTS, count_rows, find_parts
from .selection import Column
from .serving import ReadyExport
from .sources import ListSource


class DescribeRequest(Struct, frozen=True, kw_only=True):
    """What is to be described besides the columns."""

    has_parts: bool = False
    part_rows: int | None = None
    """Rows of a part."""
    parts: int | None = None
    """How many parts there should be."""


def pop_description(parameters: MutableMapping[str, str]) -> DescribeRequest | None:
    """Take the parameters of a description; None if there is none. Raises BadArgument."""
    requested = parameters.pop("describe", None)
    rows, parts = _pop_number(parameters, "part_rows"), _pop_number(parameters, "parts")
    if requested not in (None, "columns", "parts"):
        raise BadArgument("describe is none of columns, parts.")
    if (requested == "parts") != ((rows is None) != (parts is None)):
        raise BadArgument("describe=parts needs one of part_rows and parts, which are for it only.")
    if requested is None:
        return None
    if "part" in parameters:
        raise BadArgument("part is for rows, and not for a description.")
    if parts is not None and parts > MAX_PARTS:
        raise BadArgument(f"There may be at most {MAX_PARTS} parts.")
    return DescribeRequest(has_parts=requested == "parts", part_rows=rows, parts=parts)


def _pop_number(parameters: MutableMapping[str, str], name: str) -> int | None:
    text = parameters.pop(name, None)
    if text is None:
        return None
    # No more digits than any list has rows.
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise BadArgument(f"{name} is no positive number.")
    return int(text)


async def describe(
    ready: ReadyExport, first: GraphQLRequest, request: DescribeRequest
) -> dict[str, Any]:
    """Return the description. Raises BadArgument, ExportFailed."""
    export, schema = ready.export, ready.live.gateway.schema
    described: dict[str, Any] = {
        "set": export.set,
        "type": export.source.row_type(schema),
        "fields": export.selected,
        "columns": list(describe_columns(schema, export.source, export.columns)),
    }
    if request.has_parts:
        described["parts"] = await _name_parts(ready, first, request)
    return described


def describe_columns(
    schema: ODataSchema, source: ListSource, columns: tuple[Column, ...]
) -> Iterator[dict[str, Any]]:
    """Yield what is to be known of each column: its name, type and filter."""
    filters = _filters_of(schema, source)
    enums = _unified_enums(schema) if source.view else {}
    for column in columns:
        field = column.field
        is_json = field.many or (field.value is not None and field.value.many)
        described: dict[str, Any] = {
            "name": column.name,
            "path": column.path,
            "type": "JSON" if is_json else field.type_name,
            "nullable": column.nullable,
        }
        if is_json:
            yield described
            continue
        if field.type_name == "Decimal":
            described["precision"], described["scale"] = decimal_facets(column)
        enum = None if field.value is None else field.value.enum
        if enum is not None and enum.name == field.type_name:
            described["values"] = list(enum.to_graphql.values())
        elif field.type_name in enums:
            described["values"] = enums[field.type_name]
        if len(column.path) == 1 and field.name in filters:
            described["where"], described["operators"] = filters[field.name]
        yield described


def _filters_of(schema: ODataSchema, source: ListSource) -> dict[str, tuple[str, list[str]]]:
    """Return, for fields of rows that can be filtered by, the name in ``where`` and the operators."""
    catalog, csdl = schema.catalog, source.root.csdl
    if source.view:
        filters = schema.unified.type(source.view).filters
        return {
            name: (
                name,
                list(UNIFIED_OPERATORS)
                if own.inverse is not None
                else _operators(catalog, own.type_name),
            )
            for name, own in filters.items()
        }
    if not catalog.can_filter(csdl):
        return {}
    inputs = catalog.inputs_of(catalog.name_of(TypeKind.WHERE, csdl)).values()
    return {
        field.of.name: (field.name, _operators(catalog, field.type_name))
        for field in inputs
        if field.of is not None and field.role is InputRole.VALUE
    }


def _operators(catalog: Catalog, filter_type: str) -> list[str]:
    return [of.name for of in catalog.input_fields(filter_type)]


def _unified_enums(schema: ODataSchema) -> dict[str, list[str]]:
    """Return the enums of unified models by name, with their values."""
    api = schema.unified
    return {
        api.binder.type_name(enum.name): list(enum.values)
        for model in api.models
        for enum in model.enums.values()
    }


async def _name_parts(
    ready: ReadyExport, first: GraphQLRequest, request: DescribeRequest
) -> list[str]:
    rows = request.part_rows
    if rows is None:
        assert request.parts is not None
        total = await count_rows(ready.read, ready.export, first)
        # A list that cannot be counted is one part.
        if total is None or request.parts == 1:
            return ["."]
        rows = -(-total // request.parts) + 1
    return [part.name for part in await find_parts(ready, first, rows)]
