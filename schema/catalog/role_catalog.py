"""The catalogue of a set of roles: the names of the whole, over a model from which hidden things are absent.

Names, ids and cursors are those of the whole catalogue, whatever a view hides: a field is never called otherwise
because another one with a clashing name does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any

from msgspec import structs

from schema.model.records import Navigation, Operation, Property, TypeRef
from schema.model.snapshot import forget_records
from schema.policy.records import Right
from schema.policy.view import RoleView

from .display_values import DisplayValue
from .naming import RootName, Roots, root_names
from .records import (
    Field,
    FieldKind,
    InputRole,
    MutationField,
    RootField,
    RootKind,
    TypeEntry,
    TypeKind,
)
from .roots import Catalog
from .usage import PropertyKind
from .visibility import Visibility

_OF_SETS = (RootKind.LIST, RootKind.BY_KEY, RootKind.SINGLETON)
_VALUES = (FieldKind.VALUE, FieldKind.COMPLEX)
_ROWS = frozenset({TypeKind.OBJECT, TypeKind.INTERFACE})
_LISTS = frozenset({TypeKind.CONNECTION, TypeKind.EDGE, TypeKind.ORDER_BY})
_TABLES = (
    *("enums", "values", "property_values", "filters", "operators", "keys", "interfaces"),
    *("can_filter", "can_order"),
)
"""Tables of the catalogue that a view has for itself."""
_COMPUTED = ("_reachable", "parents", "_askable", "_unbound")


def role_catalog(whole: Catalog, view: RoleView) -> RoleCatalog:
    """Return the catalogue of a set of roles over that of all that is served."""
    return RoleCatalog(whole.whole.fresh_copy(), view)


class RoleCatalog(Catalog):
    """What exists for callers with a set of roles."""

    def __init__(self, whole: Catalog, view: RoleView) -> None:
        """``whole`` belongs to this view, which decides when its records are forgotten."""
        # Everything that is not below is as in the whole: the tables of names, labels, abilities.
        vars(self).update({k: v for k, v in vars(whole).items() if k not in _COMPUTED})
        self._whole = whole
        self.view = view
        company = whole.abilities.company_property
        self.visibility = Visibility(view, whole.model, whole.usage, company_property=company)
        self.model = self.visibility.model
        vars(self).update({f"_{name}": {} for name in _TABLES}, _field_findings=[])
        self._there: dict[str, bool] = {}
        self.roots = _VisibleRoots(whole, self._shows_root)
        super().forget()

    @property
    def whole(self) -> Catalog:
        """The catalogue of all that is served."""
        return self._whole

    def fresh_copy(self) -> RoleCatalog:
        """Return a catalogue of the same roles that reads every record anew."""
        result = RoleCatalog(self._whole.fresh_copy(), self.view)
        result.description = self.description
        return result

    def forget(self) -> None:
        """Drop the records of single types."""
        super().forget()
        self._there = {}
        self.visibility.forget()
        self._whole.forget()
        forget_records(self._whole.model)

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory."""
        yield from super().tables()
        yield from self._whole.tables()
        yield from self.visibility.tables()

    # Types

    def is_served(self, csdl: str) -> bool:
        """Return whether the structured type is a GraphQL type of the view."""
        if not super().is_served(csdl):
            return False
        return csdl in self.model.complex_types or self.visibility.shows_type(csdl)

    def entry(self, name: str) -> TypeEntry | None:
        """Return the entry of a generated type; None if the view has none of that name."""
        entry = self._entries.get(name)
        return entry if entry is not None and self._is_there(entry) else None

    def families(self) -> Iterator[tuple[str, Iterator[TypeEntry]]]:
        """Yield (CSDL type, its generated types); reads the model as far as it is consumed."""
        for csdl, entries in groupby(self._entries.values(), attrgetter("csdl")):
            yield csdl, filter(self._is_there, entries)

    def _is_there(self, entry: TypeEntry) -> bool:
        there = self._there.get(entry.name)
        if there is None:
            there = self._there[entry.name] = self._is_used(entry)
        return there

    def _is_used(self, entry: TypeEntry) -> bool:
        kind, csdl = entry.kind, entry.csdl
        if kind is TypeKind.ENUM:
            return self._uses_enum(csdl)
        if kind is TypeKind.FILTER:
            return self._exists(entry) and self._uses_filter(entry)
        if csdl in self.model.complex_types:
            return self._uses_complex(csdl)
        if not self.is_served(csdl) or not self._exists(entry):
            return False
        if kind in _ROWS or (
            csdl in self.model.sets_of_type and kind is not TypeKind.COLLECTION_WHERE
        ):
            return True
        if kind in _LISTS:
            return any(n.many for _, n in self._navigations_to(csdl))
        roles = {self.relation_role(owner, n) for owner, n in self._navigations_to(csdl)}
        if kind is TypeKind.COLLECTION_WHERE:
            return InputRole.TO_MANY in roles
        is_listed = any(n.many for _, n in self._navigations_to(csdl))
        return is_listed or bool(roles - {None})

    def _navigations_to(self, csdl: str) -> Iterator[tuple[str, Navigation]]:
        """Yield the visible navigations to a type, with the types of the rows that have them."""
        for declaring in self._whole.usage.uses.sources.get(csdl, ()):
            for owner in self.model.family(declaring):
                if self._is_row(owner):
                    for navigation in self.navigations_of(owner):
                        if navigation.target == csdl:
                            yield owner, navigation

    def _is_row(self, csdl: str) -> bool:
        return csdl in self.model.entity_types and self.is_served(csdl)

    def _uses_enum(self, csdl: str) -> bool:
        if self.displayed_enum(csdl) is None:
            return False
        flags = self.model.enum_types[csdl].flags
        kinds = (k for k in self._whole.usage.uses.kinds if k.type_name == csdl)
        if any(not (k.many and flags) and self._shows_kind(k) for k in kinds):
            return True
        return any(ref.name == csdl for ref in self._values_of_functions())

    def _uses_complex(self, csdl: str) -> bool:
        """Return whether a visible column, or the result of a function, has values of a complex type or its kin."""
        waiting, seen = [csdl], set[str]()
        results = {ref.name for ref in self._values_of_functions()}
        for name in waiting:  # grows while it is walked
            if name in seen:
                continue
            seen.add(name)
            first = next(self.model.lineage(name)).name
            waiting += self.model.family(first)
            if name in results:
                return True
            for owner in self._whole.usage.uses.owners.get(name, ()):
                if owner in self.model.complex_types:
                    waiting.append(owner)
                elif self._is_row(owner) and any(
                    p.type.name == name for p in self.model.entity_types[owner].properties
                ):
                    return True
        return False

    def _values_of_functions(self) -> Iterator[TypeRef]:
        functions = (r.operation for r in self._functions_of_roots())
        for operation in functions:
            if operation is not None:
                yield from (p.type for p in operation.parameters)
                if operation.returns is not None:
                    yield operation.returns

    def _functions_of_roots(self) -> Iterator[RootField]:
        for named in self._visible_roots.named():
            if named.kind is RootKind.FUNCTION:
                yield self.roots[named.name]

    def _shows_kind(self, kind: PropertyKind) -> bool:
        """Return whether any visible column is of a kind."""
        _, owners = self._whole.usage.uses.kinds[kind]
        return any(
            self._declares(owner, kind)
            if self._is_row(owner)
            else owner in self.model.complex_types and self._uses_complex(owner)
            for owner in owners
        )

    def _declares(self, owner: str, kind: PropertyKind) -> bool:
        properties = self.model.entity_types[owner].properties
        return any(kind == (p.type.name, p.type.many, p.ax_type) for p in properties)

    def _uses_filter(self, entry: TypeEntry) -> bool:
        for kind, (specimen, owners) in self._whole.usage.uses.kinds.items():
            if self.property_filter(specimen) == entry.name:
                for declaring in filter(self._is_row, owners):
                    if any(self._tests(t, kind) for t in self.model.family(declaring)):
                        return True
        return False

    def _tests(self, csdl: str, kind: PropertyKind) -> bool:
        where = self.generated_name(TypeKind.WHERE, csdl)
        if where is None or not self._is_row(csdl):
            return False
        properties = self.filterable_properties(csdl)
        has = any(kind == (p.type.name, p.type.many, p.ax_type) for p in properties)
        return has and self.entry(where) is not None

    # Fields

    def each_field(self, csdl: str) -> Iterator[Field]:
        """Yield the fields of a structured type lazily."""
        info = self._objects.get(csdl)
        return self._object_fields(csdl) if info is None else iter(info.fields.values())

    def _object_fields(self, csdl: str) -> Iterator[Field]:
        """Yield the fields of the whole that exist, as they show."""
        return self._each_shown(csdl, self._whole.each_field(csdl))

    def _each_shown(self, csdl: str, fields: Iterable[Field]) -> Iterator[Field]:
        properties, navigations = dict[tuple[str, str], Property](), set[tuple[str, str]]()
        shown = {value.parts_name: value for value in self.display_values(csdl)}
        for declaring in self.model.lineage(csdl):
            properties.update(((declaring.name, p.name), p) for p in declaring.properties)
            navigations.update((declaring.name, n.name) for n in declaring.navigations)
        for field in fields:
            place = (field.declared_by, field.source)
            if field.navigation is not None:
                if place in navigations and self.is_served(field.target):
                    yield field
            elif field.kind is FieldKind.PARTS:
                if field.name in shown:
                    yield structs.replace(field, parts=shown[field.name])
            elif field.kind not in _VALUES:
                if self._has_own(csdl, field):
                    yield field
            elif place in properties:
                prop = properties[place]
                yield field if prop is field.prop else self._changed(csdl, field, prop)

    def _has_own(self, csdl: str, field: Field) -> bool:
        """Return whether rows have one of the gateway's own fields."""
        if field.kind is FieldKind.CUSTOM:
            return True
        return self.model.is_open(csdl) if field.kind is FieldKind.REST else self.is_node(csdl)

    def display_values(self, csdl: str) -> Iterator[DisplayValue]:
        """Yield the columns with display values that show, together with what says of which account they are."""
        access = self.visibility.access
        for value in self._whole.display_values(csdl):
            declaring = value.declared_by
            columns = {p.name: p for p in self.model.entity_types[declaring].properties}
            column = columns.get(value.column.name)
            if column is not None and (not value.account_type or value.account_type in columns):
                is_plain = access(declaring, column.name).is_plain
                yield structs.replace(value, column=column, may_be_masked=not is_plain)

    def _changed(self, csdl: str, field: Field, prop: Property) -> Field:
        is_key = prop.name in self.key_of(csdl)
        return self.property_field(prop, field.declared_by, field.name, is_key=is_key)

    def _plain_names(self, csdl: str) -> Mapping[str, str] | None:
        names = self._whole.plain_names(csdl)
        if names is None or not self._is_row(csdl):
            return None
        declared = self.model.entity_types[csdl]
        shown = {p.name for p in declared.properties} | {n.name for n in declared.navigations}
        return {source: name for source, name in names.items() if source in shown}

    def plain_navigations(self, csdl: str) -> Iterator[Field]:
        """Return the navigation fields of a type that has ``plain_names``. Raises KeyError for any other."""
        return self._each_shown(csdl, self._whole.plain_navigations(csdl))

    def joined_below(self, csdl: str) -> Iterator[tuple[Navigation, str]]:
        """Yield the to-many navigations with a known join, with the entity sets of their rows."""
        shown = {n.name for n in self.navigations_of(csdl)}
        for navigation, of_set in self._whole.joined_below(csdl):
            if navigation.name in shown and self.visibility.shows_set(of_set):
                yield navigation, of_set

    @cached_property
    def parents(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Entity type → (parent type, set of the child rows) for each to-many navigation with a known join."""
        return _Parents(self)

    def _denied_by_all(self, csdl: str, whole: str, parts: str) -> frozenset[str] | None:
        """Return the properties that annotations exclude, and those that not all roles give in plain."""
        denied = super()._denied_by_all(csdl, whole, parts)
        if denied is None:
            return None
        access = self.visibility.access
        partly = (
            p.name
            for declaring in self.model.lineage(csdl)
            for p in declaring.properties
            if not access(declaring.name, p.name).filterable
        )
        return denied.union(partly)

    # Roots and subscriptions

    @property
    def _visible_roots(self) -> _VisibleRoots:
        assert isinstance(self.roots, _VisibleRoots)
        return self.roots

    def set_roots(self) -> Iterator[tuple[RootKind, str, str]]:
        """Return (kind, entity set, name) of the lists and by-key fields, without reading the model."""
        visible = frozenset(self.model.entity_sets)
        for named in self._visible_roots.all_named():
            if named.of in visible and named.kind in (RootKind.LIST, RootKind.BY_KEY):
                yield named.kind, named.of, named.name

    def _shows_root(self, named: RootName) -> bool:
        if named.kind in _OF_SETS:
            return self.visibility.shows_set(named.of)
        if named.kind is RootKind.FUNCTION:
            operation = self._whole.model.operations[named.operation]
            bound = operation.bound_to
            # A bound function is called on a row of a set, by its key.
            is_bound = (
                named.of or bound is None or (self._is_row(bound.name) and self.is_node(bound.name))
            )
            return bool(is_bound) and id(operation) in self._operations
        return self._has_nodes

    @cached_property
    def _operations(self) -> Mapping[int, Operation]:
        return {id(operation): operation for operation in self.model.operations}

    @cached_property
    def _has_nodes(self) -> bool:
        """Whether any visible type has rows with a global id."""
        sets = self._whole.model.entity_sets
        readable = self.sets_with(Right.READ)
        return any(self.is_served(sets[n].type) and self.is_node(sets[n].type) for n in readable)

    @property
    def calls_any(self) -> bool:
        """Whether any action, function or custom service may exist."""
        return self.view.may_call_any

    def gives(self, right: Right, of_set: str) -> bool:
        """Return whether a right on an entity set is given."""
        return self.view.allows(right, of_set)

    def sets_with(self, right: Right) -> Iterator[str]:
        """Yield the entity sets on which a right is given."""
        return self.visibility.sets_with(right)

    def shows_plain(self, field: Field) -> bool:
        """Return whether every value of a column shows as it is, in all rows that the roles give."""
        return self.visibility.access(field.declared_by, field.source).filterable

    def shows_call(self, field: MutationField) -> bool:
        """Return whether an action or custom service exists."""
        if field.service is not None:
            return self.view.may_call(field.service.name)
        of_set = field.entity_set
        is_there = of_set is None or self.visibility.shows_set(of_set.name)
        return is_there and id(field.operation) in self._operations

    @property
    def has_watchable(self) -> bool:
        """Whether subscriptions may watch any entity set."""
        return self._has_nodes and any(True for _ in self.sets_with(Right.SUBSCRIBE))


class _VisibleRoots(Roots):
    """The root fields that exist in a view."""

    def __init__(self, whole: Catalog, shows: Callable[[RootName], bool]) -> None:
        named = whole.roots
        if isinstance(named, Roots):
            by_name = named.by_name
        else:
            by_name = {root.name: root for root in root_names(named.values(), whole.model)}
        super().__init__(by_name, whole.model)
        self._shows = shows

    def named(self) -> Iterable[RootName]:
        """Return the root fields of the view without reading the model."""
        return filter(self._shows, self._named.values())

    def all_named(self) -> Iterable[RootName]:
        """Return the root fields of the whole."""
        return self._named.values()

    def __getitem__(self, name: str) -> RootField:
        if name not in self:
            raise KeyError(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        named = self._named.get(name) if isinstance(name, str) else None
        return named is not None and self._shows(named)

    def __iter__(self) -> Iterator[str]:
        return (root.name for root in self.named())

    def __len__(self) -> int:
        return sum(1 for _ in self.named())


class _Parents(Mapping[str, tuple[tuple[str, str], ...]]):
    """The parents of a view, computed one at a time."""

    def __init__(self, catalog: RoleCatalog) -> None:
        self._catalog = catalog

    def __getitem__(self, csdl: str) -> tuple[tuple[str, str], ...]:
        catalog = self._catalog
        candidates = catalog.whole.parents[csdl]
        return tuple(
            (parent, of_set)
            for parent, of_set in candidates
            if catalog.is_served(parent) and catalog.visibility.shows_set(of_set)
            if any(n.target == csdl and s == of_set for n, s in catalog.joined_below(parent))
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.whole.parents)

    def __len__(self) -> int:
        return len(self._catalog.whole.parents)
