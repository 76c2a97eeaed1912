"""Looks up rows by the values of some columns, all in as few requests as the address' length allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from gateway.operations.pages import Failure
from gateway.operations.shapes import RowRequirements
from gateway.planning.plan import Key
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, ObjectInfo

from .fresh_reads import FreshReads

Values = Mapping[str, Any]
"""Property → JSON value of a row."""


class RowLookup:
    """The look-ups of one operation, inside the bounds of its planner; ``catalog`` is that of the rows."""

    def __init__(self, catalog: Catalog, planner: OperationPlanner, reads: FreshReads) -> None:
        self._catalog = catalog
        self._planner = planner
        self._reads = reads

    def info(self, csdl: str) -> ObjectInfo:
        """Return the fields of a type."""
        return self._catalog.object(csdl)

    async def find(
        self,
        set_name: str,
        csdl: str,
        fields: Sequence[Field],
        keys: Iterable[Key],
        columns: Iterable[str] = (),
    ) -> dict[Key, list[Values]]:
        """Return the rows of a set whose fields have the values of each key.

        Of a row come its key, these fields and ``columns``, as far as they are plain ones. Raises GatewayError.
        """
        info = self._catalog.object(csdl)
        lineage = frozenset(t.name for t in self._catalog.model.lineage(csdl))
        level = RowRequirements(info=info, possible=(csdl,), bases=lineage)
        by_source = {f.source: f for f in info.fields.values() if f.kind is FieldKind.VALUE}
        more = (by_source[name] for name in columns if name in by_source)
        extras = tuple({f.source: f for f in (*info.key, *fields, *more)}.values())
        where = self._planner.bounds.predicate(info, set_name)
        plan = self._planner.read(level, set_name, where=where, extras=extras)
        unique = list(dict.fromkeys(keys))
        loaded = await self._reads.rows_of(plan.query, plan.row_type, fields, unique)
        attributes = {f.source: plan.row_type.attribute(f) for f in extras}
        return {key: _values(rows, attributes) for key, rows in loaded.items()}


def _values(rows: Any, attributes: Mapping[str, str]) -> list[Values]:
    if isinstance(rows, Failure):
        raise rows.error
    return [
        {
            name: value
            for name, attribute in attributes.items()
            if (value := getattr(row, attribute, UNSET)) is not UNSET
        }
        for row in rows
    ]
