"""Navigations for which the metadata names no columns to join on: the same rows are linked every time.

The n-th row leads to fixed positions among the rows of the target's type: in Python for ``$expand`` and paths, in SQL
for filters and orders; both choose the same rows.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from schema.model.records import Navigation

from . import sql
from .sql import Sql
from .store import ID, TYPE, Storage, Store
from .world import World

_CHILDREN = 3
"""Rows that a to-many navigation leads to."""


class Links:
    """Chooses linked rows."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    def of_type(self, storage: Storage, type_name: str) -> tuple[Sql, ...]:
        """Return the condition that rows of a storage are of a type; empty if all are."""
        base = storage.types[0] if storage.types else type_name
        lineage = {t.name for t in self._world.model.lineage(type_name)}
        if base == type_name or base not in lineage:
            return ()
        family = set(self._world.model.family(type_name))
        numbers = [number for number, name in enumerate(storage.types) if name in family]
        return (sql.among(storage.table.columns[TYPE], numbers),)

    def chooser(self, target: Storage, navigation: Navigation) -> Callable[[int], list[int]]:
        """Return a function that maps the id of a row to the ids of the rows that it leads to."""
        ids = self._ids(target, navigation)
        count = _CHILDREN if navigation.many else 1

        def choose(owner: int) -> list[int]:
            places = range(owner * count, (owner + 1) * count)
            return sorted({ids[place % len(ids)] for place in places}) if ids else []

        return choose

    def condition(self, owner: Storage, target: Storage, navigation: Navigation) -> Sql:
        """Return the condition that a row of ``owner`` leads to a row of ``target``."""
        ids = self._ids(target, navigation)
        if not ids:
            return sql.FALSE
        number = owner.table.columns[ID]
        places = [number]
        if navigation.many:
            first = sql.calculate(number, "*", _CHILDREN)
            places = [sql.calculate(first, "+", step) for step in range(_CHILDREN)]
        all_ids = orjson.dumps(ids).decode()
        steps = [
            sql.call("printf", "$[%d]", sql.calculate(place, "%", len(ids))) for place in places
        ]
        chosen = [sql.call("json_extract", all_ids, step) for step in steps]
        return sql.among(target.table.columns[ID], chosen)

    def _ids(self, target: Storage, navigation: Navigation) -> list[int]:
        column = target.table.columns[ID]
        where = sql.all_of(*self.of_type(target, navigation.target))
        statement = sql.select([column], target.table, where, [column])
        return [row[0] for row in self._store.fetch(statement)]
