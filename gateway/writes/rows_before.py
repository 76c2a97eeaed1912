"""Reads rows before they are changed: under a rule, with their version and the columns that rules depend on.

It reads more than the caller may see, and nothing of it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, structs

from gateway.odata.query import Expr
from gateway.operations.pages import Failure
from gateway.operations.prepared_operation import RootShape
from gateway.operations.shapes import RowRequirements
from gateway.planning.filters import all_of
from gateway.planning.plan import KeysRoot
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import ETAG, RootField, RootKind

from .fresh_reads import FreshReads
from .grants import UNKNOWN
from .plan import Identity, RowWrite

_VERSION = f"{{{ETAG}}}"
"""Etag of a row that is assumed."""
_ROOT = RootField(name="before", kind=RootKind.BY_KEY)


class RowsBefore:
    """The reads before the writes of one operation. ``planner`` is bounded by ``company_limit`` alone."""

    def __init__(
        self,
        catalog: Catalog,
        planner: OperationPlanner,
        reads: FreshReads,
        *,
        assumes_rows: bool = False,
    ) -> None:
        """``catalog`` is the whole one. ``assumes_rows``: every row is there, and passes each rule."""
        self._catalog = catalog
        self._planner = planner
        self._reads = reads
        self.assumes_rows = assumes_rows

    async def read(
        self, writes: Sequence[RowWrite], rule: Expr | None, columns: Sequence[str]
    ) -> dict[Identity, Mapping[str, Any]]:
        """Return identity → property → JSON value of those rows of one set that exist and pass a rule.

        Raises GatewayError.
        """
        set_name, csdl = writes[0].entity_set, writes[0].csdl
        info = self._catalog.object(csdl)
        lineage = frozenset(t.name for t in self._catalog.model.lineage(csdl))
        level = RowRequirements(info=info, possible=(csdl,), bases=lineage)
        fields = [info.by_source(name) for name in columns]
        extras = [*info.key, *fields, *([] if info.etag is None else [info.etag])]
        where = all_of(self._planner.bounds.predicate(info, set_name), rule)
        plan = self._planner.read(level, set_name, where=where, extras=extras)
        ruling = frozenset(columns).difference(part.source for part in info.key)
        plan = structs.replace(plan, query=structs.replace(plan.query, ruling=ruling))
        # Once each, however often it is written.
        rows = {w.identity: w.key_values for w in writes}
        keys = [tuple(values[f.source] for f in info.key) for values in rows.values()]
        shape = RootShape(key=_ROOT.name, root=_ROOT, nodes=())
        root = KeysRoot(shape, tuple((plan, key) for key in keys), many=True)
        loaded = (await self._reads.open().runner.run([root]))[0].value
        values = loaded if isinstance(loaded, list) else [loaded] * len(keys)
        attributes = {f.source: plan.row_type.attribute(f) for f in extras}
        result: dict[Identity, Mapping[str, Any]] = {}
        for identity, row in zip(rows, values, strict=True):
            if isinstance(row, Failure):
                raise row.error
            if self.assumes_rows:
                result[identity] = dict.fromkeys(columns, UNKNOWN) | {
                    **rows[identity],
                    ETAG: _VERSION,
                }
                continue
            if row is not None:
                result[identity] = {
                    name: UNKNOWN if (value := getattr(row, attribute, UNSET)) is UNSET else value
                    for name, attribute in attributes.items()
                }
        return result

    def version_of(self, row: Mapping[str, Any]) -> str | None:
        """Return the etag of a row that was read; None if the service sends none."""
        etag = row.get(ETAG)
        return etag if isinstance(etag, str) else None
