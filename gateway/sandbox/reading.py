"""Reads rows by targets and options.

An expanded navigation costs one statement for all parents together. Everything with ``dataAreaId`` is limited to the
company scope, expanded rows too (section 1.2); companies that the account may not see do not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schema.model.records import Navigation, ReferentialConstraint

from . import sql
from .filters import Filters, Scope
from .links import Links
from .options import Expand, Options
from .refusal import Refusal, not_found, unknown_property
from .settings import SandboxSettings
from .sql import Sql
from .store import ID, TAG, TYPE, Storage, Store
from .urls import Step
from .values import fold
from .world import COMPANY, World

_CHUNK = 400
"""Parents whose children one statement reads."""


@dataclass(frozen=True, slots=True)
class Source:
    """The rows that are read: those of a storage that are of a type and meet the conditions."""

    storage: Storage
    type_name: str
    entity_set: str | None
    conditions: tuple[Sql, ...] = ()


@dataclass(slots=True)
class Entity:
    """A row that is read, with its expanded rows."""

    source: Source
    cells: tuple[Any, ...]
    """``_id``, ``_tag``, ``_type``, then the selected columns."""
    places: Mapping[str, int]
    """Property → its place in the cells."""
    expanded: dict[str, list[Entity] | Entity | None] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    """Number of all rows of an expanded navigation, if it was requested."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a collection."""

    entities: list[Entity]
    more: bool
    total: int | None


class Reader:
    """Reads entities for one account."""

    def __init__(
        self,
        world: World,
        store: Store,
        settings: SandboxSettings,
    ) -> None:
        self._world = world
        self._store = store
        self._links = Links(world, store)
        self._filters = Filters(world, store, null_logic=settings.null_logic)
        self._nulls_last = settings.null_order == "last"
        self._default = fold(settings.default_company)
        accessible = settings.accessible_companies
        self._accessible = None if accessible is None else [fold(company) for company in accessible]

    def collection(self, entity_set: str, type_name: str) -> Source:
        """Return the source of a whole set."""
        return Source(
            self._store.storage(self._world.storage_of_set(entity_set)), type_name, entity_set
        )

    def with_key(self, source: Source, key: dict[str, Any]) -> Source:
        """Return a source limited to one key."""
        storage = source.storage
        tests = tuple(
            sql.equal(storage.compared(name), _comparable(storage, name, value))
            for name, value in key.items()
        )
        return Source(storage, source.type_name, source.entity_set, source.conditions + tests)

    def cast(self, source: Source, type_name: str) -> Source:
        """Return a source limited to a derived type."""
        family = set(self._world.model.family(type_name))
        numbers = [n for n, t in enumerate(source.storage.types) if t in family]
        test = sql.among(source.storage.table.columns[TYPE], numbers)
        return Source(source.storage, type_name, source.entity_set, (*source.conditions, test))

    def follow(self, source: Source, step: Step, *, cross_company: bool) -> Source:
        """Return the source to which a navigation of one entity leads. Raises Refusal 404 if the entity is missing."""
        owner = self.entity(source, Options(cross_company=cross_company))
        navigation = step.navigation
        target = self._target(source, navigation)
        join = self._world.join_of(navigation)
        if join:
            values = {p.referenced: _cell(owner, p.property) for p in join}
            narrowed = self.with_key(target, values)
        else:
            chosen = self._links.chooser(target.storage, navigation)
            narrowed = _only(target, chosen(owner.cells[0]))
        return narrowed if step.key is None else self.with_key(narrowed, step.key)

    def entity(self, source: Source, options: Options) -> Entity:
        """Return the one entity of a source. Raises Refusal 404 if there is none."""
        page = self.page(source, options, limit=1)
        if not page.entities:
            raise not_found()
        return page.entities[0]

    def count(self, source: Source, options: Options) -> int:
        return self._store.count(source.storage, self._condition(source, options))

    def page(self, source: Source, options: Options, *, limit: int, offset: int = 0) -> Page:
        """Return at most ``limit`` rows from ``offset`` on, and whether there are more."""
        fields = self.names(source, options)
        condition = self._condition(source, options)
        order = self._order(source, options)
        expands = [
            (expand, self._navigation(source, expand.navigation)) for expand in options.expand
        ]
        places = self._places(fields, expands)
        columns = _columns(source, places)
        total = self._store.count(source.storage, condition) if options.count else None
        # One row more than the page tells whether there is a next one.
        statement = sql.select(
            columns, source.storage.table, condition, order, limit=limit + 1, offset=offset
        )
        rows = self._store.fetch(statement)
        entities = [Entity(source, row, places) for row in rows[:limit]]
        for expand, navigation in expands:
            self._expand(source, entities, expand, navigation, cross_company=options.cross_company)
        return Page(entities, len(rows) > limit, total)

    def names(self, source: Source, options: Options) -> list[str]:
        """Return the selected properties, in their order. Raises Refusal for unknown ones."""
        if not options.select:
            return self._all_names(source)
        fields = self._world.fields_of(source.type_name)
        navigations = self._world.navigations_of(source.type_name)
        chosen: dict[str, None] = {}
        for name in options.select:
            if name in fields:
                chosen[name] = None
            elif name not in navigations:
                raise unknown_property(name, source.type_name)
        return list(chosen)

    def _all_names(self, source: Source) -> list[str]:
        names: dict[str, None] = {}
        for type_name in self._world.model.family(source.type_name):
            names.update(dict.fromkeys(self._world.fields_of(type_name)))
        # A navigation to a base type may be bound to a set of a derived type, which lacks the fields of its siblings.
        return [name for name in names if name in source.storage.fields]

    def target(self, source: Source, navigation: str) -> Source:
        """Return the source that a navigation leads to."""
        return self._target(source, self._navigation(source, navigation))

    def _navigation(self, source: Source, name: str) -> Navigation:
        navigation = self._world.navigations_of(source.type_name).get(name)
        if navigation is None:
            raise unknown_property(name, source.type_name)
        return navigation

    def _places(
        self, names: list[str], expands: list[tuple[Expand, Navigation]]
    ) -> Mapping[str, int]:
        """Return the properties to read, with their places."""
        needed = dict.fromkeys(names)
        for _, navigation in expands:
            needed.update(dict.fromkeys(pair.property for pair in self._world.join_of(navigation)))
        return {name: place for place, name in enumerate(needed, 3)}

    def _condition(self, source: Source, options: Options) -> Sql:
        tests = list(source.conditions)
        if self._world.is_scoped(source.type_name):
            company = source.storage.compared(COMPANY)
            if not options.cross_company:
                tests.append(sql.equal(company, self._default))
            if self._accessible is not None:
                tests.append(sql.among(company, self._accessible))
        if options.filter is not None:
            scope = Scope(source.storage, source.type_name, source.entity_set)
            tests.append(self._filters.condition(options.filter, scope))
        return sql.all_of(*tests)

    def _order(self, source: Source, options: Options) -> list[Sql]:
        scope = Scope(source.storage, source.type_name, source.entity_set)
        terms: list[Sql] = []
        for order in options.order:
            if self._world.finops and len(order.path) > 1:
                raise Refusal(400, "Only ordering by properties of the entity itself is supported.")
            column = self._filters.column(order.path, scope).compared
            at_end = order.descending != self._nulls_last
            terms.append(sql.ordered(column, descending=order.descending, nulls_last=at_end))
        return [*terms, source.storage.table.columns[ID]]

    def _target(self, source: Source, navigation: Navigation) -> Source:
        entity_set = self._world.set_of_navigation(source.type_name, source.entity_set, navigation)
        name = self._world.storage_of_navigation(source.type_name, source.entity_set, navigation)
        storage = self._store.storage(name)
        tests = self._links.of_type(storage, navigation.target)
        return Source(storage, navigation.target, entity_set, tests)

    def _expand(
        self,
        source: Source,
        parents: list[Entity],
        expand: Expand,
        navigation: Navigation,
        *,
        cross_company: bool,
    ) -> None:
        target = self._target(source, navigation)
        join = self._world.join_of(navigation)
        options = _within(expand.options, cross_company=cross_company)
        if join:
            lists = self._joined(source, parents, target, join, options)
        else:
            chosen = self._links.chooser(target.storage, navigation)
            lists = [self._by_id(target, chosen(parent.cells[0]), options) for parent in parents]
        for parent, children in zip(parents, lists, strict=True):
            if navigation.many:
                end = None if options.top is None else options.skip + options.top
                parent.expanded[navigation.name] = children[options.skip : end]
                if expand.options.count:
                    parent.totals[navigation.name] = len(children)
            else:
                parent.expanded[navigation.name] = children[0] if children else None

    def _joined(
        self,
        source: Source,
        parents: list[Entity],
        target: Source,
        join: Sequence[ReferentialConstraint],
        options: Options,
    ) -> list[list[Entity]]:
        """Return the children of every parent by equal values, in one statement per few hundred parents."""
        keys = [self._join_key(source, parent, join) for parent in parents]
        ours = [target.storage.compared(pair.referenced) for pair in join]
        groups: dict[tuple[Any, ...], list[Entity]] = {key: [] for key in keys if key is not None}
        values = list(groups)
        for start in range(0, len(values), _CHUNK):
            test = sql.rows_among(ours, values[start : start + _CHUNK])
            narrowed = Source(
                target.storage, target.type_name, target.entity_set, (*target.conditions, test)
            )
            for child, key in self._children(narrowed, options, ours):
                groups[key].append(child)
        return [[] if key is None else groups[key] for key in keys]

    def _join_key(
        self, source: Source, parent: Entity, join: Sequence[ReferentialConstraint]
    ) -> tuple[Any, ...] | None:
        values = []
        for pair in join:
            value = _cell(parent, pair.property)
            values.append(_comparable(source.storage, pair.property, value))
        return None if None in values else tuple(values)

    def _children(
        self, source: Source, options: Options, join: list[Sql]
    ) -> Iterable[tuple[Entity, tuple[Any, ...]]]:
        names = self.names(source, options)
        expands = [(e, self._navigation(source, e.navigation)) for e in options.expand]
        places = self._places(names, expands)
        statement = sql.select(
            [*_columns(source, places), *join],
            source.storage.table,
            self._condition(source, options),
            self._order(source, options),
        )
        entities = [Entity(source, row, places) for row in self._store.fetch(statement)]
        for expand, navigation in expands:
            self._expand(source, entities, expand, navigation, cross_company=options.cross_company)
        return ((entity, entity.cells[-len(join) :]) for entity in entities)

    def _by_id(self, target: Source, ids: Sequence[int], options: Options) -> list[Entity]:
        return self.page(_only(target, ids), _unpaged(options), limit=len(ids)).entities


def _cell(entity: Entity, name: str) -> Any:
    return entity.cells[entity.places[name]]


def _columns(source: Source, names: Iterable[str]) -> list[Sql]:
    storage = source.storage
    fixed = [storage.table.columns[name] for name in (ID, TAG, TYPE)]
    return [*fixed, *(storage.column(name) for name in names)]


def _comparable(storage: Storage, name: str, value: Any) -> Any:
    """Return a stored value as the comparing column holds it."""
    column = storage.compared(name)
    return value if column is storage.column(name) else storage.fields[name].shadow(value)


def _only(source: Source, ids: Sequence[int]) -> Source:
    """Return a source limited to some rows."""
    return replace(source, conditions=(sql.among(source.storage.table.columns[ID], ids),))


def _within(options: Options, *, cross_company: bool) -> Options:
    return replace(options, count=False, skip_token=None, cross_company=cross_company)


def _unpaged(options: Options) -> Options:
    return replace(_within(options, cross_company=options.cross_company), top=None, skip=0)
