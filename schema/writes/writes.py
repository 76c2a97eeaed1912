"""The facade: fields of ``Mutation`` with arguments and results, and the types behind them, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from schema import describe
from schema.catalog import Catalog
from schema.catalog.reach import reachable_names
from schema.fields import (
    Argument,
    InputField,
    MutationField,
    PayloadField,
    Result,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
    Verb,
)
from schema.model import EntitySet, Operation, TypeRef
from schema.names import Names, field_name

from . import texts
from .inputs import WriteInputs
from .naming import ROW_VERBS, companion, companions, mutated, mutation_name
from .operations import Actions, payload_name
from .payloads import Payloads
from .rules import WriteRules

_OUTPUT_KINDS = (TypeKind.PAYLOAD, TypeKind.PAYLOADS, TypeKind.OPERATION_PAYLOAD)
_NEEDED_BY: Mapping[TypeKind, tuple[Verb, ...]] = {
    TypeKind.CREATE_INPUT: (Verb.CREATE, Verb.UPSERT),
    TypeKind.PATCH: (Verb.UPDATE,),
    TypeKind.KEY: (Verb.UPDATE, Verb.DELETE),
    TypeKind.UPDATE_INPUT: (Verb.UPDATE,),
    TypeKind.DELETE_INPUT: (Verb.DELETE,),
    TypeKind.PAYLOAD: ROW_VERBS,
    TypeKind.PAYLOADS: ROW_VERBS,
}


class Writes(Mapping[str, MutationField]):
    """The fields of ``Mutation`` by name, made when they are looked up."""

    def __init__(self, catalog: Catalog, rules: WriteRules | None = None) -> None:
        self.catalog = catalog
        self.rules = rules or WriteRules()
        self.inputs = WriteInputs(catalog, self.rules, self.name_of, self._is_creatable)
        self.payloads = Payloads(catalog, self.name_of)
        self.actions = Actions(catalog, self.rules, lambda name: self._row_field(name) is not None)
        self._offered: dict[tuple[Verb, str], bool] = {}
        self._made: dict[str, MutationField] = {}
        self._fields: dict[str, Mapping[str, InputField]] = {}

    # Fields of Mutation

    def __getitem__(self, name: str) -> MutationField:
        found = self._made.get(name)
        if found is None:
            found = self._row_field(name) or self.actions[name]
            self._made[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        for root in self.catalog.roots.values():
            if root.kind in (RootKind.LIST, RootKind.BY_KEY) and root.entity_set is not None:
                for verb in ROW_VERBS:
                    if self.offers(verb, root.entity_set):
                        yield mutation_name(verb, root.name)
        yield from self.actions

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _row_field(self, name: str) -> MutationField | None:
        for verb, wanted in mutated(name):
            root = self.catalog.roots.get(wanted)
            if root is not None and mutation_name(verb, root.name) == name:
                found = self._field_of(verb, root, name)
                if found is not None:
                    return found
        return None

    def _field_of(self, verb: Verb, root: RootField, name: str) -> MutationField | None:
        entity_set = root.entity_set
        if entity_set is None or root.kind not in (RootKind.LIST, RootKind.BY_KEY):
            return None
        if not self.offers(verb, entity_set):
            return None
        many = root.kind is RootKind.LIST
        return MutationField(
            name=name, verb=verb, many=many, entity_set=entity_set, csdl=entity_set.type
        )

    def offers(self, verb: Verb, entity_set: EntitySet) -> bool:
        """Whether rows of a set may be written this way: by the settings, the annotations and the fields."""
        key = (verb, entity_set.name)
        found = self._offered.get(key)
        if found is None:
            found = self._offered[key] = self._offers(verb, entity_set)
        return found

    def _offers(self, verb: Verb, entity_set: EntitySet) -> bool:
        if verb is Verb.UPSERT:
            return self.offers(Verb.CREATE, entity_set) and self.offers(Verb.UPDATE, entity_set)
        catalog, csdl = self.catalog, entity_set.type
        declared = catalog.model.entity_types[csdl]
        if declared.read_only or declared.abstract or not catalog.key_of(csdl):
            return False
        if not catalog.is_served(csdl) or not self.rules.allow(verb, entity_set.name):
            return False
        if verb is Verb.CREATE:
            return entity_set.can.insertable and self.inputs.can_create(csdl)
        if verb is Verb.UPDATE:
            return entity_set.can.updatable and self.inputs.can_change(csdl)
        return entity_set.can.deletable

    def _is_creatable(self, set_name: str) -> bool:
        return self.offers(Verb.CREATE, self.catalog.model.entity_sets[set_name])

    # Arguments and results

    def arguments(self, field: MutationField) -> tuple[Argument, ...]:
        """Give the arguments of a mutation."""
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
                many=p.type.many or self._is_flags(p.type.name),
                description=describe.parameter(p),
                value=None
                if p.type.name in self.catalog.model.complex_types
                else self.catalog.value_of(p.type),
                source=p.name,
            )
            for p in operation.parameters
        )

    def _parameter_type(self, ref: TypeRef) -> str:
        if ref.name in self.catalog.model.complex_types:
            return self.name_of(TypeKind.VALUE_INPUT, ref.name)
        return self.catalog.value_of(ref).scalar

    def _is_flags(self, csdl: str) -> bool:
        enum = self.catalog.model.enum_types.get(csdl)
        return enum is not None and enum.flags

    def result(self, field: MutationField) -> Result:
        """Give the payload of a mutation; null where the upstream could not be asked."""
        if field.verb in ROW_VERBS:
            kind = TypeKind.PAYLOADS if field.many else TypeKind.PAYLOAD
            return Result(self.name_of(kind, field.csdl))
        return Result(self._operation_payload(field.name))

    def description(self, field: MutationField) -> str:
        """Describe a mutation."""
        return texts.mutation(field)

    # Types

    def name_of(self, kind: TypeKind, csdl: str) -> str:
        """Name the companion of a structured type."""
        return companion(self.catalog.reference_name(csdl), kind, self.catalog.known_names())

    def _operation_payload(self, field: str) -> str:
        name = payload_name(field)
        while name in self.catalog.known_names() or self._companion(name) is not None:
            name += "2"
        return name

    def entry(self, name: str) -> TypeEntry | None:
        """Give what the name of a type stands for that only writing needs; None for any other name."""
        return self._companion(name) or self._operation_entries.get(name)

    def _companion(self, name: str) -> TypeEntry | None:
        known = self.catalog.known_names()
        for base, kind in companions(name):
            of = known.get(base)
            if of is not None and of.kind in (TypeKind.OBJECT, TypeKind.INTERFACE):
                is_it = self.catalog.reference_name(of.csdl) == base
                if is_it and self.name_of(kind, of.csdl) == name and self._exists(kind, of.csdl):
                    return TypeEntry(name, kind, of.csdl)
        return None

    def _exists(self, kind: TypeKind, csdl: str) -> bool:
        if kind is TypeKind.VALUE_INPUT:
            return csdl in self.catalog.model.complex_types
        sets = [
            self.catalog.model.entity_sets[s] for s in self.catalog.model.sets_of_type.get(csdl, ())
        ]
        verbs = _NEEDED_BY.get(kind, (Verb.CREATE,))
        return any(self.offers(verb, s) for s in sets for verb in verbs)

    @cached_property
    def _operation_entries(self) -> Mapping[str, TypeEntry]:
        """Payloads of actions and services, and the types that only actions lead to."""
        found: dict[str, TypeEntry] = {}
        for name in self.actions:
            payload = self._operation_payload(name)
            found[payload] = TypeEntry(payload, TypeKind.OPERATION_PAYLOAD, name)
        operations = [f.operation for f in self.actions.values() if f.operation is not None]
        known = self.catalog.known_names()
        for name in self._reached_by(operations):
            if self.catalog.entry(name) is None:
                found[name] = known[name]
        return found

    def _reached_by(self, operations: list[Operation]) -> Iterator[str]:
        catalog = self.catalog
        calls = [
            RootField(
                name="",
                kind=RootKind.FUNCTION,
                operation=o,
                csdl=o.returns.name
                if o.returns is not None and catalog.is_served(o.returns.name)
                else "",
            )
            for o in operations
        ]
        if calls:
            yield from sorted(reachable_names(catalog, calls))
        for csdl in self._complex_inputs(p.type.name for o in operations for p in o.parameters):
            for prop in catalog.properties_of(csdl):
                enum = catalog.generated_name(TypeKind.ENUM, prop.type.name)
                if enum is not None:
                    yield enum

    def entries(self) -> Iterator[TypeEntry]:
        """Give every type that writing adds, as the fields of ``Mutation`` lead to them; touches the whole model."""
        seen: set[str] = set()
        for name in self._entry_names():
            if name not in seen:
                seen.add(name)
                found = self.entry(name)
                if found is not None:
                    yield found

    def _entry_names(self) -> Iterator[str]:
        created: set[str] = set()
        for entity_set in self.catalog.model.entity_sets.values():
            csdl = entity_set.type
            offered = [v for v in ROW_VERBS if self.offers(v, entity_set)]
            for kind, verbs in _NEEDED_BY.items():
                if any(v in verbs for v in offered):
                    yield self.name_of(kind, csdl)
            if Verb.CREATE in offered and csdl not in created:
                created.add(csdl)
                yield from self._nested_names(csdl)
            if offered:
                for inner in self._complex_inputs(self.inputs.complex_types(csdl)):
                    yield self.name_of(TypeKind.VALUE_INPUT, inner)
        for field in self.actions.values():
            parameters = () if field.operation is None else field.operation.parameters
            for inner in self._complex_inputs(p.type.name for p in parameters):
                yield self.name_of(TypeKind.VALUE_INPUT, inner)
        yield from self._operation_entries

    def _nested_names(self, csdl: str) -> Iterator[str]:
        for field in self.inputs.nested_of(csdl):
            yield self.name_of(TypeKind.NESTED_CREATE, field.target)
            yield self.name_of(TypeKind.NESTED_INPUT, field.target)

    def _complex_inputs(self, names: Iterator[str]) -> Iterator[str]:
        """Give the complex types among ``names``, and those within them."""
        waiting = [n for n in names if n in self.catalog.model.complex_types]
        seen: set[str] = set()
        for csdl in waiting:  # grows while it is walked
            if csdl not in seen and self.catalog.is_served(csdl):
                seen.add(csdl)
                yield csdl
                waiting.extend(self.inputs.complex_types(csdl))

    def inputs_of(self, name: str) -> Mapping[str, InputField]:
        """Give the fields of an input type by name; raises KeyError."""
        found = self._fields.get(name)
        if found is None:
            entry = self.entry(name)
            if entry is None:
                raise KeyError(name)
            found = self._fields[name] = {f.name: f for f in self.inputs.fields(entry)}
        return found

    def payload_of(self, name: str) -> Mapping[str, PayloadField]:
        """Give the fields of a payload type by name; raises KeyError."""
        entry = self.entry(name)
        if entry is None or entry.kind not in _OUTPUT_KINDS:
            raise KeyError(name)
        if entry.kind is TypeKind.OPERATION_PAYLOAD:
            made = self.payloads.of_operation(self[entry.csdl])
        elif entry.kind is TypeKind.PAYLOAD:
            made = self.payloads.of_row(entry.csdl)
        else:
            made = self.payloads.of_rows(entry.csdl)
        return {f.name: f for f in made}
