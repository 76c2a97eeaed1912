"""What an export of a unified list selects: its fields, as columns.

A field is a column of the type that it has in the API. What is a list in the answer, such as ``emails`` or the lines of
an order, is one column of JSON: such lists come whole. Connections have pages, so they cannot be columns.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphql import FieldNode, SelectionSetNode
from msgspec import structs

from gateway.errors import BadArgument, Forbidden
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind
from schema.errors import did_you_mean
from schema.policy.records import Right
from schema.unified.api import UnifiedApi
from schema.unified.views import Steps, UnifiedField, UnifiedType, ViewKind

from .display_parts import part_text
from .selection import Column, Selection, malformed, parse_fields, select_below

_VALUES = (
    *(ViewKind.ID, ViewKind.VALUE, ViewKind.CONSTANT, ViewKind.HIGHEST, ViewKind.PART),
    ViewKind.FILE,
)
_LISTS = (ViewKind.LIST, ViewKind.COLLECTED)
_NOT_COLUMNS = {
    ViewKind.CONNECTION: "has pages: export its own list, and join by the key",
    ViewKind.SOURCES: "is about the fields, and the same for all rows",
}


def select_unified(api: UnifiedApi, catalog: Catalog, short: str, fields: str | None) -> Selection:
    """Return the selection of objects of a unified type; ``fields`` None: all values and lists of values.

    Raises BadArgument, or Forbidden for values of a set that its caller may not export.
    """
    selector = _Selector(api, catalog)
    bound = api.type(short)
    parts = list(
        selector.all_values(bound)
        if fields is None
        else selector.selected(bound, parse_fields(fields), is_nested=False)
    )
    columns = tuple(column for _, of_field in parts for column in of_field)
    if not columns:
        raise BadArgument("The rows have no values to export.", hint="Name fields: fields=…")
    return Selection(" ".join(text for text, _ in parts), columns)


class _Selector:
    """Selects the fields of unified types."""

    def __init__(self, api: UnifiedApi, catalog: Catalog) -> None:
        self._api = api
        self._catalog = catalog

    def all_values(self, bound: UnifiedType) -> Iterator[tuple[str, list[Column]]]:
        """Yield the values of an object, and its collected items, as far as they may be exported."""
        for field in bound.fields.values():
            if self._forbidden(field) is not None or not self._is_plain(bound, field):
                continue
            text = field.name
            if field.kind is ViewKind.COLLECTED:
                text = f"{text}{{{' '.join(self._api.type(field.of).fields)}}}"
            yield text, [Column((field.name,), _column(field), field.nullable)]

    def _is_plain(self, bound: UnifiedType, field: UnifiedField) -> bool:
        if field.kind is ViewKind.COLLECTED:
            return True
        if field.kind is not ViewKind.CONSTANT:
            return field.kind in _VALUES
        spec = self._api.spec(bound.short).fields[field.name]
        return not (spec.paged or spec.join or spec.collect)

    def selected(
        self, bound: UnifiedType, selections: SelectionSetNode, *, is_nested: bool
    ) -> Iterator[tuple[str, list[Column]]]:
        """Yield the text and the columns of each selected field. Raises BadArgument, Forbidden."""
        keys = set[str]()
        for node in selections.selections:
            if not isinstance(node, FieldNode) or node.arguments or node.directives:
                raise malformed("fields holds more than names: fragments, arguments or directives.")
            name = node.name.value
            key = name if node.alias is None else node.alias.value
            field = bound.fields.get(name)
            if field is None:
                raise BadArgument(
                    f"fields: {bound.name} has no field {name}.{did_you_mean(name, bound.fields)}"
                )
            if key in keys:
                raise BadArgument(
                    f"fields: {key} is there twice.", hint="Give one of them an alias."
                )
            keys.add(key)
            self._check(field, is_nested=is_nested)
            label = name if key == name else f"{key}:{name}"
            yield self._field(bound, field, node, key, label)

    def _field(
        self, bound: UnifiedType, field: UnifiedField, node: FieldNode, key: str, label: str
    ) -> tuple[str, list[Column]]:
        below = node.selection_set
        if field.kind is ViewKind.DISPLAY_PART:
            text = f"{label}{part_text(field.name, below, many=field.many)}"
            return text, [Column((key,), _column(field), field.nullable)]
        if below is None:
            if not self._is_plain(bound, field) or field.kind is ViewKind.COLLECTED:
                raise BadArgument(f"fields: {field.name} needs fields: {field.name}{{…}}.")
            return label, [Column((key,), _column(field), field.nullable)]
        if field.kind in _VALUES:
            raise BadArgument(f"fields: {field.name} has no fields.")
        if field.kind is ViewKind.RAW:
            parts = list(select_below(self._catalog, bound.csdl, below))
        else:
            parts = list(self.selected(self._api.type(field.of), below, is_nested=True))
        text = f"{label}{{{' '.join(text for text, _ in parts)}}}"
        if field.kind in _LISTS:
            return text, [Column((key,), _column(field), field.nullable)]
        columns = [
            Column((key, *column.path), column.field, field.nullable or column.nullable)
            for _, of_part in parts
            for column in of_part
        ]
        return text, columns

    def _check(self, field: UnifiedField, *, is_nested: bool) -> None:
        """Raise BadArgument for a field that is no column, Forbidden for values that may not be exported."""
        reason = _NOT_COLUMNS.get(field.kind)
        if reason is not None:
            raise BadArgument(f"fields: {field.name} {reason}.")
        if is_nested and field.kind not in (*_VALUES, ViewKind.DISPLAY_PART):
            raise BadArgument(f"fields: {field.name} is more than one level below the row.")
        of_set = self._forbidden(field)
        if of_set is not None:
            raise Forbidden(
                f"None of your roles may export {of_set}, from which {field.name} comes."
            )

    def _forbidden(self, field: UnifiedField) -> str | None:
        """Return a set from which a field comes and which its caller may not export; None if there is none."""
        return next(
            (name for name in _sets_of(field) if not self._catalog.gives(Right.EXPORT, name)), None
        )


def _sets_of(field: UnifiedField) -> Iterator[str]:
    """Yield the sets from whose rows a field is read, besides that of the row itself."""
    ways: list[Steps] = [field.steps, *(column.steps for column in field.columns)]
    for item in field.items:
        ways += [item.list, *(column.steps for column in item.columns.values())]
    yield from (step.field.target_set for way in ways for step in way if step.field.target_set)


def _column(field: UnifiedField) -> Field:
    """Return a field as the formats take the field of a row: by the type that it has in the answer."""
    is_own = len(field.columns) == 1 and field.table is None and field.otherwise is None
    own = field.columns[0].field if is_own and not field.many else None
    column = Field(
        name=field.name,
        kind=FieldKind.VALUE,
        type_name=field.type_name,
        nullable=field.nullable,
        many=field.many,
        description=field.description,
    )
    # Precision and scale of a decimal are those of its column.
    return column if own is None or field.sum else structs.replace(column, prop=own.prop)
