"""How an answer goes out: compressed as the client takes it best; a kept one piece by piece, with a validator.

A kept answer has a strong ETag for each coding. ``If-None-Match`` with any of them is answered 304, for POST too:
GraphQL reads by POST, and a client that sends the header there has an older answer at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from starlette.types import Send

from gateway.introspection.answers import LongAnswer
from gateway.request import Answer
from gateway.storage.content_coding import CODINGS, IDENTITY, Compression, accepted_coding
from gateway.storage.response_artifacts import Artifact, etag_of

from .waiting_bytes import WaitingBytes

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]
SLICE = 1 << 18
"""Bytes of a body that are sent at a time."""


class TooMuchWaiting(Exception):
    """So many bytes wait for clients that an answer cannot wait too."""


async def send_answer(
    send: Send,
    status: int,
    answer: Answer,
    fields: Fields,
    headers: Mapping[str, str],
    compression: Compression,
    waiting: WaitingBytes,
) -> None:
    """Send an answer. ``headers`` are the request's, ``fields`` what the response has in any case.

    Raises DoesNotFit where too much waits already, but not for the answer of a write: nobody can ask for it again.
    """
    if isinstance(answer.written, LongAnswer):
        await _send_kept(send, answer.written, fields, headers, compression)
        return
    body, coding = await compression.encoded(answer.encode(), headers)
    if not (answer.changed or waiting.fits(len(body))):
        raise TooMuchWaiting
    # What the body was made of is not kept until a slow client has taken it.
    answer.data = answer.written = None
    with waiting.holding(len(body)):
        await send_body(send, status, body, (*fields, *_coded(coding)))


async def send_body(send: Send, status: int, body: bytes, fields: Fields) -> None:
    """Send a response as it is; a large one in slices, each of which waits for the client to take those before it."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*fields, length]})
    for start in range(0, len(body) - SLICE, SLICE):
        piece = body[start : start + SLICE]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = body[(max(len(body) - 1, 0) // SLICE) * SLICE :]
    await send({"type": "http.response.body", "body": rest})


async def _send_kept(
    send: Send,
    answer: LongAnswer,
    fields: Fields,
    headers: Mapping[str, str],
    compression: Compression,
) -> None:
    known = _known(headers.get("if-none-match", ""), answer.stored)
    if known is not None:
        start = {"type": "http.response.start", "status": 304}
        others = [field for field in fields[1:] if field[0] != b"cache-control"]
        await send({**start, "headers": [*others, *_validated(known)]})
        await send({"type": "http.response.body", "body": b""})
        return
    coding = accepted_coding(headers) if compression.enabled else IDENTITY
    artifact = await answer.coded(coding)
    about = (
        *_validated(artifact.etag),
        *_coded(coding),
        (b"content-length", b"%d" % artifact.length),
    )
    others = [field for field in fields if field[0] != b"cache-control"]
    await send({"type": "http.response.start", "status": 200, "headers": [*others, *about]})
    for piece in artifact.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Where the client is gone, sending waits for nothing.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


def _known(given: str, stored: Artifact) -> str | None:
    """Return the validator among those of a request that is of the same text, in whatever coding."""
    etags = [etag_of(stored.digest, coding) for coding in (*CODINGS, IDENTITY)]
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    if "*" in tags:
        return etags[0]
    return next((etag for etag in etags if etag in tags), None)


def _validated(etag: str) -> Iterable[tuple[bytes, bytes]]:
    return ((b"etag", etag.encode()), (b"cache-control", b"private, no-cache"))


def _coded(coding: str) -> Iterable[tuple[bytes, bytes]]:
    return () if coding == IDENTITY else ((b"content-encoding", coding.encode()),)
