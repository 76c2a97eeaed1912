"""Search and slices of introspection, for clients such as GraphiQL that cannot load a large schema whole.

    GET /graphql/search?q=sales order&limit=50       {"hits": […]}       see ``schema.search``
    GET /graphql/search?q=salesO&in=query            {"names": […]}      completes a field of Query or Mutation
    GET /graphql/slice?query=a,b&mutation=c&type=T   {"__schema": …, "partial": […], "sets": 3868}
                                                     {"whole": true} if the whole schema is small

They reveal no more than introspection does, and are disabled with it. Both read the metadata through their own
catalogue, in a thread: the schema that serves operations does not grow, and the event loop goes on.
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
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.documents.lru_cache import LRUCache
from gateway.errors import BadArgument, GatewayError
from gateway.introspection.answers import IntrospectionStore
from gateway.runtime.assembly import Gateway
from gateway.storage.content_coding import IDENTITY, Compression, decompress_pieces
from schema.introspection import SliceRequest, write_slice
from schema.types.build import ODataSchema

from .endpoints import Endpoint, with_cors
from .refusals import HttpError, UnknownApi

if TYPE_CHECKING:
    from schema.search import Index, Root

SMALL = 100
"""Entity sets up to which a client may as well load the whole schema: about 3 MB of introspection."""
MAX_EXPLORED = 8
"""Schemas of an API (generations of metadata, views of roles) whose search indexes are kept."""
MAX_HITS = 100
MAX_NAMES = 30
"""Maximum root fields and types of a slice."""
MAX_STEPS = 1
MAX_QUERY = 200
"""Maximum characters of a search; the rest is ignored."""
ROOTS = ("query", "mutation", "subscription")
_DIGITS = re.compile("[0-9]{1,4}")
_COMPLETED: Mapping[str, Root] = {"query": "query", "mutation": "mutation"}
FIELDS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}

_ALLOW = {"Allow": "GET, HEAD, OPTIONS"}

WriteAnswer: TypeAlias = Callable[["_ExplorableSchema", Request], Awaitable[bytes]]


def explorer_routes(endpoint: Endpoint) -> Iterable[BaseRoute]:
    """Return the routes of search and slices, if GraphiQL is enabled, which needs them."""
    settings = endpoint.settings
    if settings.graphiql:
        explorer = _Explorer(endpoint)
        for name, answer in (("search", _search), ("slice", _slice)):
            route = _ExplorerRoute(explorer, answer)
            yield Route(f"{endpoint.api}/{name}", with_cors(route, settings.cors_origins))


class _ExplorableSchema(Struct):
    """A schema with its own copy of the catalogue, and the search index, which is made once."""

    introspection_store: IntrospectionStore
    """Shared by all generations of the same metadata."""
    schema: ODataSchema
    sets: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Lets one thread at a time read the schema."""
    making: asyncio.Task[Index] | None = None

    async def index(self) -> Index:
        """Return the search index, which is loaded or made at the first search."""
        # All searches wait for one task; one that is cancelled must not cancel it.
        if self.making is None or _has_failed(self.making):
            self.making = asyncio.create_task(self._index())
        return await asyncio.shield(self.making)

    async def _index(self) -> Index:
        from schema.search import FORMAT, index_of, pack, unpack  # noqa: PLC0415 - with the first search, not at the start

        own_schema = self.schema.copy_for(self.schema.catalog.fresh_copy())
        artifacts = self.introspection_store.artifacts.with_own_queue()
        stored = await artifacts.get(f"search-{FORMAT}", lambda: (pack(index_of(own_schema)),))
        content = await asyncio.to_thread(lambda: b"".join(decompress_pieces(stored.packed)))
        return await asyncio.to_thread(lambda: unpack(content) or index_of(own_schema))

    async def slice(self, request: SliceRequest) -> bytes:
        """Write a slice."""
        async with self.turn:
            return await asyncio.to_thread(self._slice, request)

    def _slice(self, request: SliceRequest) -> bytes:
        try:
            return write_slice(self.schema, request)
        finally:
            # What a slice has loaded would add up to the whole catalogue.
            self.schema.forget()


class _Explorer:
    def __init__(self, endpoint: Endpoint) -> None:
        settings = endpoint.settings
        self._endpoint = endpoint
        self._compression = Compression(enabled=settings.compression, over=settings.compress_over)
        self._explored: LRUCache[int, _ExplorableSchema] = LRUCache(MAX_EXPLORED)

    async def answer(self, write: WriteAnswer, request: Request) -> Response:
        """Answer a request with JSON of ``write``, or with an error."""
        if request.method == "OPTIONS":
            return Response(headers=_ALLOW)
        if request.method not in ("GET", "HEAD"):
            message = "Send searches and slices by GET."
            return _refusal(405, message, "METHOD_NOT_ALLOWED", _ALLOW)
        try:
            _, live = await self._endpoint.admit(request.scope)
        except UnknownApi:
            return PlainTextResponse("Not Found", 404)
        except HttpError as refused:
            own = {name.decode(): value.decode("latin-1") for name, value in refused.fields}
            return JSONResponse(
                refused.answer.to_builtins(), status_code=refused.status, headers={**FIELDS, **own}
            )
        if live is None:
            return _refusal(503, "The gateway has not started yet.", "STARTING")
        # The settings of the API, or what its roles leave of them.
        if not live.gateway.settings.introspection:
            return _refusal(403, "Introspection is disabled.", "INTROSPECTION_DISABLED")
        try:
            body = await write(self._of(live.gateway), request)
        except GatewayError as error:
            return _refusal(400, error.message, error.code, hint=error.hint)
        return await self._sent(body, request)

    def _of(self, gateway: Gateway) -> _ExplorableSchema:
        store = gateway.introspection_store
        explored = self._explored.get(id(store))
        # The id is of another store only if this one is gone.
        if explored is None or explored.introspection_store is not store:
            schema = gateway.schema
            explored = _ExplorableSchema(
                introspection_store=store,
                schema=schema.copy_for(schema.catalog.fresh_copy()),
                sets=len(schema.catalog.model.entity_sets),
            )
            self._explored.put(id(store), explored)
        return explored

    async def _sent(self, body: bytes, request: Request) -> Response:
        packed, coding = await self._compression.encode(body, request.headers)
        coded = {} if coding == IDENTITY else {"Content-Encoding": coding}
        headers = {**FIELDS, **coded, "Vary": "Accept-Encoding, Authorization"}
        return Response(packed, headers=headers, media_type="application/json")


class _ExplorerRoute:
    """The ASGI application of one route. A class: to a function, Starlette's router would pass GET only."""

    def __init__(self, explorer: _Explorer, write: WriteAnswer) -> None:
        self._explorer = explorer
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._explorer.answer(self._write, Request(scope, receive))
        await response(scope, receive, send)


async def _search(explored: _ExplorableSchema, request: Request) -> bytes:
    """Answer ``q``, ``limit`` and ``in``. Raises BadArgument."""
    from schema.search import complete, find  # noqa: PLC0415 - likewise

    parameters = request.query_params
    query, limit = (
        parameters.get("q", "")[:MAX_QUERY],
        _number(parameters.get("limit", "50"), MAX_HITS),
    )
    root = _COMPLETED.get(parameters.get("in", ""))
    if root is None and "in" in parameters:
        raise BadArgument("The parameter in is unknown.", hint="It is query or mutation.")
    index = await explored.index()
    if root is None:
        hits = await asyncio.to_thread(find, index, query, limit)
        return orjson.dumps({"hits": hits})
    return orjson.dumps({"names": await asyncio.to_thread(complete, index, root, query, limit)})


async def _slice(explored: _ExplorableSchema, request: Request) -> bytes:
    """Answer ``query``, ``mutation``, ``subscription``, ``type`` and ``steps``. Raises BadArgument."""
    parameters = request.query_params
    fields = {root: _names(parameters.get(root, "")) for root in ROOTS}
    types = _names(parameters.get("type", ""))
    if sum(map(len, fields.values())) + len(types) > MAX_NAMES:
        raise BadArgument(f"A slice has at most {MAX_NAMES} names.", hint="Request several slices.")
    steps = _number(parameters.get("steps", "0"), MAX_STEPS)
    if explored.sets <= SMALL:
        return b'{"whole":true}'
    written = await explored.slice(SliceRequest(fields=fields, types=types, steps=steps))
    return written[:-1] + b',"sets":%d}' % explored.sets


def _has_failed(task: asyncio.Task[Index]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in text.split(",") if name))


def _number(text: str, most: int) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > most:
        raise BadArgument("A parameter is not a number in its range.", hint=f"Use 0 to {most}.")
    return int(text)


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
