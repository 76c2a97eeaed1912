"""``$batch`` in multipart form: one changeset of writes, all or nothing, or several reads; and its answer taken apart.

Request and answer are nested ``multipart/mixed`` (RFC 2046) of ``application/http`` parts, OData 4.0 Protocol section
11.7, https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html. The outer status is 200 even where
parts fail; a failed changeset answers with one part, whose Content-ID need not be that of the culprit (reference
``d365-odata`` 4.3).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, structs

from gateway.errors import UpstreamMalformed

from .query import Request
from .response_check import Response, failure_of, malformed_answer
from .retry import Failure

BATCH_URL = "$batch"
CONTENT_ID = "content-id"
"""Header of a part, put among those of its answer."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_LF = ord("\n")
_REFUSAL = re.compile(rb"HTTP/\d\.\d [3-9]\d\d\b")
_BUSY = re.compile(rb"HTTP/\d\.\d (?:408|429|50[234])\b")
_PART_HEADERS = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n"
)


def changeset(writes: Sequence[Request]) -> Request:
    """Put writes into one changeset; Content-IDs count from 1. URLs stay relative to the service root."""
    parts = [_part(number, write) for number, write in enumerate(writes, 1)]
    inner = _boundary("changeset", parts)
    outer = _boundary("batch", parts)
    body = b"".join(
        (
            f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode(),
            *(f"--{inner}\r\n".encode() + part + b"\r\n" for part in parts),
            f"--{inner}--\r\n\r\n--{outer}--\r\n".encode(),
        )
    )
    return _batch(outer, body)


def read_batch(reads: Sequence[Request]) -> Request:
    """Return one ``$batch`` of these reads, whose addresses no web server looks at; URLs stay relative to the root."""
    parts = [_part(number, read) for number, read in enumerate(reads, 1)]
    boundary = _boundary("batch", parts)
    pieces = (f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return _batch(boundary, b"".join((*pieces, f"--{boundary}--\r\n".encode())))


def is_batch(request: Request) -> bool:
    """Return whether the request is a ``$batch``."""
    return request.body is not None and request.url == BATCH_URL


def _batch(boundary: str, body: bytes) -> Request:
    headers = {
        "Content-Type": f"multipart/mixed; boundary={boundary}",
        "Accept": "multipart/mixed",
        "OData-Version": "4.0",
        "OData-MaxVersion": "4.0",
    }
    return Request("POST", BATCH_URL, headers, body)


def _part(number: int, write: Request) -> bytes:
    head = [f"{write.method} {write.url} HTTP/1.1"]
    head.extend(f"{name}: {value}" for name, value in write.headers.items())
    start = _PART_HEADERS.format(number) + "\r\n".join(head) + "\r\n\r\n"
    return start.encode() + (write.body or b"")


def _boundary(kind: str, parts: Sequence[bytes]) -> str:
    """Return a boundary that no part holds."""
    found, number = f"{kind}_gateway", 1
    while any(found.encode() in part for part in parts):
        number += 1
        found = f"{kind}_gateway{number}"
    return found


def parse_answers(response: Response) -> list[Response]:
    """Return the answers inside a batch's answer, in order, those of changesets in their place.

    Raises UpstreamMalformed where it is no batch answer.
    """
    content_type = response.headers.get("content-type", "")
    if not _is_multipart(content_type):
        raise malformed_answer(
            response, "a batch was sent, and something else than multipart came back"
        )
    found = [_answer(part, response) for part in _leaves(content_type, response.body)]
    if not found:
        raise malformed_answer(response, "the answer to a batch holds no answers")
    return found


def read_answers(response: Response, reads: Sequence[Request], root: str) -> list[Response]:
    """Return the answer to each read of a batch, in order. Raises UpstreamMalformed where some are missing."""
    answers = parse_answers(response)
    if len(answers) != len(reads):
        raise malformed_answer(
            response, f"a batch of {len(reads)} reads came back with {len(answers)} answers"
        )
    pairs = zip(reads, answers, strict=True)
    return [structs.replace(answer, url=f"{root}/{read.url}") for read, answer in pairs]


def busy_part(response: Response) -> Response:
    """Return the part of a batch's answer that may succeed when it is sent again; else the answer itself.

    A part may be 429 with its own ``Retry-After`` while the batch is 200 (reference ``d365-odata`` 4.2).
    """
    if response.status >= 300 or not _BUSY.search(response.body):
        return response
    try:
        answers = parse_answers(response)
    except UpstreamMalformed:
        return response
    return next((a for a in answers if failure_of(a) is not Failure.PERMANENT), response)


def refusing_part(response: Response) -> Response:
    """Return the part of a batch's answer that says no; the answer itself where none does, or only some of them."""
    if response.status >= 300 or not _REFUSAL.search(response.body):
        return response
    try:
        answers = parse_answers(response)
    except UpstreamMalformed:
        return response
    is_refused = all(answer.status >= 300 for answer in answers)
    return answers[0] if is_refused else response


class _Part(Struct, frozen=True):
    headers: Mapping[str, str]
    content: bytes


def _is_multipart(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/")


def _leaves(content_type: str, body: bytes) -> Iterator[_Part]:
    """Return the parts that hold no others. A last boundary may be missing, and lines may end in LF alone.

    Not by the package ``email``, which takes a millisecond a part.
    """
    named = _BOUNDARY.search(content_type)
    if named is None:
        return
    for piece in _between(named[1] or named[2], body):
        part = _part_of(piece)
        inner = part.headers.get("content-type", "")
        if _is_multipart(inner):
            yield from _leaves(inner, part.content)
        else:
            yield part


def _between(boundary: str, body: bytes) -> Iterator[bytes]:
    """Return what stands between the lines with a boundary."""
    line = re.compile(re.escape(b"--" + boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start = None
    for found in line.finditer(body):
        if found.start() and body[found.start() - 1] != _LF:
            continue
        if start is not None:
            yield body[start : found.start()]
        if found[1]:
            return
        start = found.end()
    if start is not None:
        yield body[start:]


def _part_of(piece: bytes) -> _Part:
    # The line break of the boundary is still there, so that a part without headers begins with two.
    head, _, content = piece.replace(b"\r\n", b"\n").partition(b"\n\n")
    return _Part(_headers(head.decode("utf-8", "replace").split("\n")), content)


def _answer(part: _Part, response: Response) -> Response:
    head, _, body = part.content.lstrip(b"\n").partition(b"\n\n")
    first, *lines = head.decode("utf-8", "replace").split("\n")
    words = first.split(" ", 2)
    if not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        raise malformed_answer(response, "a part of the answer to a batch is no HTTP answer")
    named = part.headers.get(CONTENT_ID)
    # What answers a batch is an OData service; its parts need not repeat the header.
    headers = {"odata-version": response.headers.get("odata-version", "4.0")}
    if named is not None:
        headers[CONTENT_ID] = named
    return Response(
        int(words[1]),
        {**headers, **_headers(lines)},
        body.strip(b"\n").removeprefix(BOM_UTF8),
        response.url,
    )


def _headers(lines: Sequence[str]) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
