"""Completion: loaded rows → the data and errors of the answer (GraphQL section 6.4).

The compiled functions complete nearly every query. What they do not expect (a value that does not fit, a child that
failed, hand-written fields or introspection in the operation) graphql-core completes from the same loaded rows: it
words every error and finds its path. Payloads of mutations are few and always completed by graphql-core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Literal, TypeAlias

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute
from msgspec import Struct, field, structs

from gateway.dimensions.formats import EnvironmentFormats
from gateway.execution.fast_path import (
    Collector,
    NotCompiled,
    Slicing,
    complete_roots,
    encode,
    is_miss,
    origin_of,
)
from gateway.execution.plan_runner import Loaded, PlanRunner
from gateway.execution.wide_lists import BrokenOff, list_key
from gateway.odata.dialect import Dialect
from gateway.odata.response_check import Response
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared
from gateway.operations.raw_rows import RawRows
from gateway.planning.page_window import keyset_cursors
from gateway.planning.plan import FailedRoot, ListRoot
from gateway.writes.operations import MutationResult
from gateway.writes.payload import Payload

from .errors import GatewayError
from .events import FastPathFailed, Observer
from .failures import report_error
from .request import Answer, GraphQLRequest, PlannedQuery, ValidOperation

Stage: TypeAlias = Literal["raw", "decoded"]
Reason: TypeAlias = Literal["mismatch", "value", "defect"]
_NULL_IN_NON_NULL = "Cannot return null for non-nullable field"


class Context(Struct):
    """What resolvers find as ``info.context``, when graphql-core completes."""

    request: GraphQLRequest
    loaded: Mapping[str, Loaded]
    """Response key of a root field → its value."""
    compiled_nodes: Mapping[int, int]
    """See ``Prepared.compiled_nodes``."""
    subgraph: Callable[[], Awaitable[str]]
    """Returns the SDL of the API as a subgraph."""
    formats: EnvironmentFormats
    """Those of the environment's display values."""
    payloads: Mapping[str, Payload | GatewayError] = field(default_factory=dict)
    """Response key of a mutation → its result."""


class Completer:
    """Completes the operations of one schema."""

    def __init__(
        self,
        core: GraphQLSchema,
        dialect: Dialect,
        slicing: Slicing,
        subgraph: Callable[[], Awaitable[str]],
        observe: Observer,
        *,
        compiled: bool,
        formats: EnvironmentFormats,
    ) -> None:
        """``compiled``: see ``ExecutionSettings.compiled``; ``formats``: those of the environment's display values."""
        self._formats = formats
        self._core = core
        self._dialect = dialect
        self._slicing = slicing
        # The request for the next page must not wait for the rows of this one.
        self._ahead = structs.replace(slicing, turn=1)
        self._subgraph = subgraph
        self._observe = observe
        self._compiled = compiled
        self._failures: Counter[str] = Counter()

    def is_fast(self, prepared: Prepared) -> bool:
        """Return whether the compiled functions are to complete a query, from rows that may still be JSON text."""
        return self._compiled and not prepared.is_mixed

    async def complete_query(
        self, query: PlannedQuery, loaded: Sequence[Loaded], runner: PlanRunner
    ) -> Answer:
        """Complete a query: fast from raw rows, else fast from decoded rows, else by graphql-core."""
        answer = None
        if self.is_fast(query.prepared):
            answer = await self._complete_fast(query, loaded, runner)
        # Decoded rows may be completed fast where raw ones cannot: the runner has followed the links to more children.
        if answer is None and any(item.raw for item in loaded):
            loaded = await runner.decode_raw(loaded)
            answer = await self._complete_fast(query, loaded, runner)
        return await self._complete_slowly(query, loaded) if answer is None else answer

    async def _complete_fast(
        self, query: PlannedQuery, loaded: Sequence[Loaded], runner: PlanRunner
    ) -> Answer | None:
        """Return the answer; None if the compiled functions do not know how to answer some value."""
        if runner.failed:  # the answer has errors, which graphql-core words and places
            return None
        stage: Stage = "raw" if any(item.raw for item in loaded) else "decoded"
        if runner.has_mismatch:
            self._observe_failure(stage, "mismatch")
            return None
        sink = query.request.sink
        slicing = self._slicing if sink is None else self._ahead
        collector = None
        if sink is not None and sink.collect is not None:
            collector = Collector(sink.collect)
        try:
            data = await complete_roots(query.prepared, loaded, self._dialect, slicing, collector)
        except NotCompiled:
            return None
        except Exception as error:
            # The slow path shares no code with the fast one, so a bug here rarely is one there. It costs callers time
            # only; the observers of tests raise, so that it is found.
            self._observe_failure(stage, "value" if is_miss(error) else "defect", error)
            return None
        if collector is None or collector.slices is None:
            return Answer(data)
        return Answer(data, slices=tuple(collector.slices))

    async def complete_part(
        self, query: PlannedQuery, root: ListRoot, rows: RawRows, start: int, runner: PlanRunner
    ) -> tuple[bytes, list[Any], list[dict[str, Any]]]:
        """Complete some rows of a query's one list by graphql-core.

        ``start`` is the number of the first one in its list. Returns their JSON without brackets, the rows decoded, and
        the errors in them. Raises BrokenOff if an error makes nothing of the list, or of what is above it.
        """
        response = Response(200, {}, b'{"value":[%b]}' % b",".join(rows.raws), "")
        decoded = (await runner.fetcher.decoder.page(response, rows.row_type)).value
        await runner.attach(decoded, root.plan)
        assert root.plan.window is not None
        # The total comes at the end of the list.
        page = Page(decoded, total=0, cursor=keyset_cursors(root.plan.window, rows.row_type))
        answer = await self._complete_slowly(query, [Loaded(root, page)])
        path = [*root.shape.key.split("."), list_key(root)]
        items, errors = answer.data, []
        for key in path:
            items = None if items is None else items[key]
        for error in answer.errors:
            place = error.get("path", [])
            # The others are of what follows the rows, which is completed at its end.
            if place[: len(path)] == path and len(place) > len(path):
                number = start + place[len(path)]
                errors.append({**error, "path": [*path, number, *place[len(path) + 1 :]]})
        if items is None:
            raise BrokenOff(answer.errors[0]["message"])
        return encode(items)[1:-1], decoded, errors

    def note_failure(self, error: Exception) -> None:
        """Observe that the compiled functions could not complete some rows."""
        self._observe_failure("raw", "value" if is_miss(error) else "defect", error)

    def _observe_failure(
        self, stage: Stage, reason: Reason, error: Exception | None = None
    ) -> None:
        self._failures[reason] += 1
        self._observe(
            FastPathFailed(
                stage=stage,
                reason=reason,
                error=None if error is None else type(error).__name__,
                place=None if error is None else origin_of(error),
                count=self._failures[reason],
            )
        )

    async def _complete_slowly(self, query: PlannedQuery, loaded: Sequence[Loaded]) -> Answer:
        by_key = {item.bound.shape.key: item for item in loaded}
        context = Context(
            query.request,
            by_key,
            query.prepared.compiled_nodes(),
            subgraph=self._subgraph,
            formats=self._formats,
        )
        failed = {
            i.bound.shape.key: i.bound.error for i in loaded if isinstance(i.bound, FailedRoot)
        }
        return await self._complete_by_core(
            query.prepared, context, query.request.variables, failed, frozenset(by_key)
        )

    async def complete_mutation(self, operation: ValidOperation, result: MutationResult) -> Answer:
        """Complete the payloads of a mutation operation that has run."""
        prepared, payloads = result.prepared, result.payloads
        context = Context(
            operation.request,
            {},
            prepared.compiled_nodes(),
            subgraph=self._subgraph,
            formats=self._formats,
            payloads=payloads,
        )
        failed = {k: p for k, p in payloads.items() if isinstance(p, GatewayError)}
        answer = await self._complete_by_core(
            prepared, context, result.variables, failed, frozenset(payloads)
        )
        answer.requests, answer.changed = result.requests, True
        return answer

    async def _complete_by_core(
        self,
        prepared: Prepared,
        context: Context,
        variables: Mapping[str, Any],
        failed: Mapping[str, GatewayError],
        generated: frozenset[str],
    ) -> Answer:
        """Complete the loaded rows by graphql-core.

        ``failed`` are the errors of root fields by response key, ``generated`` the keys of all generated root fields:
        errors below others are those of hand-written fields, and stay as they are.
        """
        operation = prepared.operation
        result = execute(
            self._core,
            prepared.document,
            context_value=context,
            variable_values=dict(variables),
            operation_name=None if operation.name is None else operation.name.value,
        )
        if isawaitable(result):
            result = await result
        assert isinstance(result, ExecutionResult)

        def report(error: GraphQLError) -> dict[str, Any]:
            path = [str(part) for part in error.path or ()]
            # graphql-core wraps the error of a root field in one without its code.
            cause = failed.get(".".join(path)) or error.original_error or error
            is_own = not generated.isdisjoint((".".join(path[:1]), ".".join(path[:2])))
            if isinstance(cause, GraphQLError) and not is_own:
                return dict(error.formatted)
            return self.report(cause, error.formatted)

        answer = Answer(result.data, [report(error) for error in result.errors or ()])
        for error in result.errors or ():
            # What is a bug, is logged with it by others who read the same.
            if isinstance(error.original_error, GatewayError):
                _forget_traceback(error)
        return answer

    def report(self, error: Exception, formatted: Mapping[str, Any]) -> dict[str, Any]:
        """Return an error as clients may see it, at the place in ``formatted``; log its details."""
        if isinstance(error, GraphQLError):
            # Completion's own words: a scalar refused a value.
            return dict(formatted) if "extensions" in formatted else _malformed(formatted)
        # The upstream sent null for a property that the metadata declares not nullable.
        if _NULL_IN_NON_NULL in str(error):
            return _malformed(formatted)
        return {**formatted, **report_error(error, self._observe)}


def _forget_traceback(error: BaseException | None) -> None:
    """Free the frames that an error came through: some hold it, so that only the garbage collector would."""
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        original = getattr(error, "original_error", None)
        error = original or error.__cause__ or error.__context__


def _malformed(formatted: Mapping[str, Any]) -> dict[str, Any]:
    return {**formatted, "extensions": {"code": "UPSTREAM_MALFORMED"}}
