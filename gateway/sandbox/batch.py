"""``POST /data/$batch`` with GET parts, multipart/mixed (section 4.3).

Parts are answered one by one and independently; the outer status is 200 even if all of them fail.
Changesets are refused until the sandbox can write.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from .exchange import Incoming, Outgoing
from .refusal import Refusal

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


class Batches:
    """Answers batches by answering their parts."""

    def __init__(self, part: Callable[[Incoming], Outgoing], limit: int) -> None:
        self._part = part
        self._limit = limit

    def answer(self, incoming: Incoming) -> Outgoing:
        """Give the multipart answer of a batch."""
        parts = split_parts(incoming)
        if len(parts) > self._limit:
            raise Refusal(
                400,
                f"The current batch message contains too many parts: at most {self._limit} are allowed.",
            )
        boundary = f"batchresponse_{uuid.uuid4()}"
        lines: list[bytes] = []
        for headers, content in parts:
            lines.append(f"--{boundary}\r\n".encode())
            lines.append(_part_answer(self._one(incoming, headers, content), headers))
        lines.append(f"--{boundary}--\r\n".encode())
        return Outgoing(
            headers={"content-type": f"multipart/mixed; boundary={boundary}"}, body=b"".join(lines)
        )

    def _one(self, outer: Incoming, headers: dict[str, str], content: str) -> Outgoing:
        if headers.get("content-type", "").startswith("multipart/"):
            return Outgoing.of_refusal(
                Refusal(501, "Changesets are not implemented by this sandbox: it reads only.")
            )
        try:
            inner = _request(outer, content)
        except ValueError:
            return Outgoing.of_refusal(Refusal(400, "A part of the batch is not an HTTP request."))
        return self._part(inner)


def split_parts(incoming: Incoming) -> list[tuple[dict[str, str], str]]:
    """Give header fields and content of every part."""
    kind = incoming.headers.get("content-type", "")
    match = _BOUNDARY.search(kind)
    if not kind.startswith("multipart/mixed") or match is None:
        raise Refusal(
            415, "The batch request must have a 'multipart/mixed' content type with a boundary."
        )
    text = incoming.body.decode("utf-8", "replace").replace("\r\n", "\n")
    chunks = f"\n{text}".split(f"\n--{match[1] or match[2]}")
    if len(chunks) < 2:
        raise Refusal(400, "The batch message has no parts.")
    found = []
    for chunk in chunks[1:]:
        if chunk.startswith("--"):
            break
        head, _, content = chunk.lstrip("\n").partition("\n\n")
        found.append((_headers(head), content))
    return found


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.split("\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _request(outer: Incoming, content: str) -> Incoming:
    """Read ``GET CustomersV3?$top=1 HTTP/1.1`` and its header fields; addresses may be absolute, rooted or relative."""
    head, _, body = content.partition("\n\n")
    line, _, fields = head.strip("\n").partition("\n")
    method, _, rest = line.partition(" ")
    address, _, version = rest.strip().rpartition(" ")
    if not method.isalpha() or not version.startswith("HTTP/"):
        raise ValueError(line)
    url = urlsplit(address)
    path = url.path if url.path.startswith("/") else f"/data/{url.path}"
    return Incoming(
        method=method.upper(),
        path=path,
        query=url.query,
        headers=_headers(fields),
        body=body.encode(),
        origin=outer.origin,
    )


def _part_answer(outgoing: Outgoing, headers: dict[str, str]) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if "content-id" in headers:
        lines.append(f"Content-ID: {headers['content-id']}")
    lines += ["", f"HTTP/1.1 {outgoing.status} {HTTPStatus(outgoing.status).phrase}"]
    lines += [f"{name.title()}: {value}" for name, value in outgoing.headers.items()]
    lines += ["OData-Version: 4.0", "", ""]
    return "\r\n".join(lines).encode() + outgoing.body + b"\r\n"
