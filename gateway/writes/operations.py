"""Mutation operations of one schema: what the engine runs in the place of a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.values import VariableValues
from msgspec import Struct, structs

from gateway.dimensions.formats import EnvironmentFormats
from gateway.documents.collect_fields import Nodes
from gateway.errors import GatewayError
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.query import Request
from gateway.odata.upstream import WriteUpstream
from gateway.operations.prepared_operation import Prepared, prepare_mutation
from gateway.planning.planner import OperationPlanner, Planner
from gateway.planning.row_bounds import RowBounds
from schema.catalog.records import MutationField
from schema.writes import Writes
from schema.writes.catalog import UNIQUE_BY

from .audit_trail import WriteTrail
from .batch_sender import BatchSender
from .binder import Binder
from .bounds import CompanyBounds, FindExisting
from .calls import CallRunner
from .changesets import ChangesetWriter
from .field_binder import FieldBinder
from .field_names import FieldNames
from .fresh_reads import FreshReads, ReadFactory
from .grants import WriteGrants
from .keyed_mutations import KeyedMutations
from .natural_key_writer import NaturalKeyWriter
from .natural_keys import unique_by
from .outline import (
    MutationOutline,
    outline_mutation,
    payload_outline,
    rows_looked_up,
    with_defaults,
)
from .payload import Payload
from .payload_builder import PayloadBuilder
from .payload_reader import PayloadReader, PayloadSelection
from .payload_selection import PayloadSelector
from .plan import Mutation, NaturalKey
from .presets import Presets
from .reference_values import ReferenceValues
from .references import is_atomic, placeholder_values, references_of, with_nullable_references
from .role_bounds import RoleBounds
from .row_lookup import RowLookup
from .rows_before import RowsBefore
from .rows_below import RowsBelow
from .runner import MutationRun, MutationRunner
from .shown_refusals import ShownRefusals
from .unified_input import row_names


class WriteLimits(Struct, frozen=True, kw_only=True):
    """What the settings say of writing at run time."""

    max_rows: int = 1_000
    """Rows of one mutation, nested ones included."""
    changeset_size: int = 100
    """Rows of a list, or below a new row, that are written together."""
    batch_size: int | None = None
    """Writes of one ``$batch`` that do not depend on each other; None: what the dialect says."""
    is_independent: bool = False
    """Whether the rows of a list are written by themselves, and not in changesets."""
    natural_keys: Mapping[str, tuple[str, ...]] = {}
    """Entity set → properties; they come before the presets of the dialect, and an empty list turns one off."""
    settle_pause: float = 5.0
    """Seconds before the second look for a row whose create has got lost."""


class MutationOperation(Struct, frozen=True, kw_only=True):
    """One mutation operation of a document, with its variables."""

    document: DocumentNode
    node: OperationDefinitionNode
    variables: Mapping[str, Any]
    """As the caller sent them."""
    coerced: VariableValues
    """As far as they are known before the operation runs."""
    companies: tuple[str, ...] | None
    """The caller's company scope; None if it is not limited."""
    caller: Caller = ANONYMOUS
    assumes_rows: bool = False
    """Whether rows that are to be written are assumed to be there, and inside of what the caller may write."""
    trail: WriteTrail | None = None
    """Where its writes are recorded; None if they are not."""
    keyed: KeyedMutations | None = None
    """Its mutations with idempotency keys; None if keys have no effect."""
    independent: bool = False
    """Whether the rows of its lists are written by themselves, whatever the settings say."""


class MutationResult(Struct, frozen=True, kw_only=True):
    """A mutation operation that was run: what completion needs."""

    prepared: Prepared
    payloads: Mapping[str, Payload | GatewayError]
    """By response key."""
    variables: Mapping[str, Any]
    """Those of the caller, and a value for each ``@valueFrom``."""
    requests: tuple[Request, ...]
    bound: Mapping[str, Mutation]
    """What each mutation writes, by response key; those that could not be bound are missing."""


class _Checks(NamedTuple):
    """What checks the writes of one operation."""

    bounds: CompanyBounds | RoleBounds
    find_existing: FindExisting
    """Returns the rows that an upsert changes."""
    refusals: ShownRefusals | None = None


class Mutations:
    """Runs mutation operations. A client that leaves does not stop a write that has begun."""

    def __init__(
        self,
        core: GraphQLSchema,
        writes: Writes,
        planner: Planner,
        limits: WriteLimits,
        formats: EnvironmentFormats | None = None,
    ) -> None:
        """``formats``: those of the environment's display values."""
        self.limits = limits
        self._core = core
        self._writes = writes
        self._planner = planner
        # The answer to a write holds no expanded rows, so everything below its row is a read of its own.
        self._planner_without_expand = Planner(
            planner.catalog,
            core,
            planner.dialect,
            replace(planner.limits, can_expand=False),
            planner.rules,
        )
        self._binder = Binder(
            writes,
            planner.dialect,
            max_rows=limits.max_rows,
            natural_keys=limits.natural_keys,
            formats=formats,
        )
        self._field_binder = FieldBinder(core, writes, self._binder)
        self._field_names = FieldNames(writes.catalog)
        rules = planner.rules
        self._presets = (
            None
            if rules is None
            else Presets(rules.rules.catalog, rules.rules.core, planner.dialect)
        )

    @property
    def batch_size(self) -> int:
        """The most writes of one ``$batch`` that do not depend on each other; 0 if they are not sent in one."""
        size = self.limits.batch_size
        return self._planner.dialect.batch_writes if size is None else size

    @property
    def part_names(self) -> frozenset[str]:
        """The names of fields of unified types that are parts of display values."""
        unified = self._writes.unified
        return frozenset() if unified is None else unified.api.part_names

    async def perform(
        self, operation: MutationOperation, writer: WriteUpstream, reads: ReadFactory
    ) -> MutationResult:
        """Run an operation to its end, even if the caller is cancelled. Raises GatewayError."""
        task = asyncio.ensure_future(self._perform(operation, writer, reads))
        # The client of the upstream waits for these tasks before it closes its connections.
        writer.unfinished.add(task)

        def end(ended: asyncio.Task[MutationResult]) -> None:
            writer.unfinished.discard(ended)
            if not ended.cancelled():
                # Retrieved, so that asyncio does not log an error for which nobody waits any more.
                ended.exception()

        task.add_done_callback(end)
        return await asyncio.shield(task)

    async def _perform(
        self, operation: MutationOperation, writer: WriteUpstream, factory: ReadFactory
    ) -> MutationResult:
        prepared = self._prepare(operation)
        variables, companies = operation.coerced, operation.companies
        caller = operation.caller
        planner = self._planner.for_operation(prepared, variables, companies, caller)
        bare = self._planner_without_expand.for_operation(prepared, variables, companies, caller)
        reads = FreshReads(factory)
        grants = self._grants(planner)
        runner = self._runner(operation, planner, bare, writer, reads, grants)
        run = self._start(operation, prepared, planner, grants)
        try:
            await runner.run(run, atomic=is_atomic(operation.node))
        finally:
            await reads.close()
        references = run.references
        missing = placeholder_values(self._core, run.operation, references.references)
        return MutationResult(
            prepared=prepared,
            payloads=run.payloads,
            variables={**missing, **references.variables},
            requests=tuple(reads.sent),
            bound=run.bound,
        )

    def outline(self, operation: MutationOperation) -> tuple[MutationOutline, ...]:
        """Return what an operation writes and reads, as far as its document and variables tell. Raises GatewayError.

        Nothing is sent, and no value is checked.
        """
        prepared = self._prepare(operation)
        variables, companies = operation.coerced, operation.companies
        planner = self._planner.for_operation(prepared, variables, companies, operation.caller)
        bare = self._planner_without_expand.for_operation(
            prepared, variables, companies, operation.caller
        )
        selector = PayloadSelector(self._writes, prepared.shaper)
        selections = (
            selector.selection(key, nodes, self._writes[nodes[0].name.value])
            for key, nodes in _mutations(operation, prepared).items()
        )
        sent = with_defaults(operation.node, operation.variables)
        return tuple(self._outline(s, sent, planner, bare) for s in selections)

    def _outline(
        self,
        selection: PayloadSelection,
        sent: Mapping[str, Any],
        planner: OperationPlanner,
        bare: OperationPlanner,
    ) -> MutationOutline:
        field = self._writes[selection.nodes[0].name.value]
        bounds, name = planner.row_bounds, selection.set_name
        outline = outline_mutation(
            field,
            selection.nodes,
            sent,
            self._writes.catalog,
            self._planner.dialect.company_property,
            payload_outline(selection, planner, bare),
            self._writes.unified,
            is_ruled=bounds is not None and bounds.rule(field.csdl, name) is not None,
        )
        key = self._natural_key(field, selection.nodes[0], sent, bounds)
        if key is None:
            return outline
        company = self._planner.dialect.company_property
        unified = self._writes.unified
        looked_up = rows_looked_up(field, selection.nodes[0], sent, key, company, unified)
        return structs.replace(outline, looked_up=looked_up)

    def _natural_key(
        self,
        field: MutationField,
        node: FieldNode,
        sent: Mapping[str, Any],
        bounds: RowBounds | None,
    ) -> NaturalKey | None:
        """Return the natural key of the rows of a mutation; None also if what is named cannot be one."""
        with suppress(GatewayError, GraphQLError):
            names = unique_by(node, sent)
            if field.view and names and self._writes.unified is not None:
                names = row_names(self._writes.unified, field, names)
            return self._binder.natural_keys.of(field, {UNIQUE_BY.name: names}, bounds)
        return None

    def _prepare(self, operation: MutationOperation) -> Prepared:
        """Return the shapes of the payloads' rows. Raises GatewayError."""
        node = with_nullable_references(operation.node)
        definitions = tuple(
            node if definition is operation.node else definition
            for definition in operation.document.definitions
        )
        document = DocumentNode(definitions=definitions)
        written = self._writes.unified
        return prepare_mutation(
            self._writes.catalog,
            document,
            node,
            operation.coerced.coerced,
            None if written is None else written.api,
        )

    def _grants(self, planner: OperationPlanner) -> WriteGrants | None:
        """Return what the roles of the caller give; None without roles."""
        bounds = planner.row_bounds
        if bounds is None or self._presets is None:
            return None
        return WriteGrants(bounds, self._presets)

    def _start(
        self,
        operation: MutationOperation,
        prepared: Prepared,
        planner: OperationPlanner,
        grants: WriteGrants | None,
    ) -> MutationRun:
        references = references_of(operation.node)
        return MutationRun(
            operation=with_nullable_references(operation.node),
            mutations=_mutations(operation, prepared),
            references=ReferenceValues(
                self._writes.catalog,
                references,
                operation.variables,
                planner.row_bounds,
                self._writes.unified,
            ),
            companies=planner.companies,
            grants=grants,
            keyed=operation.keyed,
        )

    def _checks(
        self,
        operation: MutationOperation,
        planner: OperationPlanner,
        reader: PayloadReader,
        reads: FreshReads,
        grants: WriteGrants | None,
    ) -> _Checks:
        """Return what checks the writes of an operation."""
        company = CompanyBounds(self._planner.company_limit, reader.existing_rows)
        if grants is None:
            return _Checks(company, reader.existing_rows)
        bounds, whole = grants.bounds, self._without_roles(planner)
        before = RowsBefore(bounds.rules.catalog, whole, reads, assumes_rows=operation.assumes_rows)
        find_readable = reader.existing_rows
        of_roles = RoleBounds(grants, company, before, find_readable, self._binder.key_of_body)
        return _Checks(of_roles, of_roles.find_existing, ShownRefusals(bounds, find_readable))

    def _without_roles(self, planner: OperationPlanner) -> OperationPlanner:
        """Return a planner that ``company_limit`` alone bounds."""
        return OperationPlanner(
            self._planner, planner.prepared, planner.variables, planner.companies
        )

    def _runner(
        self,
        operation: MutationOperation,
        planner: OperationPlanner,
        bare: OperationPlanner,
        writer: WriteUpstream,
        reads: FreshReads,
        grants: WriteGrants | None,
    ) -> MutationRunner:
        """Return the runner of one operation, put together from its parts."""
        catalog = self._writes.catalog
        reader = PayloadReader(catalog, planner, bare, reads)
        checks = self._checks(operation, planner, reader, reads, grants)
        sender = BatchSender(
            writer=writer,
            dialect=self._planner.dialect,
            field_name=self._field_names,
            sent=reads.sent,
            bounds=checks.bounds,
            refusals=checks.refusals,
            trail=operation.trail,
            batch_size=self.batch_size,
        )
        size = self.limits.changeset_size
        rows = ChangesetWriter(
            sender,
            self._binder,
            checks.find_existing,
            size,
            is_independent=self.limits.is_independent or operation.independent,
        )
        sender.with_key = rows.with_key
        pause = self.limits.settle_pause
        whole = catalog if grants is None else grants.bounds.rules.catalog
        every = RowLookup(whole, self._without_roles(planner), reads)
        lookup = RowLookup(catalog, planner, reads)
        once = NaturalKeyWriter(
            rows,
            lookup,
            RowsBelow(every, sender, self._binder, size, pause),
            sender,
            self._binder,
            pause,
        )
        return MutationRunner(
            self._field_binder,
            once,
            CallRunner(catalog, sender, bare, reads, lookup, pause),
            PayloadSelector(self._writes, planner.prepared.shaper),
            PayloadBuilder(reader, self._writes.unified),
        )


def _mutations(operation: MutationOperation, prepared: Prepared) -> dict[str, Nodes]:
    """Return the fields of an operation by response key, without ``__typename``."""
    selections = (operation.node.selection_set,)
    fields = prepared.shaper.selection.fields(selections, frozenset(("Mutation",)))
    return {key: nodes for key, nodes in fields.items() if nodes[0].name.value != "__typename"}
