"""Explains where a name of the API comes from, and why an operator is or is not offered (``schema why``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from schema.catalog import RESERVED_TYPES, Catalog
from schema.catalog.display_values import DisplayValue
from schema.catalog.records import (
    Clean,
    Field,
    FieldKind,
    InputField,
    InputRole,
    RootField,
    TypeEntry,
    TypeKind,
    ValueType,
)
from schema.errors import SchemaError
from schema.model.records import Navigation, Property
from schema.operators import OperatorKind, WhereOperator
from schema.unified.api import UnifiedApi
from schema.writes import Writes

from . import unified as why_unified
from . import writes as why_writes
from .shared import Lines, argument_type, marks, result_type, type_notation, unknown

_CLEANINGS = {
    Clean.NONE: "none",
    Clean.NO_YES: "enum NoYes is shown as a Boolean (setting clean_noyes)",
    Clean.NULL_DATE: "1900-01-01 is shown as null (setting clean_null_dates)",
    Clean.DATE: "AXType Date is shown as a Date, 1900-01-01 as null (setting clean_dates)",
    Clean.KEY_DATE: "AXType Date is shown as a Date (setting clean_dates)",
    Clean.ACCOUNT: "an account number, shown without its escape characters (setting account_numbers)",
}
_UNORDERED = frozenset({"boolean", "guid", "enum", "flags", "binary", "other"})
_STRUCTURED = (TypeKind.OBJECT, TypeKind.INTERFACE)


@dataclass(frozen=True, slots=True)
class Reasons:
    """The explanation of a name."""

    name: str
    details: tuple[tuple[str, str], ...]
    """Pairs of heading and text."""

    def text(self) -> str:
        """Return the explanation for a terminal: the name, then one line per detail."""
        width = max(len(heading) for heading, _ in self.details)
        lines = (f"  {heading:<{width}}  {text}" for heading, text in self.details)
        return "\n".join((self.name, *lines))


def why(catalog: Catalog, name: str, writes: Writes | None = None) -> str:
    """Return ``reasons`` as text."""
    return reasons(catalog, name, writes).text()


def reasons(
    catalog: Catalog,
    name: str,
    writes: Writes | None = None,
    *,
    aggregates: bool = True,
    unified: UnifiedApi | None = None,
) -> Reasons:
    """Return the explanation of ``Type``, ``Type.field``, ``Enum.VALUE``, ``Query.field`` or a bare field of ``Query``.

    With ``writes``, also of fields of ``Mutation``, including why a mutation is not offered; without ``aggregates``, of
    no fields that aggregate lists; with ``unified``, of its models. Names are GraphQL's; those of the metadata are
    accepted too. Raises SchemaError, with similar names, for an unknown name.
    """
    aggregate = catalog.aggregates.get(name.strip().removeprefix("Query.")) if aggregates else None
    if aggregate is not None:
        return _show(f"Query.{aggregate.name}", _root(catalog, aggregate))
    if unified is not None and why_unified.is_unified(unified, name.strip()):
        return _show(name, why_unified.lines(unified, name.strip(), writes))
    owner, dot, member = name.strip().partition(".")
    if dot:
        return _show(name, _member(catalog, writes, owner, member))
    root = _root_of(catalog, owner)
    if root is not None:
        return _show(f"Query.{root.name}", _root(catalog, root))
    if writes is not None and why_writes.is_mutation(writes, owner):
        return _show(f"Mutation.{owner}", why_writes.mutation(writes, owner))
    return _show(owner, _type(catalog, writes, _entry(catalog, writes, owner)))


def _show(title: str, lines: Lines) -> Reasons:
    return Reasons(title, tuple(lines))


def _root_of(catalog: Catalog, name: str) -> RootField | None:
    """Return the root field of a name, or of an entity set."""
    by_set = (r for r in catalog.roots.values() if r.entity_set and r.entity_set.name == name)
    return catalog.roots.get(name) or next(by_set, None)


def _entry(catalog: Catalog, writes: Writes | None, name: str) -> TypeEntry:
    entry = catalog.entry(name)
    if entry is None and writes is not None:
        entry = writes.entry(name)
    if entry is not None:
        return entry
    if name in RESERVED_TYPES:
        raise SchemaError(f"{name} is a type of the gateway and does not come from the metadata.")
    names = catalog.known_names()
    if catalog.whole is not catalog:
        names = {e.name: e for e in catalog.entries()}
    elif name in names:
        raise SchemaError(
            f"{name} is not part of the API: no root field leads to it, or it would have no fields."
        )
    near = () if writes is None else why_writes.near(writes, name)
    raise unknown("type or root field ", name, (*names, *catalog.roots, *near))


def _member(catalog: Catalog, writes: Writes | None, owner: str, member: str) -> Lines:
    if owner == "Query":
        root = catalog.roots.get(member)
        if root is None:
            raise unknown("field Query.", member, catalog.roots)
        return _root(catalog, root)
    if owner == "Mutation" and writes is not None:
        return why_writes.mutation(writes, member)
    entry = _entry(catalog, writes, owner)
    if writes is not None and why_writes.is_of_writing(entry):
        return why_writes.member(writes, entry, member)
    return _member_of(catalog, entry, member)


def _member_of(catalog: Catalog, entry: TypeEntry, member: str) -> Lines:
    if entry.kind is TypeKind.ENUM:
        return _enum_value(catalog, entry, member)
    if entry.kind in _STRUCTURED:
        return _field(catalog, entry, _by_name(catalog, entry, member))
    if entry.kind in (TypeKind.CONNECTION, TypeKind.EDGE):
        return iter([("origin", "Relay connection (the same for every list)")])
    inputs = catalog.inputs_of(entry.name)
    if member not in inputs:
        raise unknown(f"field {entry.name}.", member, inputs)
    return _input(catalog, entry, inputs[member])


def _by_name(catalog: Catalog, entry: TypeEntry, member: str) -> Field:
    fields = catalog.object(entry.csdl).fields
    by_source = {f.source: f for f in fields.values() if f.source}
    field = fields.get(member) or by_source.get(member)
    if field is None:
        raise unknown(f"field {entry.name}.", member, fields)
    return field


# Types


def _type(catalog: Catalog, writes: Writes | None, entry: TypeEntry) -> Lines:
    if writes is not None and why_writes.is_of_writing(entry):
        yield from why_writes.type_lines(writes, entry)
        return
    yield "kind", entry.kind.value.replace("_", " ")
    yield "CSDL", entry.csdl
    if entry.kind in _STRUCTURED:
        yield from _structured(catalog, entry)
    elif entry.kind is TypeKind.ENUM:
        info = catalog.enum(entry.csdl)
        yield "values", str(len(info.to_csdl)) + (" (flags)" if info.flags else "")
    elif entry.kind is TypeKind.FILTER:
        yield from _operators(catalog, entry.csdl, catalog.kind_of(entry.csdl))
    elif entry.kind not in (TypeKind.CONNECTION, TypeKind.EDGE):
        yield "fields", str(len(catalog.inputs_of(entry.name)))


def _structured(catalog: Catalog, entry: TypeEntry) -> Lines:
    info = catalog.object(entry.csdl)
    sets = catalog.model.sets_of_type.get(entry.csdl, ())
    yield "sets", ", ".join(sets) or "none"
    yield (
        "key",
        ", ".join(f.name for f in info.key) or "none, so rows have no id and no by-key field",
    )
    if info.interfaces:
        yield "interfaces", ", ".join(info.interfaces)
    derived = catalog.model.derived.get(entry.csdl, ())
    if derived:
        yield "derived", ", ".join(derived)
    yield "fields", str(len(info.fields))
    yield "description", info.description


def _enum_value(catalog: Catalog, entry: TypeEntry, member: str) -> Lines:
    info = catalog.enum(entry.csdl)
    csdl = info.to_csdl.get(member, member)
    declared = next(
        (m for m in catalog.model.enum_types[entry.csdl].members if m.name == csdl), None
    )
    if declared is None:
        raise unknown(f"value {entry.name}.", member, info.to_csdl)
    yield "GraphQL", info.to_graphql[declared.name]
    yield "CSDL", f"{entry.csdl}.{declared.name} = {declared.value}"
    if declared.label:
        yield "label", _label(catalog, declared.label)


def _parts(value: DisplayValue) -> Lines:
    yield "origin", "added by the gateway: the parts of a display value"
    yield "CSDL", f"{value.declared_by}.{value.column.name}"
    yield "format", f"{value.format}, as the environment tells (DimensionIntegrationFormats)"
    if value.account_type:
        yield "account type", value.account_type


def _label(catalog: Catalog, label: str) -> str:
    text = catalog.labels.get(label)
    return f"{text} ({label})" if text else label


# Fields


def _field(catalog: Catalog, entry: TypeEntry, field: Field) -> Lines:
    yield "type", type_notation(field.type_name, nullable=field.nullable, many=field.many)
    if field.kind is FieldKind.ID:
        yield "origin", "added by the gateway: encodes type and key, for node(id:)"
        return
    if field.kind is FieldKind.REST:
        yield "origin", "added by the gateway: undeclared properties of an open type"
        return
    if field.kind is FieldKind.CUSTOM:
        yield "origin", "added by the gateway: columns of the row by their upstream names"
        return
    if field.parts is not None:
        yield from _parts(field.parts)
        return
    yield "CSDL", f"{field.declared_by}.{field.source}"
    yield "sets", ", ".join(catalog.model.sets_of_type.get(entry.csdl, ())) or "none"
    if field.navigation is not None:
        yield from _relation(catalog, entry, field, field.navigation)
    if field.prop is not None:
        yield from _property(catalog, entry, field, field.prop)
    yield "description", field.description


def _relation(catalog: Catalog, entry: TypeEntry, field: Field, navigation: Navigation) -> Lines:
    origin = (
        "declared in the settings (relations)" if navigation.declared else "navigation property"
    )
    yield "origin", origin
    yield "leads to", f"{field.target} (set {field.target_set or 'unknown'})"
    join = ", ".join(f"{c.property} = {c.referenced}" for c in navigation.on)
    yield "join", join or "not in the metadata"
    role = catalog.relation_role(entry.csdl, navigation)
    yield "where", "offered" if role is not None else _relation_refusal(catalog, navigation)


def _relation_refusal(catalog: Catalog, navigation: Navigation) -> str:
    if navigation.declared:
        return "not offered: the upstream service does not know declared relations"
    able = catalog.abilities
    if not (able.filter_to_many if navigation.many else able.filter_to_one):
        return "not offered: this product cannot filter through such a navigation property"
    return (
        "not offered: a Capabilities annotation forbids it, or the target has no field to filter by"
    )


def _property(catalog: Catalog, entry: TypeEntry, field: Field, prop: Property) -> Lines:
    many = f"Collection({prop.type.name})" if prop.type.many else prop.type.name
    yield "CSDL type", many + (", nullable" if prop.nullable else ", not nullable")
    yield "annotations", ", ".join(marks(prop)) or "none"
    if prop.label:
        yield "label", _label(catalog, prop.label)
    is_key = prop.name in catalog.key_of(entry.csdl)
    yield "key", "part of the key, so not null" if is_key else "no"
    if field.value is not None:
        yield "cleaning", _CLEANINGS[field.value.clean]
        yield from _filter_lines(catalog, entry, prop, field.value)


def _restriction(catalog: Catalog, entry: TypeEntry, prop: Property) -> str:
    whole = catalog.whole.filterable_properties(entry.csdl)
    if catalog.whole is not catalog and any(p.name == prop.name for p in whole):
        return "not all of the roles give its values in plain"
    return "a Capabilities.FilterRestrictions annotation forbids it"


def _filter_lines(catalog: Catalog, entry: TypeEntry, prop: Property, value: ValueType) -> Lines:
    """Return the operators and the order of a value."""
    filterable = {p.name for p in catalog.filterable_properties(entry.csdl)}
    if prop.type.many:
        yield "where", "not offered: it is a collection"
    elif prop.name not in filterable:
        yield "where", f"not offered: {_restriction(catalog, entry, prop)}"
    else:
        as_enum = value.enum is not None and value.clean is not Clean.NO_YES
        yield from _operators(catalog, value.edm if as_enum else value.scalar, value.kind)
    name = catalog.generated_name(TypeKind.ORDER_BY, entry.csdl)
    orders = catalog.inputs_of(name).values() if name is not None else ()
    is_ordered = any(f.of is not None and f.of.source == prop.name for f in orders)
    yield (
        "orderBy",
        "offered"
        if is_ordered
        else "not offered: the values have no order, or an annotation forbids it",
    )


def _operators(catalog: Catalog, csdl_or_scalar: str, kind: str) -> Lines:
    offered = catalog.filter_operators(csdl_or_scalar)
    yield "operators", " ".join(offered) or "none"
    for operator in WhereOperator:
        if operator not in offered and (operator.kind is not OperatorKind.FLAGS or kind == "flags"):
            yield f"not {operator}", _refusal(operator, kind)


def _refusal(operator: WhereOperator, kind: str) -> str:
    match operator.kind:
        case OperatorKind.TEXT if kind != "string":
            return "applies to text only"
        case OperatorKind.ORDER if kind in _UNORDERED:
            return f"values of kind {kind} have no order in the upstream service"
        case (
            OperatorKind.EQUALITY
            | OperatorKind.ORDER
            | OperatorKind.LIST
            | OperatorKind.FLAGS
            | OperatorKind.TEXT
            | OperatorKind.NULL
        ):
            return f"this product's OData does not support it for values of kind {kind}"
        case _:
            assert_never(operator.kind)


# Inputs and roots


def _input(catalog: Catalog, entry: TypeEntry, field: InputField) -> Lines:
    yield "input", type_notation(field.type_name, many=field.many)
    yield "meaning", field.role.value.replace("_", " ")
    if field.of is not None:
        yield from _field(catalog, entry, field.of)
    elif field.role is InputRole.OPERATOR:
        yield "origin", "this product's OData supports it for such values"
    else:
        yield "origin", "the same in every where type"


def _root(catalog: Catalog, root: RootField) -> Lines:
    yield "type", result_type(catalog.result(root))
    yield "kind", root.kind.value.replace("_", " ")
    origin = root.entity_set or root.singleton or root.operation
    yield "CSDL", origin.name if origin is not None else "none: added by the gateway"
    if root.csdl:
        yield "rows", root.csdl
    for argument in catalog.root_arguments(root):
        yield "argument", f"{argument.name}: {argument_type(argument)}"
    yield "description", catalog.root_description(root)
