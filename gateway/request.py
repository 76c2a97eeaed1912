"""The records of one GraphQL request on its way: GraphQLRequest → ValidOperation → PlannedQuery → Answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from graphql import OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues
from msgspec import Struct, field

from gateway.admission.work import Lane
from gateway.documents.store import Document
from gateway.documents.trusted import TrustedDocument
from gateway.execution.deadline import Deadline
from gateway.execution.fast_path import encode
from gateway.execution.trace import Trace
from gateway.execution.wide_lists import AnswerStream
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.introspection.answers import LongAnswer
from gateway.odata.long_values import WrittenValue
from gateway.odata.query import Request
from gateway.operations.prepared_operation import Prepared
from gateway.planning.plan import BoundRoot
from gateway.planning.unified_lookups import Lookup

CostWish: TypeAlias = Literal["include", "estimate"]
Collect: TypeAlias = Callable[[list[Any]], Any]
"""Makes something of completed rows, which are response objects."""


class PageEnd(Struct, frozen=True):
    """How a page of a list ends."""

    rows: int
    has_next: bool
    cursor: str | None
    """That of its last row; None in an empty page."""


class PageSink(Protocol):
    """Takes the page of a query of one list while the query runs."""

    collect: Collect | None
    """Called with the completed rows, slice by slice; what it returns is in the answer in their place."""

    async def loaded(self, end: PageEnd) -> None:
        """Note that the page is there. It is not completed yet, which may still fail."""
        ...


class GraphQLRequest(Struct, frozen=True, kw_only=True):
    """The parameters of a GraphQL request, and the limits and scope that its headers set."""

    query: str
    trusted: TrustedDocument | None = None
    """The document of the release that the request names, or sends word for word."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    companies: tuple[str, ...] | None = None
    """Company scope of the request (header X-D365-Company)."""
    allow_mutation: bool = True
    timeout: float | None = None
    """Seconds that it may take, if less than the setting (header X-D365-Timeout)."""
    trace: bool = False
    """Whether the answer lists its upstream requests (header X-D365-Trace)."""
    fresh: bool = False
    """Whether nothing that was read before is used (header Cache-Control: no-cache)."""
    cost: CostWish | None = None
    """Whether the answer tells the cost, or the operation is only priced (header X-D365-Cost)."""
    is_charged: bool = True
    """Whether its cost counts against limits and budgets; not that of reads that the gateway makes for many callers."""
    idempotency_key: str | None = None
    """Under which a mutation is run once, however often it is sent (header Idempotency-Key)."""
    independent: bool = False
    """Whether the rows of lists are written by themselves, whatever ``writes.lists`` says."""
    max_page: int | None = None
    """Maximum rows of a page, if other than the setting: for reads that the gateway makes for itself."""
    sink: PageSink | None = None
    """Takes the page, if that is all that it selects: for exports."""
    stream: AnswerStream | None = None
    """Sends the answer while its rows are read, if that is one long list; None: it is sent whole."""
    file: WrittenValue | None = None
    """What a mutation writes in the place of a stand-in, while it arrives."""
    lane: Lane = Lane.INTERACTIVE
    """Lane of its door; by its caller and what it reads it may be a less urgent one (header X-D365-Priority)."""
    caller: Caller = ANONYMOUS
    client: str | None = None
    """Address of the client, for the audit log."""
    request_id: str | None = None
    """Id of the request (header X-Request-Id), likewise."""
    client_name: str | None = None
    """Name of the program that sends it, as that says."""
    client_version: str | None = None


class ValidOperation(Struct, frozen=True):
    """An operation of any kind that may run: its document is valid, its variables are coerced."""

    request: GraphQLRequest
    document: Document
    operation: OperationDefinitionNode
    variables: VariableValues
    """Without those of ``@valueFrom``, which get their values while a mutation runs."""

    @property
    def kind(self) -> str:
        """``query``, ``mutation`` or ``subscription``."""
        return self.operation.operation.value

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return None if self.operation.name is None else self.operation.name.value

    @property
    def is_mutation(self) -> bool:
        """Whether it changes data."""
        return self.operation.operation is OperationType.MUTATION

    @property
    def is_subscription(self) -> bool:
        """Whether it has a stream of answers."""
        return self.operation.operation is OperationType.SUBSCRIPTION


class PlannedQuery(Struct, frozen=True):
    """A query that is ready to run: compiled, with its variables and the plan of each root field."""

    request: GraphQLRequest
    prepared: Prepared
    variables: VariableValues
    roots: tuple[BoundRoot, ...]
    lookups: tuple[Lookup, ...] = ()
    """What must be looked up before it can run: placeholders stand in its plans."""

    @property
    def lane(self) -> Lane:
        """The lane of what it reads: a router's entities, or anything else."""
        return Lane.FEDERATION if self.prepared.is_federated else Lane.INTERACTIVE


class Answer(Struct):
    """The answer to a request: without ``data`` if nothing was run."""

    data: Any = msgspec.UNSET
    errors: list[dict[str, Any]] = field(default_factory=list)
    requests: tuple[Request, ...] = ()
    """What was sent upstream."""
    rows: int = 0
    """Rows that were read upstream."""
    slices: tuple[Any, ...] | None = None
    """What the request's sink made of the rows; None if they are in ``data``."""
    written: bytes | LongAnswer | None = None
    """The whole response as JSON, if it was written or cached as such; there is no ``data`` then."""
    extensions: Any = msgspec.UNSET
    changed: bool = False
    """Whether a mutation has run."""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    """Header fields of the response."""
    lifetime: float = 0.0
    """Seconds for which it may be used if all of it is from sets whose answers are cached; 0: that is not known."""
    age: float = 0.0
    """Seconds since the oldest upstream answer that it uses was read."""
    reused: int = 0
    """Reads that sent nothing, as their answers were cached or under way."""
    kind: str | None = None
    """``query``, ``mutation`` or ``subscription``; None: the operation could not be read."""
    name: str | None = None
    """Name of the operation, likewise."""
    points: float | None = None
    """What the operation cost the environment; None: nothing is priced, or nothing was sent."""
    upstream_seconds: float = 0.0
    """Seconds in which the operation waited for the environment."""
    rest: bytes | None = None
    """What of ``data`` the request's stream has not written yet; None: all is here."""
    sent: int = 0
    """Bytes that it has written."""
    _encoded: bytes | None = None

    def extend(self, name: str, value: object) -> None:
        """Add an entry to the extensions."""
        others = {} if self.extensions is msgspec.UNSET else self.extensions
        self._encoded = None
        self.extensions = {**others, name: value}

    def encode(self) -> bytes:
        """Return the response's JSON: what of it has not been written yet."""
        if self.written is not None:
            return self.written if isinstance(self.written, bytes) else self.written.encode()
        if self._encoded is None and self.rest is not None:
            behind = encode(
                _Response(errors=self.errors or msgspec.UNSET, extensions=self.extensions)
            )
            self._encoded = self.rest + (b"}" if behind == b"{}" else b"," + behind[1:])
        if self._encoded is None:
            self._encoded = encode(
                _Response(self.data, self.errors or msgspec.UNSET, self.extensions)
            )
        return self._encoded

    @property
    def has_data(self) -> bool:
        """Whether anything was answered, and not only errors."""
        return (
            self.written is not None
            or self.rest is not None
            or self.data not in (None, msgspec.UNSET)
        )

    @property
    def code(self) -> str:
        """The code of its first error."""
        first = self.errors[0] if self.errors else {}
        return str(first.get("extensions", {}).get("code", "INTERNAL_ERROR"))

    def has_error(self, code: str) -> bool:
        """Return whether one of its errors has a code."""
        return any(error.get("extensions", {}).get("code") == code for error in self.errors)

    def to_builtins(self) -> dict[str, Any]:
        """Return the response as plain Python values."""
        response: dict[str, Any] = msgspec.json.decode(self.encode())
        return response


class _Response(msgspec.Struct, omit_defaults=True):
    data: Any = msgspec.UNSET
    errors: Any = msgspec.UNSET
    extensions: Any = msgspec.UNSET


class FeedOutline(Struct, frozen=True, kw_only=True):
    """What a ``changes`` field does first, whatever has changed."""

    key: str
    how: str
    notes: tuple[str, ...]
    roots: tuple[BoundRoot, ...]
    """The plans of its first reads."""


class ChangeQueries(Protocol):
    """Answers queries with ``changes``, by reads of its own."""

    def outline(self, query: PlannedQuery) -> tuple[FeedOutline, ...]:
        """Return what each ``changes`` field of a query does first. Raises GatewayError, OperationRefused."""
        ...

    async def answer(self, query: PlannedQuery, deadline: Deadline, trace: Trace | None) -> Answer:
        """Answer a query. Raises GatewayError, OperationRefused."""
        ...
