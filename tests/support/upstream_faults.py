"""What a service, or something before it, may do to an answer: a table of faults by name.

A fault turns the good answer to a request into the bytes that are said instead. ``before`` faults are said without
the service having seen the request; ``after`` faults when it has done it. Those that need what the service said
(``within``) come after it by nature. A fault that no reader could notice (a right answer with a row less) is not here.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

BEFORE, AFTER = "before", "after"
RESET: Final = b"<reset>"
"""Not said: the connection is reset here."""
HANG: Final = b"<hang>"
"""Not said: nothing more comes, and the connection stays open."""
DRIP: Final = b"<drip>"
"""Not said: a blank comes again and again, and no end."""


@dataclass(frozen=True)
class Good:
    """What the service says."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str = ""
    """What was asked."""

    def answer(self, body: bytes | None = None, *more: str, length: str | None = None) -> bytes:
        said = self.body if body is None else body
        kept = [f"{k}: {v}" for k, v in self.headers.items() if k.lower() != "content-length"]
        size = length if length is not None else str(len(said))
        lines = [f"HTTP/1.1 {self.status} X", *kept, f"Content-Length: {size}", *more]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + said

    def changed(self, change: Callable[[Any], Any]) -> bytes:
        """The answer with its JSON changed; as it is where it holds none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return self.answer()
        return self.answer(json.dumps(change(document)).encode())


Said = list[bytes]
Fault = Callable[[Good], Said]
PAGE = b"<!DOCTYPE html><html><body>Service Unavailable</body></html>"
ERROR = b'{"error":{"code":"x","message":"An error has occurred."}}'


def _plain(status: int, body: bytes, kind: str, *more: str) -> Fault:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    text = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda _: [text]


def _statuses() -> dict[str, Fault]:
    faults: dict[str, Fault] = {}
    bodies = {
        "empty": (b"", "text/plain"),
        "page": (PAGE, "text/html"),
        "error": (ERROR, "application/json"),
    }
    plain = (400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 421, 422, 429, 431, 451)
    for status in (*plain, 500, 501, 502, 503, 504, 505, 507, 511, 520, 599):
        for name, (body, kind) in bodies.items():
            if (status, name) != (
                404,
                "error",
            ):  # that is how a service says that there is no such row
                faults[f"{status} {name}"] = _plain(status, body, kind)
    for status in (300, 301, 302, 303, 304, 307, 308):
        faults[f"{status} elsewhere"] = _plain(
            status, b"", "text/html", "Location: http://127.0.0.1:1/x"
        )
    faults["302 sign-in"] = _plain(302, b"", "text/html", "Location: https://login.example/oauth2")
    faults["429 later"] = _plain(429, b"", "text/plain", "Retry-After: 2")
    faults["429 absurd"] = _plain(
        429, b"", "text/plain", "Retry-After: Mon, 01 Jan 99999 00:00:00 X"
    )
    for status in (200, 201, 202, 203, 204, 205, 206):
        faults[f"{status} nothing"] = _instead_of_done(_plain(status, b"", "application/json"))
    faults["200 page"] = _plain(200, PAGE, "text/html")
    faults["200 page as JSON"] = _plain(200, PAGE, "application/json")
    faults["200 error"] = _plain(200, ERROR, "application/json")
    return faults


def _instead_of_done(fault: Fault) -> Fault:
    """Only what the service has done is called done."""
    return lambda good: fault(good) if good.status < 300 else [good.answer()]


def _cuts() -> dict[str, Fault]:
    cut: dict[str, Callable[[bytes], bytes]] = {
        "nothing": lambda _: b"",
        "half a status line": lambda _: b"HTTP/1.1 20",
        "half of the headers": lambda a: a[: a.index(b"\r\n\r\n") // 2],
        "headers only": lambda a: a[: a.index(b"\r\n\r\n") + 4],
        "a byte of the body": lambda a: a[: a.index(b"\r\n\r\n") + 5],
        "half of the body": lambda a: a[: (a.index(b"\r\n\r\n") + 4 + len(a)) // 2],
        "all but the last byte": lambda a: a[:-1],
    }
    faults: dict[str, Fault] = {}
    for name, how in cut.items():
        faults[f"cut: {name}"] = lambda good, how=how: [how(_long(good))]  # type: ignore[misc]
        faults[f"reset: {name}"] = lambda good, how=how: [how(_long(good)), RESET]  # type: ignore[misc]
    faults["hang: nothing"] = lambda _: [HANG]
    faults["hang: headers only"] = lambda good: [cut["headers only"](_long(good)), HANG]
    faults["hang: half of the body"] = lambda good: [cut["half of the body"](_long(good)), HANG]
    faults["drip: body"] = lambda good: [good.answer(b"", length="100000"), DRIP]
    faults["drip: headers"] = lambda _: [b"HTTP/1.1 200 OK\r\nX-Slow: ", DRIP]
    return faults


def _long(good: Good) -> bytes:
    """An answer with a body, so that there is something to cut."""
    return good.answer(good.body or b"          ")


def _lies() -> dict[str, Fault]:
    return {
        "length: too short": lambda g: [g.answer(length=str(max(0, len(g.body) - 3)))],
        "length: too long": lambda g: [g.answer(length=str(len(g.body) + 50))],
        "length: negative": lambda g: [g.answer(length="-5")],
        "length: no number": lambda g: [g.answer(length="many")],
        "length: two": lambda g: [g.answer(g.body, "Content-Length: 1")],
        "length: none and open": lambda g: [_unsized(g), HANG],
        "chunks: no end": lambda g: [_chunked(g, end=b"")],
        "chunks: wrong size": lambda g: [_chunked(g, grow=7)],
        "chunks: no number": lambda g: [_chunked(g, size=b"zz")],
        "HTTP/3.7": lambda g: [g.answer().replace(b"HTTP/1.1", b"HTTP/3.7", 1)],
        "not HTTP": lambda _: [b"SSH-2.0-OpenSSH_9.6\r\n"],
        "status: no number": lambda g: [g.answer().replace(b" 20", b" 2x", 1)],
        "header: endless": lambda g: [b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"],
        "header: null byte": lambda g: [g.answer(g.body, "X: a\0b")],
    }


def _unsized(good: Good) -> bytes:
    kept = "".join(f"{k}: {v}\r\n" for k, v in good.headers.items() if k != "content-length")
    return f"HTTP/1.1 {good.status} X\r\n{kept}\r\n".encode() + good.body


def _chunked(
    good: Good, *, end: bytes = b"0\r\n\r\n", grow: int = 0, size: bytes | None = None
) -> bytes:
    head = _unsized(good).split(b"\r\n\r\n", 1)[0] + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    count = f"{len(good.body) + grow:x}".encode() if size is None else size
    return head + count + b"\r\n" + good.body + b"\r\n" + end


def _codings() -> dict[str, Fault]:
    def bomb(good: Good) -> Said:
        packed = gzip.compress(bytes(40_000_000))
        return [good.answer(packed, "Content-Encoding: gzip")]

    def twice(good: Good) -> Said:
        packed = gzip.compress(gzip.compress(good.body))
        return [good.answer(packed, "Content-Encoding: gzip, gzip")]

    return {
        "coding: bomb": bomb,
        "coding: twice": twice,
        "coding: not packed": lambda g: [g.answer(g.body, "Content-Encoding: gzip")],
        "coding: cut": lambda g: [
            g.answer(gzip.compress(g.body or b"x")[:-6], "Content-Encoding: gzip")
        ],
        "coding: other": lambda g: [g.answer(zlib.compress(g.body), "Content-Encoding: br")],
        "coding: unknown": lambda g: [g.answer(g.body, "Content-Encoding: rot13")],
        "coding: UTF-16": lambda g: [g.answer((g.body or b"x").decode().encode("utf-16"))],
        "coding: Latin-1": lambda g: [g.answer(b'{"value":[{"a":"\xe9\xff"}]}')],
    }


def _contents() -> dict[str, Fault]:
    bodies = {
        "null": b"null",
        "list": b"[]",
        "text": b'"x"',
        "number": b"7",
        "other object": b'{"colour":"red"}',
        "value null": b'{"value":null}',
        "value object": b'{"value":{}}',
        "value of texts": b'{"value":["a","b"]}',
        "value of lists": b'{"value":[[],[]]}',
        "NaN": b'{"value":[NaN]}',
        "two documents": b'{"value":[]}{"value":[]}',
        "half a document": b'{"value":[{"dataAreaId":"us',
        "nested": b'{"value":' * 3_000 + b"[]" + b"}" * 3_000,
        "XML": b'<?xml version="1.0"?><feed/>',
    }
    faults: dict[str, Fault] = {
        f"content: {name}": (lambda good, body=body: [good.answer(body)])  # type: ignore[misc]
        for name, body in bodies.items()
    }
    rows: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "values are objects": lambda row: {k: {"x": 1} for k in row},
        "values are lists": lambda row: {k: [v] for k, v in row.items()},
        "texts are numbers": lambda row: {
            k: 7 if isinstance(v, str) and not k.startswith("@") else v for k, v in row.items()
        },
        "no properties": lambda _: {},
        "nothing but null": dict.fromkeys,
    }
    for name, change in rows.items():
        faults[f"rows: {name}"] = lambda good, change=change: [  # type: ignore[misc]
            good.changed(lambda document: _each_row(document, change))
        ]
    links: dict[str, object] = {
        "foreign": "https://evil.example/data/CustomerGroups?$skiptoken=1",
        "no text": 7,
        "no address": "::::",
        "another scheme": "file:///etc/passwd",
    }
    for name, link in links.items():
        faults[f"next link: {name}"] = lambda good, link=link: [  # type: ignore[misc]
            good.changed(lambda d: {**d, "@odata.nextLink": link} if _is_page(d) else d)
        ]
    faults["next link: itself"] = lambda good: [
        good.changed(lambda d: {**d, "@odata.nextLink": good.address} if _is_page(d) else d)
    ]
    faults["rows: twice"] = lambda good: [
        good.changed(lambda d: {**d, "value": d["value"] * 2} if _is_page(d) else d)
    ]
    return faults


def _is_page(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("value"), list)


def _each_row(document: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if _is_page(document):
        return {**document, "value": [change(row) for row in document["value"]]}
    return change(document) if isinstance(document, dict) else document


FAULTS: Mapping[str, Fault] = {
    **_statuses(),
    **_cuts(),
    **_lies(),
    **_codings(),
    **_contents(),
}
"""By name; a test sees that there are enough of them."""
_NOT_DONE = re.compile(r"(?:401|403|429) .+|4\d\d empty|[45]\d\d error")
_DONE = re.compile(
    r"20\d nothing|(?:content|rows|next link|coding|length|chunks|header|status|HTTP)\b.*"
)


def phases(name: str) -> tuple[str, ...]:
    """When a fault may befall a write: who says "refused" has not done it, and who says "done" has.

    Whoever says otherwise lies about the very thing that is asked, and no reader can notice.
    """
    if _NOT_DONE.fullmatch(name):
        return (BEFORE,)
    return (AFTER,) if _DONE.fullmatch(name) else (BEFORE, AFTER)
