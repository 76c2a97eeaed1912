"""Reads the rows of payloads: from the write's own answer if it holds all that is selected, else by one fresh read.

Everything below a row is loaded as in queries, for all rows of a mutation at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from gateway.errors import GatewayError, UpstreamMalformed, UpstreamNotFound
from gateway.odata.query import Query, Resource
from gateway.odata.render import render
from gateway.operations.lenient_rows import lenient_row
from gateway.operations.pages import Failure
from gateway.operations.prepared_operation import RootShape
from gateway.operations.shapes import RowRequirements
from gateway.operations.value_conversion import from_upstream
from gateway.planning.plan import Key, KeysRoot, ReadPlan
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootField, RootKind, Verb

from .fresh_reads import FreshReads, shares_requests
from .outcome import Outcome
from .plan import Identity, RowWrite
from .success import json_object_of
from .values import comparable_number

_ETAG = "@odata.etag"
_BINARY = "Edm.Binary"
_WITHOUT_KEY = "The row was written, but the upstream's answer does not tell its key."


class PayloadSelection(Struct, frozen=True):
    """What the payload of a mutation selects of its rows."""

    key: str
    """Response key of the mutation."""
    nodes: Nodes
    set_name: str
    level: RowRequirements | None
    """None if nothing of a row is selected."""


class PayloadRow(Struct):
    """A row of a payload and its version."""

    row: Any = None
    """None if there is no row, a Failure if it could not be read."""
    etag: str | None = None


class PayloadReader:
    """Reads for the payloads of one operation.

    ``planner`` plans fresh reads; ``bare`` plans without ``$expand``, for rows that came with the write's answer.
    """

    def __init__(
        self, catalog: Catalog, planner: OperationPlanner, bare: OperationPlanner, reads: FreshReads
    ) -> None:
        self._catalog = catalog
        self._planner = planner
        self._bare = bare
        self._reads = reads

    async def rows(
        self, selection: PayloadSelection, outcomes: Sequence[Outcome]
    ) -> list[PayloadRow]:
        """Return the row of every outcome: as written, as it stands after a conflict, None if there is none."""
        rows = [PayloadRow(etag=outcome.etag) for outcome in outcomes]
        level = selection.level
        if level is None:
            return rows
        try:
            await self._fill(rows, selection, level, outcomes)
        except GatewayError as error:
            # The rows are written all the same, and what became of them is known: only the read failed.
            failure = Failure(error)
            return [
                PayloadRow(failure if _is_there(outcome) else None, row.etag)
                for outcome, row in zip(outcomes, rows, strict=True)
            ]
        return rows

    async def _fill(
        self,
        rows: list[PayloadRow],
        selection: PayloadSelection,
        level: RowRequirements,
        outcomes: Sequence[Outcome],
    ) -> None:
        bare = self._bare.read_by_key(level, selection.set_name)
        bounds = self._planner.row_bounds
        # Only a read under the rule tells whether the caller may see the row that was written.
        is_bounded = (
            bounds is not None and bounds.rule(level.info.csdl, selection.set_name) is not None
        )
        has_keys_only = selects_keys_only(bare)
        answered: list[Any] = []
        unread: list[int] = []
        for number, outcome in enumerate(outcomes):
            is_fresh = not is_bounded and (has_keys_only or not _is_outdated(outcome))
            raw = json_object_of(outcome.response) if is_fresh else None
            if raw is not None and bare.row_type.own_names.issubset(raw):
                row = lenient_row(bare.row_type, raw)
                if bare.row_type.redact is not None:
                    bare.row_type.redact([row])
                etag = raw.get(_ETAG)
                rows[number] = PayloadRow(row, etag if isinstance(etag, str) else outcome.etag)
                answered.append(row)
            elif not _is_there(outcome):
                continue
            elif outcome.write.key is None:
                # Without its key the row cannot be read again.
                rows[number].row = Failure(UpstreamMalformed(_WITHOUT_KEY))
            else:
                unread.append(number)
        if answered:
            await self._reads.open().runner.attach(answered, bare)
        if unread:
            plan = self._planner.read_by_key(level, selection.set_name)
            values = await self._by_key(plan, selection, [outcomes[i].write for i in unread])
            for number, value in zip(unread, values, strict=True):
                etag = _etag_of(value, plan)
                # Nothing is told of a row that was written, and that the caller may not see.
                if value is not None or not is_bounded:
                    etag = etag or rows[number].etag
                rows[number] = PayloadRow(value, etag)

    async def _by_key(
        self, plan: ReadPlan, selection: PayloadSelection, writes: Sequence[RowWrite]
    ) -> list[Any]:
        """Read rows by key, all at once: a row, None or a Failure for each."""
        items = tuple((plan, _key(plan.level, write)) for write in writes)
        is_shared = shares_requests(len(items), self._planner.dialect)
        root = RootField(name=selection.key, kind=RootKind.BY_KEY)
        shape = RootShape(key=selection.key, root=root, nodes=selection.nodes)
        runner = self._reads.open().runner
        loaded = (await runner.run([KeysRoot(shape, items, many=True, together=is_shared)]))[0]
        return loaded.value if isinstance(loaded.value, list) else [loaded.value] * len(items)

    async def existing_rows(self, writes: Sequence[RowWrite]) -> frozenset[Identity]:
        """Return the identities of those rows that exist, read by key batch. Raises GatewayError."""
        by_set: dict[str, list[RowWrite]] = {}
        for write in writes:
            by_set.setdefault(write.entity_set, []).append(write)
        existing: set[Identity] = set()
        for set_name, rows in by_set.items():
            level = self._key_level(rows[0].csdl)
            selection = PayloadSelection("existing", (), set_name, level)
            values = await self._by_key(self._planner.read_by_key(level, set_name), selection, rows)
            for write, value in zip(rows, values, strict=True):
                if isinstance(value, Failure):
                    raise value.error
                if value is not None:
                    existing.add(write.identity)
        return frozenset(existing)

    def _key_level(self, csdl: str) -> RowRequirements:
        """Return the requirements of rows with nothing but their key."""
        lineage = frozenset(t.name for t in self._catalog.model.lineage(csdl))
        return RowRequirements(info=self._catalog.object(csdl), possible=(csdl,), bases=lineage)

    async def differences(self, write: RowWrite) -> tuple[Mapping[str, Any], ...] | None:
        """Return the fields of a patch whose values in the upstream differ; none if they cannot be read.

        None if the upstream says that there is no such row. Nothing of a row outside the caller's bounds is disclosed.
        """
        if write.key is None or not write.body:
            return ()
        fetcher = self._reads.open().fetcher
        limit = self._planner.bounds
        # The company is read too, to know whether the row may be disclosed.
        columns = limit.columns_of(write.csdl, write.entity_set) if limit else ()
        info = self._catalog.object(write.csdl)
        # Files are not compared: they may have any size.
        files = {f.source for f in info.fields.values() if f.value and f.value.edm == _BINARY}
        own = [name for name in write.body if name not in files]
        key = [part.name for part in write.key]
        select = tuple(dict.fromkeys((*(own or key), *columns)))
        query = Query(resource=Resource(write.entity_set, write.key), select=select)
        try:
            request = render(query, options=fetcher.dialect.options)
            current = json_object_of(await fetcher.requests.send(request))
        except UpstreamNotFound:
            return None
        except GatewayError:
            return ()
        if current is None or not limit.admits(info, write.entity_set, current):
            return ()
        return tuple(self._compare(write, own, current))

    def _compare(
        self, write: RowWrite, names: Sequence[str], current: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        differences: list[Mapping[str, Any]] = []
        bounds = self._planner.row_bounds
        for field in self._catalog.object(write.csdl).fields.values():
            if field.source not in names or field.kind is not FieldKind.VALUE:
                continue
            if bounds is not None and not bounds.shows(field, write.entity_set):
                continue
            now, sent = current.get(field.source), write.body[field.source]
            if comparable_number(now) != comparable_number(sent):
                values = {"current": _api_value(field, now), "sent": _api_value(field, sent)}
                differences.append({"field": field.name, **values})
        return differences


def selects_keys_only(plan: ReadPlan) -> bool:
    """Return whether a payload selects nothing of its rows that rows below them could change, nor anything below."""
    if plan.children or _ETAG in plan.level.by_source:
        return False
    return plan.row_type.own_names <= {f.source for f in plan.level.info.key}


def _is_outdated(outcome: Outcome) -> bool:
    """Return whether the row changed since its answer: rows below change their header's totals and version."""
    return outcome.write.has_rows_below and outcome.write.key is not None


def _is_there(outcome: Outcome) -> bool:
    """Return whether there is a row to read: one that was written and not deleted, or another version of it."""
    is_deleted = outcome.write.verb is Verb.DELETE
    is_written = outcome.is_done or outcome.response is not None or outcome.row is not None
    return outcome.is_conflict or (is_written and not is_deleted)


def _key(level: RowRequirements, write: RowWrite) -> Key:
    values = write.key_values
    return tuple(values[f.source] for f in level.info.key)


def _etag_of(row: Any, plan: ReadPlan) -> str | None:
    etag = plan.level.by_source.get(_ETAG)
    value = None if etag is None else getattr(row, etag, None)
    return value if isinstance(value, str) else None


def _api_value(field: Field, raw: Any) -> Any:
    """Return an upstream value as the API shows it, as JSON."""
    if field.value is None:
        return raw
    try:
        value = from_upstream(field.value, raw)
    except GatewayError:
        return raw
    return str(value) if field.value.scalar in ("Decimal", "Long") and value is not None else value
