"""Reads and writes the ``multipart/mixed`` bodies of batches (section 4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from .exchange import Incoming, Outgoing
from .refusal import Refusal

_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a batch or of a changeset."""

    headers: Mapping[str, str]
    """Names in lower case."""
    content: str

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def is_changeset(self) -> bool:
        return self.kind.startswith("multipart/")

    @property
    def content_id(self) -> str | None:
        return self.headers.get("content-id")

    def parts(self) -> list[Part]:
        """Return the parts of a changeset; its last delimiter may be missing ([R: G1])."""
        return _split(self.content, _boundary(self.kind))

    def request(self, outer: Incoming) -> Incoming:
        """Return the request of a part such as ``GET CustomersV3?$top=1 HTTP/1.1``.

        Addresses may be absolute, rooted or relative. Raises Refusal 400 if it is not an HTTP request.
        """
        head, _, body = self.content.partition("\n\n")
        line, _, fields = head.strip("\n").partition("\n")
        method, _, rest = line.partition(" ")
        address, _, version = rest.strip().rpartition(" ")
        if not method.isalpha() or not version.startswith("HTTP/"):
            raise Refusal(400, "A part of the batch is not an HTTP request.")
        url = urlsplit(address)
        return Incoming(
            method=method.upper(),
            path=url.path if url.path.startswith("/") else f"/data/{url.path}",
            query=url.query,
            headers=_headers(fields),
            body=body.rstrip("\n").encode(),
            origin=outer.origin,
            user=outer.user,
        )


def read_batch(incoming: Incoming, *, needs_crlf: bool) -> list[Part]:
    """Return the parts of a batch request. Raises Refusal 415 or 400 if it is not one."""
    kind = incoming.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/mixed") or not _BOUNDARY.search(kind):
        raise Refusal(
            415, "The batch request must have a 'multipart/mixed' content type with a boundary."
        )
    text = incoming.body.decode("utf-8", "replace")
    if needs_crlf and "\n" in text and "\r\n" not in text:
        raise Refusal(400, "The lines of a batch message must end in CRLF.")
    return _split(text.replace("\r\n", "\n"), _boundary(kind))


def _boundary(kind: str) -> str:
    match = _BOUNDARY.search(kind)
    if match is None:
        raise Refusal(400, "A changeset has no boundary.")
    return match[1] or match[2]


def _split(text: str, boundary: str) -> list[Part]:
    chunks = f"\n{text}".split(f"\n--{boundary}")
    if len(chunks) < 2:
        raise Refusal(400, "The batch message has no parts.")
    parts = []
    for chunk in chunks[1:]:
        if chunk.startswith("--"):
            break
        head, _, content = chunk.lstrip("\n").partition("\n\n")
        parts.append(Part(_headers(head), content))
    return parts


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.split("\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def write_parts(boundary: str, parts: list[bytes]) -> bytes:
    """Return a multipart body."""
    return b"".join(
        [*(f"--{boundary}\r\n".encode() + part for part in parts), f"--{boundary}--\r\n".encode()]
    )


def write_answer(outgoing: Outgoing, content_id: str | None) -> bytes:
    """Return the part that answers one request."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {outgoing.status} {HTTPStatus(outgoing.status).phrase}"]
    lines += [f"{name.title()}: {value}" for name, value in outgoing.headers.items()]
    lines += ["OData-Version: 4.0", "", ""]
    return "\r\n".join(lines).encode() + outgoing.body + b"\r\n"


def write_changeset(boundary: str, parts: list[bytes]) -> bytes:
    """Return the part that answers a changeset."""
    head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
    return head.encode() + write_parts(boundary, parts) + b"\r\n"
