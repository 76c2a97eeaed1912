"""Splits names and queries into words: ``SalesOrderHeadersV2`` and ``sales order headers v2`` are the same four."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_WORD = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+\d+(?![a-z])|[A-Z]?[a-z]+\d*|[A-Z]+|\d+|[^\W\d_A-Za-z]+"
)
MOST_TERMS = 8
"""Maximum words of a query that are used."""
SHORT = 2
"""Maximum length of a short word, which matches starts of words only, and not among fields."""


def words(text: str) -> list[str]:
    """Return the words of a text in lower case without accents: ``AADClientId`` → ``aad client id``."""
    return [word.casefold() for word in _WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(part for part in parts if not unicodedata.combining(part))


def terms(query: str) -> tuple[str, ...]:
    """Return the words of a query that are used."""
    return tuple(words(query)[:MOST_TERMS])


def searchable_text(names: Iterable[str]) -> str:
    """Return names as searchable text: each word after a space, then the names as one word, then initials."""
    split = [words(name) for name in names]
    joined = ("".join(parts) for parts in split)
    initials = ("".join(_initial(part) for part in parts) for parts in split)
    all_words = (*(word for parts in split for word in parts), *joined, *initials)
    return "".join(f" {word}" for word in dict.fromkeys(all_words))


def _initial(word: str) -> str:
    """Return ``o`` for ``order``; a version stays whole."""
    return word if word[-1:].isdigit() else word[:1]


def closeness(parts: Sequence[str], names: Iterable[str]) -> int:
    """Return how close a query is to lower-case names: 0 one of them, 1 the start of one, 2 neither."""
    joined = "".join(parts)
    best = 2
    for name in names:
        if name == joined:
            return 0
        if name.startswith(joined):
            best = 1
    return best


def search_text(term: str) -> str:
    """Return what a searchable text must contain; a short word only matches starts of words."""
    return term if len(term) > SHORT else f" {term}"


def tier(term: str, text: str) -> int:
    """Return where a word matches: 0 at the start of a word of the names, 1 of the label, 2 inside a word."""
    at = text.find(f" {term}")
    if at < 0:
        return 2
    line = text.find("\n")
    return 0 if line < 0 or at < line else 1
