"""Parts of display values as columns of an export: ``accountParts{mainAccount dimensions{name value}}``.

The main account is a column of text. Dimensions are one of JSON, as all lists are: how many there are, and which, is
set up in each environment, and differs from row to row.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphql import FieldNode, SelectionNode, SelectionSetNode

from gateway.errors import BadArgument
from schema.catalog.display_values import DIMENSION
from schema.catalog.records import Field, FieldKind
from schema.errors import did_you_mean

DIMENSIONS = "dimensions"
_FIELDS = ("mainAccount", DIMENSIONS, "account")
_OF_DIMENSIONS = ("name", "value")


def select_parts(
    name: str, selections: SelectionSetNode
) -> tuple[str, tuple[tuple[str, Field], ...]]:
    """Return the text of the selection of a field with parts, and its columns by their names. Raises BadArgument."""
    texts: list[str] = []
    columns: dict[str, Field] = {}
    for node in _fields(name, selections.selections):
        part = node.name.value
        own = part if node.alias is None else node.alias.value
        if part not in _FIELDS:
            raise BadArgument(f"fields: {name} has no field {part}.{did_you_mean(part, _FIELDS)}")
        if own in columns:
            raise BadArgument(
                f"fields: {name}.{own} is there twice.", hint="Give one of them an alias."
            )
        below = part_text(part, node.selection_set, many=part == DIMENSIONS)
        texts.append(f"{part if own == part else f'{own}:{part}'}{below}")
        columns[own] = _column(part)
    return f"{{{' '.join(texts)}}}", tuple(columns.items())


def part_text(name: str, selections: SelectionSetNode | None, *, many: bool) -> str:
    """Return the text of what is selected below one part; ``many``: it is the dimensions. Raises BadArgument."""
    if not many:
        if selections is not None:
            raise BadArgument(f"fields: {name} has no fields.")
        return ""
    if selections is None:
        raise BadArgument(f"fields: {name} needs fields: {name}{{name value}}.")
    names: list[str] = []
    for node in _fields(name, selections.selections):
        if node.alias is not None or node.name.value not in _OF_DIMENSIONS:
            raise BadArgument(f"fields: {name} has name and value, and nothing else.")
        names.append(node.name.value)
    return f"{{{' '.join(dict.fromkeys(names))}}}"


def _fields(name: str, selections: tuple[SelectionNode, ...]) -> Iterator[FieldNode]:
    for node in selections:
        if not isinstance(node, FieldNode) or node.arguments or node.directives:
            raise BadArgument(
                f"fields: {name} holds more than names: fragments, arguments or directives."
            )
        yield node


def _column(part: str) -> Field:
    """Return a part as the formats take a field of a row."""
    many = part == DIMENSIONS
    return Field(
        name=part, kind=FieldKind.VALUE, type_name=DIMENSION if many else "String", many=many
    )
