"""Which value of which row a file is: by the id of the row, or by the list in which a new row is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.errors import BadArgument, Forbidden, InvalidId, UnknownSet
from gateway.export.selection import find_list
from gateway.imports.fields import ImportFields
from gateway.imports.targets import RowFields
from gateway.imports.unified_fields import UnifiedImportFields
from gateway.operations.global_ids import parse_id
from gateway.writes.unified_input import key_of_id
from schema.catalog.records import (
    Field,
    ObjectInfo,
    PayloadField,
    PayloadRole,
    RootKind,
    TypeKind,
    Verb,
)
from schema.types.build import ODataSchema
from schema.unified.api import UnifiedKind
from schema.writes import Writes

BYTES = "Base64"
"""Scalar of the fields that hold files."""
_NAMES = ("FileName", "OriginalFileName", "DocumentFileName")
"""Properties with the name of the file of a row."""
_ENDINGS = ("FileType", "FileExtension")
_ERRORS = "userErrors { code message field }"


class FileTarget(Struct, frozen=True, kw_only=True):
    """A value of a row that has an id."""

    id: str
    info: ObjectInfo
    set: str
    """The entity set of the row."""
    field: Field

    def names(self) -> Mapping[str, str]:
        """Return the fields with the name and the ending of the file: those that the row has."""
        own = {f.source: f.name for f in self.info.fields.values() if f.type_name == "String"}
        found = {"name": _first(own, _NAMES), "ending": _first(own, _ENDINGS)}
        return {alias: name for alias, name in found.items() if name is not None}

    def document(self, selection: str) -> str:
        """Return the query that reads fields of the row."""
        return f"query File($id: ID!) {{ row: node(id: $id) {{ ... on {self.info.name} {{ {selection} }} }} }}"

    @property
    def facts(self) -> str:
        """The query that reads what there is to say of the file, without its bytes."""
        selected = [f"{alias}: {name}" for alias, name in self.names().items()]
        if self.info.etag is not None:
            selected.append(f"etag: {self.info.etag.name}")
        return self.document(" ".join(("__typename", *selected)))

    @property
    def content(self) -> str:
        """The query that reads the bytes."""
        return self.document(f"content: {self.field.name}")


class FileWrite(Struct, frozen=True, kw_only=True):
    """A mutation that writes a file."""

    set: str
    field: str
    document: str
    variables: Mapping[str, Any]
    column: str
    """The property that holds the bytes."""
    id: str | None = None
    """That of the row; None: it is created."""


def _first(own: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((own[name] for name in names if name in own), None)


def find_file(schema: ODataSchema, text: str, name: str) -> FileTarget:
    """Return the file in a field of the row with an id. Raises InvalidId, BadArgument."""
    catalog = schema.catalog
    entry = catalog.entry(parse_id(text, catalog.tag)[0])
    if entry is None or entry.kind is not TypeKind.OBJECT or not catalog.is_node(entry.csdl):
        raise InvalidId("The type of this id is not served here.", hint="Use an `id` of this API.")
    info, entity_set = catalog.object(entry.csdl), catalog.set_for(entry.csdl)
    assert entity_set is not None
    field = info.fields.get(name)
    if field is None or field.type_name != BYTES or field.many:
        raise _no_file(info.name, (f.name for f in info.fields.values() if _holds_bytes(f)))
    return FileTarget(id=text, info=info, set=entity_set, field=field)


def _holds_bytes(field: Field) -> bool:
    return field.type_name == BYTES and not field.many


def _no_file(where: str, names: Any) -> BadArgument:
    there = ", ".join(names)
    hint = f"Files are in {there}." if there else "It has no fields of type Base64."
    return BadArgument(f"{where} has no such field with a file.", hint=hint)


def update_of(
    schema: ODataSchema, target: FileTarget, text: str, if_match: str | None
) -> FileWrite:
    """Return the mutation that writes a file; ``text`` stands for its bytes. Raises Forbidden, InvalidId."""
    writes = schema.writes
    name = None if writes is None else _of_rows(schema, writes, target.set, Verb.UPDATE)
    csdl = target.info.csdl
    if writes is None or name is None:
        raise _refused(target.set, Verb.UPDATE)
    patch, key = writes.name_of(TypeKind.PATCH, csdl), writes.name_of(TypeKind.KEY, csdl)
    if target.field.name not in writes.inputs_of(patch):
        raise Forbidden(
            f"{target.field.name} of {target.set} cannot be written.",
            hint="The metadata or your roles do not allow it.",
        )
    return FileWrite(
        id=target.id,
        set=target.set,
        field=target.field.name,
        column=target.field.source,
        document=f"mutation File($key: {key}!, $patch: {patch}!, $ifMatch: String)"
        f" {{ file: {name}(key: $key, patch: $patch, ifMatch: $ifMatch)"
        # Not the row: it would be read to show that it is there.
        f" {{ {_ERRORS} }} }}",
        variables={
            "key": key_of_id(schema.catalog, csdl, target.id),
            "patch": {target.field.name: text},
            "ifMatch": if_match,
        },
    )


def create_of(
    schema: ODataSchema,
    name: str,
    field: str,
    cells: Mapping[str, str],
    text: str,
    unique_by: tuple[str, ...] | None,
) -> FileWrite:
    """Return the mutation that creates a row with a file; ``cells`` are its other values, as in CSV.

    ``text`` stands for its bytes. Raises UnknownSet, Forbidden, BadArgument.
    """
    root = find_list(schema.catalog, name)
    if root is not None and root.entity_set is not None:
        new = _new_row(schema, root.entity_set.name, root.entity_set.type)
    elif (found := schema.unified.find_list(name)) is not None:
        new = _new_object(schema, name, found[1].short)
    else:
        raise UnknownSet(
            f"There is no list called {name}.",
            hint="Name a list of Query, its entity set, or a unified list (accounting.attachments).",
        )
    column = new.files.get(field)
    if column is None:
        raise _no_file(name, new.files)
    if field in cells:
        raise BadArgument(f"{field} is the body of the request.")
    values = {**new.fields.of_cells(cells, empties=False), field: text}
    by = ""
    if unique_by is not None:
        own = ", ".join(f'"{new.fields.unique_name(each)}"' for each in unique_by)
        by = f", uniqueBy: [{own}]"
    return FileWrite(
        set=new.set,
        field=field,
        column=column,
        document=f"mutation File($input: {new.input_type}!) {{ file: {new.mutation}(input: $input{by})"
        f" {{ row: {new.row_name} {{ id }} created {_ERRORS} }} }}",
        variables={"input": values},
    )


def name_field(schema: ODataSchema, name: str) -> str | None:
    """Return the field of new rows of a list that has the name of their file; None if there is none."""
    root = find_list(schema.catalog, name)
    if root is not None and root.entity_set is not None:
        fields = schema.catalog.object(root.entity_set.type).fields.values()
        return _first({f.source: f.name for f in fields}, _NAMES)
    found = schema.unified.find_list(name)
    if found is None:
        return None
    view = schema.unified.type(found[1].short).fields.values()
    return _first({f.columns[0].field.source: f.name for f in view if f.columns}, _NAMES)


def row_field(schema: ODataSchema, text: str, column: str) -> str | None:
    """Return the field of a row with an id that has a property; None if its caller sees none."""
    catalog = schema.catalog
    entry = catalog.entry(parse_id(text, catalog.tag)[0])
    fields = () if entry is None else catalog.object(entry.csdl).fields.values()
    return next((field.name for field in fields if field.source == column), None)


class _New(Struct, frozen=True, kw_only=True):
    """What creates rows of a list."""

    set: str
    mutation: str
    input_type: str
    row_name: str
    fields: RowFields
    files: Mapping[str, str]
    """Fields of the input that hold files → their properties."""


def _new_row(schema: ODataSchema, entity_set: str, csdl: str) -> _New:
    writes = schema.writes
    mutation = None if writes is None else _of_rows(schema, writes, entity_set, Verb.CREATE)
    if writes is None or mutation is None:
        raise _refused(entity_set, Verb.CREATE)
    input_type = writes.name_of(TypeKind.CREATE_INPUT, csdl)
    inputs = writes.inputs_of(input_type).values()
    return _New(
        set=entity_set,
        mutation=mutation,
        input_type=input_type,
        row_name=_row_name(writes.payload_of(writes.name_of(TypeKind.PAYLOAD, csdl))),
        fields=ImportFields(writes, input_type),
        files={f.name: f.of.source for f in inputs if f.of is not None and _holds_bytes(f.of)},
    )


def _new_object(schema: ODataSchema, name: str, short: str) -> _New:
    unified = None if schema.writes is None else schema.writes.unified
    own = () if unified is None else unified.fields.values()
    field = next((f for f in own if f.view == short and not f.many and f.verb is Verb.CREATE), None)
    if unified is None or field is None:
        raise _refused(name, Verb.CREATE)
    inputs = unified.inputs(UnifiedKind.CREATE_INPUT, short).values()
    return _New(
        set=name,
        mutation=field.name,
        input_type=unified.name_of(UnifiedKind.CREATE_INPUT, short),
        row_name=_row_name(unified.payload(UnifiedKind.PAYLOAD, short)),
        fields=UnifiedImportFields(unified, short),
        files={f.name: f.raw.of.source for f in inputs if f.type_name == BYTES and f.raw.of},
    )


def _of_rows(schema: ODataSchema, writes: Writes, entity_set: str, verb: Verb) -> str | None:
    """Return the mutation of one row of a set; None if there is none."""
    for kind, of_set, root in schema.catalog.set_roots():
        if kind is RootKind.BY_KEY and of_set == entity_set:
            name = dict(writes.of_root(root, entity_set)).get(verb)
            return None if name is None or writes.get(name) is None else name
    return None


def _refused(entity_set: str, verb: Verb) -> Forbidden:
    return Forbidden(
        f"Rows of {entity_set} cannot be written by {verb.value}.",
        hint="The settings, the metadata or your roles do not allow it.",
    )


def _row_name(payload: Mapping[str, PayloadField]) -> str:
    return next(f.name for f in payload.values() if f.role is PayloadRole.ROW)
