"""What the page asks of a schema that is too large to be loaded: a search, and slices of introspection.

    GET /graphql/search?q=sales order&limit=50       {"hits": […]}       see ``schema.search``
    GET /graphql/search?q=salesO&in=query            {"names": […]}      completes a field of Query or Mutation
    GET /graphql/slice?query=a,b&mutation=c&type=T   {"__schema": …, "partial": […], "sets": 3868}
                                                     {"whole": true} where all of it is little

They tell no more than introspection does, and are switched off with it. Both read the metadata by a catalogue of their
own, in a thread: nothing of what serves operations grows, or waits for them longer than Python's threads take turns.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import orjson
from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.errors import BadArgument, GatewayError
from gateway.introspection.answers import IntrospectionStore
from gateway.runtime.assembly import Gateway
from gateway.storage.content_coding import IDENTITY, Compression, decompress_pieces
from schema.introspection import Wanted, write_slice
from schema.types.build import ODataSchema

from .endpoints import Endpoint, with_cors

if TYPE_CHECKING:
    from schema.search import Index, Root

WHOLE = 100
"""Entity sets up to which a client may as well ask for everything: some 3 MB of introspection."""
MOST_HITS = 100
MOST_NAMES = 30
"""Root fields and types of a slice."""
MOST_STEPS = 1
LONGEST = 200
"""Characters of a query that count."""
ROOTS = ("query", "mutation", "subscription")
_DIGITS = re.compile("[0-9]{1,4}")
_COMPLETED: Mapping[str, Root] = {"query": "query", "mutation": "mutation"}
FIELDS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}

_ALLOW = {"Allow": "GET, HEAD, OPTIONS"}

AnswerBytes: TypeAlias = Callable[["_ExplorableSchema", Request], Awaitable[bytes]]


def explorer_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of search and slices, where there is a page that asks them."""
    settings = endpoint.settings
    if settings.graphiql:
        explorer = _Explorer(endpoint)
        for name, tell in (("search", _search), ("slice", _slice)):
            told = _ExplorerRoute(explorer, tell)
            yield Route(f"{endpoint.api}/{name}", with_cors(told, settings.cors_origins))


class _ExplorableSchema(Struct):
    """A schema over a catalogue's twin, and what is made of it once."""

    introspection_store: IntrospectionStore
    """The same for all generations over the same metadata."""
    schema: ODataSchema
    sets: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """For one slice at a time: the schema is read by one thread."""
    making: asyncio.Task[Index] | None = None

    async def index(self) -> Index:
        """Return the index, opened or made at the first search."""
        if self.making is None or _has_failed(self.making):
            self.making = asyncio.create_task(self._index())
        return await asyncio.shield(self.making)

    async def _index(self) -> Index:
        # Imported with the first search: a start needs none.
        from schema.search import FORMAT, index_of, pack, unpack  # noqa: PLC0415

        apart = self.schema.again(self.schema.catalog.twin())
        kept = self.introspection_store.artifacts.with_own_queue()
        stored = await kept.get(f"search-{FORMAT}", lambda: (pack(index_of(apart)),))
        content = await asyncio.to_thread(lambda: b"".join(decompress_pieces(stored.packed)))
        return await asyncio.to_thread(lambda: unpack(content) or index_of(apart))

    async def slice(self, wanted: Wanted) -> bytes:
        """Write a slice."""
        async with self.turn:
            return await asyncio.to_thread(self._slice, wanted)

    def _slice(self, wanted: Wanted) -> bytes:
        try:
            return write_slice(self.schema, wanted)
        finally:
            self.schema.forget()


class _Explorer:
    def __init__(self, endpoint: Endpoint) -> None:
        settings = endpoint.settings
        self._endpoint = endpoint
        self._compression = Compression(enabled=settings.compression, over=settings.compress_over)
        self._explored: _ExplorableSchema | None = None

    async def answer(self, tell: AnswerBytes, request: Request) -> Response:
        """Answer with what is told."""
        if request.method == "OPTIONS":
            return Response(headers=_ALLOW)
        if request.method not in ("GET", "HEAD"):
            said = "Searches and slices are asked for by GET."
            return _refusal(405, said, "METHOD_NOT_ALLOWED", _ALLOW)
        if not self._endpoint.settings.introspection:
            return _refusal(403, "Introspection is switched off.", "INTROSPECTION_DISABLED")
        live = await self._endpoint.live(request.app)
        if live is None:
            return _refusal(503, "The gateway has not started yet.", "STARTING")
        try:
            body = await tell(self._of(live.gateway), request)
        except GatewayError as error:
            return _refusal(400, error.message, error.code, hint=error.hint)
        return await self._sent(body, request)

    def _of(self, gateway: Gateway) -> _ExplorableSchema:
        found = self._explored
        if found is None or found.introspection_store is not gateway.introspection_store:
            schema = gateway.schema
            found = self._explored = _ExplorableSchema(
                introspection_store=gateway.introspection_store,
                schema=schema.again(schema.catalog.twin()),
                sets=len(schema.catalog.model.entity_sets),
            )
        return found

    async def _sent(self, body: bytes, request: Request) -> Response:
        packed, coding = await self._compression.encoded(body, request.headers)
        coded = {} if coding == IDENTITY else {"Content-Encoding": coding}
        headers = {**FIELDS, **coded, "Vary": "Accept-Encoding"}
        return Response(packed, headers=headers, media_type="application/json")


class _ExplorerRoute:
    """What tells one thing; a class, so that Starlette hands it every method."""

    def __init__(self, explorer: _Explorer, tell: AnswerBytes) -> None:
        self._explorer = explorer
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._explorer.answer(self._tell, Request(scope, receive))
        await response(scope, receive, send)


async def _search(explored: _ExplorableSchema, request: Request) -> bytes:
    """Answer ``q``, ``limit`` and ``in``. Raises BadArgument."""
    from schema.search import complete, find  # noqa: PLC0415

    asked = request.query_params
    query, limit = asked.get("q", "")[:LONGEST], _number(asked.get("limit", "50"), MOST_HITS)
    root = _COMPLETED.get(asked.get("in", ""))
    if root is None and "in" in asked:
        raise BadArgument("There are no such fields.", hint="in is query or mutation.")
    index = await explored.index()
    if root is None:
        hits = await asyncio.to_thread(find, index, query, limit)
        return orjson.dumps({"hits": hits})
    return orjson.dumps({"names": await asyncio.to_thread(complete, index, root, query, limit)})


async def _slice(explored: _ExplorableSchema, request: Request) -> bytes:
    """Answer ``query``, ``mutation``, ``subscription``, ``type`` and ``steps``. Raises BadArgument."""
    asked = request.query_params
    fields = {root: _names(asked.get(root, "")) for root in ROOTS}
    types = _names(asked.get("type", ""))
    if sum(map(len, fields.values())) + len(types) > MOST_NAMES:
        raise BadArgument(
            f"A slice takes {MOST_NAMES} names at the most.", hint="Ask for several slices."
        )
    steps = _number(asked.get("steps", "0"), MOST_STEPS)
    if explored.sets <= WHOLE:
        return b'{"whole":true}'
    told = await explored.slice(Wanted(fields=fields, types=types, steps=steps))
    return told[:-1] + b',"sets":%d}' % explored.sets


def _has_failed(task: asyncio.Task[Index]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _names(given: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in given.split(",") if name))


def _number(given: str, most: int) -> int:
    if not _DIGITS.fullmatch(given) or int(given) > most:
        raise BadArgument("That is no number to be used here.", hint=f"0 to {most} would be.")
    return int(given)


def _refusal(
    status: int,
    message: str,
    code: str,
    fields: Mapping[str, str] = MappingProxyType({}),
    *,
    hint: str | None = None,
) -> Response:
    extensions = {"code": code} if hint is None else {"code": code, "hint": hint}
    errors = [{"message": message, "extensions": extensions}]
    return JSONResponse({"errors": errors}, status_code=status, headers={**FIELDS, **fields})
