"""Mutation operations of one schema against one upstream: what the engine runs in the place of a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.execution.fetcher import Fetcher
from gateway.execution.plan_runner import PlanRunner
from gateway.odata.dialect import Dialect
from gateway.odata.query import Request
from gateway.operations.prepared_operation import Prepared, prepare_mutation
from gateway.planning.planner import Planner
from schema.catalog.descriptions import label_of
from schema.catalog.records import Field
from schema.writes import Writes

from .binder import Binder
from .bounds import Bounds
from .calls import Calls
from .changesets import Groups
from .payload import Payload
from .payload_rows import Reading, identity
from .plan import Mutation, RowWrite
from .references import is_atomic, placeholders, readable, references_of
from .runner import Mutator, Running
from .sender import Exchange, Writer


class WriteLimits(Struct, frozen=True, kw_only=True):
    """What the settings say of writing at run time."""

    max_rows: int = 1_000
    """Most rows of one mutation, nested ones included."""
    changeset_size: int = 100
    """Rows of a list, or below a new row, that are written together."""


class Reads(Protocol):
    """Gives the reads of one operation."""

    def fetcher(self) -> Fetcher:
        """Return fresh reads."""
        ...

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return what runs plans with them."""
        ...


class Performed(Struct):
    """A mutation operation that was run: what completion needs."""

    prepared: Prepared
    payloads: Mapping[str, Payload | GatewayError]
    variables: Mapping[str, Any]
    requests: list[Request]
    bound: Mapping[str, Mutation]
    """What each mutation writes, by response key; those that could not be bound are missing."""


class Mutations:
    """Runs mutation operations. A client that leaves does not stop a write that has begun."""

    def __init__(
        self,
        core: GraphQLSchema,
        writes: Writes,
        planner: Planner,
        writer: Writer,
        reads: Reads,
        limits: WriteLimits,
    ) -> None:
        self._core = core
        self._writes = writes
        self._planner = planner
        self._bare_planner = Planner(
            planner.catalog, core, planner.dialect, replace(planner.limits, can_expand=False)
        )
        self._writer = writer
        self._reads = reads
        self._limits = limits
        self._binder = Binder(writes, planner.dialect, max_rows=limits.max_rows)

    @property
    def dialect(self) -> Dialect:
        """The upstream's dialect."""
        return self._planner.dialect

    @property
    def limits(self) -> WriteLimits:
        """What the settings say of writing at run time."""
        return self._limits

    async def perform(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        given: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> Performed:
        """Run an operation to its end, whoever waits for it; the client is not closed before. Raises GatewayError."""
        running = self._perform(document, operation, variables, given, companies)
        task = asyncio.ensure_future(running)
        self._writer.unfinished.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Performed]) -> None:
        self._writer.unfinished.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, where nobody waits any more

    def against(self, writer: Writer, reads: Reads) -> Mutations:
        """Return the same for another upstream."""
        return Mutations(self._core, self._writes, self._planner, writer, reads, self._limits)

    async def _perform(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        given: Mapping[str, Any],
        companies: tuple[str, ...] | None,
    ) -> Performed:
        references = references_of(operation)
        late = readable(operation)
        definitions = tuple(late if d is operation else d for d in document.definitions)
        prepared = prepare_mutation(
            self._writes.catalog, DocumentNode(definitions=definitions), late, variables.coerced
        )
        binding = self._planner.for_operation(prepared, variables, companies)
        bare = self._bare_planner.for_operation(prepared, variables, companies)
        open_reads: list[Fetcher] = []
        sent: list[Request] = []

        def fetching() -> tuple[Fetcher, PlanRunner]:
            fetcher = self._reads.fetcher()
            fetcher.requests.sent = sent
            open_reads.append(fetcher)
            return fetcher, self._reads.runner(fetcher)

        reading = Reading(self._writes.catalog, binding, bare, fetching)
        bounds = Bounds(self._planner.limit, reading.existing, identity)
        exchange = Exchange(self._writer, self.dialect, self._name_of, sent, bounds)
        mutator = Mutator(
            self._core,
            self._writes,
            self._binder,
            Groups(exchange, self._binder, reading, self._limits.changeset_size),
            Calls(self._writes.catalog, exchange, bare, fetching),
            reading,
            prepared.shaper,
        )
        selected = (operation.selection_set,)
        collected = prepared.shaper.selection.fields(selected, frozenset(("Mutation",)))
        mutations = {k: n for k, n in collected.items() if n[0].name.value != "__typename"}
        running = Running(late, mutations, references, binding.companies, dict(given))
        try:
            payloads = await mutator.run(running, atomic=is_atomic(operation))
        finally:
            for fetcher in open_reads:
                await fetcher.close()
        values = {**placeholders(self._core, late, references), **running.variables}
        return Performed(prepared, payloads, values, sent, running.bound)

    def _name_of(self, write: RowWrite, source: str | None, label: str | None = None) -> str | None:
        """Return the GraphQL field of a property; names from X++ may differ in case.

        Without its CSDL name a property is known by its label, which several may share: the one that is written counts.
        """
        catalog = self._writes.catalog
        fields = [f for f in catalog.object(write.csdl).fields.values() if f.prop is not None]
        if source is not None:
            wanted = source.casefold()
            return next((f.name for f in fields if f.source.casefold() == wanted), None)
        wanted = _letters(label or "")
        by_label = [f for f in fields if _letters(_label(f, catalog.labels)) == wanted]
        found = by_label or [f for f in fields if _letters(f.source) == wanted]
        if len(found) > 1:
            found = [f for f in found if f.source in write.body]
        return found[0].name if len(found) == 1 else None


def _letters(text: str) -> str:
    """Return what two spellings of a label have in common: ``Vendor group id`` and ``VendorGroupId``."""
    return "".join(filter(str.isalnum, text.casefold()))


def _label(field: Field, labels: Mapping[str, str]) -> str:
    return "" if field.prop is None else label_of(field.prop, labels)
