"""``$batch`` in multipart form: a changeset of writes, all or nothing, or several reads; and the parsing of its answer.

Request and answer are nested ``multipart/mixed`` (RFC 2046) of ``application/http`` parts, OData 4.0 Protocol section
11.7, https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html. The outer status is 200 even if
parts fail; a failed changeset is answered with one part, whose Content-ID need not be that of the refused write.
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
"""Header of a part; it is added to those of the answer in it."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_LF = ord("\n")
_REFUSAL = re.compile(rb"HTTP/\d\.\d [3-9]\d\d\b")
_BUSY = re.compile(rb"HTTP/\d\.\d (?:408|429|50[234])\b")
_PART_HEADERS = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n"
)


def changeset(writes: Sequence[Request]) -> Request:
    """Return one changeset of the writes; Content-IDs count from 1, URLs stay relative to the service root."""
    parts = [_part(number, write) for number, write in enumerate(writes, 1)]
    request = _changeset(parts)
    if all(write.shown_body is None for write in writes):
        return request
    shown = (
        write if write.shown_body is None else structs.replace(write, body=write.shown_body)
        for write in writes
    )
    shown_parts = [_part(number, write) for number, write in enumerate(shown, 1)]
    return structs.replace(request, shown_body=_changeset(shown_parts).body)


def _changeset(parts: Sequence[bytes]) -> Request:
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
    """Return one ``$batch`` of the reads; web servers do not check addresses inside. URLs stay relative to the root."""
    parts = [_part(number, read) for number, read in enumerate(reads, 1)]
    boundary = _boundary("batch", parts)
    pieces = (f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    batch = _batch(boundary, b"".join((*pieces, f"--{boundary}--\r\n".encode())))
    has_rule = any(read.shown is not None for read in reads)
    return structs.replace(batch, shown=BATCH_URL) if has_rule else batch


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


def _part(number: int, request: Request) -> bytes:
    head = [f"{request.method} {request.url} HTTP/1.1"]
    head.extend(f"{name}: {value}" for name, value in request.headers.items())
    start = _PART_HEADERS.format(number) + "\r\n".join(head) + "\r\n\r\n"
    return start.encode() + (request.body or b"")


def _boundary(kind: str, parts: Sequence[bytes]) -> str:
    """Return a boundary that occurs in no part."""
    boundary, number = f"{kind}_gateway", 1
    # Readable rather than random, so that recorded requests stay the same.
    while any(boundary.encode() in part for part in parts):
        number += 1
        boundary = f"{kind}_gateway{number}"
    return boundary


def parse_answers(response: Response) -> list[Response]:
    """Return the answers in a batch's answer, in order, those of changesets in their place.

    Raises UpstreamMalformed if it is no batch answer.
    """
    content_type = response.headers.get("content-type", "")
    if not _is_multipart(content_type):
        raise malformed_answer(response, "a batch was sent, but the answer is not multipart")
    answers = [_answer(part, response) for part in _leaves(content_type, response.body)]
    if not answers:
        raise malformed_answer(response, "the answer to a batch holds no answers")
    return answers


def read_answers(response: Response, reads: Sequence[Request], root: str) -> list[Response]:
    """Return the answer to each read of a batch, in order. Raises UpstreamMalformed if their number differs."""
    answers = parse_answers(response)
    if len(answers) != len(reads):
        raise malformed_answer(
            response, f"a batch of {len(reads)} reads came back with {len(answers)} answers"
        )
    pairs = zip(reads, answers, strict=True)
    return [structs.replace(answer, url=f"{root}/{read.url}") for read, answer in pairs]


def busy_part(response: Response) -> Response:
    """Return the first part of a batch's answer after which it may be repeated (429, 503…); else the answer itself.

    A part may be 429 with its own ``Retry-After`` while the batch is 200.
    """
    if response.status >= 300 or not _BUSY.search(response.body):
        return response
    try:
        answers = parse_answers(response)
    except UpstreamMalformed:
        return response
    return next((a for a in answers if failure_of(a) is not Failure.PERMANENT), response)


def refusing_part(response: Response) -> Response:
    """Return the first part of a batch's answer if all parts are refusals; else the answer itself."""
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
    """Yield the parts that hold no others. A last boundary may be missing, and lines may end in LF alone.

    The standard library's ``email`` would do, but takes a millisecond for each part.
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
    """Yield the pieces between lines with the boundary (RFC 2046, section 5.1.1)."""
    line = re.compile(re.escape(b"--" + boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start = None
    for match in line.finditer(body):
        if match.start() and body[match.start() - 1] != _LF:
            continue  # inside a line: content
        if start is not None:
            yield body[start : match.start()]
        if match[1]:
            return
        start = match.end()
    if start is not None:
        yield body[start:]


def _part_of(piece: bytes) -> _Part:
    # The piece begins with the line break after the boundary, so that one without headers begins with two.
    head, _, content = piece.replace(b"\r\n", b"\n").partition(b"\n\n")
    return _Part(_headers(head.decode("utf-8", "replace").split("\n")), content)


def _answer(part: _Part, response: Response) -> Response:
    head, _, body = part.content.lstrip(b"\n").partition(b"\n\n")
    first, *lines = head.decode("utf-8", "replace").split("\n")
    words = first.split(" ", 2)
    if not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        raise malformed_answer(response, "a part of the answer to a batch is not an HTTP response")
    named = part.headers.get(CONTENT_ID)
    # Only OData services answer batches, and parts need not repeat the header that shows it.
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
