"""One GraphQL request → one answer. :meth:`Engine.answer` is the whole way; read it first.

    document → operation → plan → admit → run → complete → answer

Whoever notices that an operation cannot run raises OperationRefused; :meth:`Engine.answer_or_error` makes the answer
of it, and of every other error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Hashable, Iterator, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

from graphql import OperationType
from msgspec import structs

from gateway.admission.lanes import LaneChoice
from gateway.admission.work import working
from gateway.cache.evicting_writer import EvictingWriter
from gateway.completion import Completer
from gateway.cost.gate import OperationGate, Priceable, Ticket
from gateway.dimensions.formats import EnvironmentFormats
from gateway.documents.refusal import OperationRefused, refusal
from gateway.documents.store import Documents
from gateway.errors import BudgetExceeded, UnsupportedQuery
from gateway.events import Observer
from gateway.execution.deadline import Deadline, TimelyWriter
from gateway.execution.plan_runner import PlanRunner
from gateway.execution.shared_reads import ReadContext
from gateway.execution.trace import Trace
from gateway.execution.usual_reads import usual_read
from gateway.failures import encodable_answer, failure_answer, refused_answer, report_error
from gateway.identity.caller import Caller
from gateway.introspection.answers import Introspection, IntrospectionStore, asks_schema
from gateway.odata.dialect import Dialect
from gateway.odata.query import Request
from gateway.odata.retry import operation_ends_at
from gateway.odata.upstream import ReadUpstream, Upstream, WriteUpstream
from gateway.operations.cache import PreparedOperations
from gateway.operations.operation_caches import OperationCaches
from gateway.planning.planner import Planner
from gateway.planning.row_bounds import ViewRules
from gateway.planning.unified_lookups import Lookups
from gateway.process.time_limit import TimeLimit
from gateway.request import Answer, ChangeQueries, GraphQLRequest, PlannedQuery, ValidOperation
from gateway.telemetry.operation_scope import operation_scope
from gateway.writes.audit_trail import WriteAudit, WriteTrail, trail_of
from gateway.writes.file_writer import FileWriter
from gateway.writes.idempotent import IdempotentWrites
from gateway.writes.keyed_mutations import KeyedMutations
from gateway.writes.operations import MutationOperation, MutationResult, Mutations
from gateway.writes.parts_input import takes_parts
from schema.types.build import ODataSchema

from .known_plans import KnownPlans
from .lookups import Keys, look_up
from .operation_reader import OperationReader
from .page_ends import note_loaded
from .reads import MutationReads, Reads
from .served_event import served_event, slow_event
from .settings import ExecutionSettings
from .wide_answers import WideAnswers


class Engine:
    """Executes operations of one schema against one upstream."""

    def __init__(  # noqa: PLR0913 - the parts of an engine
        self,
        schema: ODataSchema,
        sender: Upstream,
        dialect: Dialect,
        settings: ExecutionSettings,
        observe: Observer,
        introspections: IntrospectionStore | None = None,
        rules: ViewRules | None = None,
        *,
        formats: EnvironmentFormats | None = None,
    ) -> None:
        """``introspections`` keeps long answers of introspection; ``rules`` are those of the schema's role view.

        ``formats``: those of the environment's display values.
        """
        self.formats = formats or EnvironmentFormats()
        self.audit: WriteAudit | None = None
        """Records writes; None: they are not recorded."""
        self.once = IdempotentWrites()
        self.changes: ChangeQueries | None = None
        self.lanes = LaneChoice()
        self.gate: OperationGate | None = None
        """Prices operations, and admits or refuses them before their first upstream request; None: all may run."""
        self.schema = schema
        self.dialect = dialect
        self._settings = settings
        self._observe = observe
        self.reads = Reads(sender, dialect, settings, rules)
        self._documents = Documents(schema.catalog, schema.core, settings.documents)
        self._prepared = PreparedOperations(
            schema.catalog, schema.roots, schema.unified, formats=self.formats
        )
        self.caches = OperationCaches(self._documents, self._prepared)
        self._introspection = Introspection(schema, introspections or IntrospectionStore())
        self._planner = Planner(schema.catalog, schema.core, dialect, settings.plans, rules)
        self._plans = KnownPlans(self._planner)
        self._completer = Completer(
            schema.core,
            dialect,
            settings.slicing,
            self._introspection.subgraph,
            observe,
            compiled=settings.compiled,
            formats=self.formats,
        )
        self._wide = WideAnswers(self._completer, settings.slicing, observe)
        self.mutations: Mutations | None = None
        if schema.writes is not None:
            self.mutations = Mutations(
                schema.core, schema.writes, self._planner, settings.writes, self.formats
            )
        writes = self.mutations is not None
        self._reader = OperationReader(schema.core, self._documents, writes=writes)

    async def answer(
        self, request: GraphQLRequest, deadline: Deadline, reads: ReadContext, trace: Trace | None
    ) -> Answer:
        """Answer a request: document → operation → plan → admit → run → complete → settle.

        Raises OperationRefused for an operation that cannot run, and GatewayError for one that fails as a whole; a
        field that fails is an error of the answer.
        """
        known = self._plans.find(request)
        if known is not None:
            reads.kind, reads.name = "query", known.name
            return await self._planned(known.of(request), deadline, reads)
        operation = self.read(request)
        reads.kind, reads.name = operation.kind, operation.name
        if operation.is_mutation:
            if request.cost == "estimate":
                return self.estimate(operation)
            with working(self.lanes.work(deadline.span, request.caller, request.lane)):
                return await self._write(operation, deadline, reads.upstream, trace)
        query = self.plan(operation)
        if query.prepared.has_changes and self.changes is not None:
            return await self.changes.answer(query, deadline, trace)
        if query.lookups and request.cost != "estimate":
            return await self._looked_up(query, operation, deadline, reads, trace)
        return await self._planned(query, deadline, reads)

    async def _planned(self, query: PlannedQuery, deadline: Deadline, reads: ReadContext) -> Answer:
        """Answer a query that needs nothing but its plan. Raises GatewayError."""
        request = query.request
        if request.cost == "estimate":
            return self.estimate(query)
        with working(self.lanes.work(deadline.span, request.caller, request.lane, query.lane)):
            return await self._query(query, deadline, reads)

    async def _looked_up(
        self,
        query: PlannedQuery,
        operation: ValidOperation,
        deadline: Deadline,
        reads: ReadContext,
        trace: Trace | None,
    ) -> Answer:
        """Answer a query after what its plans need was looked up. Raises GatewayError."""

        async def ask(part: GraphQLRequest) -> Answer:
            return await self.answer_part(part, deadline, trace)

        looked_up = await look_up(query, ask, self._planner.paging.max_page)
        if looked_up.failed is not None:
            return looked_up.failed
        query = self.plan(operation, looked_up.keys)
        answer = await self._planned(query, deadline, reads)
        answer.requests = (*looked_up.requests, *answer.requests)
        return answer

    async def _query(self, query: PlannedQuery, deadline: Deadline, reads: ReadContext) -> Answer:
        """Run a query, and answer it. Raises GatewayError."""
        ticket = await self._admit(query) if query.roots else None
        answer = spent = None
        if ticket is not None:
            self._wide.tell_fields(query, ticket.fields)
        # Everything so far was done without I/O.
        try:
            answer = await self._before_deadline(deadline, self._run(query, reads), reads)
            if answer.errors and ticket is not None and not ticket.has_sent:
                answer = refused_answer(answer, [root.shape.key for root in query.roots])
            answer.requests, answer.rows = spent = reads.spent()
            return answer
        finally:
            if ticket is not None:
                requests, rows = spent or reads.spent()
                ticket.settle(len(requests), rows, answer)
                # Else the ticket would refer to itself by its operation.
                self._wide.tell_fields(query, tuple)

    async def _write(
        self, operation: ValidOperation, deadline: Deadline, upstream: Upstream, trace: Trace | None
    ) -> Answer:
        """Run a mutation operation, and answer it: once, if it has an idempotency key. Raises GatewayError."""
        # Only the first write has the deadline: what has begun goes on to its end.
        writer: WriteUpstream = TimelyWriter(self._evicting(upstream), deadline)
        if operation.request.file is not None:
            writer = FileWriter(writer, operation.request.file)
        write = partial(self._write_by, operation, upstream, trace)
        return await self.once.answer(operation, writer, write)

    async def _write_by(
        self,
        operation: ValidOperation,
        upstream: ReadUpstream,
        trace: Trace | None,
        writer: WriteUpstream,
        keyed: KeyedMutations | None,
    ) -> Answer:
        """Run a mutation operation by a writer, and answer it. Raises GatewayError."""
        ticket = await self._admit(operation)
        answer, sent = None, 0
        try:
            trail = None if self.audit is None else trail_of(self.audit, operation)
            performed = await self.perform(operation, writer, upstream, trace, trail, keyed)
            sent = len(performed.requests)
            answer = await self._completer.complete_mutation(operation, performed)
            return answer
        finally:
            if ticket is not None:
                ticket.settle(sent, 0, answer)

    def estimate(self, operation: Priceable) -> Answer:
        """Return what an operation would cost, and send nothing. Raises UnsupportedQuery if nothing is priced here."""
        if self.gate is None:
            raise UnsupportedQuery("This API prices no operations.", hint="Send no X-D365-Cost.")
        return self.gate.estimate(operation)

    def charge(self, request: GraphQLRequest) -> None:
        """Take the price of a query that others run for its caller. Raises GatewayError."""
        if self.gate is None or not self.gate.has_limits:
            return
        # What is wrong with it is said where it is run.
        with suppress(OperationRefused):
            query = self.plan(self.read(request))
            self.gate.charge(query, self.gate.price(query))

    async def _admit(self, operation: Priceable) -> Ticket | None:
        """Admit an operation. Raises GatewayError if it is refused."""
        return None if self.gate is None else await self.gate.admit(operation)

    def _evicting(self, upstream: WriteUpstream) -> WriteUpstream:
        """Return the upstream of writes, which removes the answers that they make wrong."""
        sharing = self.reads.sharing
        return upstream if sharing is None else EvictingWriter(upstream, sharing.answers)

    def read(self, request: GraphQLRequest) -> ValidOperation:
        """Return the operation of a request, with its variables. Raises OperationRefused."""
        return self._reader.read(request)

    def plan(self, operation: ValidOperation, known: Keys | None = None) -> PlannedQuery:
        """Compile a query, once for all documents like it, and bind it to its variables. Raises OperationRefused.

        ``known`` are the keys of look-ups, if it needs some.
        """
        if operation.is_subscription:
            message = "A subscription needs a stream: Accept: text/event-stream, or a WebSocket."
            raise refusal(message, "NOT_ACCEPTABLE")
        request, variables = operation.request, operation.variables
        if known is None and (before := self._plans.find(request)) is not None:
            return before.of(request)
        prepared = self._prepared.prepare(
            operation.document, operation.operation, variables.coerced
        )
        if not self._settings.introspection and asks_schema(prepared):
            message = "Introspection is disabled: __schema, __type and _service are not answered."
            raise refusal(message, "INTROSPECTION_DISABLED")
        lookups = Lookups(known) if prepared.models else None
        roots = self._planner.plan(
            prepared, variables, request.companies, request.caller, request.max_page, lookups
        )
        needed = () if lookups is None else tuple(lookups.needed)
        query = PlannedQuery(request, prepared, variables, roots, needed)
        if known is None and not prepared.has_changes:
            self._plans.note(operation, query)
        return query

    async def _run(self, query: PlannedQuery, reads: ReadContext) -> Answer:
        """Run a query: the short way if it is the usual one, whose plan has been run before."""
        prepared = query.prepared
        is_usual = reads.is_usual and query.request.sink is None and not self._wide.suit(query)
        if is_usual and query.roots and self._completer.is_fast(prepared):
            longest = self._settings.max_url_length
            usual = usual_read(prepared, query.roots, self.dialect, self._settings.slicing, longest)
            data = None if usual is None else await usual.data(reads)
            if data is not None:
                return Answer(data)
        return await self.run(query, reads.runner())

    async def run(self, query: PlannedQuery, runner: PlanRunner) -> Answer:
        """Load what a query selects, and complete it; one that selects only the schema needs no upstream."""
        prepared = query.prepared
        written = await self._introspection.answer(prepared, query.variables.coerced)
        if written is not None:
            return Answer(written=written)
        if query.request.stream is not None:
            streamed = await self._wide.answer(query, query.request.stream, runner)
            if streamed is not None:
                return streamed
        running = runner.run(query.roots, raw=self._completer.is_fast(prepared))
        again = query.request.fresh
        if prepared.needs_formats and (again or not self.formats.is_fresh):
            formats = runner.load_formats(self.formats, again=again)
            loaded, _ = await asyncio.gather(running, formats)
        else:
            loaded = await running
        if query.request.sink is not None:
            await note_loaded(query.request.sink, loaded)
        return await self._completer.complete_query(query, loaded, runner)

    async def perform(
        self,
        operation: ValidOperation,
        writer: WriteUpstream,
        upstream: ReadUpstream,
        trace: Trace | None,
        trail: WriteTrail | None = None,
        keyed: KeyedMutations | None = None,
        *,
        assumes_rows: bool = False,
    ) -> MutationResult:
        """Run a mutation operation against an upstream. Raises GatewayError.

        ``trail`` records its writes. ``assumes_rows``: the upstream has no rows, but those that are written exist.
        """
        assert self.mutations is not None
        assert operation.document.node is not None
        request = operation.request
        reads = MutationReads(self.reads, upstream, trace)
        sends = not assumes_rows
        before: list[Request] = []
        after: list[Request] = []
        if sends and takes_parts(operation, self.schema.unified.part_names):
            await reads.load_formats(self.formats, before)
        mutation = MutationOperation(
            document=operation.document.node,
            node=operation.operation,
            variables=request.variables,
            coerced=operation.variables,
            companies=request.companies,
            caller=request.caller,
            trail=trail,
            keyed=keyed,
            assumes_rows=assumes_rows,
            independent=request.independent,
        )
        performed = await self.mutations.perform(mutation, writer, reads)
        if sends and performed.prepared.needs_formats:
            await reads.load_formats(self.formats, after)
        if before or after:
            return structs.replace(performed, requests=(*before, *performed.requests, *after))
        return performed

    async def execute(self, request: GraphQLRequest, shared: ReadContext | None = None) -> Answer:
        """Answer a request, and log it. Raises nothing but CancelledError.

        ``shared``: the reads that a query makes together with others, see :meth:`Reads.side_by_side`.
        """
        started = time.perf_counter()
        # Now, so that its time and size are those of the whole answer.
        answer = encodable_answer(await self.execute_unlogged(request, shared), self._observe)
        seconds = time.perf_counter() - started
        served = served_event(request, answer, seconds, self._settings.profile)
        self._observe(served)
        if seconds > self._settings.slow:
            self._observe(slow_event(served, answer))
        return answer

    async def execute_unlogged(
        self, request: GraphQLRequest, shared: ReadContext | None = None
    ) -> Answer:
        """Answer a request that is part of something else, which is logged as a whole. Likewise."""
        with operation_scope() as scope:
            answer = await self._execute(request, shared)
        answer.upstream_seconds = scope.upstream_seconds
        return answer

    async def _execute(self, request: GraphQLRequest, shared: ReadContext | None) -> Answer:
        trace = Trace(shows_sizes=self.reads.shows_sizes) if request.trace else None
        deadline = self.reads.deadline(request)
        if shared is not None:
            with operation_ends_at(shared.until):
                answer = await self.answer_or_error(self.answer(request, deadline, shared, trace))
            answer = self._as_signed_in(answer, shared)
            # Above the budget: others have read so much. What this operation may read is its own.
            if not answer.has_error(BudgetExceeded.code):
                answer.kind, answer.name = "subscription", shared.name
                return answer
        reads = self.reads.of_operation(request, deadline, trace)
        with operation_ends_at(deadline.at):
            answer = await self.answer_or_error(self.answer(request, deadline, reads, trace))
        answer = self._as_signed_in(answer, reads)
        answer.kind, answer.name = reads.kind, reads.name
        # An answer that is JSON already is about the schema, which takes no upstream requests.
        if trace is not None and answer.written is None:
            answer.extend("d365", trace.to_json())
        if reads.shared is not None:
            answer.lifetime, answer.age = reads.shared.lifetime, reads.shared.age or 0.0
            answer.reused = reads.shared.reused
            if (cached := reads.shared.to_json()) is not None:
                answer.extend("cache", cached)
        return answer

    async def answer_part(
        self, request: GraphQLRequest, deadline: Deadline, trace: Trace | None
    ) -> Answer:
        """Answer a request that is a part of an operation, within its time. Raises nothing but CancelledError."""
        reads = self.reads.of_operation(request, deadline, trace)
        answer = await self.answer_or_error(self.answer(request, deadline, reads, trace))
        return self._as_signed_in(answer, reads)

    async def answer_or_error(self, answering: Awaitable[Answer]) -> Answer:
        """Await an answer; errors become an answer too. Raises nothing but CancelledError."""
        try:
            return await answering
        except OperationRefused as refused:
            return Answer(errors=refused.errors)
        except RecursionError:
            # Documents and variables may be nested more deeply than operations of any sense are.
            message = "The operation, or a value in it, is nested too deeply."
            return Answer(errors=refusal(message, "BAD_USER_INPUT").errors)
        except Exception as error:
            return failure_answer(error, self._observe)

    async def _before_deadline(
        self, deadline: Deadline, answering: Awaitable[Answer], reads: ReadContext
    ) -> Answer:
        """Await an answer until the deadline; then cancel its reads and return an error."""
        limit = TimeLimit(deadline.at)
        # Shared reads are closed by the last of their operations.
        reads.enter()
        try:
            with limit:
                return await answering
        except TimeoutError:
            if not limit.is_over:  # a timeout inside, which is no deadline
                raise
            sent, rows = len(reads.sent), reads.rows_read
            spent = f"{sent:,} upstream requests and {rows:,} rows by then"
            error = deadline.error(spent, sent, rows)
            return Answer(None, [report_error(error, self._observe)])
        finally:
            await reads.leave()

    def report(self, error: Exception) -> dict[str, Any]:
        """Log an error, and return what clients may see of it."""
        return report_error(error, self._observe)

    def changes_data(self, request: GraphQLRequest) -> bool:
        """Return whether a request runs a mutation."""
        return self._reader.kind(request) is OperationType.MUTATION

    def subscribes(self, request: GraphQLRequest) -> bool:
        """Return whether a request runs a subscription."""
        return self._reader.kind(request) is OperationType.SUBSCRIPTION

    def scope_of(self, caller: Caller) -> Hashable:
        """Return what is equal for callers who may share what was read for one of them."""
        return self.reads.scope_of(caller, self._planner.scope_of(caller))

    def _as_signed_in(self, answer: Answer, reads: ReadContext) -> Answer:
        """Return an answer, or the error that the caller has to sign in for it."""
        if reads.caller is None or reads.caller.refusal is None:
            return answer
        refused = failure_answer(reads.caller.refusal, self._observe)
        refused.requests, refused.rows = answer.requests, answer.rows
        return refused

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the caches of documents and prepared operations, to be cleared after retirement."""
        yield from self.caches.tables()
        yield self._plans.table
