"""Explains the names of unified models: which columns they read, and what the environment lacks (``schema why``)."""

from __future__ import annotations

from collections.abc import Iterator

from schema.types.strawberry_definitions import Ref
from schema.unified.api import Namespace, UnifiedApi, UnifiedEntry, UnifiedKind
from schema.unified.views import Column, Condition, Filter, Steps, UnifiedField, UnifiedType
from schema.writes import Writes
from schema.writes.unified_inputs import WrittenField

from .shared import Lines, argument_type, type_notation, unknown

_INPUTS = (UnifiedKind.CREATE_INPUT, UnifiedKind.PATCH, UnifiedKind.NESTED_INPUT)
_ITEMS = (UnifiedKind.UPDATE_INPUT, UnifiedKind.DELETE_INPUT)


def is_unified(api: UnifiedApi, name: str) -> bool:
    """Return whether a name is that of a unified model, one of its types or of its fields."""
    owner = name.removeprefix("Query.").partition(".")[0]
    return owner in api.namespaces or api.has(owner)


def lines(api: UnifiedApi, name: str, writes: Writes | None = None) -> Lines:
    """Yield the explanation of a name. Raises SchemaError for an unknown one."""
    owner, _, member = name.removeprefix("Query.").partition(".")
    space = api.namespaces.get(owner)
    if space is not None:
        return _field_of(api, space, member) if member else _namespace(space)
    entry = api.entry(owner)
    assert entry is not None
    if entry.kind is UnifiedKind.NAMESPACE:
        space = api.namespaces[entry.short]
        return _field_of(api, space, member) if member else _namespace(space)
    if not entry.short or entry.kind in (UnifiedKind.ENUM, UnifiedKind.FILTER):
        return iter((("what it is", f"a type of unified models: {entry.kind.value}"),))
    bound = api.type(entry.short)
    if writes is not None and entry.kind in (*_INPUTS, *_ITEMS):
        return _of_writing(writes, entry, bound, member)
    if not member:
        return _type(bound)
    if member not in bound.fields:
        raise unknown(f"field {bound.name}.", member, bound.fields)
    return _field(bound, bound.fields[member])


def _namespace(space: Namespace) -> Lines:
    yield "what it is", f"the root field of a unified model, version {space.spec.version}"
    yield "fields", ", ".join(name for name, root in space.fields.items() if not root.is_several)
    yield "by ids", ", ".join(name for name, root in space.fields.items() if root.is_several)


def _field_of(api: UnifiedApi, space: Namespace, name: str) -> Lines:
    root = space.fields.get(name)
    if root is None:
        raise unknown(f"field {space.name}.", name, space.fields)
    bound = api.type(root.short)
    what = "list by ids" if root.is_several else "list" if root.is_list else "row by its id"
    yield "what it is", f"a {what} of {bound.name}"
    yield from _type(bound)


def _type(bound: UnifiedType) -> Lines:
    if bound.set_name:
        yield "rows", bound.set_name
    if bound.where:
        yield "only rows with", _conditions(bound.where)
    yield from _missing(bound.missing)
    lacking = [name for name, field in bound.fields.items() if field.missing]
    if lacking:
        yield "not complete here", ", ".join(lacking)


def _field(bound: UnifiedType, field: UnifiedField) -> Lines:
    ref = Ref(field.type_name, field.nullable, field.many)
    yield "type", type_notation(ref.name, nullable=ref.nullable, many=ref.many)
    columns = (*field.columns, *(c for item in field.items for c in item.columns.values()))
    for number, column in enumerate(columns):
        less = "less" if field.minus and number else "from"
        yield "sum of" if field.sum else less, _column(bound, column)
    if field.steps:
        yield "from", _way(bound, field.steps)
    if field.table is not None:
        yield "values", ", ".join(f"{key} → {value}" for key, value in field.table.items())
    if field.filter is not None:
        yield "where", _filter(field.filter)
    yield from _missing(field.missing)


def _of_writing(writes: Writes, entry: UnifiedEntry, bound: UnifiedType, member: str) -> Lines:
    written, kind = writes.unified, entry.kind
    assert written is not None
    if kind in _ITEMS:
        items = {a.name: a for a in written.item_arguments(kind, entry.short)}
        if member and member not in items:
            raise unknown(f"field {entry.name}.", member, items)
        shown = [items[member]] if member else items.values()
        yield from (("argument", f"{a.name}: {argument_type(a)}") for a in shown)
        return
    inputs = written.inputs(kind, entry.short)
    if not member:
        yield "what it is", f"an input of {bound.name}, written to {bound.set_name}"
        yield "fields", ", ".join(inputs)
        names = (n for n in bound.fields if n not in inputs)
        refusals = ((n, written.input_refusal(kind, entry.short, n)) for n in names)
        yield from (("not written", f"{name}: {refusal}") for name, refusal in refusals)
        return
    if member in inputs:
        yield from _written_field(bound, inputs[member])
        return
    if member not in bound.fields:
        raise unknown(f"field {entry.name}.", member, inputs)
    yield "not written", written.input_refusal(kind, entry.short, member) or ""


def _written_field(bound: UnifiedType, item: WrittenField) -> Lines:
    yield "input", type_notation(item.type_name, nullable=item.nullable, many=bool(item.items))
    for number, raw in enumerate(item.written):
        source = "" if raw.of is None else raw.of.source
        yield "amounts below zero to" if number else "written to", f"{bound.set_name}.{source}"
    if item.values is not None:
        yield "values", ", ".join(f"{key} → {value}" for key, value in item.values.items())


def _missing(missing: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in missing:
        yield "missing here", text


def _filter(own: Filter) -> str:
    order = f", orderBy {own.order}" if own.order else ""
    beyond = own.beyond
    other = f", else {beyond.column} of {beyond.list}, which are looked up first" if beyond else ""
    return f"{'.'.join(own.path)} of the rows{order}{other}"


def _column(bound: UnifiedType, column: Column) -> str:
    way = f" ({_way(bound, column.steps)})" if column.steps else ""
    return f"{column.where}{way}"


def _way(bound: UnifiedType, steps: Steps) -> str:
    """Return a way in words: ``SystemUsers → PersonUsers by PersonUserSystemUserEntity``."""
    texts = [bound.set_name]
    for step in steps:
        navigation = step.field.navigation
        assert navigation is not None
        by = (
            ", ".join(f"{pair.property} = {pair.referenced}" for pair in navigation.on)
            if navigation.declared
            else navigation.name
        )
        only = f", only {_conditions(step.where)}" if step.where else ""
        texts.append(f"{step.field.target_set} by {by}{only}")
    return " → ".join(texts)


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return ", ".join(f"{c.column.source} {c.operator} {c.operand}" for c in conditions)
