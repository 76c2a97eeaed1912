"""Reads a file: what there is to say of it by an ordinary query, then its bytes as they arrive.

    id, field ──▶ query of name, ending, etag ──▶ FileFacts      rights, rules, company scope, price: as any query
              └─▶ query of the bytes ──planned──▶ its one request ──sent──▶ base64 ──▶ bytes, piece by piece

What a caller may read is what those of its roles give that show the field in plain: a role that masks it adds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, structs

from gateway.admission.work import working
from gateway.engine import Engine
from gateway.errors import Forbidden, UpstreamNotFound
from gateway.export.request import view_of_roles
from gateway.odata.long_values import ValueReader
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.generations import GenerationManager
from gateway.runtime.served_api import ServedApi

from .coding import Decoder
from .names import file_name, media_type
from .targets import FileTarget, find_file

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends a piece of a file on."""
_ETAG = re.compile(rb'"@odata\.etag"\s*:\s*("(?:[^"\\]|\\.)*")')


class FileFailed(Exception):
    """A file cannot be read."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("The file cannot be read.")
        self.answer = answer
        """With the errors for the client."""


class FileFacts(Struct, frozen=True):
    """What there is to say of a file."""

    name: str
    media: str
    etag: str | None = None
    """The version of its row."""


class ReadyFile(Struct, frozen=True):
    """A file that its caller may read, and what serves it."""

    target: FileTarget
    live: GenerationManager
    request: GraphQLRequest
    """That of its queries, with the caller and scope."""

    async def facts(self) -> FileFacts | None:
        """Return what there is to say of the file; None if there is no such row. Raises FileFailed."""
        target = self.target
        request = self._asking(target.facts)
        with self.live.serving() as gateway:
            answer = await gateway.engine.execute_unlogged(request)
        if answer.errors:
            raise FileFailed(answer)
        row: dict[str, Any] | None = answer.to_builtins()["data"]["row"]
        if not row:
            return None
        name = file_name(row.get("name"), row.get("ending"), f"{target.set}-{target.field.name}")
        return FileFacts(name, media_type(name), row.get("etag"))

    async def read(self, begin: Callable[[str | None], Awaitable[None]], write: Write) -> bool:
        """Send the bytes on as they arrive; return whether there are any, which may be none at all.

        ``begin`` is called before the first of them, with the version of the row that they belong to, if the service
        says so. Raises GatewayError, FileFailed.
        """
        decoder, held = Decoder(), b""

        async def take(text: bytes) -> None:
            nonlocal held
            data = decoder.feed(text)
            if data and held:
                await begin(_etag_in(reader.rest))
                await write(held)
            # Held until more comes: what fails with the first piece, as with most files, can still have a status.
            held = data or held

        reader = ValueReader(self.target.field.source, take)
        request = self._asking(self.target.content)
        with self.live.serving() as gateway:
            engine = gateway.engine
            engine.charge(request)
            deadline = engine.reads.deadline(request)
            read = await _request_of(engine, request)
            if read is None:
                return False
            upstream, _ = engine.reads.upstream_of(request.caller)
            with working(engine.lanes.work(deadline.span, request.caller, request.lane)):
                try:
                    await upstream.send(structs.replace(read, reader=reader), safe=True)
                except UpstreamNotFound:
                    return False
        if not reader.has_text:
            return False
        held += decoder.end()
        await begin(_etag_in(reader.rest))
        if held:
            await write(held)
        return True

    def _asking(self, document: str) -> GraphQLRequest:
        variables = {"id": self.target.id}
        return structs.replace(self.request, query=document, variables=variables)


class _NotingUpstream:
    """An upstream without rows, which notes the first request."""

    root = "http://file.invalid"

    def __init__(self) -> None:
        self.request: Request | None = None

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002 - the protocol's
        """Note a request. Raises UpstreamNotFound."""
        self.request = self.request or request
        raise UpstreamNotFound("There is no such row.", upstream_status=404)


async def _request_of(engine: Engine, request: GraphQLRequest) -> Request | None:
    """Return the request by which a query reads its one row; None if it needs none, as no row can pass the rules."""
    noting = _NotingUpstream()
    fetcher = engine.reads.fetcher(noting)
    try:
        query = engine.plan(engine.read(request))
        await engine.reads.runner(fetcher).run(query.roots)
    finally:
        await fetcher.close()
    return noting.request


def _etag_in(before: bytes) -> str | None:
    match = _ETAG.search(before)
    return None if match is None else msgspec.json.decode(match[1], type=str)


async def prepare_download(
    api: ServedApi, text: str, field: str, request: GraphQLRequest
) -> ReadyFile:
    """Return the file in a field of the row with an id. Raises InvalidId, BadArgument, Forbidden."""
    gateway = api.live.gateway
    target = find_file(gateway.schema, text, field)
    if gateway.view is not None:
        plain = gateway.view.column(target.set, target.field.source, is_key=False).plain
        if not plain:
            raise Forbidden(f"Your roles do not show {field} of {target.set} as it is.")
        api = await api.of_view(view_of_roles(gateway.view, target.set, plain))
        target = find_file(api.live.gateway.schema, text, field)
    return ReadyFile(target, api.live, request)
