"""Sends answers: compressed as the client prefers, cached ones piece by piece and with an ETag.

A cached answer has a strong ETag for each coding (RFC 9110, section 8.8.3). ``If-None-Match`` with any of them is
answered 304, for POST too: GraphQL reads by POST, and a client that sends the header there has the older answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from starlette.types import Message, Scope, Send

from gateway.introspection.answers import LongAnswer
from gateway.request import Answer
from gateway.storage.content_coding import CODINGS, IDENTITY, Compression, accepted_coding
from gateway.storage.response_artifacts import Artifact
from gateway.storage.response_artifacts import etag_of as artifact_etag

from .exchange import WHOLE, exchange_of
from .http_caching import etag_of, matches
from .request_parameters import headers_of
from .waiting_bytes import COUNTED, WaitingBytes

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]
SLICE = 1 << 18
"""Bytes of a body that are sent at a time."""


class TooMuchWaiting(Exception):
    """Clients have left so many bytes unread that an answer is not sent."""


async def send_answer(
    scope: Scope,
    send: Send,
    status: int,
    answer: Answer,
    fields: Fields,
    compression: Compression,
    waiting: WaitingBytes,
) -> None:
    """Send the answer to a request. ``fields`` are the first header fields of the response.

    Raises TooMuchWaiting if clients leave too much unread, but not for a write: its answer cannot be requested again.
    """
    headers = headers_of(scope)
    if isinstance(answer.written, LongAnswer):
        await _send_cached(send, answer.written, fields, headers, compression)
        return
    encoded, own = answer.encode(), None
    is_cached = status == 200 and _has(fields, b"cache-control", but=b"no-store")
    if is_cached:
        own = next((value for name, value in fields if name == b"etag"), None)
        etag = own or etag_of(encoded, IDENTITY)
        if matches(headers.get("if-none-match", ""), etag):
            await _send_unchanged(send, fields, etag)
            return
    body, coding = encoded, IDENTITY
    if len(encoded) > compression.over:
        body, coding = await compression.encode(encoded, headers)
    if not (answer.changed or waiting.fits(len(body))):
        raise TooMuchWaiting
    # Frees the rows while a slow client reads the body.
    answer.data = answer.written = None
    if is_cached and own is None:
        fields = (*fields, (b"etag", etag_of(encoded, coding)))
    if coding != IDENTITY:
        fields = (*fields, *coded_fields(coding))
    if len(body) < COUNTED:
        if exchange_of(scope) is None:
            await send_body(send, status, body, fields)
        else:
            await send(_start(status, body, fields, {WHOLE: body}))
        return
    with waiting.holding(len(body)):
        await send_body(send, status, body, fields)


def _has(fields: Fields, name: bytes, *, but: bytes) -> bool:
    """Return whether there is a header field with another value than one."""
    return any(each == name and value != but for each, value in fields)


async def _send_unchanged(send: Send, fields: Fields, etag: bytes) -> None:
    """Answer that a client has the response already, without its content type (RFC 9110, section 15.4.5)."""
    start = {"type": "http.response.start", "status": 304}
    others = [field for field in fields if field[0] not in (b"content-type", b"etag")]
    await send({**start, "headers": [*others, (b"etag", etag)]})
    await send({"type": "http.response.body", "body": b""})


async def send_body(send: Send, status: int, body: bytes, fields: Fields) -> None:
    """Send a response; a large body in slices, so that the next is sent when the client has read those before."""
    await send(_start(status, body, fields, {}))
    for start in range(0, len(body) - SLICE, SLICE):
        piece = body[start : start + SLICE]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = body[(max(len(body) - 1, 0) // SLICE) * SLICE :]
    await send({"type": "http.response.body", "body": rest})


def _start(status: int, body: bytes, fields: Fields, more: Mapping[str, Any]) -> Message:
    headers = [*fields, (b"content-length", b"%d" % len(body))]
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


async def _send_cached(
    send: Send,
    answer: LongAnswer,
    fields: Fields,
    headers: Mapping[str, str],
    compression: Compression,
) -> None:
    matched = _matching_etag(headers.get("if-none-match", ""), answer.stored)
    if matched is not None:
        start = {"type": "http.response.start", "status": 304}
        # Without the content type, as there is no content (RFC 9110, section 15.4.5).
        others = [field for field in fields[1:] if field[0] != b"cache-control"]
        await send({**start, "headers": [*others, *_validators(matched)]})
        await send({"type": "http.response.body", "body": b""})
        return
    coding = accepted_coding(headers) if compression.enabled else IDENTITY
    artifact = await answer.coded(coding)
    own_fields = (
        *_validators(artifact.etag),
        *coded_fields(coding),
        (b"content-length", b"%d" % artifact.length),
    )
    others = [field for field in fields if field[0] != b"cache-control"]
    await send({"type": "http.response.start", "status": 200, "headers": [*others, *own_fields]})
    for piece in artifact.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Once the client is gone, sending does not wait: without this no other task would run.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def _matching_etag(if_none_match: str, stored: Artifact) -> str | None:
    """Return the ETag of a request that is the answer's in any coding, as all have the same text."""
    etags = [artifact_etag(stored.digest, coding) for coding in (*CODINGS, IDENTITY)]
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if "*" in tags:
        return etags[0]
    return next((etag for etag in etags if etag in tags), None)


def _validators(etag: str) -> Iterable[tuple[bytes, bytes]]:
    return ((b"etag", etag.encode()), (b"cache-control", b"private, no-cache"))


def coded_fields(coding: str) -> Iterable[tuple[bytes, bytes]]:
    """Return the header fields of a body in a coding."""
    return () if coding == IDENTITY else ((b"content-encoding", coding.encode()),)
