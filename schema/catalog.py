"""The catalogue of the GraphQL API: every name, type, field and operator, decided from the model before any GraphQL type exists.

Nothing of an entity is computed before it is asked for, so a catalogue of 4,000 entities costs its names only. Strawberry types,
the planner, ``schema why`` and the printers all read this one truth.

Contract: design section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from . import describe
from .edm import EDM, NOT_IN_ROWS
from .fields import (
    Argument,
    Clean,
    EnumInfo,
    Field,
    FieldKind,
    InputField,
    InputRole,
    ObjectInfo,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
    ValueType,
)
from .model import EntityType, Model, Navigation, Operation, OperationKind, Property, TypeRef, short
from .names import Names, field_name, type_name
from .values import Abilities, Cleaning, date_cleaning, enum_info, value_type

SCALARS = ("Decimal", "Long", "DateTime", "Date", "TimeOfDay", "Duration", "UUID", "Base64", "JSON")
RESERVED_TYPES = (
    *("Query", "Mutation", "Subscription", "Node", "PageInfo", "SortDirection"),
    *("String", "Int", "Float", "Boolean", "ID", *SCALARS),
)
OPERATORS = (
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "nin",
    "contains",
    "startsWith",
    "endsWith",
    "isNull",
)
_LIST_OPERATORS = frozenset({"in", "nin"})


class Catalog:
    """The API that a model gives under a product's abilities and the settings."""

    def __init__(
        self,
        model: Model,
        abilities: Abilities,
        *,
        cleaning: Cleaning | None = None,
        renames: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model
        self.abilities = abilities
        self.cleaning = cleaning or Cleaning()
        self.labels = labels or {}
        self._renames = dict(renames or {})
        self._objects: dict[str, ObjectInfo] = {}
        self._enums: dict[str, EnumInfo] = {}
        self._inputs: dict[str, tuple[InputField, ...]] = {}
        self._type_names = Names(RESERVED_TYPES, self._renames)
        self._entries: dict[str, TypeEntry] = {}
        self._names: dict[tuple[TypeKind, str], str] = {}
        self._name_types()
        self._root_names = Names(("node", "nodes"), self._renames)
        self.roots: Mapping[str, RootField] = {r.name: r for r in self._name_roots()}

    # Types

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person should know about the names, one sentence each."""
        return (*self.model.findings, *self._type_names.findings, *self._root_names.findings)

    def _add(self, kind: TypeKind, csdl: str, wanted: str, owner: str) -> None:
        name = self._type_names.take(wanted, owner)
        self._entries[name] = TypeEntry(name, kind, csdl)
        self._names[kind, csdl] = name

    def _name_types(self) -> None:
        model = self.model
        served = [n for n in (*model.entity_types, *model.complex_types) if self._has_fields(n)]
        for csdl in served:
            kind = TypeKind.INTERFACE if model.derived.get(csdl) else TypeKind.OBJECT
            self._add(kind, csdl, type_name(short(csdl)), short(csdl))
        for csdl in model.enum_types:
            wanted = type_name(short(csdl))
            taken = wanted in self._entries
            self._add(TypeKind.ENUM, csdl, wanted + "Enum" if taken else wanted, short(csdl))
        for csdl in served:
            self._name_companions(csdl)
        for scalar in dict.fromkeys(("String", "Boolean", *(e.scalar for e in EDM.values()))):
            self._add(TypeKind.FILTER, scalar, f"{scalar}Filter", f"{scalar}Filter")
        for csdl in model.enum_types:
            self._add(
                TypeKind.FILTER, csdl, f"{self._names[TypeKind.ENUM, csdl]}Filter", f"{csdl} filter"
            )

    def _name_companions(self, csdl: str) -> None:
        model = self.model
        name = self.reference_name(csdl)
        owner = short(csdl)
        if model.derived.get(csdl) and not model.structured(csdl).abstract:
            self._add(TypeKind.OBJECT, csdl, f"{name}Object", f"{owner} object")
        if csdl in model.complex_types:
            return
        self._add(TypeKind.CONNECTION, csdl, f"{name}Connection", f"{owner} connection")
        self._add(TypeKind.EDGE, csdl, f"{name}Edge", f"{owner} edge")
        self._add(TypeKind.WHERE, csdl, f"{name}Where", f"{owner} where")
        if self.abilities.filter_to_many:
            self._add(
                TypeKind.COLLECTION_WHERE, csdl, f"{name}CollectionWhere", f"{owner} collection"
            )
        self._add(TypeKind.ORDER_BY, csdl, f"{name}OrderBy", f"{owner} order")

    def _has_fields(self, csdl: str) -> bool:
        """Whether a type, or one derived from it, has a field to show; GraphQL knows no empty types."""
        return any(t.properties or t.navigations or t.open for t in self.model.lineage(csdl))

    def entry(self, name: str) -> TypeEntry | None:
        """Give what a generated type's name stands for; None for a name that is not generated."""
        found = self._entries.get(name)
        if found is None or not self._exists(found):
            return None
        return found

    def entries(self) -> Iterator[TypeEntry]:
        """Give every generated type; touches the whole model."""
        return (e for e in self._entries.values() if self._exists(e))

    def known_names(self) -> Mapping[str, TypeEntry]:
        """Give every name that may be a generated type, without touching the model."""
        return self._entries

    def _exists(self, entry: TypeEntry) -> bool:
        if entry.kind is TypeKind.ORDER_BY:
            return bool(self.input_fields(entry.name))
        if entry.kind is TypeKind.FILTER:
            return bool(self.filter_operators(entry.csdl))
        return True

    def name_of(self, kind: TypeKind, csdl: str) -> str:
        """Give the GraphQL name of a type family's member; raises KeyError where there is none."""
        return self._names[kind, csdl]

    def reference_name(self, csdl: str) -> str:
        """Give the name by which fields refer to a structured type: its interface if it has derived types."""
        found = self._names.get((TypeKind.INTERFACE, csdl))
        return self._names[TypeKind.OBJECT, csdl] if found is None else found

    def is_served(self, csdl: str) -> bool:
        """Whether the structured type is a GraphQL type."""
        return (TypeKind.INTERFACE, csdl) in self._names or (TypeKind.OBJECT, csdl) in self._names

    def concrete_name(self, csdl: str) -> str | None:
        """Give the object type of rows of exactly that CSDL type; None where it is abstract or unknown."""
        return self._names.get((TypeKind.OBJECT, csdl))

    def possible_types(self, csdl: str) -> tuple[str, ...]:
        """Give the CSDL types whose rows a field of that type may hold, itself included."""
        return tuple(n for n in self.model.family(csdl) if (TypeKind.OBJECT, n) in self._names)

    def enum(self, csdl: str) -> EnumInfo:
        """Give an enum with its value names; raises KeyError."""
        found = self._enums.get(csdl)
        if found is None:
            declared = self.model.enum_types[csdl]
            text = describe.enum(declared, self.labels)
            found = enum_info(declared, self._names[TypeKind.ENUM, csdl], self.labels, text)
            self._enums[csdl] = found
        return found

    # Objects

    def object(self, csdl: str) -> ObjectInfo:
        """Give the fields of a structured CSDL type; raises KeyError."""
        found = self._objects.get(csdl)
        if found is None:
            found = self._objects[csdl] = self._object(csdl)
        return found

    def object_named(self, name: str) -> ObjectInfo:
        """Give the object or interface type of a GraphQL name; raises KeyError."""
        return self.object(self._entries[name].csdl)

    def _object(self, csdl: str) -> ObjectInfo:
        model = self.model
        key = model.key_of(csdl)
        fields = {f.name: f for f in self._object_fields(csdl, key)}
        by_source = {f.source: f for f in fields.values() if f.kind is FieldKind.VALUE}
        declared = model.structured(csdl)
        interfaces = [
            n for t in model.lineage(csdl) if (n := self._names.get((TypeKind.INTERFACE, t.name)))
        ]
        return ObjectInfo(
            name=self.reference_name(csdl),
            csdl=csdl,
            fields=fields,
            key=tuple(by_source[k] for k in key),
            is_interface=(TypeKind.INTERFACE, csdl) in self._names,
            interfaces=(*(("Node",) if key else ()), *interfaces),
            description=describe.structured(declared, model, self.labels),
            is_open=model.is_open(csdl),
            has_company=self.abilities.company_property in by_source,
        )

    def _object_fields(self, csdl: str, key: tuple[str, ...]) -> Iterator[Field]:
        names = Names(("id",) if key else (), self._renames)
        if key:
            yield Field(
                name="id",
                kind=FieldKind.ID,
                type_name="ID",
                nullable=False,
                description=describe.NODE_ID,
            )
        for declaring in self.model.lineage(csdl):
            for prop in declaring.properties:
                if prop.type.name not in NOT_IN_ROWS:
                    yield self._property(prop, declaring.name, csdl, key, names)
            for navigation in declaring.navigations:
                if self.is_served(navigation.target):
                    yield self._navigation(navigation, declaring.name, csdl, names)
        if self.model.is_open(csdl):
            name = names.take("additionalProperties", f"{short(csdl)} rest")
            yield Field(name=name, kind=FieldKind.REST, type_name="JSON", description=describe.REST)
        self._type_names.findings.extend(names.findings)

    def _property(
        self, prop: Property, declaring: str, csdl: str, key: tuple[str, ...], names: Names
    ) -> Field:
        name = names.take(field_name(prop.name), f"{short(declaring)}.{prop.name}")
        is_key = prop.name in key
        text = describe.prop(
            prop, self.labels, is_key=is_key, company=self.abilities.company_property
        )
        common = {"name": name, "source": prop.name, "declared_by": declaring, "prop": prop}
        if prop.type.name in self.model.complex_types:
            return Field(
                **common,  # type: ignore[arg-type]
                kind=FieldKind.COMPLEX,
                type_name=self.reference_name(prop.type.name)
                if self.is_served(prop.type.name)
                else "JSON",
                nullable=prop.nullable,
                many=prop.type.many,
                target=prop.type.name,
                description=text,
            )
        value = self.value(prop, is_key=is_key)
        cleaned_to_null = value.clean in (Clean.DATE, Clean.NULL_DATE)
        return Field(
            **common,  # type: ignore[arg-type]
            kind=FieldKind.VALUE,
            type_name=value.scalar,
            nullable=not is_key and (prop.nullable or cleaned_to_null),
            many=prop.type.many or value.kind == "flags",
            value=value,
            description=text,
        )

    def value(self, prop: Property, *, is_key: bool) -> ValueType:
        """Give the value type of a property that is not complex."""
        dates = date_cleaning(prop, is_key=is_key, abilities=self.abilities, cleaning=self.cleaning)
        return self.value_of(prop.type, dates)

    def value_of(self, ref: TypeRef, dates: Clean = Clean.NONE) -> ValueType:
        """Give the value type of a parameter or a result."""
        enum = self.enum(ref.name) if ref.name in self.model.enum_types else None
        return value_type(ref, model=self.model, enum=enum, cleaning=self.cleaning, dates=dates)

    def _navigation(self, navigation: Navigation, declaring: str, csdl: str, names: Names) -> Field:
        name = names.take(field_name(navigation.name), f"{short(declaring)}.{navigation.name}")
        kind = TypeKind.CONNECTION
        return Field(
            name=name,
            kind=FieldKind.TO_MANY if navigation.many else FieldKind.TO_ONE,
            type_name=self._names[kind, navigation.target]
            if navigation.many
            else self.reference_name(navigation.target),
            source=navigation.name,
            declared_by=declaring,
            nullable=not navigation.many,
            navigation=navigation,
            target=navigation.target,
            target_set=navigation.target_set or self._bound_set(navigation, declaring, csdl),
            description=describe.navigation(navigation, self.labels),
        )

    def _bound_set(self, navigation: Navigation, declaring: str, csdl: str) -> str | None:
        """Find the set a navigation leads to: by the bindings of the type's sets, else the only set of its target."""
        model = self.model
        paths = (navigation.name, f"{declaring}/{navigation.name}")
        for owner in model.lineage(csdl):
            for set_name in model.sets_of_type.get(owner.name, ()):
                bindings = model.entity_sets[set_name].bindings
                for path in paths:
                    if path in bindings:
                        return bindings[path]
        if navigation.contains_target:
            return None
        sets = model.sets_of_type.get(navigation.target, ())
        return sets[0] if len(sets) == 1 else None

    # Inputs

    def filter_operators(self, csdl_or_scalar: str) -> tuple[str, ...]:
        """Give the operators of a filter type in the contract's order."""
        if csdl_or_scalar in self.model.enum_types:
            kind = "flags" if self.model.enum_types[csdl_or_scalar].flags else "enum"
        elif csdl_or_scalar == "Boolean":
            kind = "boolean"
        else:
            kind = next((e.kind for e in EDM.values() if e.scalar == csdl_or_scalar), "other")
        offered = self.abilities.operators.get(kind, ())
        return tuple(o for o in OPERATORS if o in offered)

    def filter_name(self, value: ValueType) -> str | None:
        """Give the filter input of a value; None where the product can ask nothing of it."""
        csdl = (
            value.edm
            if value.enum is not None and value.clean is not Clean.NO_YES
            else value.scalar
        )
        return self._names[TypeKind.FILTER, csdl] if csdl in self._filterable else None

    @cached_property
    def _filterable(self) -> frozenset[str]:
        names = (e.csdl for e in self._entries.values() if e.kind is TypeKind.FILTER)
        return frozenset(n for n in names if self.filter_operators(n))

    def input_fields(self, name: str) -> tuple[InputField, ...]:
        """Give the fields of a generated input type; raises KeyError."""
        found = self._inputs.get(name)
        if found is None:
            entry = self._entries[name]
            found = self._inputs[name] = tuple(self._input_fields(entry))
        return found

    def _input_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        if entry.kind is TypeKind.FILTER:
            return self._operator_fields(entry)
        if entry.kind is TypeKind.ORDER_BY:
            return self._order_fields(entry.csdl)
        if entry.kind is TypeKind.COLLECTION_WHERE:
            return self._collection_fields(entry.csdl)
        return self._where_fields(entry)

    def _operator_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        value = self._names.get((TypeKind.ENUM, entry.csdl), entry.csdl)
        for operator in self.filter_operators(entry.csdl):
            yield InputField(
                name=operator,
                role=InputRole.OPERATOR,
                type_name="Boolean" if operator == "isNull" else value,
                many=operator in _LIST_OPERATORS,
                description=describe.OPERATORS[operator],
            )

    def _order_fields(self, csdl: str) -> Iterator[InputField]:
        non_sortable = self._restricted(csdl, "non_sortable")
        for field in self.object(csdl).fields.values():
            sortable = (
                field.kind is FieldKind.VALUE
                and not field.many
                and field.source not in non_sortable
            )
            if sortable and field.value is not None and field.value.kind not in ("binary", "other"):
                yield InputField(
                    name=field.name, role=InputRole.ORDER, type_name="SortDirection", of=field
                )

    def _collection_fields(self, csdl: str) -> Iterator[InputField]:
        where = self._names[TypeKind.WHERE, csdl]
        yield InputField(
            name="some", role=InputRole.SOME, type_name=where, description=describe.SOME
        )
        yield InputField(
            name="none", role=InputRole.NONE, type_name=where, description=describe.NO_ROW
        )

    def _where_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        names = Names(("and", "or", "not"))
        yield InputField(
            name="and",
            role=InputRole.AND,
            type_name=entry.name,
            many=True,
            description=describe.AND,
        )
        yield InputField(
            name="or", role=InputRole.OR, type_name=entry.name, many=True, description=describe.OR
        )
        yield InputField(
            name="not", role=InputRole.NOT, type_name=entry.name, description=describe.NOT
        )
        non_filterable = self._restricted(entry.csdl, "non_filterable")
        for field in self.object(entry.csdl).fields.values():
            made = None if field.source in non_filterable else self._where_field(field)
            if made is not None:
                name = names.take(field.name, f"{entry.name}.{field.source}")
                yield InputField(
                    name=name,
                    role=made[0],
                    type_name=made[1],
                    of=field,
                    description=field.description,
                )

    def _where_field(self, field: Field) -> tuple[InputRole, str] | None:
        if field.kind is FieldKind.VALUE and not (
            field.many and field.prop is not None and field.prop.type.many
        ):
            name = self.filter_name(field.value) if field.value is not None else None
            return None if name is None else (InputRole.VALUE, name)
        if field.navigation is None or field.navigation.declared:
            return None
        if field.kind is FieldKind.TO_ONE and self.abilities.filter_to_one:
            return InputRole.TO_ONE, self._names[TypeKind.WHERE, field.target]
        if field.kind is FieldKind.TO_MANY and self.abilities.filter_to_many:
            return InputRole.TO_MANY, self._names[TypeKind.COLLECTION_WHERE, field.target]
        return None

    def _restricted(self, csdl: str, what: str) -> frozenset[str]:
        """Give the properties that a Capabilities annotation of the type's only set takes out."""
        sets = self.model.sets_of_type.get(csdl, ())
        return (
            frozenset(getattr(self.model.entity_sets[sets[0]].can, what))
            if len(sets) == 1
            else frozenset()
        )

    # Arguments and roots

    def list_arguments(self, csdl: str, *, root: bool) -> tuple[Argument, ...]:
        """Give the arguments of a connection of rows of that type."""
        paging = (
            Argument(name="first", type_name="Int", description=describe.FIRST),
            Argument(name="after", type_name="String", description=describe.AFTER),
            Argument(name="last", type_name="Int", description=describe.LAST),
            Argument(name="before", type_name="String", description=describe.BEFORE),
            Argument(
                name="where",
                type_name=self._names[TypeKind.WHERE, csdl],
                description=describe.WHERE,
            ),
        )
        order = self._names[TypeKind.ORDER_BY, csdl]
        if self.input_fields(order):
            paging += (
                Argument(name="orderBy", type_name=order, many=True, description=describe.ORDER_BY),
            )
        return (*paging, *(self._companies(csdl) if root else ()))

    def _companies(self, csdl: str) -> tuple[Argument, ...]:
        if not self.object(csdl).has_company:
            return ()
        return (
            Argument(
                name="companies", type_name="String", many=True, description=describe.COMPANIES
            ),
        )

    def key_arguments(self, csdl: str) -> tuple[Argument, ...]:
        """Give the arguments of a by-key field: every part of the key."""
        return tuple(
            Argument(
                name=f.name,
                type_name=f.type_name,
                nullable=f.source == self.abilities.company_property,
                description=f.description,
                of=f,
                source=f.source,
            )
            for f in self.object(csdl).key
        )

    def root_arguments(self, root: RootField) -> tuple[Argument, ...]:
        """Give the arguments of a root field."""
        if root.kind is RootKind.LIST:
            return self.list_arguments(root.csdl, root=True)
        if root.kind is RootKind.BY_KEY:
            return self.key_arguments(root.csdl)
        if root.kind is RootKind.NODE:
            return (
                Argument(name="id", type_name="ID", nullable=False, description=describe.NODE_ID),
            )
        if root.kind is RootKind.NODES:
            return (
                Argument(
                    name="ids",
                    type_name="ID",
                    nullable=False,
                    many=True,
                    description=describe.NODE_IDS,
                ),
            )
        return self._parameters(root.operation) if root.operation is not None else ()

    def _parameters(self, operation: Operation) -> tuple[Argument, ...]:
        names = Names()
        key = self.key_arguments(operation.bound_to.name) if operation.bound_to is not None else ()
        for k in key:
            names.take(k.name, k.name)
        return key + tuple(
            Argument(
                name=names.take(field_name(p.name), f"{operation.name}.{p.name}"),
                type_name=value.scalar,
                nullable=p.nullable,
                many=p.type.many,
                value=value,
                source=p.name,
            )
            for p in operation.parameters
            for value in (self.value_of(p.type),)
        )

    def _name_roots(self) -> Iterator[RootField]:
        model, take = self.model, self._root_names.take
        lists = [
            RootField(
                name=take(field_name(s.name), s.name), kind=RootKind.LIST, entity_set=s, csdl=s.type
            )
            for s in model.entity_sets.values()
            if self.is_served(s.type)
        ]
        yield from lists
        yield from (r for r in (self._by_key(found) for found in lists) if r is not None)
        for single in model.singletons.values():
            if self.is_served(single.type):
                name = take(field_name(single.name), single.name)
                yield RootField(
                    name=name, kind=RootKind.SINGLETON, singleton=single, csdl=single.type
                )
        yield from self._functions()
        if any(model.key_of(r.csdl) for r in lists):
            yield RootField(name="node", kind=RootKind.NODE)
            yield RootField(name="nodes", kind=RootKind.NODES)

    def _by_key(self, found: RootField) -> RootField | None:
        entity_set = found.entity_set
        if entity_set is None or not self.model.key_of(entity_set.type):
            return None
        wanted = field_name(short(entity_set.type))
        is_first = self.model.sets_of_type[entity_set.type][0] == entity_set.name
        free = is_first and wanted not in self._taken_roots
        name = wanted if free else f"{found.name}ByKey"
        self._taken_roots.add(name)
        taken = self._root_names.take(name, f"{entity_set.name} by key")
        return RootField(
            name=taken, kind=RootKind.BY_KEY, entity_set=entity_set, csdl=entity_set.type
        )

    @cached_property
    def _taken_roots(self) -> set[str]:
        return {field_name(s) for s in self.model.entity_sets}

    def _functions(self) -> Iterator[RootField]:
        by_name: dict[str, Operation] = {}
        for operation in self.model.operations:
            if operation.kind is OperationKind.FUNCTION and self._is_askable(operation):
                by_name.setdefault(operation.name, operation)
                if operation.bound_to is not None:
                    yield from self._bound_function(operation)
        for imported in self.model.imports.values():
            unbound = by_name.get(imported.operation)
            if (
                imported.kind is OperationKind.FUNCTION
                and unbound is not None
                and unbound.bound_to is None
            ):
                name = self._root_names.take(field_name(imported.name), imported.name)
                yield self._function(name, unbound, imported.name)

    def _bound_function(self, operation: Operation) -> Iterator[RootField]:
        bound = operation.bound_to
        if (
            bound is None
            or bound.many
            or not self.model.sets_of_type.get(bound.name)
            or not self.model.key_of(bound.name)
        ):
            return
        name = field_name(short(bound.name)) + type_name(short(operation.name))
        yield self._function(self._root_names.take(name, operation.name), operation, None)

    def _function(self, name: str, operation: Operation, imported: str | None) -> RootField:
        returns = operation.returns
        csdl = returns.name if returns is not None and self.is_served(returns.name) else ""
        found = None if imported is None else self.model.imports[imported]
        return RootField(
            name=name,
            kind=RootKind.FUNCTION,
            operation=operation,
            operation_import=found,
            csdl=csdl,
        )

    def _is_askable(self, operation: Operation) -> bool:
        """Whether a function takes only plain values and returns something that is served."""
        model = self.model
        if operation.returns is None:
            return False
        structured = (*model.entity_types, *model.complex_types)
        plain = all(p.type.name not in structured for p in operation.parameters)
        return plain and (
            operation.returns.name not in structured or self.is_served(operation.returns.name)
        )

    def set_for(self, csdl: str) -> str | None:
        """Give the set by which rows of a type are read again (``node``): its own, or that of a base."""
        for declared in reversed(tuple(self.model.lineage(csdl))):
            if isinstance(declared, EntityType) and declared.name in self.model.sets_of_type:
                return self.model.sets_of_type[declared.name][0]
        return None
