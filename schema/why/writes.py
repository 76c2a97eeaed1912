"""Explains mutations, their inputs and payloads, and why something cannot be written (``schema why``)."""

from __future__ import annotations

from collections.abc import Iterator

from schema.catalog.names import near_names
from schema.catalog.records import (
    Field,
    FieldKind,
    InputField,
    InputRole,
    MutationField,
    TypeEntry,
    TypeKind,
    Verb,
)
from schema.model.joins import join_pairs
from schema.writes import Writes
from schema.writes.catalog import UNIFIED
from schema.writes.naming import ROW_VERBS, SUFFIXES, mutation_candidates, mutation_name
from schema.writes.suggestions import near_mutations, near_types

from .shared import Lines, argument_type, marks, result_type, type_notation, unknown

_PAYLOADS = (TypeKind.PAYLOAD, TypeKind.PAYLOADS, TypeKind.OPERATION_PAYLOAD)
_ROLES = {
    InputRole.WRITE: "a value to write; not sent if omitted",
    InputRole.PARTS: "the parts of a display value, which the gateway joins; not sent if omitted",
    InputRole.NESTED: "rows to create below the new row",
    InputRole.CREATE: "the rows to create, in order",
    InputRole.KEY: "the key of the row",
    InputRole.PATCH: "the fields to change",
    InputRole.IF_MATCH: "the expected version of the row (setting writes.if_match)",
}


def is_of_writing(entry: TypeEntry) -> bool:
    """Return whether a type exists for mutations only."""
    return entry.kind in SUFFIXES or entry.kind is TypeKind.OPERATION_PAYLOAD


def is_mutation(writes: Writes, name: str) -> bool:
    """Return whether a name is that of a mutation, offered or not."""
    return name in writes or _refusal(writes, name) is not None


def mutation(writes: Writes, name: str) -> Lines:
    """Return the explanation of a field of ``Mutation``. Raises SchemaError if it is unknown."""
    refusal = _refusal(writes, name)
    if name in writes:
        return _offered(writes, writes[name])
    if refusal is not None:
        return iter([("not offered", refusal)])
    raise unknown("field Mutation.", name, (n for n in near(writes, name) if n in writes))


def near(writes: Writes, name: str) -> Iterator[str]:
    """Yield names similar to a misspelled one: of mutations, and of types that exist for mutations only."""
    roots, names = writes.catalog.roots, writes.catalog.known_names()
    fields = near_mutations(name, writes, lambda wrong: near_names(wrong, roots))
    yield from (field for field in fields if field in writes)
    types = near_types(name, names, lambda wrong: near_names(wrong, names))
    yield from (type_name for type_name in types if writes.entry(type_name))


def _refusal(writes: Writes, name: str) -> str | None:
    """Return why there is no such mutation of a set; None if there is one, or if no set has that name."""
    if writes.unified is not None and UNIFIED in name:
        refusal = writes.unified.refusal(name)
        if refusal is not None:
            return refusal
    roots, sets = writes.catalog.roots, writes.catalog.model.entity_sets
    prefix = writes.catalog.prefix
    for verb, root_name in mutation_candidates(name, prefix):
        root = roots.get(root_name)
        of_set = None if root is None else root.entity_set
        if of_set is not None and mutation_name(verb, root_name, roots, prefix) == name:
            return writes.refusal(verb, sets[of_set.name])
    return None


def _offered(writes: Writes, field: MutationField) -> Lines:
    yield "type", result_type(writes.result(field))
    yield "kind", field.verb.value + (" of several rows" if field.many else "")
    yield "CSDL", _origin(field)
    if field.entity_set is not None and field.operation is not None:
        yield "bound to", field.entity_set.name
    if field.csdl:
        yield "rows", field.csdl
    for argument in writes.arguments(field):
        yield "argument", f"{argument.name}: {argument_type(argument)}"
    if field.verb in (Verb.CREATE, Verb.UPSERT):
        required = writes.required_of(writes.name_of(TypeKind.CREATE_INPUT, field.csdl))
        yield "required", ", ".join(required) or "nothing"
    yield "description", writes.description(field)


def _origin(field: MutationField) -> str:
    if field.service is not None:
        return f"none: custom service {field.service.path} (setting writes.services)"
    if field.operation is not None:
        return field.operation.name
    return "" if field.entity_set is None else field.entity_set.name


# Types


def type_lines(writes: Writes, entry: TypeEntry) -> Lines:
    """Return the explanation of a type that exists for mutations only."""
    if entry.kind is TypeKind.OPERATION_PAYLOAD:
        yield "kind", "payload"
        yield "of", f"Mutation.{entry.csdl}"
    else:
        yield "kind", entry.kind.value.replace("_", " ")
        yield "CSDL", entry.csdl
        yield "sets", ", ".join(_sets(writes, entry)) or "none"
    if entry.kind in _PAYLOADS:
        yield "fields", str(len(writes.payload_of(entry.name)))
        return
    yield "fields", str(len(writes.inputs_of(entry.name)))
    yield "required", ", ".join(writes.required_of(entry.name)) or "nothing"


def _sets(writes: Writes, entry: TypeEntry) -> Iterator[str]:
    model = writes.catalog.model
    for name in model.sets_of_type.get(entry.csdl, ()):
        verbs = [v.value for v in ROW_VERBS if writes.offers(v, model.entity_sets[name])]
        yield f"{name} ({', '.join(verbs) or 'not written'})"


def member(writes: Writes, entry: TypeEntry, name: str) -> Lines:
    """Return the explanation of a field of such a type. Raises SchemaError if it is unknown."""
    if entry.kind in _PAYLOADS:
        fields = writes.payload_of(entry.name)
        if name not in fields:
            raise unknown(f"field {entry.name}.", name, fields)
        field = fields[name]
        return iter(
            [
                ("type", result_type(field.result)),
                ("meaning", field.role.value.replace("_", " ")),
                ("origin", field.source or "added by the gateway: the same in every payload"),
                ("description", field.description),
            ]
        )
    inputs = writes.inputs_of(entry.name)
    if name in inputs:
        return _input(writes, entry, inputs[name])
    fields_of_rows = _fields(writes, entry)
    by_source = {f.source: f for f in fields_of_rows.values() if f.source}
    absent = fields_of_rows.get(name) or by_source.get(name)
    if absent is None:
        raise unknown(f"field {entry.name}.", name, inputs)
    if absent.name in inputs:
        return _input(writes, entry, inputs[absent.name])
    return _absent(writes, entry, absent)


def _fields(writes: Writes, entry: TypeEntry) -> dict[str, Field]:
    has_rows = entry.kind in (
        *(TypeKind.CREATE_INPUT, TypeKind.PATCH, TypeKind.NESTED_INPUT, TypeKind.VALUE_INPUT),
        TypeKind.KEY,
    )
    return dict(writes.catalog.object(entry.csdl).fields) if has_rows else {}


def _input(writes: Writes, entry: TypeEntry, field: InputField) -> Lines:
    yield "input", type_notation(field.type_name, nullable=field.nullable, many=field.many)
    yield "meaning", _ROLES[field.role]
    of = field.of
    if of is None:
        return
    if of.parts is not None:
        yield "CSDL", f"{of.parts.declared_by}.{of.parts.column.name}"
        yield "description", of.description
        return
    yield (
        "CSDL",
        f"{of.declared_by}.{of.source}" if of.source else "undeclared properties of an open type",
    )
    if of.prop is not None:
        yield "annotations", ", ".join(marks(of.prop)) or "none"
    if entry.kind is TypeKind.CREATE_INPUT and of.navigation is None:
        yield "required", _required(writes, entry, of)
    if of.navigation is not None:
        pairs = join_pairs(of.navigation, writes.catalog.model)
        yield "join", ", ".join(f"{own} = {theirs}" for own, theirs in pairs)
        yield "set", of.target_set or "unknown"
    yield "description", of.description


def _required(writes: Writes, entry: TypeEntry, field: Field) -> str:
    if writes.inputs.is_required(field, entry.csdl):
        return (
            "yes, by IsRequired; if a number sequence provides it, see the setting writes.numbered"
        )
    if field.prop is None or not field.prop.required:
        return "no"
    if field.source == writes.catalog.abilities.company_property:
        return "no: the company may come from the request"
    return "no: a number sequence provides it (setting writes.numbered)"


def _absent(writes: Writes, entry: TypeEntry, field: Field) -> Lines:
    yield "not offered", _absence(writes, entry, field)
    if field.prop is not None and field.kind is not FieldKind.ETAG:
        yield "CSDL", f"{field.declared_by}.{field.source}"
        yield "annotations", ", ".join(marks(field.prop)) or "none"


def _absence(writes: Writes, entry: TypeEntry, field: Field) -> str:
    if field.kind in (FieldKind.ID, FieldKind.ETAG):
        return "added by the gateway to every row; pass a version as ifMatch"
    if field.navigation is not None:
        return _not_nested(writes, entry, field)
    if field.parts is not None:
        return "its display value cannot be written here, or must be set as it is"
    key = writes.catalog.key_of(entry.csdl)
    if entry.kind is TypeKind.KEY:
        return "not part of the key"
    if entry.kind is TypeKind.PATCH and field.source in key:
        return "part of the key, which identifies the row and never changes"
    assert field.prop is not None
    creates, changes = field.prop.allow_edit_on_create, field.prop.allow_edit
    if not creates and not changes:
        return "read-only: AllowEdit and AllowEditOnCreate are false, or Computed is true"
    if entry.kind is TypeKind.PATCH and not changes:
        return "fixed after creation: AllowEdit is false, or Immutable is true"
    if entry.kind is not TypeKind.PATCH and not creates:
        return "cannot be set on creation: AllowEditOnCreate is false"
    return "no property of the complex type can be written"


def _not_nested(writes: Writes, entry: TypeEntry, field: Field) -> str:
    navigation, sets = field.navigation, writes.catalog.model.entity_sets
    assert navigation is not None
    if entry.kind is not TypeKind.CREATE_INPUT:
        return "related rows are created with a new row, or by mutations of their own"
    if field.kind is not FieldKind.TO_MANY:
        return "set the fields that join the related row, or create it by a mutation of its own"
    if field.target_set is None:
        return "the metadata does not say in which set the related rows are"
    if not join_pairs(navigation, writes.catalog.model):
        return "the metadata does not say which fields join the rows; declare the relation (setting relations)"
    if sets[field.target_set].type != field.target:
        return f"the rows of {field.target_set} have another type"
    refusal = writes.refusal(Verb.CREATE, sets[field.target_set])
    return f"rows of {field.target_set} cannot be created: {refusal}"
