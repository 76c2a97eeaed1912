"""The rows of payloads: from the write's own answer where it holds all that is asked, else by one fresh read.

Everything below a row is loaded as in queries, for all rows of a mutation at once. Each read of a mutation has loaders
of its own, so nothing that was read before the write is seen after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from gateway.errors import GatewayError, UpstreamMalformed, UpstreamNotFound
from gateway.execution.fetcher import Fetcher
from gateway.execution.plan_runner import PlanRunner
from gateway.odata.query import Query, Resource
from gateway.odata.render import render
from gateway.operations.pages import Failure
from gateway.operations.prepared_operation import RootShape
from gateway.operations.row_types import lenient_row
from gateway.operations.shapes import RowRequirements
from gateway.operations.value_conversion import from_upstream
from gateway.planning.plan import Key, KeysRoot, ReadPlan
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootField, RootKind, Verb

from .outcome import Outcome
from .plan import RowWrite
from .success import json_object_of
from .values import decimal_of

Fetching = Callable[[], tuple[Fetcher, PlanRunner]]
"""Gives fresh loaders."""

Identity = tuple[Any, ...]
"""Set and key of a row."""

_ETAG = "@odata.etag"
_WITHOUT_KEY = "The row was written, but the upstream's answer does not tell its key."


class PayloadSelection(Struct, frozen=True):
    """What a mutation's payload asks of its rows; ``level`` is None where it asks for none."""

    key: str
    nodes: Nodes
    set_name: str
    level: RowRequirements | None


class Read(Struct):
    """A row of a payload, or a Failure, and its version."""

    row: Any = None
    etag: str | None = None


class Reading:
    """Reads for the payloads of one operation.

    ``binding`` plans fresh reads; ``bare`` plans without ``$expand``, for rows that came with the write's answer.
    """

    def __init__(
        self,
        catalog: Catalog,
        binding: OperationPlanner,
        bare: OperationPlanner,
        fetching: Fetching,
    ) -> None:
        self._catalog = catalog
        self._binding = binding
        self._bare = bare
        self._fetching = fetching

    async def rows(self, asked: PayloadSelection, outcomes: Sequence[Outcome]) -> list[Read]:
        """Return the row of every outcome: as written, as it stands after a conflict, None where nothing is there."""
        found = [Read(etag=outcome.etag) for outcome in outcomes]
        level = asked.level
        if level is None:
            return found
        try:
            await self._fill(found, asked, level, outcomes)
        except GatewayError as error:
            # The rows are written all the same: what became of them is told beside this.
            failure = Failure(error)
            return [
                Read(failure if _is_there(o) else None, r.etag)
                for o, r in zip(outcomes, found, strict=True)
            ]
        return found

    async def _fill(
        self,
        found: list[Read],
        asked: PayloadSelection,
        level: RowRequirements,
        outcomes: Sequence[Outcome],
    ) -> None:
        bare = self._bare.read_by_key(level, asked.set_name)
        own: list[Any] = []
        missing: list[int] = []
        for number, outcome in enumerate(outcomes):
            raw = None if _is_touched(outcome) else json_object_of(outcome.response)
            if raw is not None and bare.row_type.own_names.issubset(raw):
                row = lenient_row(bare.row_type, raw)
                etag = raw.get(_ETAG)
                found[number] = Read(row, etag if isinstance(etag, str) else outcome.etag)
                own.append(row)
            elif not _is_there(outcome):
                continue
            elif outcome.write.key is None:
                found[number].row = Failure(UpstreamMalformed(_WITHOUT_KEY))
            else:
                missing.append(number)
        if own:
            await self._fetching()[1].attach(own, bare)
        if missing:
            plan = self._binding.read_by_key(level, asked.set_name)
            values = await self._by_key(plan, asked, [outcomes[i].write for i in missing])
            for number, value in zip(missing, values, strict=True):
                found[number] = Read(value, _etag_of(value, plan) or found[number].etag)

    async def _by_key(
        self, plan: ReadPlan, asked: PayloadSelection, writes: Sequence[RowWrite]
    ) -> list[Any]:
        """Read rows by key, all at once: a row, None or a Failure for each."""
        items = tuple((plan, _key(plan.level, write)) for write in writes)
        root = RootField(name=asked.key, kind=RootKind.BY_KEY)
        shape = RootShape(key=asked.key, root=root, nodes=asked.nodes)
        loaded = (await self._fetching()[1].run([KeysRoot(shape, items, many=True)]))[0]
        return loaded.value if isinstance(loaded.value, list) else [loaded.value] * len(items)

    async def existing(self, writes: Sequence[RowWrite]) -> frozenset[Identity]:
        """Return the identities of those rows that are there, by key batch. Raises GatewayError."""
        by_set: dict[str, list[RowWrite]] = {}
        for write in writes:
            by_set.setdefault(write.entity_set, []).append(write)
        found: set[Identity] = set()
        for set_name, rows in by_set.items():
            level = self._level(rows[0].csdl)
            asked = PayloadSelection("existing", (), set_name, level)
            values = await self._by_key(self._binding.read_by_key(level, set_name), asked, rows)
            for write, value in zip(rows, values, strict=True):
                if isinstance(value, Failure):
                    raise value.error
                if value is not None:
                    found.add(identity(write))
        return frozenset(found)

    def _level(self, csdl: str) -> RowRequirements:
        """Return an empty level: rows with nothing but their key."""
        lineage = frozenset(t.name for t in self._catalog.model.lineage(csdl))
        return RowRequirements(info=self._catalog.object(csdl), possible=(csdl,), bases=lineage)

    async def differences(self, write: RowWrite) -> tuple[Mapping[str, Any], ...] | None:
        """Return the fields of a patch whose values in the upstream differ; none where they cannot be read.

        None where the upstream says that there is no such row. Of a row outside ``company_limit`` nothing is read out.
        """
        if write.key is None or not write.body:
            return ()
        fetcher, _ = self._fetching()
        limit = self._binding.planner.limit
        columns = limit.columns_of(write.csdl, write.entity_set) if limit else ()
        select = tuple(dict.fromkeys((*write.body, *columns)))
        query = Query(resource=Resource(write.entity_set, write.key), select=select)
        try:
            request = render(query, options=fetcher.dialect.options)
            current = json_object_of(await fetcher.requests.send(request))
        except UpstreamNotFound:
            return None
        except GatewayError:
            return ()
        info = self._catalog.object(write.csdl)
        if current is None or not limit.admits(info, write.entity_set, current):
            return ()
        return tuple(self._different(write, current))

    def _different(self, write: RowWrite, current: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        for field in self._catalog.object(write.csdl).fields.values():
            if field.source not in write.body or field.kind is not FieldKind.VALUE:
                continue
            now, sent = current.get(field.source), write.body[field.source]
            if decimal_of(now) != decimal_of(sent):
                said = {"current": _shown(field, now), "sent": _shown(field, sent)}
                found.append({"field": field.name, **said})
        return found


def identity(write: RowWrite) -> Identity:
    """Return what tells a row from all others."""
    return (write.entity_set, *(part.value.value for part in write.key or ()))


def _is_touched(outcome: Outcome) -> bool:
    """Return whether the row changed since its answer: rows below change their header's totals and version."""
    has_rows_below = any(children.rows for children in outcome.write.children)
    return has_rows_below and outcome.write.key is not None


def _is_there(outcome: Outcome) -> bool:
    """Return whether there is a row to read: it was written and not deleted, or another version of it stands."""
    is_deleted = outcome.write.verb is Verb.DELETE
    is_written = outcome.is_done or outcome.response is not None
    return outcome.is_conflict or (is_written and not is_deleted)


def _key(level: RowRequirements, write: RowWrite) -> Key:
    values = {part.name: part.value.value for part in write.key or ()}
    return tuple(values[f.source] for f in level.info.key)


def _etag_of(row: Any, plan: ReadPlan) -> str | None:
    etag = plan.level.by_source.get(_ETAG)
    value = None if etag is None else getattr(row, etag, None)
    return value if isinstance(value, str) else None


def _shown(field: Field, raw: Any) -> Any:
    """Return an upstream value as the API shows it, as JSON."""
    if field.value is None:
        return raw
    try:
        shown = from_upstream(field.value, raw)
    except GatewayError:
        return raw
    return str(shown) if field.value.scalar in ("Decimal", "Long") and shown is not None else shown
