"""The answers of a service without rows: explain runs plans against it to learn their first requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.odata.batch import is_batch
from gateway.odata.query import Request
from gateway.odata.response_check import Response

PARTS = re.compile(
    rb"Content-ID: \d+\r\n\r\n(?P<method>[A-Z]+) (?P<url>\S+) HTTP/1\.1\r\n"
    rb"(?P<headers>(?:[^\r\n]+\r\n)*)\r\n(?P<body>[^\r\n]*)"
)
"""The requests within a batch; a JSON body is one line."""
_BOUNDARY = "answer_to_explain"
_JSON = {"content-type": "application/json"}


def requests_within(body: bytes | None) -> Iterator[Request]:
    """Return the writes of a changeset, or the reads of a batch."""
    for part in PARTS.finditer(body or b""):
        lines = part["headers"].decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        yield Request(part["method"].decode(), part["url"].decode(), headers, part["body"] or None)


def empty_answer(request: Request, count: int) -> Response:
    """Return the answer to a read: no rows, ``count`` for ``$count``, 404 for a key; to a batch, one for each part."""
    if is_batch(request):
        parts = b"".join(_part(read, count) for read in requests_within(request.body))
        headers = {"content-type": f"multipart/mixed; boundary={_BOUNDARY}"}
        return Response(200, headers, parts + f"--{_BOUNDARY}--\r\n".encode(), request.url)
    path = request.url.partition("?")[0]
    if path.endswith("/$count"):
        return Response(200, {}, str(count).encode(), request.url)
    if ")" in path:  # a key, or a function with parameters
        return Response(404, {}, b"", request.url)
    return Response(200, _JSON, b'{"value":[]}', request.url)


def _part(read: Request, count: int) -> bytes:
    answer = empty_answer(read, count)
    head = (
        f"--{_BOUNDARY}\r\nContent-Type: application/http\r\n\r\n"
        f"HTTP/1.1 {answer.status} .\r\nContent-Type: application/json\r\n\r\n"
    )
    return head.encode() + answer.body + b"\r\n"
