"""The facade: fields of ``Mutation`` with arguments and results, and the types behind them, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.names import Names, field_name
from schema.catalog.records import (
    Argument,
    InputField,
    MutationField,
    PayloadField,
    Result,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
    ValueType,
    Verb,
)
from schema.model.records import EntitySet, Operation, TypeRef

from . import descriptions as texts
from .allowed import RIGHTS, AllowedWrites
from .inputs import WriteInputs
from .naming import ROW_VERBS, companion_name, mutation_candidates, mutation_name, mutation_names
from .operations import Actions, GrantedActions
from .payloads import Payloads
from .rules import WriteRules
from .types import WriteTypes
from .unified import UnifiedWrites

_OUTPUT_KINDS = (TypeKind.PAYLOAD, TypeKind.PAYLOADS, TypeKind.OPERATION_PAYLOAD)
_OF_ROWS = (RootKind.LIST, RootKind.BY_KEY)
UNIFIED = "Unified"
"""In the name of each mutation of a unified type."""


IDEMPOTENCY_KEY = Argument(
    name="idempotencyKey", type_name="String", description=texts.IDEMPOTENCY_KEY
)
UNIQUE_BY = Argument(name="uniqueBy", type_name="String", many=True, description=texts.UNIQUE_BY)


class Writes(Mapping[str, MutationField]):
    """The fields of ``Mutation`` by name, created on lookup; iterating over the names creates none.

    Names follow the lists and by-key fields of ``Query``, then come actions and services. ``len`` and iteration look at
    every set once.
    """

    def __init__(self, catalog: Catalog, rules: WriteRules | None = None) -> None:
        self.catalog = catalog
        self.rules = rules or WriteRules()
        self.allowed = AllowedWrites(catalog, self.rules)
        self.inputs = WriteInputs(catalog, self.rules, self.allowed)
        self.payloads = Payloads(catalog)
        # A view of roles has actions and payloads of the names that they have in the whole.
        is_view = catalog.whole is not catalog
        self._whole = self._of_whole() if is_view else None
        self.actions: Mapping[str, MutationField]
        if self._whole is None:
            self.actions = Actions(catalog, self.rules, self.allowed, self._is_of_rows)
        else:
            self.actions = GrantedActions(catalog, self._whole.actions)
        self.unified: UnifiedWrites | None = None
        """The mutations of unified types; the schema that has them sets it."""
        self._types = WriteTypes(catalog, self.allowed, self.actions, self._whole_payloads)
        self.forget()

    def forget(self) -> None:
        """Drop the records of single fields and types, which are computed again on demand."""
        self._made: dict[str, MutationField] = {}
        self._fields: dict[str, Mapping[str, InputField]] = {}
        self._required: dict[str, tuple[str, ...]] = {}

    def tables(self) -> Iterator[dict[str, Any]]:
        """Yield the tables of these records."""
        yield from (self._made, self._fields, self._required)

    # Fields of Mutation

    def __getitem__(self, name: str) -> MutationField:
        field = self._made.get(name)
        if field is None:
            field = self._view_field(name) or self._row_field(name) or self.actions[name]
            self._made[name] = field
        return field

    def __iter__(self) -> Iterator[str]:
        for _, of_set, root in self.catalog.set_roots():
            yield from (name for _, name in self.of_root(root, of_set))
        yield from self.actions
        if self.unified is not None:
            yield from self.unified.fields

    def _view_field(self, name: str) -> MutationField | None:
        # Nothing is bound for the names of other mutations.
        if self.unified is None or UNIFIED not in name:
            return None
        return self.unified.fields.get(name)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        # The first set decides; ``len`` would look at all of them.
        sets = chain.from_iterable(map(self.catalog.sets_with, RIGHTS.values()))
        return any(map(self.allowed.of_set, sets)) or bool(self.actions)

    def _of_whole(self) -> Writes:
        """Return the mutations of the whole, which all views of it share."""
        shared = self.catalog.usage.shared
        whole: Writes | None = shared.get("writes")
        if whole is None or whole.rules != self.rules:
            whole = shared["writes"] = Writes(self.catalog.whole.fresh_copy(), self.rules)
        return whole

    def _whole_payloads(self) -> Mapping[str, str] | None:
        return None if self._whole is None else self._whole._types.payloads  # noqa: SLF001 - of another Writes

    def _is_of_rows(self, name: str) -> bool:
        return self._row_field(name) is not None

    def _row_field(self, name: str) -> MutationField | None:
        roots, prefix = self.catalog.roots, self.catalog.prefix
        every = self.catalog.whole.roots
        for verb, root_name in mutation_candidates(name, prefix):
            if root_name in roots and mutation_name(verb, root_name, every, prefix) == name:
                field = self._field_of(verb, roots[root_name], name)
                if field is not None:
                    return field
        return None

    def _field_of(self, verb: Verb, root: RootField, name: str) -> MutationField | None:
        entity_set = root.entity_set
        if entity_set is None or root.kind not in _OF_ROWS or not self.offers(verb, entity_set):
            return None
        many = root.kind is RootKind.LIST
        return MutationField(
            name=name, verb=verb, many=many, entity_set=entity_set, csdl=entity_set.type
        )

    def of_root(self, root: str, of_set: str) -> Iterator[tuple[Verb, str]]:
        """Return (verb, mutation name) of a root field: the list of a set, or its by-key field."""
        catalog = self.catalog
        supported = self.allowed.of_set(of_set)
        return mutation_names(supported, root, catalog.whole.roots, catalog.prefix)

    def offers(self, verb: Verb, entity_set: EntitySet) -> bool:
        """Return whether rows of a set support a write, by settings, annotations and writable fields."""
        return verb in self.allowed.of_set(entity_set.name)

    def refusal(self, verb: Verb, entity_set: EntitySet) -> str | None:
        """Return why rows of a set do not support a write; None if they do."""
        return self.allowed.refusal(verb, entity_set)

    @property
    def findings(self) -> tuple[str, ...]:
        """Findings about the names, one sentence each."""
        return self.actions.findings if isinstance(self.actions, Actions) else ()

    # Arguments and results

    def arguments(self, field: MutationField) -> tuple[Argument, ...]:
        """Return the arguments of a mutation: what it writes, and by what it is done once."""
        own = self.inputs_of_field(field)
        if field.verb is Verb.CREATE:
            return (*own, UNIQUE_BY, IDEMPOTENCY_KEY)
        # A parameter may have this name: that call can be repeated by the header only.
        is_free = all(argument.name != IDEMPOTENCY_KEY.name for argument in own)
        return (*own, IDEMPOTENCY_KEY) if is_free else own

    def inputs_of_field(self, field: MutationField) -> tuple[Argument, ...]:
        """Return the arguments that hold what a mutation writes."""
        if field.view and self.unified is not None:
            return self.unified.arguments(field)
        if field.operation is not None:
            return self._parameters(field, field.operation)
        if field.service is not None:
            return tuple(
                Argument(
                    name=p.name,
                    type_name=p.type_name,
                    nullable=p.nullable,
                    many=p.many,
                    source=p.wire,
                )
                for p in field.service.input
            )
        return self._row_arguments(field)

    def _row_arguments(self, field: MutationField) -> tuple[Argument, ...]:
        verb, csdl = field.verb, field.csdl
        if verb in (Verb.CREATE, Verb.UPSERT):
            name = self.name_of(TypeKind.CREATE_INPUT, csdl)
            return (self._input(name, many=field.many),)
        kind = TypeKind.UPDATE_INPUT if verb is Verb.UPDATE else TypeKind.DELETE_INPUT
        name = self.name_of(kind, csdl)
        if field.many:
            return (self._input(name, many=True),)
        return tuple(
            Argument(
                name=i.name,
                type_name=i.type_name,
                nullable=i.nullable,
                description=i.description,
            )
            for i in self.inputs_of(name).values()
        )

    def _input(self, name: str, *, many: bool) -> Argument:
        text = texts.INPUTS if many else texts.INPUT
        return Argument(name="input", type_name=name, nullable=False, many=many, description=text)

    def _parameters(self, field: MutationField, operation: Operation) -> tuple[Argument, ...]:
        bound = operation.bound_to
        is_row = bound is not None and not bound.many
        key = self.catalog.key_arguments(bound.name) if bound is not None and is_row else ()
        names = Names(k.name for k in key)
        return key + tuple(
            Argument(
                name=names.take(field_name(p.name), f"{field.name}.{p.name}"),
                type_name=self._parameter_type(p.type),
                nullable=p.nullable,
                many=p.type.many or (value is not None and value.many),
                description=describe.parameter(p),
                value=value,
                source=p.name,
            )
            for p in operation.parameters
            for value in (self._parameter_value(p.type),)
        )

    def _parameter_value(self, ref: TypeRef) -> ValueType | None:
        is_complex = ref.name in self.catalog.model.complex_types
        return None if is_complex else self.catalog.value_of(ref)

    def _parameter_type(self, ref: TypeRef) -> str:
        if ref.name in self.catalog.model.complex_types:
            return self.name_of(TypeKind.VALUE_INPUT, ref.name)
        return self.catalog.value_of(ref).scalar

    def result(self, field: MutationField) -> Result:
        """Return the payload of a mutation; null if the request could not be sent."""
        if field.view and self.unified is not None:
            return self.unified.result(field)
        if field.verb in ROW_VERBS:
            kind = TypeKind.PAYLOADS if field.many else TypeKind.PAYLOAD
            return Result(self.name_of(kind, field.csdl))
        return Result(self._types.payloads[field.name])

    def description(self, field: MutationField) -> str:
        """Describe a mutation."""
        return texts.mutation(field)

    # Types

    def name_of(self, kind: TypeKind, csdl: str) -> str:
        """Return the name of a structured type's companion."""
        return companion_name(self.catalog, kind, csdl)

    def entry(self, name: str) -> TypeEntry | None:
        """Return the entry of a type that exists for mutations only; None for any other name."""
        return self._types.entry(name)

    def entries(self) -> Iterator[TypeEntry]:
        """Yield every type that exists for mutations only; reads the whole model."""
        return self._types.entries()

    def owners(self) -> Iterator[str]:
        """Yield the CSDL types that may have such types, in the order of ``entries``; "" for operations."""
        return self._types.owners()

    def family(self, owner: str) -> Iterator[TypeEntry]:
        """Yield the types that exist for mutations of a CSDL type."""
        return self._types.family(owner)

    def required_of(self, name: str) -> tuple[str, ...]:
        """Return the required fields of an input type. Raises KeyError if there is no such type."""
        required = self._required.get(name)
        if required is None:
            required = self._required[name] = self.inputs.required(self._input_entry(name))
        return required

    def inputs_of(self, name: str) -> Mapping[str, InputField]:
        """Return the fields of an input type by name. Raises KeyError if there is none."""
        fields = self._fields.get(name)
        if fields is None:
            fields = self._fields[name] = self.inputs.fields(self._input_entry(name))
        return fields

    def _input_entry(self, name: str) -> TypeEntry:
        entry = self.entry(name)
        if entry is None:
            raise KeyError(name)
        return entry

    def payload_of(self, name: str) -> Mapping[str, PayloadField]:
        """Return the fields of a payload type by name. Raises KeyError if there is none."""
        own = self.unified.payload_of(name) if self.unified is not None else None
        if own is not None:
            return own
        entry = self.entry(name)
        if entry is None or entry.kind not in _OUTPUT_KINDS:
            raise KeyError(name)
        return self.payload_fields(entry)

    def payload_fields(self, entry: TypeEntry) -> Mapping[str, PayloadField]:
        """Return the fields of an existing payload type by name."""
        if entry.kind is TypeKind.OPERATION_PAYLOAD:
            fields = self.payloads.of_operation(self[entry.csdl])
        elif entry.kind is TypeKind.PAYLOAD:
            fields = self.payloads.of_row(entry.csdl)
        else:
            fields = self.payloads.of_rows(entry.csdl)
        return {f.name: f for f in fields}
