r"""Tokens of a document by one regular expression, and their positions, which only errors need.

    { order(first: 3) }   →   "{"  "order"  "("  "first"  ":"  "3"  ")"  "}"  ""

The last token is empty: the end. If something is no token, it and all that follows is the last one before the end. Such
a token is never ``}``, with which every operation and fragment ends.
"""

from __future__ import annotations

import re

from graphql import Location, Source
from msgspec import Struct

# Every quantifier is possessive, so the time is linear in the length of any text.
_TOKEN = re.compile(
    r"""
    [ \t\n\r,\ufeff]*+ (?: \#[^\n\r]*+ [ \t\n\r,\ufeff]*+ )*+
    (
      [A-Za-z_][0-9A-Za-z_]*+
    | [{}():$!=@\[\]|&]
    | \.\.\.
    | -?+ (?: 0 | [1-9][0-9]*+ ) (?: \.[0-9]++ )?+ (?: [eE][+-]?+[0-9]++ )?+ (?![0-9A-Za-z_.])
    | \"""  (?: [^"\\]++ | \\ (?: \""" | (?!\""") ) | "(?!"") )*+  \"""
    | " (?!"") [^"\\\n\r]*+ (?: \\[^\n\r] [^"\\\n\r]*+ )*+ "
    | \Z
    | [\s\S]+
    )
    """,
    re.VERBOSE,
)
_COMMENT = re.compile(r"#[^\n\r]*")


class Lexemes:
    """The tokens of one text."""

    __slots__ = ("_source", "_spans", "text", "tokens")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = _TOKEN.findall(text)
        self._source: Source | None = None
        self._spans: list[tuple[int, int]] | None = None

    @property
    def source(self) -> Source:
        """The text as errors refer to it: one object for all nodes."""
        if self._source is None:
            self._source = Source(self.text)
        return self._source

    def span(self, index: int) -> tuple[int, int]:
        """Return where a token starts and ends."""
        if self._spans is None:
            self._spans = [match.span(1) for match in _TOKEN.finditer(self.text)]
        return self._spans[index]

    def comments(self) -> int:
        """Return the number of comments."""
        if "#" not in self.text:
            return 0
        ignored = (self.text[m.start() : m.start(1)] for m in _TOKEN.finditer(self.text))
        return sum(len(_COMMENT.findall(part)) for part in ignored)


class Place(Struct, frozen=True, eq=False, gc=False):
    """Where a node stands: graphql-core's ``Location``, but for the tokens, without positions until they are read.

    A document has hundreds. The garbage collector need not visit them, as lexemes refer to text only.
    """

    first: int
    """Index of its first token; -1: the start of the text."""
    last: int
    lexemes: Lexemes

    @property
    def start(self) -> int:
        """The character at which it begins."""
        return 0 if self.first < 0 else self.lexemes.span(self.first)[0]

    @property
    def end(self) -> int:
        """The character after its last one."""
        return self.lexemes.span(self.last)[1]

    @property
    def source(self) -> Source:
        """The document's text."""
        return self.lexemes.source

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Place | Location):
            return False
        return self.start == other.start and self.end == other.end

    def __hash__(self) -> int:
        return hash((self.start, self.end))

    def __str__(self) -> str:
        return f"{self.start}:{self.end}"
