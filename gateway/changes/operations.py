"""Answers operations with ``changes``: each such field by its feed, the others as an operation of their own."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Protocol

from graphql import GraphQLError
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.documents.collect_fields import Nodes, Selection, fragments_of
from gateway.documents.input_coercion import coerce_arguments
from gateway.documents.refusal import OperationRefused
from gateway.engine import Engine
from gateway.errors import BadArgument
from gateway.execution.deadline import Deadline
from gateway.execution.key_chunks import columns_of
from gateway.execution.trace import Trace
from gateway.odata.upstream import ReadUpstream
from gateway.operations.global_ids import node_ids
from gateway.operations.prepared_operation import ANSWERED_APART
from gateway.planning.plan import FailedRoot, ListRoot
from gateway.planning.twins import find_twin
from gateway.request import Answer, FeedOutline, GraphQLRequest, PlannedQuery
from schema.types.changes import CHANGES

from .answers import joined
from .delta_feed import TrackedList
from .existence import Existence
from .feed import Feed, feed_companies, feed_fingerprint, feed_size
from .followed import find_followed
from .payload import payload_errors, payload_of
from .reading import Ask, ReadFailed, RowReader, request_of
from .selection import ChangesSelection, select_changes, without_changes
from .sources import FollowedList, source_for
from .sweep_book import SweepBook
from .sweeper import Sweeper
from .tracking import tracked_request
from .unified_objects import ObjectReader

_PAGE = 5_000
"""Rows of a page of keys, if the product names no limit."""
_VARIABLE = re.compile(r"Variable '\$(where|first|after)_+'")
"""How graphql-core names the arguments of the reads."""


class OtherField(Protocol):
    """Answers a root field by operations of its own."""

    def outline(self, query: PlannedQuery, key: str, arguments: Mapping[str, Any]) -> FeedOutline:
        """Return what is read first. Raises GatewayError, OperationRefused."""
        ...

    async def answer(
        self, query: PlannedQuery, key: str, nodes: Nodes, arguments: Mapping[str, Any], ask: Ask
    ) -> Answer:
        """Answer the field. Raises GatewayError."""
        ...


class ChangeFeeds:
    """The feeds of one schema: what the engine runs for ``changes``."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        upstream: ReadUpstream,
        book: SweepBook,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``upstream`` reads for the gateway itself."""
        self._engine = engine
        self._upstream = upstream
        self._book = book
        self._options = settings.changes
        self._stamps = settings.subscriptions.stamps
        self._max_page = settings.max_page_size
        self.now = now
        """The time in seconds since the epoch."""
        self.others: dict[str, OtherField] = {}
        """What answers other root fields that read by operations of their own, by name."""

    async def answer(self, query: PlannedQuery, deadline: Deadline, trace: Trace | None) -> Answer:
        """Answer a query whose root fields are ``changes`` and perhaps others."""
        if query.request.cost == "estimate":
            return self._estimate(query)

        async def ask(part: GraphQLRequest) -> Answer:
            return await self._engine.answer_part(part, deadline, trace)

        own, rest = _root_fields(query)
        answers = await asyncio.gather(
            *(
                self._field(query, key, of, ask, deadline)
                if of[0].name.value == CHANGES
                else self._other(query, key, of, ask)
                for key, of in own.items()
            ),
            *([self._rest(query, rest, ask)] if rest else []),
        )
        return joined(answers, [key for key, _ in query.prepared.order])

    def _estimate(self, query: PlannedQuery) -> Answer:
        """Return what the first reads of each field would cost. Raises GatewayError, OperationRefused."""
        own = (root for outline in self.outline(query) for root in outline.roots)
        return self._engine.estimate(replace(query, roots=(*query.roots, *own)))

    def outline(self, query: PlannedQuery) -> tuple[FeedOutline, ...]:
        """Return what each field does first. Raises GatewayError, OperationRefused."""
        return tuple(
            self._outline(query, key, nodes)
            if nodes[0].name.value == CHANGES
            else self._outline_other(query, key, nodes)
            for key, nodes in _root_fields(query)[0].items()
        )

    def _outline(self, query: PlannedQuery, key: str, nodes: Nodes) -> FeedOutline:
        arguments = self._arguments(query, nodes)
        feed = self.feed(query.request, arguments, _selected(query, nodes), _nothing)
        requests = feed.source.first_requests(arguments.get("since"), feed.first)
        return FeedOutline(
            key=key,
            how=feed.source.how,
            notes=feed.notes,
            roots=tuple(
                root
                for request in requests
                for root in self._engine.plan(self._engine.read(request)).roots
            ),
        )

    async def _field(
        self, query: PlannedQuery, key: str, nodes: Nodes, ask: Ask, deadline: Deadline
    ) -> Answer:
        """Answer one field. Raises nothing but CancelledError."""
        reader = None
        try:
            selection = _selected(query, nodes)
            arguments = self._arguments(query, nodes)
            feed = self.feed(query.request, arguments, selection, ask)
            reader = feed.reader
            try:
                async with asyncio.timeout_at(deadline.at):
                    step = await feed.step(arguments.get("since"))
            except TimeoutError as error:
                # A sweep goes on, for those who come again.
                raise deadline.error("the list is still being read") from error
            answer = Answer(
                {key: payload_of(feed, step, selection)},
                payload_errors(step, selection, key),
            )
        except ReadFailed as failed:
            answer = Answer(None, [_placed(error, key) for error in failed.errors])
        except OperationRefused as refused:
            answer = Answer(None, [_placed(error, key) for error in refused.errors])
        except Exception as error:
            answer = Answer(None, [{**self._engine.report(error), "path": [key]}])
        if reader is not None:
            reader.spent.settle(answer)
        return answer

    def _outline_other(self, query: PlannedQuery, key: str, nodes: Nodes) -> FeedOutline:
        arguments = self._arguments(query, nodes)
        return self.others[nodes[0].name.value].outline(query, key, arguments)

    async def _other(self, query: PlannedQuery, key: str, nodes: Nodes, ask: Ask) -> Answer:
        """Answer one field that is not ``changes``. Raises nothing but CancelledError."""
        try:
            arguments = self._arguments(query, nodes)
            other = self.others[nodes[0].name.value]
            return await other.answer(query, key, nodes, arguments, ask)
        except Exception as error:
            return Answer(None, [{**self._engine.report(error), "path": [key]}])

    def _arguments(self, query: PlannedQuery, nodes: Nodes) -> Mapping[str, Any]:
        core = self._engine.schema.core
        assert core.query_type is not None
        try:
            field = core.query_type.fields[nodes[0].name.value]
            return coerce_arguments(field, nodes[0], query.variables)
        except GraphQLError as error:
            # Only a null in a nullable variable: validation finds everything else.
            raise BadArgument(error.message) from error

    def feed(
        self,
        request: GraphQLRequest,
        arguments: Mapping[str, Any],
        selection: ChangesSelection,
        ask: Ask,
    ) -> Feed:
        """Return the feed for the arguments of a field. Raises GatewayError, OperationRefused."""
        engine = self._engine
        catalog = engine.schema.catalog
        followed = find_followed(engine.schema, arguments["set"], self._stamps)
        query, unified = followed.query, followed.unified
        twins = (*self._options.twins, *engine.dialect.twins)
        twin = None if query.stamp is not None else find_twin(catalog, query, twins)
        companies = feed_companies(query, arguments.get("companies")) or request.companies
        where = followed.where(engine.schema, arguments.get("where"))
        reader = RowReader(
            query=query,
            selection=selection,
            core=engine.schema.core,
            request=request_of(request, companies),
            where=where,
            ask=ask,
            page_size=self._max_page,
        )
        size = feed_size(arguments.get("first"), self._max_page)
        root = self._list(reader, size)
        assert root.plan.window is not None
        of = feed_fingerprint(query, where, companies, catalog.tag)
        # As of the list's own cursors: rules, masks and companies of the caller decide it.
        scope, sealer = root.plan.window.binding, root.plan.window.sealer
        source = source_for(
            FollowedList(
                reader=reader,
                options=self._options,
                now=self.now,
                twin=twin,
                tracked=self._tracked(reader, root, size),
                is_swept=_matches(query.entity_set, self._options.swept),
                new_sweeper=lambda: self._sweeper(reader, of + scope, sealer is not None),
            )
        )
        return Feed(
            reader=reader,
            source=source,
            of=of,
            scope=scope,
            first=size,
            sealer=sealer,
            completed=None if unified is None else ObjectReader(unified, reader).completed,
        )

    def _tracked(self, reader: RowReader, root: ListRoot, size: int) -> TrackedList | None:
        """Return the list as the service tracks its changes; None if it does not."""
        engine, entity_set = self._engine, reader.query.entity_set
        catalog, where = engine.schema.catalog, root.plan.query.where
        request = tracked_request(catalog, engine.dialect, self._options, entity_set, where)
        if request is None:
            return None
        row = catalog.object(catalog.roots[reader.query.name].csdl)
        sent = reader.request
        upstream, _ = engine.reads.upstream_of(sent.caller)

        def charge() -> None:
            engine.charge(reader.page_request(size, None, reader.where)[0])

        return TrackedList(
            request=request,
            entity_set=entity_set,
            key=columns_of(row.key),
            node_id=partial(node_ids(catalog.tag), row.name),
            upstream=upstream,
            root=upstream.root,
            charge=charge,
            work=engine.lanes.work(engine.reads.deadline(sent).span, sent.caller, sent.lane),
        )

    def _sweeper(self, reader: RowReader, feed: bytes, has_rules: bool) -> Sweeper:
        """Return what sweeps a list. ``feed`` identifies it, with what its callers see."""
        engine, query = self._engine, reader.query
        catalog, dialect = engine.schema.catalog, engine.dialect
        exists = None
        if has_rules or engine.reads.identities is not None:
            csdl = catalog.roots[query.name].csdl
            exists = Existence(self._upstream, dialect, catalog, query.entity_set, csdl).any_of
        # One row more would cost another request.
        page = _PAGE if dialect.page_limit is None else dialect.page_limit - 1
        return Sweeper(
            reader=reader,
            feed=feed.hex(),
            book=self._book,
            options=self._options,
            catalog=catalog,
            ask=engine.execute_unlogged,
            page=page,
            by_values=_matches(query.entity_set, self._options.by_values),
            exists=exists,
            now=self.now,
        )

    def _list(self, reader: RowReader, size: int) -> ListRoot:
        """Return the plan of the list's first page. Raises GatewayError, OperationRefused."""
        request, _ = reader.page_request(size, None, reader.where)
        (root,) = self._engine.plan(self._engine.read(request)).roots
        if isinstance(root, FailedRoot):
            raise root.error
        assert isinstance(root, ListRoot)
        return root

    async def _rest(self, query: PlannedQuery, rest: Mapping[str, Nodes], ask: Ask) -> Answer:
        """Answer the other root fields."""
        text, used = without_changes(query.prepared.document, query.prepared.operation, rest)
        sent = query.request.variables
        variables = {name: value for name, value in sent.items() if name in used}
        return await ask(
            replace(query.request, query=text, variables=variables, operation_name=None)
        )


def _matches(entity_set: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(entity_set, pattern) for pattern in patterns)


def _root_fields(query: PlannedQuery) -> tuple[dict[str, Nodes], dict[str, Nodes]]:
    """Return the fields of a query that are answered here, and its others."""
    operation = query.prepared.operation
    fragments = fragments_of(query.prepared.document)
    selection = Selection(operation, fragments, query.variables.coerced)
    collected = selection.fields((operation.selection_set,), frozenset(("Query",)))
    own = {key: of for key, of in collected.items() if of[0].name.value in ANSWERED_APART}
    return own, {key: of for key, of in collected.items() if key not in own}


def _selected(query: PlannedQuery, nodes: Nodes) -> ChangesSelection:
    prepared = query.prepared
    return select_changes(prepared.document, prepared.operation, query.variables.coerced, nodes)


async def _nothing(_: GraphQLRequest) -> Answer:
    raise NotImplementedError


def _placed(error: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an error of a read at the field; locations are in a document that the client has not seen."""
    placed = {name: value for name, value in error.items() if name == "extensions"}
    message = _VARIABLE.sub(r"\1", str(error["message"]))
    return {"message": message, "path": [key], **placed}
