"""Unified models as Strawberry definitions: namespaces, objects, connections, filters."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any, cast

from graphql import GraphQLAbstractType
from strawberry.types.enum import StrawberryEnumDefinition

from schema.catalog import Catalog
from schema.catalog import descriptions as describe
from schema.catalog.records import Argument, PayloadField
from schema.unified.api import Namespace, UnifiedApi, UnifiedEntry, UnifiedKind, UnifiedRoot
from schema.unified.bind import SOURCE
from schema.unified.filters import UNIFIED_OPERATORS
from schema.unified.views import UnifiedField, UnifiedType, ViewKind
from schema.writes.unified import UnifiedWrites

from .objects import Wire, enum_of
from .resolvers import Resolvers
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    GeneratedInput,
    Ref,
    ResolveInfo,
    TypeTable,
)

_ID = Argument(name="id", type_name="ID", nullable=False, description="The `id` of the object.")
_IDS = Argument(
    name="ids", type_name="ID", nullable=False, many=True, description="The `id` of each object."
)
_SOURCE = (
    Wire("field", Ref("String", nullable=False), "A field of the object."),
    Wire(
        "columns",
        Ref("String", nullable=False, many=True),
        "Where it comes from: `EntitySet.Column`, the first one that has a value.",
    ),
)
_SOURCES = "Which entity set and column each field comes from."
_LOGIC = (("and", True), ("or", True), ("not", False))


class UnifiedTypes:
    """Creates the definitions of unified models, by name."""

    def __init__(
        self,
        api: UnifiedApi,
        catalog: Catalog,
        resolvers: Resolvers,
        types: TypeTable,
        written: UnifiedWrites | None = None,
    ) -> None:
        self.api = api
        self._written = written
        self._catalog = catalog
        self._resolvers = resolvers
        self._types = types

    def fields(self, others: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the root fields with those of the models, without a copy."""
        return ChainMap(dict(self.api.namespaces), cast("dict[str, Any]", others))

    def root_field(self, space: Namespace) -> GeneratedField:
        """Return the root field of a model; what is below it is loaded by the engine."""
        return GeneratedField(
            space.name,
            Ref(space.type_name, nullable=False),
            self._types,
            description=_model_text(space),
            resolve=lambda _source, _info: {},
        )

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return one of the types; None for any other name."""
        entry = self.api.entry(name)
        return None if entry is None else self._make(entry)

    def _make(self, entry: UnifiedEntry) -> GeneratedDefinition | StrawberryEnumDefinition:
        match entry.kind:
            case UnifiedKind.NAMESPACE:
                space = self.api.namespaces[entry.short]
                return GeneratedDefinition(
                    entry.name, lambda: space.fields, self._root, description=_model_text(space)
                )
            case UnifiedKind.OBJECT:
                bound = self.api.type(entry.short)
                return GeneratedDefinition(
                    entry.name,
                    lambda: bound.fields,
                    self._field,
                    description=_type_text(bound),
                    interfaces=(self._interface(),) if bound.csdl else (),
                )
            case UnifiedKind.INTERFACE:
                return self._object()
            case UnifiedKind.CONNECTION | UnifiedKind.EDGE:
                return self._wiring(entry)
            case UnifiedKind.WHERE:
                return self._where(entry)
            case UnifiedKind.ORDER_BY:
                return self._order(entry)
            case UnifiedKind.ENUM:
                enum = self.api.enum(entry.short)
                return enum_of(entry.name, enum.description, enum.values)
            case UnifiedKind.FILTER:
                return self._filter(entry)
            case UnifiedKind.SOURCE:
                wires: Mapping[str, Wire] = {wire.name: wire for wire in _SOURCE}
                text = "Where a field of an object comes from."
                return GeneratedDefinition(
                    entry.name, lambda: wires, self._source, description=text
                )
            case _:
                return self._of_writing(entry)

    def _of_writing(self, entry: UnifiedEntry) -> GeneratedDefinition:
        if entry.kind in (UnifiedKind.PAYLOAD, UnifiedKind.PAYLOADS):
            return self._payload(entry)
        if entry.kind in (UnifiedKind.UPDATE_INPUT, UnifiedKind.DELETE_INPUT):
            return self._item_input(entry)
        return self._written_input(entry)

    # Objects

    def _interface(self) -> GeneratedDefinition:
        interface = self._types.named(self.api.interface)
        return cast("GeneratedDefinition", interface.__strawberry_definition__)  # type: ignore[union-attr]

    def _object(self) -> GeneratedDefinition:
        """Return what all objects that stand for rows have in common."""
        sources = Wire(
            "sources", Ref(f"{self.api.binder.prefix}{SOURCE}", nullable=False, many=True), _SOURCES
        )
        fields: Mapping[str, Wire] = {sources.name: sources}
        return GeneratedDefinition(
            self.api.interface,
            lambda: fields,
            self._source,
            description="An object of a unified model, which stands for a row.",
            resolve_type=_never_resolved,
        )

    def _root(self, record: UnifiedRoot) -> GeneratedField:
        resolvers, bound = self._resolvers, self.api.type(record.short)

        def resolve(_source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.unified_root(info)

        if record.is_list:
            ref = Ref(f"{bound.name}Connection", nullable=False)
            arguments = self._list_arguments(bound, root=True)
            text = f"{bound.description or bound.name} Rows of {bound.set_name}."
        elif record.is_several:
            ref, arguments = Ref(bound.name, nullable=False, many=True, gaps=True), (_IDS,)
            text = "Several of them by their ids, in this order; null for one that is not there. Rows of"
            text = f"{text} {bound.set_name}."
        else:
            ref, arguments = Ref(bound.name), (_ID,)
            text = f"One of them by its id; null if there is none. A row of {bound.set_name}."
        return GeneratedField(
            record.name,
            ref,
            self._types,
            description=text,
            arguments=tuple(map(self._argument, arguments)),
            resolve=resolve,
        )

    def _list_arguments(self, bound: UnifiedType, *, root: bool) -> tuple[Argument, ...]:
        """Return the arguments of the rows' own list, with the filter and order of the unified type."""
        own = self._catalog.list_arguments(bound.csdl, root=root)
        names = {"where": f"{bound.name}Where", "orderBy": f"{bound.name}OrderBy"}
        arguments: list[Argument] = []
        for argument in own:
            name = names.get(argument.name)
            if name is None:
                arguments.append(argument)
            elif self.api.has(name):
                arguments.append(
                    Argument(
                        name=argument.name,
                        type_name=name,
                        many=argument.many,
                        description=argument.description,
                    )
                )
        return tuple(arguments)

    def _argument(self, argument: Argument) -> GeneratedArgument:
        ref = Ref(argument.type_name, argument.nullable, argument.many)
        return GeneratedArgument(argument.name, ref, self._types, argument.description)

    def _field(self, field: UnifiedField) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.unified(source, info)

        arguments: tuple[Argument, ...] = ()
        if field.kind is ViewKind.CONNECTION:
            arguments = self._list_arguments(self.api.type(field.of), root=False)
        return GeneratedField(
            field.name,
            Ref(field.type_name, field.nullable, field.many),
            self._types,
            description=field.description,
            arguments=tuple(map(self._argument, arguments)),
            resolve=resolve,
        )

    def _source(self, wire: Wire) -> GeneratedField:
        name = wire.name
        return GeneratedField(
            name,
            wire.ref,
            self._types,
            description=wire.description,
            resolve=lambda source, _info: source[name],
        )

    def _wiring(self, entry: UnifiedEntry) -> GeneratedDefinition:
        bound = self.api.type(entry.short)
        wires: tuple[Wire, ...]
        if entry.kind is UnifiedKind.CONNECTION:
            wires = (
                Wire("edges", Ref(f"{bound.name}Edge", nullable=False, many=True), describe.EDGES),
                Wire("nodes", Ref(bound.name, nullable=False, many=True), describe.NODES),
                Wire("pageInfo", Ref("PageInfo", nullable=False), describe.PAGE_INFO),
                Wire("totalCount", Ref("Int"), describe.TOTAL_COUNT),
            )
            text = f"A page of {bound.name}."
        else:
            wires = (
                Wire("cursor", Ref("String", nullable=False), describe.CURSOR),
                Wire("node", Ref(bound.name, nullable=False), describe.EDGE_NODE),
            )
            text = f"A {bound.name} in a page."
        records: Mapping[str, Wire] = {wire.name: wire for wire in wires}
        return GeneratedDefinition(entry.name, lambda: records, self._wired, description=text)

    def _wired(self, wire: Wire) -> GeneratedField:
        resolvers = self._resolvers

        def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
            return resolvers.connection(wire.name, source, info)

        return GeneratedField(
            wire.name, wire.ref, self._types, description=wire.description, resolve=resolve
        )

    # Writes

    def _payload(self, entry: UnifiedEntry) -> GeneratedDefinition:
        written, resolvers = self._written, self._resolvers
        assert written is not None

        def make(field: PayloadField) -> GeneratedField:
            result = field.result

            def resolve(source: object, info: ResolveInfo, **_arguments: object) -> object:
                return resolvers.payload(field, source, info)

            return GeneratedField(
                field.name,
                Ref(result.type_name, result.nullable, result.many, result.gaps),
                self._types,
                description=field.description,
                resolve=resolve,
            )

        name = self.api.type(entry.short).name
        is_list = entry.kind is UnifiedKind.PAYLOADS
        text = (
            f"The results of writing several {name}."
            if is_list
            else f"The result of writing a {name}."
        )
        return GeneratedDefinition(
            entry.name, lambda: written.payload(entry.kind, entry.short), make, description=text
        )

    def _item_input(self, entry: UnifiedEntry) -> GeneratedInput:
        assert self._written is not None
        fields = self._written.item_arguments(entry.kind, entry.short)
        refs = {f.name: Ref(f.type_name, f.nullable) for f in fields}
        texts = {f.name: f.description for f in fields}
        verb = "delete" if entry.kind is UnifiedKind.DELETE_INPUT else "change"
        text = f"One {self.api.type(entry.short).name} to {verb}."
        required = tuple(f.name for f in fields if not f.nullable)
        return self._input(entry.name, refs, text, texts, required=required)

    def _written_input(self, entry: UnifiedEntry) -> GeneratedInput:
        assert self._written is not None
        fields = self._written.inputs(entry.kind, entry.short).values()
        refs = {f.name: Ref(f.type_name, f.nullable, many=f.many) for f in fields}
        texts = {f.name: f.description for f in fields}
        text = f"Values of a {self.api.type(entry.short).name}; what is left out stays as it is."
        required = tuple(f.name for f in fields if not f.nullable)
        return self._input(entry.name, refs, text, texts, required=required)

    # Inputs

    def _where(self, entry: UnifiedEntry) -> GeneratedInput:
        filters = self.api.type(entry.short).filters
        refs = {name: Ref(entry.name, many=many) for name, many in _LOGIC}
        refs |= {name: Ref(own.type_name) for name, own in filters.items()}
        texts = {"and": describe.AND, "or": describe.OR, "not": describe.NOT}
        return self._input(
            entry.name,
            refs,
            f"Conditions on {entry.name.removesuffix('Where')}; all must hold.",
            texts,
        )

    def _order(self, entry: UnifiedEntry) -> GeneratedInput:
        filters = self.api.type(entry.short).filters
        refs = {name: Ref("SortDirection") for name, own in filters.items() if own.order}
        return self._input(entry.name, refs, "One field to sort by.", {}, one_of=True)

    def _filter(self, entry: UnifiedEntry) -> GeneratedInput:
        of = "String" if not entry.short else self.api.binder.type_name(entry.short)
        refs = {name: Ref(of, many=name in ("in", "nin")) for name in UNIFIED_OPERATORS}
        return self._input(entry.name, refs, f"Conditions on values of {of}.", {})

    def _input(
        self,
        name: str,
        refs: Mapping[str, Ref],
        description: str,
        texts: Mapping[str, str],
        *,
        one_of: bool = False,
        required: tuple[str, ...] = (),
    ) -> GeneratedInput:
        wires: Mapping[str, Wire] = {n: Wire(n, ref, texts.get(n, "")) for n, ref in refs.items()}
        return GeneratedInput(
            name,
            lambda: wires,
            lambda wire: GeneratedField(
                wire.name, wire.ref, self._types, description=wire.description
            ),
            description=description,
            one_of=one_of,
            required=lambda: required,
        )


def _never_resolved(_value: object, _info: ResolveInfo, _abstract: GraphQLAbstractType) -> str:
    """Refuse: where the interface is the type of a field, the engine answers it before anything is resolved."""
    raise NotImplementedError


def _model_text(space: Namespace) -> str:
    return f"{space.spec.description} Version {space.spec.version}.".strip()


def _type_text(bound: UnifiedType) -> str:
    if not bound.missing:
        return bound.description
    return f"{bound.description}\n\nNot available here: {'; '.join(bound.missing)}."
