"""By what operations read: the upstream of their caller, within their limits, shared with others that read the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from msgspec import Struct

from gateway.cache.operation_reads import OperationReads, ReadSharing
from gateway.dimensions.formats import EnvironmentFormats
from gateway.execution.caller_upstream import CallerIdentities, CallerUpstream
from gateway.execution.child_loader import KeyBatches
from gateway.execution.deadline import Deadline
from gateway.execution.fetcher import Fetcher, ReadLimits
from gateway.execution.format_reads import load_formats
from gateway.execution.key_batches import KeyBatchesOnDemand
from gateway.execution.plan_runner import PlanRunner
from gateway.execution.shared_reads import ReadContext, SharedKeyBatchLoader
from gateway.execution.trace import Trace, Traced
from gateway.identity.caller import Caller
from gateway.odata.dialect import Dialect
from gateway.odata.query import Request
from gateway.odata.upstream import ReadUpstream, Upstream
from gateway.planning.row_bounds import ViewRules
from gateway.request import GraphQLRequest

from .settings import ExecutionSettings


class Reads:
    """Makes the reads of operations."""

    def __init__(
        self,
        sender: Upstream,
        dialect: Dialect,
        settings: ExecutionSettings,
        rules: ViewRules | None = None,
    ) -> None:
        self._sender = sender
        self._dialect = dialect
        self.settings = settings
        self.shows_sizes = rules is None or not rules.view.has_rules
        """Whether callers may see the sizes of what was read for others: not if they see different rows."""
        self.identities: CallerIdentities | None = None
        """The upstreams with the identity of callers, if operations have that and not the gateway's."""
        self.sharing: ReadSharing | None = None
        """What operations share of the upstream's answers; None: nothing."""

    def deadline(self, request: GraphQLRequest) -> Deadline:
        """Return the end of an operation that begins now."""
        longest = self.settings.timeout
        return Deadline(longest if request.timeout is None else min(longest, request.timeout))

    def fetcher(
        self,
        upstream: ReadUpstream,
        trace: Trace | None = None,
        sent: list[Request] | None = None,
        shared: OperationReads | None = None,
    ) -> Fetcher:
        """Return the fetcher of one operation, which counts what it reads.

        ``sent``: the list to which it appends its requests, if it shares one. ``shared``: what other operations read.
        """
        limits = ReadLimits(
            max_rows=self.settings.max_rows,
            max_filtered_rows=self.settings.max_filtered_rows,
            max_url_length=self.settings.max_url_length,
            long_list_rows=self.settings.plans.long_list_rows,
        )
        return Fetcher(upstream, self._dialect, limits, trace, sent, shared)

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return the runner of one operation's plan."""
        return PlanRunner(fetcher, KeyBatchesOnDemand(fetcher, self.settings.max_url_length))

    def scope_of(self, caller: Caller, scope: Hashable) -> Hashable:
        """Return what is equal for callers of one scope of rows who may share what was read for one of them."""
        if self.identities is None:
            return scope
        return scope, caller.log_id, caller.application, caller.scopes, caller.roles

    def note_renewal(self, caller: Caller) -> None:
        """Take the newest token of a caller for what runs already, such as polls."""
        if self.identities is not None:
            self.identities.renew_caller(caller)

    def of_operation(
        self, request: GraphQLRequest, deadline: Deadline, trace: Trace | None
    ) -> ReadContext:
        """Return the reads of one operation."""
        upstream, identity = self.upstream_of(request.caller)
        shared = self._shared(upstream, identity, request, deadline)
        if trace is not None:
            upstream = Traced(upstream, trace)

        def make(sent: list[Request]) -> tuple[Fetcher, KeyBatches]:
            fetcher = self.fetcher(upstream, trace, sent, shared)
            return fetcher, KeyBatchesOnDemand(fetcher, self.settings.max_url_length)

        return ReadContext(
            upstream,
            make,
            deadline.at,
            identity,
            shared,
            self.shows_sizes,
            is_usual=trace is None,
        )

    def side_by_side(self, requests: Sequence[GraphQLRequest]) -> ReadContext:
        """Return the reads of these queries of one caller and scope, which start now and run side by side."""
        upstream, caller = self.upstream_of(requests[0].caller)
        until = max(self.deadline(request).at for request in requests)

        def make(sent: list[Request]) -> tuple[Fetcher, KeyBatches]:
            fetcher = self.fetcher(upstream, sent=sent)
            return fetcher, SharedKeyBatchLoader(fetcher, self.settings.max_url_length)

        return ReadContext(upstream, make, until, caller, learns=self.shows_sizes, is_usual=False)

    def _shared(
        self,
        upstream: Upstream,
        identity: CallerUpstream | None,
        request: GraphQLRequest,
        deadline: Deadline,
    ) -> OperationReads | None:
        """Return what an operation shares with others that get the same answers; None: nothing."""
        if self.sharing is None:
            return None
        caller = "" if identity is None else request.caller.log_id
        refused = None if identity is None else identity.note
        return self.sharing.reads(
            upstream, caller, deadline.at, fresh=request.fresh, refused=refused
        )

    def upstream_of(self, caller: Caller) -> tuple[Upstream, CallerUpstream | None]:
        """Return the upstream of a caller's operation; if it has the caller's identity, also what notes refusals."""
        if self.identities is None:
            return self._sender, None
        identity = CallerUpstream(self.identities.for_caller(caller))
        return identity, identity


class MutationReads(Struct, frozen=True):
    """The reads of one mutation operation from an upstream."""

    reads: Reads
    upstream: ReadUpstream
    trace: Trace | None = None

    def fetcher(self, sent: list[Request]) -> Fetcher:
        """Return a fetcher that has read nothing: what was read before a write may have changed."""
        return self.reads.fetcher(self.upstream, self.trace, sent)

    def runner(self, fetcher: Fetcher) -> PlanRunner:
        """Return the runner of plans that reads by this fetcher."""
        return self.reads.runner(fetcher)

    async def load_formats(self, formats: EnvironmentFormats, sent: list[Request]) -> None:
        """Read the formats of display values, if they are not there; the requests are appended to ``sent``."""
        if not formats.is_fresh:
            fetcher = self.fetcher(sent)
            try:
                await load_formats(fetcher, formats)
            finally:
                await fetcher.close()
