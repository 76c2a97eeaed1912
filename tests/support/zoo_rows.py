"""Row types of selections over the zoo, and what rows hold."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from graphql import OperationDefinitionNode, parse

from gateway.operations.prepared_operation import Prepared, prepare
from gateway.operations.row_types import RowType, RowTypes
from gateway.operations.shapes import RowRequirements
from schema.catalog.records import Field
from tests.support.zoo_model import FO, schema_of

SCHEMA = schema_of(FO)
CATALOG = SCHEMA.catalog
encode = msgspec.json.Encoder(decimal_format="number").encode


def prepared(text: str) -> Prepared:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return prepare(CATALOG, document, operation, {})


def level_of(text: str) -> RowRequirements:
    level = prepared(text).roots[0].level
    assert level is not None
    return level


def row_type(text: str, *extras: Field) -> RowType:
    return RowTypes(CATALOG).get(level_of(text), extras)


def plain(row: Any) -> Any:
    """Return what a row holds, for comparing."""
    if isinstance(row, msgspec.Struct):
        return {name: plain(getattr(row, name)) for name in row.__struct_fields__}
    if isinstance(row, msgspec.Raw):
        return msgspec.json.decode(row)
    return [plain(item) for item in row] if isinstance(row, list) else (type(row), row)


MEMBERS = {"Red": "RED", "DarkGreen": "DARK_GREEN", "Blue": "BLUE", "Yes": "true", "No": "false"}


def literal(value: object, type_name: str) -> str:
    """Return a value of a row as a literal of the API."""
    if type_name in ("Decimal", "Long"):
        return f'"{value}"'
    if isinstance(value, str) and type_name not in ("String", "ID"):
        return MEMBERS.get(value, value)
    return json.dumps(value)
