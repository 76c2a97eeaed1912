"""Names and queries as words: ``SalesOrderHeadersV2`` and ``sales order headers v2`` are the same four."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_WORD = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+\d+(?![a-z])|[A-Z]?[a-z]+\d*|[A-Z]+|\d+|[^\W\d_A-Za-z]+"
)
MOST_TERMS = 8
"""Words of a query that count."""
SHORT = 2
"""Letters of a word that is sought at the start of words only, and among few names."""


def words(text: str) -> list[str]:
    """Split at spaces, signs and humps, in small letters without accents: ``AADClientId`` → ``aad client id``."""
    return [found.casefold() for found in _WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(part for part in parts if not unicodedata.combining(part))


def terms(query: str) -> tuple[str, ...]:
    """Return the words of a query that count."""
    return tuple(words(query)[:MOST_TERMS])


def searched(names: Iterable[str]) -> str:
    """Return names as a text to search: each word behind a space, then the names as one word, then initials."""
    split = [words(name) for name in names]
    joined = ("".join(parts) for parts in split)
    initials = ("".join(_initial(part) for part in parts) for parts in split)
    found = (*(word for parts in split for word in parts), *joined, *initials)
    return "".join(f" {word}" for word in dict.fromkeys(found))


def _initial(word: str) -> str:
    """``order`` → ``o``; a version stays whole."""
    return word if word[-1:].isdigit() else word[:1]


def closeness(parts: Sequence[str], names: Iterable[str]) -> int:
    """Return how close a query is to names of small letters: 0 one of them, 1 the start of one, 2 neither."""
    joined = "".join(parts)
    found = 2
    for name in names:
        if name == joined:
            return 0
        if name.startswith(joined):
            found = 1
    return found


def sought(term: str) -> str:
    """Return what a searched text must hold: a short word only counts where it starts one."""
    return term if len(term) > SHORT else f" {term}"


def tier(term: str, text: str) -> int:
    """Return where a word is in a searched text: 0 starts a word of the names, 1 one of the label, 2 is within one."""
    at = text.find(f" {term}")
    if at < 0:
        return 2
    line = text.find("\n")
    return 0 if line < 0 or at < line else 1
