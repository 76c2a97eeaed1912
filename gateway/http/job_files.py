"""Sends the files of jobs: whole or one range of bytes (RFC 9110, section 14), with their digest as ETag."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from starlette.types import Scope, Send

from gateway.errors import UnknownJob
from gateway.jobs.job_json import part_name
from gateway.jobs.part_store import PartStore
from gateway.jobs.records import Job, Part

from .http_caching import matches
from .refusals import HttpError
from .request_parameters import Headers
from .waiting_bytes import WaitingBytes

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def send_part(
    store: PartStore,
    job: Job,
    part: Part,
    scope: Scope,
    headers: Headers,
    send: Send,
    waiting: WaitingBytes,
) -> None:
    """Send a part of a job. Raises HttpError, UnknownJob if its file is gone."""
    etag = f'"{part.sha256}"'.encode()
    fields = [
        (b"etag", etag),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, no-cache"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if matches(headers.get("if-none-match", ""), etag):
        await send({"type": "http.response.start", "status": 304, "headers": fields})
        await send({"type": "http.response.body", "body": b""})
        return
    status, start, end = 200, 0, part.bytes
    # Of another file the rest would not fit.
    if headers.get("if-range", etag.decode()) == etag.decode():
        chosen = _range_of(headers.get("range", ""), part.bytes)
        if chosen is not None:
            status, (start, end) = 206, chosen
            fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, part.bytes)))
    fields += [
        (b"content-type", job.files.media.encode()),
        (b"content-disposition", f'attachment; filename="{part_name(job, part)}"'.encode()),
        (b"content-length", b"%d" % (end - start)),
    ]
    pieces = store.read(job.id, part.sha256, start, end)
    try:
        piece = await asyncio.to_thread(next, pieces, b"")
    except OSError as error:
        raise UnknownJob("The file of this part is gone.") from error
    await send({"type": "http.response.start", "status": status, "headers": fields})
    if scope["method"] != "HEAD":
        await _send_pieces(piece, pieces, send, waiting)
    await send({"type": "http.response.body", "body": b""})


async def _send_pieces(
    piece: bytes, pieces: Iterator[bytes], send: Send, waiting: WaitingBytes
) -> None:
    while piece:
        with waiting.holding(len(piece)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await asyncio.to_thread(next, pieces, b"")


def _range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return the range that is requested, without its end; None: the whole file. Raises HttpError."""
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        # Several ranges, or units that nobody knows, may be ignored.
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
    if match[1] and match[2] and int(match[2]) < start:
        return None
    if start >= end:
        fields = ((b"content-range", b"bytes */%d" % size),)
        raise HttpError(416, "RANGE_NOT_SATISFIABLE", "The file has no such bytes.", fields=fields)
    return start, end
