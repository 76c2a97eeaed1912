"""Names that look like a misspelled one, at a cost that does not grow with the catalogue.

Comparing letter by letter (edit distance) takes about 50 µs a name: a second for the 8,000 root fields of Finance &
Operations. So few names reach that comparison: those that start or end alike (:class:`NameIndex`), of them the ones
with nearly the same letters, and of those the :data:`COMPARED` with nearly the same pairs of letters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from graphql.pyutils import suggestion_list

SMALL = 50
"""Up to so many names are all compared letter by letter."""
SAME_LETTERS = 60
"""Names that remain after their letters are compared."""
COMPARED = 15
"""Names that are compared letter by letter."""
_START = 3
_END = 4
_LENGTH_DIFFERENCE = 3


class NameIndex:
    """Thousands of names by their starts and ends: a misspelled name has nearly always one of the two right."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._by_start: dict[str, list[str]] = {}
        self._by_end: dict[str, list[str]] = {}
        for name in self._names:
            self._by_start.setdefault(name[:_START].lower(), []).append(name)
            self._by_end.setdefault(name[-_END:].lower(), []).append(name)

    def near(self, wrong: str) -> list[str]:
        """Return the names that start or end like this one and are about as long; all names if there are few."""
        if len(self._names) <= SMALL:
            return list(self._names)
        candidates = dict.fromkeys(self._by_start.get(wrong[:_START].lower(), ()))
        candidates.update(dict.fromkeys(self._by_end.get(wrong[-_END:].lower(), ())))
        length = len(wrong)
        return [name for name in candidates if abs(len(name) - length) <= _LENGTH_DIFFERENCE]


def near_names(wrong: str, names: Collection[str]) -> list[str]:
    """Return the names that a misspelled one may stand for, the likeliest first."""
    return suggestion_list(wrong, preselect(wrong, names))


def preselect(wrong: str, names: Collection[str]) -> list[str]:
    """Return at most :data:`COMPARED` of many names: those with nearly the same letters, then pairs of letters."""
    if len(names) <= SMALL:
        return list(names)
    letters, length = frozenset(wrong.lower()), len(wrong)
    by_letters = sorted(
        names, key=lambda n: len(letters.symmetric_difference(n.lower())) + abs(len(n) - length)
    )
    pairs = _pairs(wrong)
    return sorted(by_letters[:SAME_LETTERS], key=lambda n: len(pairs ^ _pairs(n)))[:COMPARED]


def _pairs(name: str) -> set[str]:
    lowered = name.lower()
    return {lowered[i : i + 2] for i in range(len(lowered) - 1)}
