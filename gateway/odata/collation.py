"""Which of two values sorts first upstream, as far as every collation agrees.

Text is sorted upstream by the collation of a database that is not known here. Windows collations, those of SQL Server
(https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support), nearly ignore
hyphens and apostrophes; code points put capitals before small letters. If two texts first differ in a digit or in
letters of one case, all collations agree.
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
    """Return -1, 0 or 1 if ``left`` certainly sorts before, with or after ``right``, ascending; else None."""
    first = comparable(edm_type, left, case_insensitive=case_insensitive)
    second = comparable(edm_type, right, case_insensitive=case_insensitive)
    if first == second:
        return 0
    if first is None or second is None:
        return None
    if edm_type == "Edm.String":
        return _text_order(first, second)
    return -1 if first < second else 1


def fold_text(text: str) -> str:
    """Return a form that is equal for texts which some collation takes as equal: ``"É "`` → ``"e"``.

    Some collations ignore case, accents, width and trailing blanks (``_CI_AI`` of SQL Server, Dataverse).
    """
    letters = (c for c in normalize("NFKD", text) if not combining(c))
    return "".join(letters).casefold().rstrip()


def _text_order(a: str, b: str) -> int | None:
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if place is None:
        shorter, rest = (-1, b[len(a) :]) if len(a) < len(b) else (1, a[len(b) :])
        # Blanks and hyphens at the end may be ignored; letters and digits are not.
        is_significant = any(c in _DIGITS or c in _SMALL or c in _CAPITALS for c in rest)
        return shorter if is_significant else None
    ranks = _rank(a[place]), _rank(b[place])
    # Digits sort before letters everywhere, but which case of a letter sorts first differs.
    if None in ranks or (ranks[0] != ranks[1] and 0 not in ranks):
        return None
    return -1 if a[place] < b[place] else 1


def _rank(character: str) -> int | None:
    """Return 0 for an ASCII digit, 1 for a small letter, 2 for a capital; None for other characters."""
    groups = (_DIGITS, _SMALL, _CAPITALS)
    return next((i for i, group in enumerate(groups) if character in group), None)
