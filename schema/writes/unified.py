"""Mutations of unified types: the rows behind them are written, with the names and values of the mapping.

A field can be written if it is one column of the row, its value stands for one value of the column, and the row's own
input has it. So a mutation of a unified type is the mutation of the rows in other words: its rules, presets, natural
keys, errors and payloads are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from schema.catalog.names import add_prefix, field_name
from schema.catalog.records import (
    Argument,
    InputField,
    MutationField,
    PayloadField,
    PayloadRole,
    Result,
    TypeKind,
    Verb,
)
from schema.unified.api import UnifiedApi, UnifiedEntry, UnifiedKind
from schema.unified.lookups import MissingError, check_type, operand_of
from schema.unified.views import UnifiedField, UnifiedType, ViewKind

from . import descriptions as texts

if TYPE_CHECKING:
    from .catalog import Writes

_KINDS = {
    UnifiedKind.CREATE_INPUT: TypeKind.CREATE_INPUT,
    UnifiedKind.PATCH: TypeKind.PATCH,
    UnifiedKind.NESTED_INPUT: TypeKind.NESTED_INPUT,
}
SUFFIXES = {
    UnifiedKind.CREATE_INPUT: "CreateInput",
    UnifiedKind.PATCH: "Patch",
    UnifiedKind.NESTED_INPUT: "NestedInput",
    UnifiedKind.PAYLOAD: "Payload",
}
_ID = Argument(name="id", type_name="ID", nullable=False, description="The `id` of the object.")


class UnknownValueError(Exception):
    """A value of a unified field stands for none of its column."""

    def __init__(self, name: str, value: object, known: Iterable[str]) -> None:
        super().__init__(f"{name}: there is no value {value}.")
        self.hint = f"Use one of {', '.join(list(known)[:10])}."


class WrittenField(Struct, frozen=True, eq=False):
    """A field of the input of a unified type."""

    name: str
    raw: InputField
    type_name: str
    nullable: bool = True
    values: Mapping[str, Any] | None = None
    """Unified value → value of the row's field."""
    items: str = ""
    """Short name of the unified type of rows that are created below; empty: it is a value."""
    description: str = ""


class UnifiedWrites:
    """The mutations of the unified types of one API."""

    def __init__(self, api: UnifiedApi, writes: Writes) -> None:
        self.api = api
        self._writes = writes
        self._inputs: dict[tuple[UnifiedKind, str], Mapping[str, WrittenField]] = {}

    @cached_property
    def fields(self) -> Mapping[str, MutationField]:
        """The mutations by name. Only types whose mapping allows writes are bound for them."""
        return {field.name: field for field in self._fields()}

    def _fields(self) -> Iterator[MutationField]:
        for space in self.api.namespaces.values():
            for spec in space.spec.types.values():
                for verb in (Verb.CREATE, Verb.UPDATE):
                    wanted = spec.writes.create if verb is Verb.CREATE else spec.writes.update
                    field = self._field(spec.name, verb) if wanted else None
                    if field is not None:
                        yield field

    def _field(self, short: str, verb: Verb) -> MutationField | None:
        bound = self.api.type(short)
        catalog = self._writes.catalog
        if not bound.csdl or not catalog.is_node(bound.csdl):
            return None
        entity_set = catalog.model.entity_sets[bound.set_name]
        kind = UnifiedKind.CREATE_INPUT if verb is Verb.CREATE else UnifiedKind.PATCH
        if not self._writes.offers(verb, entity_set) or not self.inputs(kind, short):
            return None
        name = f"{verb.value}Unified{short}"
        return MutationField(
            name=add_prefix(catalog.prefix, name) if catalog.prefix else name,
            verb=verb,
            entity_set=entity_set,
            csdl=bound.csdl,
            view=short,
        )

    # Types

    def entries(self) -> Iterator[UnifiedEntry]:
        """Yield the types that exist for these mutations only."""
        items: dict[str, None] = {}
        payloads: dict[str, None] = {}
        for field in self.fields.values():
            create = field.verb is Verb.CREATE
            kind = UnifiedKind.CREATE_INPUT if create else UnifiedKind.PATCH
            yield self._entry(kind, field.view)
            payloads[field.view] = None
            items |= dict.fromkeys(
                i.items for i in self.inputs(kind, field.view).values() if i.items
            )
        yield from (self._entry(UnifiedKind.PAYLOAD, short) for short in payloads)
        yield from (self._entry(UnifiedKind.NESTED_INPUT, short) for short in items)

    def _entry(self, kind: UnifiedKind, short: str) -> UnifiedEntry:
        return UnifiedEntry(self.name_of(kind, short), kind, short)

    def name_of(self, kind: UnifiedKind, short: str) -> str:
        """Return the name of a type for writing."""
        return self.api.binder.type_name(short) + SUFFIXES[kind]

    def inputs(self, kind: UnifiedKind, short: str) -> Mapping[str, WrittenField]:
        """Return the fields of an input type by name."""
        known = self._inputs.get((kind, short))
        if known is None:
            known = {f.name: f for f in self._written(kind, self.api.type(short))}
            self._inputs[kind, short] = known
        return known

    def _written(self, kind: UnifiedKind, bound: UnifiedType) -> Iterator[WrittenField]:
        by_source = self._raw_inputs(_KINDS[kind], bound.csdl)
        required = self._required(kind, bound.csdl)
        for field in bound.fields.values():
            if field.name in self.api.spec(bound.short).writes.without:
                continue
            if field.kind is ViewKind.LIST:
                item = self._items(kind, field, by_source)
            else:
                item = self._value(field, by_source, required)
            if item is not None:
                yield item

    def _raw_inputs(self, kind: TypeKind, csdl: str) -> Callable[[str], InputField | None]:
        """Return a function from columns and navigations to the fields of the input of rows."""
        entry = self._writes.entry(self._writes.name_of(kind, csdl))
        if entry is None:
            return lambda _: None
        info, inputs = self._writes.catalog.object(csdl), self._writes.inputs.fields(entry)

        def of_source(source: str) -> InputField | None:
            try:
                return inputs[info.by_source(source).name]
            except KeyError:
                return None

        return of_source

    def _required(self, kind: UnifiedKind, csdl: str) -> frozenset[str]:
        if kind is not UnifiedKind.CREATE_INPUT:
            return frozenset()
        return frozenset(
            self._writes.required_of(self._writes.name_of(TypeKind.CREATE_INPUT, csdl))
        )

    def _value(
        self,
        field: UnifiedField,
        by_source: Callable[[str], InputField | None],
        required: frozenset[str],
    ) -> WrittenField | None:
        if field.kind is not ViewKind.VALUE or field.many or field.convert or field.empty:
            return None
        if len(field.columns) != 1 or field.columns[0].steps:
            return None
        column = field.columns[0].field
        raw, value = by_source(column.source), column.value
        if raw is None or value is None:
            return None
        values: Mapping[str, Any] | None = None
        if field.table is not None or field.otherwise is not None:
            values = _inverse(field)
        else:
            try:
                if not check_type(value, field.type_name, column.source):
                    return None
            except MissingError:
                return None
        return WrittenField(
            field.name,
            raw,
            field.type_name,
            raw.name not in required,
            values,
            description=field.description,
        )

    def _items(
        self, kind: UnifiedKind, field: UnifiedField, by_source: Callable[[str], InputField | None]
    ) -> WrittenField | None:
        if kind is not UnifiedKind.CREATE_INPUT or len(field.steps) != 1 or field.steps[0].where:
            return None
        raw = by_source(field.steps[0].field.source)
        if raw is None or not self.inputs(UnifiedKind.NESTED_INPUT, field.of):
            return None
        name = self.name_of(UnifiedKind.NESTED_INPUT, field.of)
        return WrittenField(field.name, raw, name, items=field.of, description=field.description)

    # Fields of Mutation

    def arguments(self, field: MutationField) -> tuple[Argument, ...]:
        """Return the arguments that hold what a mutation writes."""
        if field.verb is Verb.CREATE:
            name = self.name_of(UnifiedKind.CREATE_INPUT, field.view)
            return (
                Argument(name="input", type_name=name, nullable=False, description=texts.INPUT),
            )
        name = self.name_of(UnifiedKind.PATCH, field.view)
        patch = Argument(name="patch", type_name=name, nullable=False, description=texts.PATCH)
        must = self._writes.rules.if_match_required
        if_match = Argument(
            name="ifMatch", type_name="String", nullable=not must, description=texts.IF_MATCH
        )
        return (_ID, patch, if_match)

    def result(self, field: MutationField) -> Result:
        """Return the payload of a mutation; null if the request could not be sent."""
        return Result(self.name_of(UnifiedKind.PAYLOAD, field.view))

    def payload(self, short: str) -> Mapping[str, PayloadField]:
        """Return the fields of a payload type by name."""
        bound = self.api.type(short)
        own = {}
        for field in self._writes.payloads.of_row(bound.csdl):
            if field.role is PayloadRole.ROW:
                field = structs.replace(  # noqa: PLW2901 - the one that differs
                    field, name=field_name(short), result=Result(bound.name)
                )
            own[field.name] = field
        return own

    def payload_of(self, name: str) -> Mapping[str, PayloadField] | None:
        """Return the fields of a payload type by its name; None for another type."""
        entry = self.api.entry(name)
        if entry is None or entry.kind is not UnifiedKind.PAYLOAD:
            return None
        return self.payload(entry.short)

    # Values

    def row(self, kind: UnifiedKind, short: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input of a unified object as that of its row. Raises UnknownValueError."""
        row: dict[str, Any] = {}
        inputs = self.inputs(kind, short)
        for name, value in values.items():
            item = inputs.get(name)
            if item is None:  # before it is coerced, anything may be in it
                continue
            if item.items and isinstance(value, list):
                below = [self.row(UnifiedKind.NESTED_INPUT, item.items, v) for v in value]
                row[item.raw.name] = {"create": below}
            elif not item.items:
                row[item.raw.name] = _raw_value(item, value)
        if kind is not UnifiedKind.PATCH:
            row = {**self._constants(kind, short), **row}
        return row

    def _constants(self, kind: UnifiedKind, short: str) -> dict[str, Any]:
        """Return the values that the mapping sets in every new row."""
        bound = self.api.type(short)
        by_source = self._raw_inputs(_KINDS[kind], bound.csdl)
        constants: dict[str, Any] = {}
        for source, value in self.api.spec(short).writes.set.items():
            item = by_source(source)
            if item is not None and item.of is not None and item.of.value is not None:
                constants[item.name] = operand_of(item.of.value, value)
        return constants

    def unified_names(self, field: MutationField) -> Mapping[str, str]:
        """Return the name of a row's field, or of rows below it → that of the unified type, for errors."""
        kind = UnifiedKind.CREATE_INPUT if field.verb is Verb.CREATE else UnifiedKind.PATCH
        names: dict[str, str] = {}
        for item in self.inputs(kind, field.view).values():
            names[item.raw.name] = item.name
            if item.items:
                below = self.inputs(UnifiedKind.NESTED_INPUT, item.items).values()
                names |= {i.raw.name: i.name for i in below if i.raw.name not in names}
        return names


def _raw_value(item: WrittenField, value: Any) -> Any:
    if item.values is None or value is None:
        return value
    try:
        return item.values[value]
    except (KeyError, TypeError):
        raise UnknownValueError(item.name, value, item.values) from None


def _inverse(field: UnifiedField) -> Mapping[str, Any]:
    """Return unified value → value of the row's field: the first one of the table that stands for it."""
    value = field.columns[0].field.value
    assert value is not None
    values: dict[str, Any] = {}
    for wire, unified in (field.table or {}).items():
        if unified is None or unified in values:
            continue
        try:
            values[unified] = operand_of(value, wire)
        except MissingError:
            continue
    return values
