"""One GraphQL request → one answer: document → variables → plan → run → complete.

The compiled completion answers; where it cannot (a surprise in the data, a failed child, hand-written fields or
introspection in the operation) graphql-core completes the same loaded rows, and so words every error and its
path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, OperationType, execute
from graphql.execution.values import VariableValues, get_variable_values
from msgspec import Struct, field, structs

from gateway.documents.store import Document, DocumentLimits, Documents
from gateway.execution.deadline import Deadline, TimelyWriter
from gateway.execution.fast_path import Slicing, completed
from gateway.execution.fetcher import Fetcher, ReadLimits
from gateway.execution.key_batches import KeyBatchLoader
from gateway.execution.plan_runner import Loaded, PlanRunner
from gateway.execution.read_batches import Sender
from gateway.execution.shared_reads import ReadContext, SharedKeyBatchLoader
from gateway.execution.trace import Trace, Traced, Upstream
from gateway.introspection.answers import Introspection, IntrospectionStore, asks_schema
from gateway.odata.dialect import Dialect
from gateway.odata.retry import ends_at
from gateway.operations.cache import PreparedOperations
from gateway.operations.prepared_operation import Prepared
from gateway.planning.limits import PlanLimits
from gateway.planning.plan import BoundRoot, FailedRoot
from gateway.planning.planner import Planner
from gateway.writes.operations import Mutations, Performed, WriteLimits
from gateway.writes.payload import Payload
from gateway.writes.references import has_references, readable
from gateway.writes.sender import Writer
from schema.types.build import ODataSchema

from .errors import BudgetExceeded, GatewayError, known
from .events import ErrorRaised, Observer, OperationServed
from .request import Answer as Answer  # noqa: PLC0414 - others import it from here
from .request import GraphQLRequest as GraphQLRequest  # noqa: PLC0414

_NULL_IN_NON_NULL = "Cannot return null for non-nullable field"


class Context(Struct):
    """What hand-written resolvers find as ``info.context``, and the slow path reads."""

    request: GraphQLRequest
    loaded: Mapping[str, Loaded]
    compiled_nodes: Mapping[int, int]
    """See ``Prepared.compiled_nodes``."""
    subgraph: Callable[[], Awaitable[str]]
    """Gives the SDL of the API as a subgraph."""
    payloads: Mapping[str, Payload | GatewayError] = field(default_factory=dict)


class ExecutionSettings(Struct, frozen=True, kw_only=True):
    """What the settings say of executing."""

    plans: PlanLimits = field(default_factory=PlanLimits)
    documents: DocumentLimits = field(default_factory=DocumentLimits)
    max_rows: int = 100_000
    max_filtered_rows: int = 100_000
    max_url_length: int = 2_000
    timeout: float = 120.0
    """Seconds that an operation may take."""
    writes: WriteLimits = field(default_factory=WriteLimits)
    introspection: bool = True
    """Whether ``__schema``, ``__type`` and ``_service`` are answered."""
    slicing: Slicing = field(default_factory=Slicing)
    compiled: bool = True
    """Whether the compiled functions complete; else graphql-core does all of it, which must answer the same."""


class Ready(Struct, frozen=True):
    """An operation that may run: prepared, with its variables and plan."""

    prepared: Prepared
    variables: VariableValues
    bound: tuple[BoundRoot, ...]


class Checked(Struct, frozen=True):
    """An operation that may run, with its variables as far as they are known before."""

    document: Document
    operation: OperationDefinitionNode
    variables: VariableValues


class Reads(Struct, frozen=True):
    """The reads of one mutation operation against an upstream."""

    engine: Engine
    upstream: Sender
    trace: Trace | None = None

    def fetcher(self) -> Fetcher:
        """Return fresh reads."""
        return self.engine.fetcher(self.upstream, self.trace)

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return what runs plans with them."""
        return self.engine.runner(fetcher)


class Engine:
    """Executes operations of one schema against one upstream."""

    def __init__(
        self,
        schema: ODataSchema,
        sender: Upstream,
        dialect: Dialect,
        settings: ExecutionSettings,
        observe: Observer,
        aside: IntrospectionStore | None = None,
    ) -> None:
        """``aside`` keeps long answers of introspection."""
        self.schema = schema
        self.dialect = dialect
        self._sender = sender
        self._settings = settings
        self._observe = observe
        self._documents = Documents(schema.catalog, schema.core, settings.documents)
        self._prepared = PreparedOperations(schema.catalog, schema.roots)
        self._introspection = Introspection(schema, aside or IntrospectionStore())
        self._planner = Planner(schema.catalog, schema.core, dialect, settings.plans)
        self.mutations: Mutations | None = None
        if schema.writes is not None:
            self.mutations = Mutations(
                schema.core, schema.writes, self._planner, sender, self, settings.writes
            )

    def tables(self) -> Iterator[MutableMapping[Any, Any]]:
        """Yield the caches of documents and prepared operations."""
        yield from self._documents.tables()
        yield from self._prepared.tables()

    async def execute(self, request: GraphQLRequest, shared: ReadContext | None = None) -> Answer:
        """Answer a request, a query by ``shared`` reads where there are any. Never raises but for cancellation."""
        started = time.perf_counter()
        answer = await self.unlogged(request, shared)
        self._observe(
            OperationServed(
                name=request.operation_name,
                seconds=time.perf_counter() - started,
                requests=len(answer.requests),
                rows=answer.rows,
                errors=len(answer.errors),
            )
        )
        return answer

    async def unlogged(self, request: GraphQLRequest, shared: ReadContext | None = None) -> Answer:
        """Answer a request that is part of something else, which is logged."""
        trace = Trace() if request.trace else None
        deadline = self.deadline(request)
        if shared is not None:
            with ends_at(shared.until):
                answer = await self.answered(self._execute(request, deadline, trace, shared))
            if not _exceeds_budget(answer):
                return (
                    answer  # else others have read so much: what this operation may read is its own
                )
        with ends_at(deadline.at):
            answer = await self.answered(self._execute(request, deadline, trace))
        if trace is not None and answer.written is None:
            answer.extensions = {"d365": trace.told()}
        return answer

    def deadline(self, request: GraphQLRequest) -> Deadline:
        """Return the end of an operation that begins now."""
        longest = self._settings.timeout
        return Deadline(longest if request.timeout is None else min(longest, request.timeout))

    def shared_reads(self, requests: Sequence[GraphQLRequest]) -> ReadContext:
        """Return the reads of these queries of one scope, which start now and side by side."""
        fetcher = self.fetcher()
        until = max(self.deadline(request).at for request in requests)
        return ReadContext(
            fetcher, SharedKeyBatchLoader(fetcher, self._settings.max_url_length), until
        )

    def _reads(self, deadline: Deadline, trace: Trace | None) -> ReadContext:
        """Return the reads of one query."""
        fetcher = self.fetcher(self._traced(trace), trace)
        return ReadContext(
            fetcher, KeyBatchLoader(fetcher, self._settings.max_url_length), deadline.at
        )

    async def _execute(
        self,
        request: GraphQLRequest,
        deadline: Deadline,
        trace: Trace | None,
        shared: ReadContext | None = None,
    ) -> Answer:
        ready = self.ready(request)
        if isinstance(ready, Answer):
            return ready
        if isinstance(ready, Checked):
            return await self._change(request, ready, deadline, trace)
        reads = shared or self._reads(deadline, trace)
        return await self._run(request, ready, deadline, reads)

    async def answered(self, working: Awaitable[Answer]) -> Answer:
        """Return the answer that is being made, or what prevents it."""
        try:
            return await working
        except RecursionError:
            # Documents and variables may be nested more deeply than operations of any sense are.
            said = "The operation, or a value in it, is nested too deeply."
            return self._refused([GraphQLError(said)], "BAD_USER_INPUT")
        except Exception as error:
            return Answer(errors=[self._reported(error, {})])

    def ready(self, request: GraphQLRequest) -> Ready | Checked | Answer:
        """Check, prepare and bind an operation; an Answer holds the errors of one that cannot run.

        Raises GatewayError for a mutation whose directives cannot be used.
        """
        checked = self.checked(request)
        if isinstance(checked, Answer):
            return checked
        document, operation, variables = checked.document, checked.operation, checked.variables
        if operation.operation is OperationType.MUTATION:
            return checked
        if operation.operation is OperationType.SUBSCRIPTION:
            said = "A subscription needs a stream: Accept: text/event-stream, or a WebSocket."
            return self._refused([GraphQLError(said)], "NOT_ACCEPTABLE")
        prepared = self._prepared.prepare(document, operation, variables.coerced)
        if not self._settings.introspection and asks_schema(prepared):
            said = "This API does not tell its schema: __schema, __type, _service are switched off."
            return self._refused([GraphQLError(said)], "INTROSPECTION_DISABLED")
        return Ready(
            prepared, variables, self._planner.plan(prepared, variables, request.companies)
        )

    def checked(self, request: GraphQLRequest) -> Checked | Answer:
        """Check an operation of any kind; an Answer holds the errors of one that cannot run."""
        document = self._documents.get(request.query)
        if document.errors:
            return self._refused(document.errors, document.code)
        operation = self._operation(document, request)
        if isinstance(operation, Answer):
            return operation
        if has_references(operation):
            variables = self._early_variables(operation, request.variables)
        else:
            variables = self._documents.variables(document, operation).read(request.variables)
        if isinstance(variables, list):
            return self._refused(variables, "BAD_USER_INPUT")
        if (null := document.null_condition(variables.coerced)) is not None:
            said = f"Variable '${null}' stands in @skip or @include and cannot be null."
            return self._refused([GraphQLError(said)], "BAD_USER_INPUT")
        return Checked(document, operation, variables)

    def changes_data(self, request: GraphQLRequest) -> bool:
        """Return whether a request runs a mutation."""
        return self._kind(request) is OperationType.MUTATION

    def subscribes(self, request: GraphQLRequest) -> bool:
        """Return whether a request runs a subscription."""
        return self._kind(request) is OperationType.SUBSCRIPTION

    def _kind(self, request: GraphQLRequest) -> OperationType | None:
        try:
            document = self._documents.get(request.query)
        except Exception:  # running it tells why
            return None
        found = None if document.errors else self._operation(document, request)
        return None if found is None or isinstance(found, Answer) else found.operation

    def _operation(
        self, document: Document, request: GraphQLRequest
    ) -> OperationDefinitionNode | Answer:
        name = request.operation_name
        operations = document.operations()
        chosen = [
            o for o in operations if name is None or (o.name is not None and o.name.value == name)
        ]
        if len(chosen) == 1 and self._serves(chosen[0]):
            return self._permitted(chosen[0], request)
        if not operations:
            said = "The document holds no operation."
        elif not chosen:
            said = f"The document holds no operation called {name}."
        elif len(chosen) > 1:
            said = "The document holds several operations: say which by operationName."
        else:
            said = f"This API has no {chosen[0].operation.value} operations."
        return self._refused([GraphQLError(said)], "OPERATION_RESOLUTION_FAILURE")

    def _early_variables(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> VariableValues | list[GraphQLError]:
        """Read the variables of which some get their values only while the operation runs."""
        definitions = readable(operation).variable_definitions or ()
        return get_variable_values(self.schema.core, definitions, dict(given), max_errors=20)

    def _serves(self, operation: OperationDefinitionNode) -> bool:
        if operation.operation is OperationType.MUTATION:
            return self.mutations is not None
        return self.schema.core.get_root_type(operation.operation) is not None

    def _permitted(
        self, operation: OperationDefinitionNode, request: GraphQLRequest
    ) -> OperationDefinitionNode | Answer:
        if operation.operation is not OperationType.MUTATION or request.allow_mutation:
            return operation
        said = "A mutation changes data: send it by POST."
        return self._refused([GraphQLError(said)], "METHOD_NOT_ALLOWED")

    def fetcher(self, upstream: Sender | None = None, trace: Trace | None = None) -> Fetcher:
        """Return the reads of one operation."""
        limits = ReadLimits(
            max_rows=self._settings.max_rows,
            max_filtered_rows=self._settings.max_filtered_rows,
            max_url_length=self._settings.max_url_length,
        )
        return Fetcher(upstream or self._sender, self.dialect, limits, trace)

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return the runner of one operation."""
        return PlanRunner(fetcher, KeyBatchLoader(fetcher, self._settings.max_url_length))

    async def _run(
        self, request: GraphQLRequest, ready: Ready, deadline: Deadline, reads: ReadContext
    ) -> Answer:
        limit = asyncio.timeout_at(deadline.at)
        reads.enter()
        try:
            async with limit:
                answer = await self._answered(request, ready, reads.runner())
        except TimeoutError:
            if not limit.expired():
                raise
            answer = self._late(deadline, reads.fetcher)
        finally:
            await reads.leave()
        requests, rows = reads.spent()
        return structs.replace(answer, requests=requests, rows=rows)

    def _late(self, deadline: Deadline, fetcher: Fetcher) -> Answer:
        sent, rows = len(fetcher.requests.sent), fetcher.pages.rows_read
        said = f"{sent:,} upstream requests and {rows:,} rows by then"
        return Answer(None, [self._reported(deadline.passed(said, sent, rows), {})])

    def _traced(self, trace: Trace | None) -> Upstream:
        return self._sender if trace is None else Traced(self._sender, trace)

    async def _change(
        self,
        request: GraphQLRequest,
        changing: Checked,
        deadline: Deadline,
        trace: Trace | None,
    ) -> Answer:
        """Run a mutation operation; graphql-core completes its payloads."""
        upstream = self._traced(trace)
        performed = await self.perform(
            request, changing, TimelyWriter(upstream, deadline), Reads(self, upstream, trace)
        )
        return await self._complete_change(request, performed)

    async def perform(
        self, request: GraphQLRequest, changing: Checked, writer: Writer, reads: Reads
    ) -> Performed:
        """Run a mutation operation against an upstream. Raises GatewayError."""
        assert self.mutations is not None
        assert changing.document.node is not None
        return await self.mutations.against(writer, reads).perform(
            changing.document.node,
            changing.operation,
            changing.variables,
            request.variables,
            request.companies,
        )

    async def _complete_change(self, request: GraphQLRequest, performed: Performed) -> Answer:
        prepared = performed.prepared
        subgraph = self._introspection.subgraph
        context = Context(request, {}, prepared.compiled_nodes(), subgraph, performed.payloads)
        failed = {k: p for k, p in performed.payloads.items() if isinstance(p, GatewayError)}
        answer = await self._core_completes(
            prepared, context, performed.variables, failed, frozenset(performed.payloads)
        )
        return structs.replace(answer, requests=tuple(performed.requests), changed=True)

    async def _answered(self, request: GraphQLRequest, ready: Ready, runner: PlanRunner) -> Answer:
        """Load and complete: quickly from raw rows; else from loaded rows; else by graphql-core."""
        told = await self._introspection.answer(ready.prepared, ready.variables.coerced)
        if told is not None:
            return Answer(written=told)
        prepared = ready.prepared
        quick = self._settings.compiled and not prepared.is_mixed
        loaded = await runner.run(ready.bound, raw=quick)
        answer = await self._completed(prepared, loaded, runner) if quick else None
        if answer is None and any(item.raw for item in loaded):
            loaded = await runner.decode_raw(loaded)
            answer = await self._completed(prepared, loaded, runner)
        return answer or await self._complete_slowly(request, prepared, loaded)

    async def _completed(
        self, prepared: Prepared, loaded: list[Loaded], runner: PlanRunner
    ) -> Answer | None:
        """Complete by the compiled functions; None where they met a surprise."""
        if runner.failed or runner.has_mismatch:
            return None
        try:
            return Answer(await completed(prepared, loaded, self.dialect, self._settings.slicing))
        except Exception:
            return None

    async def _complete_slowly(
        self, request: GraphQLRequest, prepared: Prepared, loaded: list[Loaded]
    ) -> Answer:
        by_key = {item.bound.shape.key: item for item in loaded}
        subgraph = self._introspection.subgraph
        context = Context(request, by_key, prepared.compiled_nodes(), subgraph)
        failed = {
            i.bound.shape.key: i.bound.error for i in loaded if isinstance(i.bound, FailedRoot)
        }
        return await self._core_completes(
            prepared, context, request.variables, failed, frozenset(by_key)
        )

    async def _core_completes(
        self,
        prepared: Prepared,
        context: Context,
        variables: Mapping[str, Any],
        failed: Mapping[str, GatewayError],
        generated: frozenset[str],
    ) -> Answer:
        """Let graphql-core complete what is loaded. ``failed``: errors by response key; ``generated``: all keys."""
        operation = prepared.operation
        result = execute(
            self.schema.core,
            prepared.document,
            context_value=context,
            variable_values=dict(variables),
            operation_name=None if operation.name is None else operation.name.value,
        )
        if isawaitable(result):
            result = await result
        assert isinstance(result, ExecutionResult)

        def report(error: GraphQLError) -> dict[str, Any]:
            root = str(error.path[0]) if error.path else ""
            found = failed.get(root) if error.path and len(error.path) == 1 else None
            cause = found or error.original_error or error
            if isinstance(cause, GraphQLError) and root not in generated:
                return dict(error.formatted)
            return self._reported(cause, error.formatted)

        errors = [report(error) for error in result.errors or ()]
        return Answer(result.data, errors)

    # Errors

    def _refused(self, errors: list[GraphQLError], code: str) -> Answer:
        return Answer(errors=[{**e.formatted, "extensions": {"code": code}} for e in errors])

    def _reported(self, error: Exception, formatted: Mapping[str, Any]) -> dict[str, Any]:
        """Return a GraphQL error for clients, and the rest of it to the log."""
        if isinstance(error, GraphQLError):
            # Completion's own words: a scalar refused a value.
            return dict(formatted) if "extensions" in formatted else self._malformed(formatted)
        if _NULL_IN_NON_NULL in str(error):
            return self._malformed(formatted)
        error = known(error)
        self._observe(
            ErrorRaised(
                code=error.code, error_id=error.error_id, message=error.message, detail=error.detail
            )
        )
        return {**formatted, "message": error.message, "extensions": error.extensions()}

    def _malformed(self, formatted: Mapping[str, Any]) -> dict[str, Any]:
        return {**formatted, "extensions": {"code": "UPSTREAM_MALFORMED"}}


def _exceeds_budget(answer: Answer) -> bool:
    codes = (error.get("extensions", {}).get("code") for error in answer.errors)
    return BudgetExceeded.code in codes
