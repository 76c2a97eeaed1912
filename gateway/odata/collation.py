"""Which of two values comes first in an order that a service has made, as far as every collation agrees.

Text is sorted upstream by the rules of a database that are not known here. Windows collations, those of SQL Server
(https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support), all but ignore
hyphens and apostrophes; code points put capitals before small letters. Where two texts first differ in a digit or
letter, all of them say the same.
"""

from __future__ import annotations

from unicodedata import combining, normalize

from .local_filter import comparable
from .query import Value

_DIGITS = frozenset("0123456789")
_SMALL = frozenset("abcdefghijklmnopqrstuvwxyz")
_CAPITALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def certain_order(
    edm_type: str, left: Value, right: Value, *, case_insensitive: bool
) -> int | None:
    """Return -1, 0 or 1 as ``left`` surely sorts before, with or after ``right``, ascending; None: it is not sure."""
    one = comparable(edm_type, left, case_insensitive=case_insensitive)
    other = comparable(edm_type, right, case_insensitive=case_insensitive)
    if one == other:
        return 0
    if one is None or other is None:
        return None
    if edm_type == "Edm.String":
        return _texts(one, other)
    return -1 if one < other else 1


def fold_text(text: str) -> str:
    """Return what two texts share if any collation may take them as equal: ``"É "`` → ``"e"``.

    Case, accents, width and trailing blanks count for nothing in some of them (``_CI_AI`` of SQL Server, Dataverse).
    """
    letters = (c for c in normalize("NFKD", text) if not combining(c))
    return "".join(letters).casefold().rstrip()


def _texts(one: str, other: str) -> int | None:
    place = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if place is None:
        shorter, rest = (-1, other[len(one) :]) if len(one) < len(other) else (1, one[len(other) :])
        is_seen = any(c in _DIGITS or c in _SMALL or c in _CAPITALS for c in rest)
        return shorter if is_seen else None
    ranks = _rank(one[place]), _rank(other[place])
    if None in ranks or (ranks[0] != ranks[1] and 0 not in ranks):
        return None
    return -1 if one[place] < other[place] else 1


def _rank(character: str) -> int | None:
    """Return a digit's or letter's group; letters of another case are another group. None for all else."""
    groups = (_DIGITS, _SMALL, _CAPITALS)
    return next((i for i, group in enumerate(groups) if character in group), None)
