"""``$batch`` in multipart form: one changeset of writes, all or nothing, and its answer taken apart.

Request and answer are nested ``multipart/mixed`` (RFC 2046) of ``application/http`` parts, OData 4.0 Protocol section
11.7, https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html. The outer status is 200 even where
parts fail; a failed changeset answers with one part, whose Content-ID need not be that of the culprit (reference
``d365-odata`` 4.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP

from gateway.errors import UpstreamMalformed

from .answers import Response, malformed
from .query import Request

BATCH_URL = "$batch"
CONTENT_ID = "content-id"
"""Header of a part, put among those of its answer."""
_REFUSAL = re.compile(rb"HTTP/\d\.\d [3-9]\d\d\b")
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
    headers = {
        "Content-Type": f"multipart/mixed; boundary={outer}",
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
    """Give a boundary that no part holds."""
    found, number = f"{kind}_gateway", 1
    while any(found.encode() in part for part in parts):
        number += 1
        found = f"{kind}_gateway{number}"
    return found


def answers_of(response: Response) -> list[Response]:
    """Give the answers inside a batch's answer, in order, those of changesets in their place.

    Raises UpstreamMalformed where it is no batch answer.
    """
    content_type = response.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/"):
        raise malformed(response, "a batch was sent, and something else than multipart came back")
    whole = f"Content-Type: {content_type}\r\n\r\n".encode() + response.body
    message = message_from_bytes(whole, policy=HTTP)
    found = [_answer(part, response) for part in _leaves(message)]
    if not found:
        raise malformed(response, "the answer to a batch holds no answers")
    return found


def refusing_part(response: Response) -> Response:
    """Give the part of a batch's answer that says no; the answer itself where none does, or only some of them."""
    if response.status >= 300 or not _REFUSAL.search(response.body):
        return response
    try:
        answers = answers_of(response)
    except UpstreamMalformed:
        return response
    is_refused = all(answer.status >= 300 for answer in answers)
    return answers[0] if is_refused else response


def _leaves(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if not part.is_multipart() and part is not message:
            yield part


def _answer(part: Message, response: Response) -> Response:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    head, _, body = content.lstrip(b"\r\n").replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.decode("utf-8", "replace").split("\n")
    words = first.split(" ", 2)
    if not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        raise malformed(response, "a part of the answer to a batch is no HTTP answer")
    headers = {**_named(part), **_headers(lines)}
    return Response(int(words[1]), headers, body.strip(b"\n"), response.url)


def _named(part: Message) -> Mapping[str, str]:
    name = part["Content-ID"]
    return {} if name is None else {CONTENT_ID: str(name).strip()}


def _headers(lines: Sequence[str]) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
