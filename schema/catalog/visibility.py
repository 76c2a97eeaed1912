"""What of a model exists for callers with a set of roles: a model of its own, from which everything else is absent.

    RoleView + model ──▶ Visibility ──▶ a model with the granted sets, their types, and what these types show

Whatever is built over that model (catalogue, mutations, subscriptions, search) cannot show what is not in it. Records
are read and changed one at a time, when they are looked up, so a view over thousands of sets costs nothing at first.

A type may be in several sets, and shares its fields with its relatives. A column shows only if all granted sets of the
family show it. Entity types of no granted set do not exist; neither do entities without a set of their own, because no
role can name them. A navigation needs its target set (if that is unknown, all sets of the target), and every column of
its join in plain: else it would tell what they hide. Parts of the key and the company always show: ids, scopes and
``company_limit`` need them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from msgspec import structs

from schema.model.joins import join_pairs
from schema.model.records import (
    ComplexType,
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Operation,
    OperationImport,
    Property,
    Singleton,
    short,
)
from schema.policy.records import ALL_NAMES, Right
from schema.policy.view import HIDDEN, ColumnAccess, RoleView

from .usage import Usage

Record = TypeVar("Record")
Root = TypeVar("Root", EntitySet, Singleton)


class VisibleRecords(Mapping[str, Record]):
    """The records that exist in a view, changed as they show there; each is read on first lookup."""

    def __init__(
        self,
        records: Mapping[str, Record],
        shows: Callable[[str], bool],
        change: Callable[[Record], Record],
        names: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """``names`` yields the visible names faster than a look at each record."""
        self._records = records
        self._shows = shows
        self._change = change
        self._names = names
        self._made: dict[str, Record] = {}

    def __getitem__(self, name: str) -> Record:
        record = self._made.get(name)
        if record is None:
            if name not in self:
                raise KeyError(name)
            record = self._made[name] = self._change(self._records[name])
        return record

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._records and self._shows(name)

    def __iter__(self) -> Iterator[str]:
        if self._names is None:
            return filter(self._shows, self._records)
        visible = frozenset(self._names())
        return (name for name in self._records if name in visible)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def table(self) -> dict[str, Record]:
        """The records made so far."""
        return self._made

    def forget(self) -> None:
        """Drop the records made so far."""
        self._made = {}


class Visibility:
    """What of one model exists for one set of roles."""

    def __init__(
        self, view: RoleView, whole: Model, usage: Usage, *, company_property: str | None
    ) -> None:
        """``usage`` is of the same model; ``whole`` is read through this object alone, which forgets its records."""
        self.view = view
        self.whole = whole
        self._usage = usage
        self._company = company_property
        self._shown_types: dict[str, bool] = {}
        self._family_sets: dict[str, tuple[str, ...]] = {}
        self._access: dict[tuple[str, str], ColumnAccess] = {}
        self._unruled: dict[str, bool] = {}
        self._records: list[VisibleRecords[Any]] = []
        self.model = self._visible_model()
        """What exists."""

    def forget(self) -> None:
        """Drop what was computed for single types."""
        self._access = {}
        for records in self._records:
            records.forget()

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory."""
        yield self._access
        yield from (records.table for records in self._records)

    # Sets and types

    def sets_with(self, right: Right) -> Iterator[str]:
        """Yield the entity sets on which a right is given, those that roles name exactly first."""
        sets = self.whole.entity_sets
        return (name for name in self.view.sets_with(right, sets) if name in sets)

    def shows_set(self, name: str) -> bool:
        """Return whether an entity set or singleton exists."""
        return self.view.shows_set(name)

    def shows_type(self, csdl: str) -> bool:
        """Return whether an entity type exists: a granted set holds rows of it, or of a type derived from it."""
        shows = self._shown_types.get(csdl)
        if shows is None:
            kin = (*self._bases(csdl), *self.whole.family(csdl))
            shows = self._shown_types[csdl] = any(
                self.view.shows_set(name) for member in kin for name in self._sets_of(member)
            )
        return shows

    def family_sets(self, csdl: str) -> tuple[str, ...]:
        """Return the granted sets and singletons with rows of a type or of a relative that shares its fields."""
        first = next(self._bases(csdl), csdl)
        sets = self._family_sets.get(first)
        if sets is None:
            members = self.whole.family(first)
            sets = self._family_sets[first] = tuple(
                name for m in members for name in self._sets_of(m) if self.view.shows_set(name)
            )
        return sets

    def _sets_of(self, csdl: str) -> tuple[str, ...]:
        return (*self.whole.sets_of_type.get(csdl, ()), *self._singletons.get(csdl, ()))

    @cached_property
    def _singletons(self) -> Mapping[str, list[str]]:
        by_type: dict[str, list[str]] = {}
        for single in self.whole.singletons.values():
            by_type.setdefault(single.type, []).append(single.name)
        return by_type

    @cached_property
    def _base_of(self) -> Mapping[str, str]:
        return {name: base for base, names in self.whole.derived.items() for name in names}

    def _bases(self, csdl: str) -> Iterator[str]:
        """Yield the bases of a type, the most basic first."""
        chain: list[str] = []
        base = self._base_of.get(csdl)
        while base is not None and base not in chain:
            chain.append(base)
            base = self._base_of.get(base)
        return reversed(chain)

    # Columns

    def access(self, csdl: str, name: str) -> ColumnAccess:
        """Return how a property of a type shows. Those of complex values show with the value."""
        place = (csdl, name)
        access = self._access.get(place)
        if access is None:
            access = self._access[place] = self._access_of(csdl, name)
        return access

    def _access_of(self, csdl: str, name: str) -> ColumnAccess:
        if csdl in self.whole.complex_types:
            return ColumnAccess(self.view.roles, filterable=True)
        sets = self.family_sets(csdl)
        if not sets:
            return HIDDEN
        each = [self.view.column(of_set, name, is_key=False) for of_set in sets]
        first = each[0]
        if all(access.filterable for access in each):
            return first
        if name == self._company or self._is_key(csdl, name):
            return self.view.column(sets[0], name, is_key=True)
        decidable = map(self._is_decidable, each, sets)
        if not all(access.is_visible for access in each) or not all(decidable):
            return HIDDEN
        if all(access == first for access in each):
            return first
        return ColumnAccess(
            tuple(dict.fromkeys(role for a in each for role in a.plain)),
            tuple(dict.fromkeys(masked for a in each for masked in a.masked)),
            filterable=all(a.filterable for a in each),
        )

    def _is_key(self, csdl: str, name: str) -> bool:
        keys = self._usage.uses.keys
        return any(name in keys.get(owner, ()) for owner in (csdl, *self._bases(csdl)))

    def _is_decidable(self, access: ColumnAccess, of_set: str) -> bool:
        """Return whether each row tells if a column shows in it."""
        if access.filterable or not access.plain:
            return True
        readers = self.view.readers(of_set)
        return all(r.is_local for r in readers if r.role in access.plain)

    def is_preset(self, csdl: str, name: str, right: Right) -> bool:
        """Return whether every role that gives a right on the sets of a type presets a property."""
        grants = [g.grant for s in self.family_sets(csdl) for g in self.view.having(right, s)]
        return bool(grants) and all(name in grant.presets for grant in grants)

    def _property(self, csdl: str, prop: Property) -> Property | None:
        """Return a property as it shows; None if it does not exist.

        What shows in part is nullable, and can be written as far as a role gives it in plain with the right. A preset
        cannot be written.
        """
        name, access = prop.name, self.access(csdl, prop.name)
        if not access.is_visible:
            return None
        creates = prop.allow_edit_on_create and not self.is_preset(csdl, name, Right.CREATE)
        changes = prop.allow_edit and not self.is_preset(csdl, name, Right.UPDATE)
        if not access.is_plain:
            return structs.replace(
                prop,
                nullable=True,
                allow_edit_on_create=creates and self._is_given(csdl, name, Right.CREATE),
                allow_edit=changes and self._is_given(csdl, name, Right.UPDATE),
            )
        if (creates, changes) == (prop.allow_edit_on_create, prop.allow_edit):
            return prop
        return structs.replace(prop, allow_edit_on_create=creates, allow_edit=changes)

    def _is_given(self, csdl: str, name: str, right: Right) -> bool:
        """Return whether any role with a right on the sets of a type gives a property in plain."""
        grants = (g.grant for s in self.family_sets(csdl) for g in self.view.having(right, s))
        return any(grant.columns.holds(name) and grant.mask_of(name) is None for grant in grants)

    def _shows_rest(self, csdl: str) -> bool:
        """Return whether undeclared properties show: no role denies or masks a column that it cannot know."""
        return all(
            reader.grant.columns == ALL_NAMES and not reader.grant.masks
            for name in self.family_sets(csdl)
            for reader in self.view.readers(name)
        )

    # Navigations

    def shows_navigation(self, csdl: str, navigation: Navigation) -> bool:
        """Return whether a navigation of a type exists."""
        if navigation.target not in self.whole.entity_types:
            return False
        targets = self._target_sets(csdl, navigation)
        if not targets or not all(map(self.view.shows_set, targets)):
            return False
        if any(navigation.name == p.name for p in self.whole.properties_of(csdl)):
            return False  # it is hidden behind a property, which may not show
        pairs = join_pairs(navigation, self.whole)
        return all(
            self.access(csdl, own).filterable and self.access(navigation.target, other).filterable
            for own, other in pairs
        )

    def _target_sets(self, csdl: str, navigation: Navigation) -> tuple[str, ...]:
        """Return the sets in which the rows of a navigation may be."""
        if navigation.target_set is not None:
            return (navigation.target_set,)
        bound = dict.fromkeys(self._bound_sets(csdl, navigation))
        if bound:
            return tuple(bound)
        members = self.whole.family(navigation.target)
        bases = self._bases(navigation.target)
        return tuple(
            name for m in (*bases, *members) for name in self.whole.sets_of_type.get(m, ())
        )

    def _bound_sets(self, csdl: str, navigation: Navigation) -> Iterator[str]:
        for member in (*self._bases(csdl), *self.whole.family(csdl)):
            for name in self.whole.sets_of_type.get(member, ()):
                for path, target in self.whole.entity_sets[name].bindings.items():
                    if path.rpartition("/")[2] == navigation.name:
                        yield target

    # Operations

    def shows_operation(self, operation: Operation) -> bool:
        """Return whether an action or function exists: a role names it, and shows all rows that it has to do with."""
        names = {short(operation.name)}
        names.update(i.name for i in self.whole.imports.values() if i.operation == operation.name)
        if not any(map(self.view.may_call, names)):
            return False
        bound, returns = operation.bound_to, operation.returns
        if bound is not None and not self._shows_value(bound.name):
            return False
        if not all(self._shows_value(p.type.name) for p in operation.parameters):
            return False
        if returns is None or returns.name not in self.whole.entity_types:
            return True
        return self.shows_type(returns.name) and self.shows_rows_whole(returns.name)

    def _shows_value(self, csdl: str) -> bool:
        return csdl not in self.whole.entity_types or self.shows_type(csdl)

    def shows_rows_whole(self, csdl: str) -> bool:
        """Return whether all rows of a type show, with no value masked or emptied: rules do not bound calls."""
        whole = self._unruled.get(csdl)
        if whole is None:
            whole = self._unruled[csdl] = self._shows_rows_whole(csdl)
        return whole

    def _shows_rows_whole(self, csdl: str) -> bool:
        members = self.whole.family(next(self._bases(csdl), csdl))
        sets = [name for member in members for name in self._sets_of(member)]
        return all(
            any(reader.is_whole for reader in self.view.readers(name)) for name in sets
        ) and all(
            access.is_plain or not access.is_visible
            for prop in self.whole.properties_of(csdl)
            for access in (self.access(csdl, prop.name),)
        )

    # The model

    def _visible_model(self) -> Model:
        whole = self.whole
        types = self._visible(whole.entity_types, self.shows_type, self._entity_type)
        calls = whole.operations if self.view.may_call_any else ()
        operations = tuple(filter(self.shows_operation, calls))
        offered = {o.name for o in operations}
        model = Model(
            namespace=whole.namespace,
            entity_sets=self._visible(
                whole.entity_sets,
                self.shows_set,
                self._root,
                lambda: self.view.sets_with(Right.READ, whole.entity_sets),
            ),
            singletons=self._visible(whole.singletons, self.shows_set, self._root),
            entity_types=types,
            complex_types=self._visible(whole.complex_types, _always, self._complex_type),
            enum_types=whole.enum_types,
            type_definitions=whole.type_definitions,
            operations=operations,
            imports={
                n: self._imported(i) for n, i in whole.imports.items() if i.operation in offered
            },
        )
        # In the place where ``functools.cached_property`` stores what would read every record.
        vars(model).update(
            derived=self._visible(whole.derived, _always, self._shown_types_of),
            sets_of_type=self._visible(whole.sets_of_type, self._has_set, self._shown_sets_of),
        )
        return model

    def _visible(
        self,
        records: Mapping[str, Record],
        shows: Callable[[str], bool],
        change: Callable[[Record], Record],
        names: Callable[[], Iterable[str]] | None = None,
    ) -> VisibleRecords[Record]:
        visible = VisibleRecords(records, shows, change, names)
        self._records.append(visible)
        return visible

    def _has_set(self, csdl: str) -> bool:
        return any(map(self.view.shows_set, self.whole.sets_of_type[csdl]))

    def _shown_sets_of(self, sets: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filter(self.view.shows_set, sets))

    def _shown_types_of(self, types: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(t for t in types if t not in self.whole.entity_types or self.shows_type(t))

    def _entity_type(self, declared: EntityType) -> EntityType:
        csdl = declared.name
        shown = (self._property(csdl, prop) for prop in declared.properties)
        return structs.replace(
            declared,
            properties=tuple(prop for prop in shown if prop is not None),
            navigations=tuple(n for n in declared.navigations if self.shows_navigation(csdl, n)),
            open=declared.open and self._shows_rest(csdl),
        )

    def _complex_type(self, declared: ComplexType) -> ComplexType:
        csdl = declared.name
        shown = tuple(n for n in declared.navigations if self.shows_navigation(csdl, n))
        return structs.replace(declared, navigations=shown) if declared.navigations else declared

    def _root(self, root: Root) -> Root:
        if not root.bindings:
            return root
        shown = {path: to for path, to in root.bindings.items() if self.view.shows_set(to)}
        return structs.replace(root, bindings=shown)

    def _imported(self, imported: OperationImport) -> OperationImport:
        shows = imported.entity_set is None or self.view.shows_set(imported.entity_set)
        return imported if shows else structs.replace(imported, entity_set=None)


def _always(_: str) -> bool:
    return True
