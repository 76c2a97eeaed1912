"""How lines are chained: each holds the digest of the one before it, and ends with its own. Pure.

    {"chain":"c1","n":7,"prev":"<digest of line 6>","kind":"write",…,"digest":"<SHA-256 of all before this comma>"}

A line that is changed has another digest than it says; one that is removed, added or moved breaks ``prev`` or ``n``.
Digests alone do not stop somebody who may rewrite all files: the last digest has to be noted elsewhere, or the lines
have to be sent elsewhere (sink syslog or stdout).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Struct

START = "0" * 64
"""``prev`` of a chain's first line."""
_END = re.compile(rb',"digest":"([0-9a-f]{64})"\}\Z')


class Link(Struct, frozen=True):
    """The end of a chain: number and digest of its last line."""

    number: int = 0
    digest: str = START


class Line(Struct, frozen=True):
    """A line that is what it says; whether it continues its chain is another question."""

    chain: str
    n: int
    prev: str
    kind: str
    digest: str
    facts: dict[str, Any]
    """All that it says."""

    @property
    def link(self) -> Link:
        """The end of a chain whose last line this is."""
        return Link(self.n, self.digest)


class BrokenLine(ValueError):
    """A line that is not what it says. The message says why."""


def chained(chain: str, link: Link, entry: bytes) -> tuple[bytes, Link]:
    """Return the line of an entry (a JSON object that is not empty), and the end of the chain with it."""
    number = link.number + 1
    head = f'{{"chain":"{chain}","n":{number},"prev":"{link.digest}",'.encode()
    text = head + entry[1:-1]
    digest = digest_of(text)
    return b'%s,"digest":"%s"}\n' % (text, digest.encode()), Link(number, digest)


def digest_of(text: bytes) -> str:
    """Return the digest of a line's text before its digest."""
    return hashlib.sha256(text).hexdigest()


def read_line(raw: bytes) -> Line:
    """Return a line without its line break. Raises BrokenLine."""
    end = _END.search(raw)
    if end is None:
        raise BrokenLine("is cut off, or no line of an audit log")
    if digest_of(raw[: end.start()]) != end[1].decode():
        raise BrokenLine("was changed: its digest is another")
    try:
        facts = msgspec.json.decode(raw, type=dict[str, Any])
        return msgspec.convert({**facts, "facts": facts}, Line)
    except msgspec.MsgspecError as error:
        raise BrokenLine("is no line of an audit log") from error
