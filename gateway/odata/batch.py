"""``$batch`` in multipart form: of reads, of writes by themselves or in changesets; and the parsing of its answer.

Request and answer are nested ``multipart/mixed`` (RFC 2046) of ``application/http`` parts, OData 4.0 Protocol section
11.7, https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html. The outer status is 200 even if
parts fail; a failed changeset is answered with one part, whose Content-ID need not be that of the refused write.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from gateway.errors import UpstreamMalformed

from .query import Request
from .response_check import UNPROCESSED, Response, failure_of, malformed_answer
from .retry import Failure

BATCH_URL = "$batch"
MAX_READS = 20
"""Reads in one batch. Services answer them one after the other, so more reads go in several batches side by side."""
MANY_CHUNKS = 40
"""Requests for the rows of many keys; more of them share batches. Those of a page of 1,000 rows go side by side."""
FEW_CHUNKS = 5
"""The same in an operation that has so many keys already."""
LONGER = 3
"""Factor by which the addresses in these are longer: filters stay small enough for databases."""
CONTENT_ID = "content-id"
"""Header of a part; it is added to those of the answer in it."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_LF = ord("\n")
_REFUSAL = re.compile(rb"HTTP/\d\.\d [3-9]\d\d\b")
_BUSY = re.compile(rb"HTTP/\d\.\d (?:408|429|50[234])\b")
_UNPROCESSED = re.compile(rb"HTTP/\d\.\d (?:401|403|429)\b")
_PART_HEADERS = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {}\r\n\r\n"
)


def changeset(writes: Sequence[Request]) -> Request:
    """Return one changeset of the writes; Content-IDs count from 1, URLs stay relative to the service root."""
    return _shown([writes], lambda groups: _batch_of([_changeset(1, groups[0])]))


def write_batch(groups: Sequence[Sequence[Request]]) -> Request:
    """Return a batch of groups that do not depend on each other: a write by itself, or several as a changeset.

    ``odata.continue-on-error``: without it a service stops at the first group that it refuses (OData 4.0 Protocol,
    section 8.2.8.3). Content-IDs count through the whole batch.
    """
    batch = _shown(groups, _independent)
    headers = {**batch.headers, "Prefer": "odata.continue-on-error"}
    return structs.replace(batch, headers=headers)


def _shown(
    groups: Sequence[Sequence[Request]], batch_of: Callable[[Sequence[Sequence[Request]]], Request]
) -> Request:
    """Return the batch of writes, with the body that it shows if some of them show another than they have."""
    request = batch_of(groups)
    if all(write.shown_body is None for group in groups for write in group):
        return request
    shown = [
        [w if w.shown_body is None else structs.replace(w, body=w.shown_body) for w in group]
        for group in groups
    ]
    return structs.replace(request, shown_body=batch_of(shown).body)


def _independent(groups: Sequence[Sequence[Request]]) -> Request:
    parts, first = [], 1
    for group in groups:
        parts.append(_part(first, group[0]) if len(group) == 1 else _changeset(first, group))
        first += len(group)
    return _batch_of(parts)


def _changeset(first: int, writes: Sequence[Request]) -> bytes:
    """Return the part that holds a changeset, whose Content-IDs count from ``first``."""
    parts = [_part(number, write) for number, write in enumerate(writes, first)]
    boundary = _boundary("changeset", parts)
    return b"".join(
        (
            f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode(),
            *(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts),
            f"--{boundary}--\r\n".encode(),
        )
    )


def _batch_of(parts: Sequence[bytes]) -> Request:
    boundary = _boundary("batch", parts)
    pieces = (f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    return _batch(boundary, b"".join((*pieces, f"--{boundary}--\r\n".encode())))


def read_batch(reads: Sequence[Request]) -> Request:
    """Return one ``$batch`` of the reads; web servers do not check addresses inside. URLs stay relative to the root."""
    batch = _batch_of([_part(number, read) for number, read in enumerate(reads, 1)])
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


class NoBatchAnswer(UpstreamMalformed):
    """An answer to a ``$batch`` that is none, as of a service that takes batches in JSON only."""


def parse_answers(response: Response) -> list[Response]:
    """Return the answers in a batch's answer, in order, those of changesets in their place.

    Raises UpstreamMalformed if it is no batch answer.
    """
    return [answer for group in parse_groups(response) for answer in group]


def parse_groups(response: Response) -> list[list[Response]]:
    """Return the answers in a batch's answer, those of a changeset together. Raises UpstreamMalformed likewise."""
    content_type = response.headers.get("content-type", "")
    if not _is_multipart(content_type):
        reason = "a batch was sent, but the answer is not multipart"
        raise malformed_answer(response, reason, NoBatchAnswer)
    groups = [
        [_answer(leaf, response) for leaf in _leaves_of(part)]
        for part in _parts(content_type, response.body)
    ]
    if not any(groups):
        raise malformed_answer(response, "the answer to a batch holds no answers")
    return groups


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


def unprocessed_part(response: Response) -> Response:
    """Return the first part of a batch's answer if no part was processed, and all for one reason; else the answer.

    A batch of which one part was too busy must not be sent again as a whole.
    """
    if response.status >= 300 or not _UNPROCESSED.search(response.body) or not is_whole(response):
        return response
    try:
        answers = parse_answers(response)
    except UpstreamMalformed:
        return response
    statuses = {answer.status for answer in answers}
    return answers[0] if len(statuses) == 1 and statuses <= UNPROCESSED else response


class _Part(Struct, frozen=True):
    headers: Mapping[str, str]
    content: bytes


def _is_multipart(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/")


def _parts(content_type: str, body: bytes) -> Iterator[_Part]:
    """Yield the parts of a body. A last boundary may be missing, and lines may end in LF alone.

    The standard library's ``email`` would do, but takes a millisecond for each part.
    """
    named = _BOUNDARY.search(content_type)
    if named is not None:
        yield from map(_part_of, _between(named[1] or named[2], body))


def _leaves_of(part: _Part) -> Iterator[_Part]:
    """Yield the parts that hold no others: the part itself, or those of a changeset."""
    inner = part.headers.get("content-type", "")
    if not _is_multipart(inner):
        yield part
        return
    for below in _parts(inner, part.content):
        yield from _leaves_of(below)


def is_whole(response: Response) -> bool:
    """Return whether a batch's answer ends in its last boundary, so that no part of it is missing."""
    named = _BOUNDARY.search(response.headers.get("content-type", ""))
    if named is None:
        return False
    return response.body.rstrip().endswith(f"--{named[1] or named[2]}--".encode())


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
