"""Mutations of unified types: the rows behind them are written, with the names and values of the mapping.

A mutation of a unified type is the mutation of the rows in other words: its rules, presets, natural keys, errors and
payloads are the same. Lists are called after the list of the type: ``createUnifiedVendors`` for ``vendors``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import structs

from schema.catalog.names import add_prefix, field_name
from schema.catalog.records import (
    Argument,
    MutationField,
    PayloadField,
    PayloadRole,
    Result,
    Verb,
)
from schema.unified.api import UnifiedApi, UnifiedEntry, UnifiedKind
from schema.unified.records import TypeSpec

from . import descriptions as texts
from .naming import ROW_VERBS
from .unified_inputs import UnifiedInputs, WrittenField

if TYPE_CHECKING:
    from .catalog import Writes

_ID = Argument(name="id", type_name="ID", nullable=False, description="The `id` of the object.")
_INPUT_KINDS: Mapping[Verb, UnifiedKind] = {
    Verb.CREATE: UnifiedKind.CREATE_INPUT,
    Verb.UPSERT: UnifiedKind.CREATE_INPUT,
    Verb.UPDATE: UnifiedKind.PATCH,
}
"""Verb → the input with the fields that it writes."""
_ITEM_KINDS = {Verb.UPDATE: UnifiedKind.UPDATE_INPUT, Verb.DELETE: UnifiedKind.DELETE_INPUT}
"""Verb → the input of one object of a list, which names it by its id."""


class UnifiedWrites:
    """The mutations of the unified types of one API."""

    def __init__(self, api: UnifiedApi, writes: Writes) -> None:
        self.api = api
        self._writes = writes
        self._inputs = UnifiedInputs(api, writes)

    @cached_property
    def fields(self) -> Mapping[str, MutationField]:
        """The mutations by name. Only types whose mapping allows writes are bound for them."""
        return {field.name: field for field in self._fields()}

    def _fields(self) -> Iterator[MutationField]:
        for spec in self._specs():
            for verb in ROW_VERBS:
                if self._refusal(spec, verb) is not None:
                    continue
                bound = self.api.type(spec.name)
                entity_set = self._writes.catalog.model.entity_sets[bound.set_name]
                for name, many in self._names(spec, verb):
                    yield MutationField(
                        name=name,
                        verb=verb,
                        many=many,
                        entity_set=entity_set,
                        csdl=bound.csdl,
                        view=spec.name,
                    )

    def _specs(self) -> Iterator[TypeSpec]:
        for space in self.api.namespaces.values():
            yield from space.spec.types.values()

    def _names(self, spec: TypeSpec, verb: Verb) -> Iterator[tuple[str, bool]]:
        """Yield the names of the mutations of one object and of a list, with whether it is the list."""
        one = f"{verb.value}Unified{spec.name}"
        names = [(one, False)]
        if spec.list:
            many = f"{verb.value}Unified{spec.list[:1].upper()}{spec.list[1:]}"
            # A word may be its own plural.
            names.append((many if many != one else f"{many}2", True))
        prefix = self._writes.catalog.prefix
        for name, is_list in names:
            yield (add_prefix(prefix, name) if prefix else name), is_list

    def of_list(self, short: str, verb: Verb) -> MutationField | None:
        """Return the mutation of the list of a type; None if there is none."""
        own = (f for f in self.fields.values() if f.view == short and f.many and f.verb is verb)
        return next(own, None)

    def list_refusal(self, short: str, verb: Verb) -> str | None:
        """Return why there is no mutation of the list of a type; None if there is one."""
        return self._refusal(self.api.spec(short), verb)

    def refusal(self, name: str) -> str | None:
        """Return why there is no mutation of a name; None if there is one, or if no unified type has that name."""
        for spec in self._specs():
            for verb in ROW_VERBS:
                if any(name == own for own, _ in self._names(spec, verb)):
                    return self._refusal(spec, verb)
        return None

    def _refusal(self, spec: TypeSpec, verb: Verb) -> str | None:
        """Return why the objects of a type do not support a write; None if they do."""
        own = spec.writes
        allows = {
            Verb.CREATE: own.create,
            Verb.UPDATE: own.update,
            Verb.UPSERT: own.upsert,
            Verb.DELETE: own.delete,
        }
        if not allows[verb]:
            reason = f": {own.reason}" if own.reason else ""
            return f"the mapping does not have it (writes.{verb.value} of {spec.name}){reason}"
        bound, catalog = self.api.type(spec.name), self._writes.catalog
        if not bound.csdl:
            return "; ".join(bound.missing) or "its values are collected from several columns"
        if not catalog.is_node(bound.csdl):
            return f"rows of {bound.set_name} have no id"
        refusal = self._writes.refusal(verb, catalog.model.entity_sets[bound.set_name])
        if refusal is not None:
            return f"rows of {bound.set_name}: {refusal}"
        return None if verb is Verb.DELETE else self._lacking(spec, verb, bound.csdl)

    def _lacking(self, spec: TypeSpec, verb: Verb, csdl: str) -> str | None:
        """Return what the fields of a type lack for a write; None if they have all that it needs."""
        inputs = self.inputs(_INPUT_KINDS[verb], spec.name)
        if not inputs:
            return "no field of the type can be written"
        if verb is Verb.UPDATE:
            return None
        unset = ", ".join(self._inputs.unset_columns(spec.name))
        if unset:
            return f"rows need {unset}, which no field of the type writes"
        if verb is Verb.CREATE:
            return None
        if spec.writes.set:
            return "the mapping sets values of new rows (writes.set), which would change others"
        catalog = self._writes.catalog
        company = catalog.abilities.company_property
        written = {raw.of.source for f in inputs.values() for raw in f.written if raw.of}
        key = [name for name in catalog.key_of(csdl) if name != company and name not in written]
        return f"no field of the type writes {', '.join(key)}, of the key" if key else None

    # Types

    def entries(self) -> Iterator[UnifiedEntry]:
        """Yield the types that exist for these mutations only."""
        entries: dict[tuple[UnifiedKind, str], None] = {}
        for field in self.fields.values():
            short = field.view
            entries[UnifiedKind.PAYLOAD, short] = None
            if field.many:
                entries[UnifiedKind.PAYLOADS, short] = None
                if field.verb in _ITEM_KINDS:
                    entries[_ITEM_KINDS[field.verb], short] = None
            kind = _INPUT_KINDS.get(field.verb)
            if kind is not None:
                entries[kind, short] = None
                below = (i.items for i in self.inputs(kind, short).values() if i.items)
                entries |= {(UnifiedKind.NESTED_INPUT, item): None for item in below}
        for kind, short in entries:
            yield UnifiedEntry(self.name_of(kind, short), kind, short)

    def name_of(self, kind: UnifiedKind, short: str) -> str:
        """Return the name of a type for writing."""
        return self._inputs.name_of(kind, short)

    def inputs(self, kind: UnifiedKind, short: str) -> Mapping[str, WrittenField]:
        """Return the fields of an input type by name: those that are written."""
        return self._inputs.fields(kind, short)

    def inputs_of(self, field: MutationField) -> Mapping[str, WrittenField]:
        """Return the fields that a mutation writes, by name; none for a delete."""
        kind = _INPUT_KINDS.get(field.verb)
        return {} if kind is None else self.inputs(kind, field.view)

    def input_refusal(self, kind: UnifiedKind, short: str, name: str) -> str | None:
        """Return why an input type lacks a field of its unified type; None if it has it. Raises KeyError."""
        return self._inputs.refusal(kind, short, name)

    def item_arguments(self, kind: UnifiedKind, short: str) -> tuple[Argument, ...]:
        """Return the fields of the input of one object of a list that is changed or deleted."""
        must = self._writes.rules.if_match_required
        if_match = Argument(
            name="ifMatch", type_name="String", nullable=not must, description=texts.IF_MATCH
        )
        if kind is UnifiedKind.DELETE_INPUT:
            return (_ID, if_match)
        name = self.name_of(UnifiedKind.PATCH, short)
        patch = Argument(name="patch", type_name=name, nullable=False, description=texts.PATCH)
        return (_ID, patch, if_match)

    # Fields of Mutation

    def arguments(self, field: MutationField) -> tuple[Argument, ...]:
        """Return the arguments that hold what a mutation writes."""
        kind = _ITEM_KINDS.get(field.verb)
        if kind is not None and not field.many:
            return self.item_arguments(kind, field.view)
        name = self.name_of(kind or UnifiedKind.CREATE_INPUT, field.view)
        text = texts.INPUTS if field.many else texts.INPUT
        return (
            Argument(
                name="input", type_name=name, nullable=False, many=field.many, description=text
            ),
        )

    def result(self, field: MutationField) -> Result:
        """Return the payload of a mutation; null if the request could not be sent."""
        kind = UnifiedKind.PAYLOADS if field.many else UnifiedKind.PAYLOAD
        return Result(self.name_of(kind, field.view))

    def payload(self, kind: UnifiedKind, short: str) -> Mapping[str, PayloadField]:
        """Return the fields of a payload type by name."""
        bound, payloads = self.api.type(short), self._writes.payloads
        own: dict[str, PayloadField] = {}
        is_list = kind is UnifiedKind.PAYLOADS
        for field in payloads.of_rows(bound.csdl) if is_list else payloads.of_row(bound.csdl):
            result = field.result
            if field.role is PayloadRole.RESULTS:
                name = self.name_of(UnifiedKind.PAYLOAD, short)
                result = structs.replace(result, type_name=name)
            elif field.role is PayloadRole.ROW:
                field = structs.replace(  # noqa: PLW2901 - the one with a name of its own
                    field, name=field_name(short)
                )
                result = Result(bound.name)
            own[field.name] = structs.replace(field, result=result)
        return own

    def payload_of(self, name: str) -> Mapping[str, PayloadField] | None:
        """Return the fields of a payload type by its name; None for another type."""
        entry = self.api.entry(name)
        if entry is None or entry.kind not in (UnifiedKind.PAYLOAD, UnifiedKind.PAYLOADS):
            return None
        return self.payload(entry.kind, entry.short)

    # Values

    def row(self, field: MutationField, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a mutation writes of an object as what it writes of its row. Raises UnusableInputError."""
        return self._inputs.row(_INPUT_KINDS[field.verb], field.view, values)

    def rows(self, field: MutationField, objects: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Return new objects as new rows. Raises UnusableInputError."""
        return [self.row(field, values) for values in objects]
