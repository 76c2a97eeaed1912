"""What an export selects: the list, its columns, and the selection set that reads them.

``fields`` is a selection set of GraphQL without its braces: ``account: customerAccount, customerGroup{name}``. Without
it an export has all values of the row. A column is one value: relations to many rows are lists of their own, whose
pages would be cut off here.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphql import FieldNode, GraphQLError, OperationDefinitionNode, SelectionSetNode, parse
from msgspec import Struct

from gateway.errors import BadArgument, Forbidden
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootField, RootKind
from schema.errors import did_you_mean
from schema.policy.records import Right

from .display_parts import select_parts

_OBJECTS = (FieldKind.COMPLEX, FieldKind.TO_ONE, FieldKind.PARTS)
_MAX_TOKENS = 10_000


class Column(Struct, frozen=True):
    """One value of a row."""

    path: tuple[str, ...]
    """Response keys, from the row to the value."""
    field: Field
    nullable: bool
    """Whether the value, or an object on its path, may be null."""

    @property
    def name(self) -> str:
        """Its name in formats with flat rows: ``customerGroup.name``."""
        return ".".join(self.path)


class Selection(Struct, frozen=True):
    """The selection set of an export, and the columns that it has."""

    text: str
    columns: tuple[Column, ...]


def find_list(catalog: Catalog, name: str) -> RootField | None:
    """Return the list with this name of a field (``customersV3``) or entity set; None if there is none."""
    root = catalog.roots.get(name)
    if root is None or root.kind is not RootKind.LIST:
        names = (n for kind, of, n in catalog.set_roots() if kind is RootKind.LIST and of == name)
        by_set = next(names, None)
        root = None if by_set is None else catalog.roots.get(by_set)
    return root


def select(catalog: Catalog, csdl: str, fields: str | None) -> Selection:
    """Return the selection of rows of a type; ``fields`` None: all values.

    Raises BadArgument, or Forbidden for a relation to a set that its caller may not export.
    """
    if fields is None:
        parts = list(_all_values(catalog, csdl))
    else:
        parts = list(_selected(catalog, csdl, parse_fields(fields), is_nested=False))
    columns = tuple(column for _, of_field in parts for column in of_field)
    if not columns:
        raise BadArgument("The rows have no values to export.", hint="Name fields: fields=…")
    return Selection(" ".join(text for text, _ in parts), columns)


def select_below(
    catalog: Catalog, csdl: str, selections: SelectionSetNode
) -> Iterator[tuple[str, list[Column]]]:
    """Yield the text and the columns of each field that is selected one level below an object.

    Raises BadArgument, Forbidden.
    """
    return _selected(catalog, csdl, selections, is_nested=True)


def parse_fields(fields: str) -> SelectionSetNode:
    """Return the selection set of a text. Raises BadArgument."""
    try:
        document = parse(f"{{{fields}}}", no_location=True, max_tokens=_MAX_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise malformed("fields is no selection of GraphQL.") from error
    first, *others = document.definitions
    # Braces in the text could end the selection and begin something else.
    if others or not isinstance(first, OperationDefinitionNode):
        raise malformed("fields is no selection of GraphQL.")
    return first.selection_set


def malformed(message: str) -> BadArgument:
    """Return the error for fields that are no selection of an export."""
    return BadArgument(message, hint="For example: fields=customerAccount,customerGroup{name}")


def _all_values(catalog: Catalog, csdl: str) -> Iterator[tuple[str, list[Column]]]:
    for field in catalog.object(csdl).fields.values():
        if field.kind is FieldKind.VALUE:
            yield field.name, [Column((field.name,), field, field.nullable)]
        elif field.kind is FieldKind.COMPLEX and not field.many:
            below = _values_below(catalog, field)
            columns = [Column((field.name, f.name), f, field.nullable or f.nullable) for f in below]
            if columns:
                yield f"{field.name}{{{' '.join(f.name for f in below)}}}", columns


def _values_below(catalog: Catalog, field: Field) -> list[Field]:
    of_type = catalog.object(field.target).fields.values()
    return [below for below in of_type if below.kind is FieldKind.VALUE]


def _selected(
    catalog: Catalog, csdl: str, selections: SelectionSetNode, *, is_nested: bool
) -> Iterator[tuple[str, list[Column]]]:
    """Yield the text and the columns of each selected field. Raises BadArgument, Forbidden."""
    info, keys = catalog.object(csdl), set[str]()
    for node in selections.selections:
        if not isinstance(node, FieldNode) or node.arguments or node.directives:
            raise malformed("fields holds more than names: fragments, arguments or directives.")
        name = node.name.value
        key = name if node.alias is None else node.alias.value
        field = info.fields.get(name)
        if field is None:
            raise BadArgument(
                f"fields: {info.name} has no field {name}.{did_you_mean(name, info.fields)}"
            )
        if key in keys:
            raise BadArgument(f"fields: {key} is there twice.", hint="Give one of them an alias.")
        keys.add(key)
        _check(catalog, field, has_selection=node.selection_set is not None, is_nested=is_nested)
        label = name if key == name else f"{key}:{name}"
        if field.parts is not None:
            assert node.selection_set is not None
            text, below_it = select_parts(name, node.selection_set)
            yield f"{label}{text}", [Column((key, own), of, True) for own, of in below_it]
            continue
        if node.selection_set is None:
            yield label, [Column((key,), field, field.nullable)]
            continue
        parts = list(_selected(catalog, field.target, node.selection_set, is_nested=True))
        columns = [
            Column((key, *column.path), column.field, field.nullable or column.nullable)
            for _, below in parts
            for column in below
        ]
        yield f"{label}{{{' '.join(text for text, _ in parts)}}}", columns


def _check(catalog: Catalog, field: Field, *, has_selection: bool, is_nested: bool) -> None:
    """Raise BadArgument for a field that is no column, Forbidden for rows that may not be exported."""
    name = field.name
    if field.kind is FieldKind.TO_MANY:
        raise BadArgument(
            f"fields: {name} is a list of rows.", hint="Export its entity set, and join by the key."
        )
    if field.kind not in _OBJECTS:
        if has_selection:
            raise BadArgument(f"fields: {name} has no fields.")
        return
    if field.many:
        raise BadArgument(f"fields: {name} is a list of objects, which no column can hold.")
    if not has_selection:
        raise BadArgument(f"fields: {name} needs fields: {name}{{…}}.")
    if is_nested:
        raise BadArgument(f"fields: {name} is more than one level below the row.")
    of_set = field.target_set
    if of_set is not None and not catalog.gives(Right.EXPORT, of_set):
        raise Forbidden(f"None of your roles may export {of_set}, to which {name} leads.")
