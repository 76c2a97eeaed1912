"""Where rows can be imported: into lists of ``Query``, and those of unified models, called ``accounting.vendors``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from gateway.errors import Forbidden, UnknownSet
from gateway.export.selection import find_list
from schema.catalog.records import FieldKind, PayloadField, PayloadRole, RootField, TypeKind, Verb
from schema.types.build import ODataSchema
from schema.unified.api import UnifiedKind
from schema.unified.views import ViewKind
from schema.writes import Writes

from .fields import ImportFields
from .unified_fields import UnifiedImportFields


class RowFields(Protocol):
    """The fields that the rows of an import may have."""

    def of_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row as the input object of a mutation. Raises BadArgument."""
        ...

    def of_cells(self, cells: Mapping[str, str], *, empties: bool) -> dict[str, Any]:
        """Return a row of CSV likewise; ``empties``: whether an empty cell is null. Raises BadArgument."""
        ...

    def column(self, name: str) -> tuple[str, ...]:
        """Return the field that a column of CSV sets, with those above it. Raises BadArgument."""
        ...

    def unique_name(self, name: str) -> str:
        """Return a field of one value that can tell rows apart. Raises BadArgument."""
        ...


class ImportTarget(Struct, frozen=True, kw_only=True):
    """The mutation that writes the rows of a list."""

    name: str
    """Entity set, or namespace and list of a unified model."""
    verb: Verb
    mutation: str
    input_type: str
    fields: RowFields
    row_name: str
    """Name of the field of a payload with the row."""
    has_id: bool


def find_target(schema: ODataSchema, name: str, verb: Verb) -> ImportTarget:
    """Return what writes the rows of a list. Raises UnknownSet; Forbidden if there is no such mutation."""
    root = find_list(schema.catalog, name)
    if root is not None and root.entity_set is not None:
        return _of_rows(schema, root, verb)
    if (found := schema.unified.find_list(name)) is not None:
        return _of_objects(schema, name, found[1].short, verb)
    raise UnknownSet(
        f"There is no list called {name}.",
        hint="Name a list of Query (customersV3), its entity set, or a unified list (accounting.vendors).",
    )


def _of_rows(schema: ODataSchema, root: RootField, verb: Verb) -> ImportTarget:
    assert root.entity_set is not None
    writes = schema.writes
    names = {} if writes is None else dict(writes.of_root(root.name, root.entity_set.name))
    field = None if writes is None or verb not in names else writes.get(names[verb])
    if writes is None or field is None:
        raise Forbidden(
            f"Rows of {root.entity_set.name} cannot be written by {verb.value}.",
            hint="The settings, the metadata or your roles do not allow it.",
        )
    input_type = writes.name_of(TypeKind.CREATE_INPUT, field.csdl)
    fields = writes.catalog.object(field.csdl).fields.values()
    return ImportTarget(
        name=root.entity_set.name,
        verb=verb,
        mutation=field.name,
        input_type=input_type,
        fields=ImportFields(writes, input_type),
        row_name=_row_name(writes.payload_of(writes.name_of(TypeKind.PAYLOAD, field.csdl))),
        has_id=any(f.kind is FieldKind.ID for f in fields),
    )


def _of_objects(schema: ODataSchema, name: str, short: str, verb: Verb) -> ImportTarget:
    writes: Writes | None = schema.writes
    unified = None if writes is None else writes.unified
    field = None if unified is None else unified.of_list(short, verb)
    if unified is None or field is None:
        reason = None if unified is None else unified.list_refusal(short, verb)
        raise Forbidden(
            f"Objects of {name} cannot be written by {verb.value}"
            + (f": {reason}." if reason else "."),
            hint="The mapping, the settings, the metadata or your roles do not allow it.",
        )
    return ImportTarget(
        name=name,
        verb=verb,
        mutation=field.name,
        input_type=unified.name_of(UnifiedKind.CREATE_INPUT, short),
        fields=UnifiedImportFields(unified, short),
        row_name=_row_name(unified.payload(UnifiedKind.PAYLOAD, short)),
        has_id=any(
            f.kind is ViewKind.ID and f.name == "id"
            for f in schema.unified.type(short).fields.values()
        ),
    )


def _row_name(payload: Mapping[str, PayloadField]) -> str:
    return next(f.name for f in payload.values() if f.role is PayloadRole.ROW)
