"""Reads the rows of changes: by list, the stamp first, or by id; each read is an operation of the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from graphql import GraphQLSchema
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from gateway.execution.read_batches import in_batches
from gateway.odata.query import Request
from gateway.planning.change_queries import ChangeQuery
from gateway.request import Answer, GraphQLRequest
from schema.operators import WhereOperator

from .answers import total_cost
from .records import ChangedRow
from .selection import NAME, ChangesSelection, RowsDocument, rows_document
from .stamps import StampedRow

Ask: TypeAlias = Callable[[GraphQLRequest], Awaitable[Answer]]
"""Answers an operation; raises nothing but CancelledError."""
RowError: TypeAlias = tuple[int, str, dict[str, Any]]
"""Number of a row, name of a selection, error with its path below the row."""
_EMPTY = Raw(b"{}")
_OF_BATCHES = ("UPSTREAM_REJECTED", "UPSTREAM_UNAVAILABLE", "UPSTREAM_MALFORMED")
_ALONE = 40
"""Keys that fit into the address of one request."""
_LISTS = 20
"""Lists of one operation."""


class ReadFailed(Exception):
    """A read failed as a whole, with the errors of its operation."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("A read of changes failed.")
        self.errors = errors


class _PageInfo(Struct, rename="camel"):
    has_next_page: bool = False
    end_cursor: str | None = None


class _Body(Struct):
    data: dict[str, Raw] | None = None
    errors: list[dict[str, Any]] = []


_read_body = msgspec.json.Decoder(_Body).decode
_read_parts = msgspec.json.Decoder(dict[str, Raw]).decode
_read_page_info = msgspec.json.Decoder(_PageInfo).decode
_read_rows = msgspec.json.Decoder(list[StampedRow | None]).decode
_read_raw = msgspec.json.Decoder(list[Raw]).decode


class Rows(Struct):
    """Rows that were read, in the same order in each of its lists."""

    meta: list[StampedRow | None]
    nodes: dict[str, list[Raw]]
    has_more: bool = False
    end: str | None = None
    errors: list[RowError] = []

    @property
    def present(self) -> list[StampedRow]:
        """The rows of a list, which are all there."""
        return [row for row in self.meta if row is not None]

    def errors_of(self, numbers: Sequence[int]) -> list[RowError]:
        """Return the errors of some rows, by their place among these."""
        place = {number: index for index, number in enumerate(numbers)}
        return [(place[n], name, error) for n, name, error in self.errors if n in place]

    def add(self, others: Rows) -> None:
        """Add further rows."""
        self.meta += others.meta
        for place, nodes in others.nodes.items():
            self.nodes.setdefault(place, []).extend(nodes)

    def complete(self, number: int, row: ChangedRow) -> ChangedRow:
        """Return a row with what is selected of it."""
        return replace(row, nodes={place: nodes[number] for place, nodes in self.nodes.items()})


class Spent(Struct):
    """What the reads of one field took."""

    requests: tuple[Request, ...] = ()
    rows: int = 0
    costs: list[Mapping[str, Any]] = []
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def add(self, answer: Answer) -> None:
        """Add what a read took."""
        self.requests += answer.requests
        self.rows += answer.rows
        self.fields = answer.fields or self.fields
        if answer.extensions is not UNSET and "cost" in answer.extensions:
            self.costs.append(answer.extensions["cost"])

    def settle(self, answer: Answer) -> None:
        """Put all of it into the answer of the field."""
        answer.requests, answer.rows, answer.fields = self.requests, self.rows, self.fields
        if self.costs:
            answer.extend("cost", total_cost(self.costs))


class RowReader(Struct, kw_only=True):
    """Reads rows of one list for one ``changes`` field."""

    query: ChangeQuery
    selection: ChangesSelection
    core: GraphQLSchema
    request: GraphQLRequest
    """With the caller, the scope and the limits of every read."""
    where: Mapping[str, Any]
    ask: Ask
    page_size: int
    """Maximum rows of a page."""
    meta: str = ""
    """Further columns of rows, in the words of a selection."""
    spent: Spent = msgspec.field(default_factory=Spent)

    async def page(
        self,
        first: int,
        after: str | None,
        conditions: Mapping[str, Any],
        *,
        by_stamp: bool = False,
    ) -> Rows:
        """Return a page of the list, in the order of its stamps or of its keys. Raises ReadFailed."""
        where = {"and": [self.where, conditions]} if conditions else self.where
        request, document = self.page_request(first, after, where, by_stamp=by_stamp)
        data, errors = await self._data(request)
        parts = _read_parts(data["rows"])
        info = _read_page_info(parts["pageInfo"])
        rows = self._rows(_read_rows(parts["meta"]), parts, document)
        rows.has_more, rows.end = info.has_next_page, info.end_cursor
        rows.errors = [
            (path[2], path[1], {**error, "path": path[3:]})
            for error in errors
            if len(path := error.get("path") or []) > 2
        ]
        return rows

    def page_request(
        self,
        first: int,
        after: str | None,
        where: Mapping[str, Any],
        *,
        by_stamp: bool = False,
    ) -> tuple[GraphQLRequest, RowsDocument]:
        """Return the operation that reads a page of the list."""
        of = self.query
        names = self.free("first", "after", "where")
        first_, after_, where_ = names
        document = rows_document(self.selection, self.core, of.row_type, "nodes")
        meta, order = f"id etag{self.meta}", ""
        if of.stamp is not None and by_stamp:
            meta += f" changed: {of.stamp}" + (f" created: {of.created}" if of.created else "")
            order = f", orderBy: [{{ {of.stamp}: ASC }}]"
        filters = of.where is not None
        text = (
            f"query {NAME}(${first_}: Int!, ${after_}: String"
            f"{f', ${where_}: {of.where}!' if filters else ''}{document.declared})"
            f" {{ rows: {of.name}(first: ${first_}, after: ${after_}"
            f"{f', where: ${where_}' if filters else ''}{order})"
            f" {{ meta: nodes {{ {meta} }} {document.text} pageInfo {{ hasNextPage endCursor }} }} }}"
            f" {document.fragments}"
        )
        own: dict[str, Any] = {first_: first, after_: after}
        if filters:
            own[where_] = where
        return self._request(text, own, document), document

    async def newest(self) -> str | None:
        """Return the newest stamp of the list. Raises ReadFailed."""
        data, _ = await self._data(self.newest_request())
        rows = _read_rows(_read_parts(data["rows"])["nodes"])
        return rows[0].changed if rows and rows[0] is not None else None

    def newest_request(self) -> GraphQLRequest:
        """Return the operation that reads the newest stamp."""
        variables: dict[str, Any] = {"first": 1}
        if self.query.where is not None:
            variables["where"] = self.where
        return replace(
            self.request, query=self.query.newest, variables=variables, operation_name=None
        )

    async def by_ids(self, ids: Sequence[str]) -> Rows:
        """Return rows by id; one that is not there, or is not visible, is None. Raises ReadFailed."""
        request, document = self.ids_request(ids)
        data, errors = await self._data(request, together=len(ids) > _ALONE)
        rows = self._rows(_read_rows(data["meta"]), data, document)
        rows.errors = [
            (path[1], path[0], {**error, "path": path[2:]})
            for error in errors
            if len(path := error.get("path") or []) > 1
        ]
        return rows

    def ids_request(self, ids: Sequence[str]) -> tuple[GraphQLRequest, RowsDocument]:
        """Return the operation that reads rows by id."""
        (ids_,) = self.free("ids")
        at = f"nodes(ids: ${ids_})"
        document = rows_document(self.selection, self.core, self.query.row_type, at)
        meta = f"meta: {at} {{ id ... on {self.query.row_type} {{ etag }} }}"
        text = (
            f"query {NAME}(${ids_}: [ID!]!{document.declared})"
            f" {{ {meta} {document.text} }} {document.fragments}"
        )
        return self._request(text, {ids_: list(ids)}, document), document

    async def by_keys(self, filters: Sequence[Mapping[str, object]]) -> Rows:
        """Return the rows of the list that pass one of some filters, each for at most a page. Raises ReadFailed."""
        rows = Rows([], {})
        for start in range(0, len(filters), _LISTS):
            await self._add_lists(rows, filters[start : start + _LISTS])
        return rows

    async def _add_lists(self, rows: Rows, filters: Sequence[Mapping[str, object]]) -> None:
        of = self.query
        (first_,) = self.free("first")
        wheres = [self.free(f"where{number}_")[0] for number in range(len(filters))]
        document = rows_document(self.selection, self.core, of.row_type, "nodes")
        lists = " ".join(
            f"l{number}: {of.name}(first: ${first_}, where: ${name})"
            f" {{ meta: nodes {{ id etag }} {document.text} }}"
            for number, name in enumerate(wheres)
        )
        declared = "".join(f", ${name}: {of.where}!" for name in wheres)
        text = (
            f"query {NAME}(${first_}: Int!{declared}{document.declared})"
            f" {{ {lists} }} {document.fragments}"
        )
        own: dict[str, Any] = {
            name: {"and": [self.where, each]} for name, each in zip(wheres, filters, strict=True)
        }
        own[first_] = self.page_size
        data, errors = await self._data(self._request(text, own, document), together=True)
        for number in range(len(filters)):
            parts = _read_parts(data[f"l{number}"])
            beginning = len(rows.meta)
            rows.add(self._rows(_read_rows(parts["meta"]), parts, document))
            rows.errors += [
                (beginning + path[2], path[1], {**error, "path": path[3:]})
                for error in errors
                if len(path := error.get("path") or []) > 2 and path[0] == f"l{number}"
            ]

    def _request(self, text: str, own: Mapping[str, Any], document: RowsDocument) -> GraphQLRequest:
        sent = self.request.variables
        theirs = {name: sent[name] for name in document.variables if name in sent}
        return replace(self.request, query=text, variables={**theirs, **own}, operation_name=NAME)

    def free(self, *names: str) -> tuple[str, ...]:
        """Return names of variables that the client does not use."""
        end = "_"
        while any(name + end in self.selection.taken for name in names):
            end += "_"
        return tuple(name + end for name in names)

    async def read(
        self, text: str, own: Mapping[str, Any], declared: str, document: RowsDocument
    ) -> tuple[dict[str, Raw], Sequence[dict[str, Any]]]:
        """Return the data and the errors of an operation with these root fields and variables. Raises ReadFailed."""
        query = f"query {NAME}({declared}{document.declared}) {{ {text} }} {document.fragments}"
        return await self._data(self._request(query, own, document))

    async def _data(
        self, request: GraphQLRequest, *, together: bool = False
    ) -> tuple[dict[str, Raw], Sequence[dict[str, Any]]]:
        """Return the data and the errors of an operation; ``together``: its reads share ``$batch`` requests."""
        with in_batches(together):
            answer = await self.ask(request)
        self.spent.add(answer)
        if together and any(answer.has_error(code) for code in _OF_BATCHES):
            # Not every service takes a batch.
            return await self._data(request)
        body = _read_body(answer.encode())
        if body.data is None:
            raise ReadFailed(body.errors)
        return body.data, body.errors

    def _rows(
        self,
        meta: list[StampedRow | None],
        parts: Mapping[str, Raw],
        document: RowsDocument,
    ) -> Rows:
        nodes = {place: _read_raw(parts[place]) for place in document.places}
        # Of another type than the fragments of the selection: an object without fields.
        nodes.update({place: [_EMPTY] * len(meta) for place in document.empty})
        return Rows(meta, nodes)


def request_of(request: GraphQLRequest, companies: tuple[str, ...] | None) -> GraphQLRequest:
    """Return a request with what all reads of a field share."""
    return replace(
        request,
        companies=companies or request.companies,
        allow_mutation=False,
        operation_name=NAME,
        idempotency_key=None,
        # A cached answer may be older than the change.
        fresh=True,
    )


def key_filters(
    names: Sequence[str], keys: Iterable[Sequence[object]]
) -> list[Mapping[str, object]]:
    """Return filters for rows with some keys: one for each company, or other beginning of the key."""
    *first, last = names
    groups: dict[tuple[object, ...], list[object]] = {}
    for key in keys:
        *beginning, end = key
        groups.setdefault(tuple(beginning), []).append(end)
    return [
        {
            **{
                name: {WhereOperator.EQ.value: value}
                for name, value in zip(first, beginning, strict=True)
            },
            last: {WhereOperator.IN.value: ends},
        }
        for beginning, ends in groups.items()
    ]
