"""Converts CSDL names to GraphQL names: total, deterministic and free of collisions.

A CSDL SimpleIdentifier (CSDL XML 4.01 section 15.2) may hold any letter of Unicode, a GraphQL name only
``[_A-Za-z0-9]`` and no leading ``__`` (GraphQL section 2.1.9). Letters are folded to ASCII where Unicode knows how,
else transliterated, else spelled by code point. A name that is taken gets the suffix ``_2``, ``_3``… in document order,
and the clash is reported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import nsmallest
from itertools import takewhile
from operator import eq

from anyascii import anyascii

_ALREADY_FITS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PLAIN = re.compile(r"(?:(?:[A-Z](?![A-Z])|[a-z])[A-Za-z0-9_]*(?:\n(?!\Z)|\Z))+")
"""Names, one a line, whose field names differ from them in nothing but the first letter."""
_NOT_ASCII_WORD = re.compile(r"[^A-Za-z0-9_]")
_LEADING_CAPITALS = re.compile(r"^[A-Z]+")
_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SHARED_START, _ABOUT_AS_LONG = 4, 2
_SEVERAL_UNDERSCORES = re.compile(r"_{2,}")


def ascii_name(name: str) -> str:
    """Return a name in GraphQL's characters: ``Straße`` → ``Strasse``, ``Банк`` → ``Bank``, ``客户`` → ``KeHu``."""
    if _ALREADY_FITS.fullmatch(name):
        return name
    spelled = _NOT_ASCII_WORD.sub(
        "_", name if name.isascii() else "".join(map(_spell, unicodedata.normalize("NFC", name)))
    )
    if not spelled or spelled[0].isdigit():
        spelled = "_" + spelled
    return "_" + spelled.lstrip("_") if spelled.startswith("__") else spelled


def _spell(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() or character == "_" else "_"
    folded = unicodedata.normalize("NFKD", character.replace("ß", "ss").replace("ẞ", "SS"))
    latin = anyascii(character)
    kept = _letters(folded) or _letters(latin)
    # The hard and soft signs of Cyrillic are transliterated to apostrophes, which no name can contain.
    return kept if kept or (latin and character.isalpha()) else f"U{ord(character):04X}"


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isascii() and c.isalnum())


def type_name(name: str) -> str:
    """PascalCase as in the CSDL: ``customerV3`` → ``CustomerV3``."""
    spelled = ascii_name(name)
    return spelled[:1].upper() + spelled[1:]


@lru_cache(maxsize=4_096)
def field_name(name: str) -> str:
    """camelCase: ``CustomerAccount`` → ``customerAccount``, ``AADClientId`` → ``aadClientId``."""
    if name.isascii() and name.isidentifier() and name[0].isupper() and not name[1:2].isupper():
        return name[0].lower() + name[1:]  # a short cut for nearly all names
    spelled = ascii_name(name)
    capitals = _LEADING_CAPITALS.match(spelled)
    if capitals is None:
        return spelled
    run = len(capitals.group())
    following = spelled[run : run + 1]
    lowered = run - 1 if run > 1 and following.islower() else run
    return spelled[:lowered].lower() + spelled[lowered:]


def field_names(names: Sequence[str]) -> list[str]:
    """Return the ``field_name`` of each name."""
    lines = "\n".join(names)
    if _PLAIN.fullmatch(lines) and lines.count("\n") < len(names):
        return [name[0].lower() + name[1:] for name in names]
    return list(map(field_name, names))


def add_prefix(prefix: str, name: str) -> str:
    """Return a camelCase name with a prefix: ``erp`` and ``customersV3`` → ``erpCustomersV3``."""
    return f"{prefix}{name[:1].upper()}{name[1:]}" if prefix else name


def enum_value_name(member: str) -> str:
    """UPPER_SNAKE: ``FixedAssets_RU`` → ``FIXED_ASSETS_RU``, ``Code_x0020_Mandatory`` → ``CODE_MANDATORY``."""
    decoded = member
    if "_x" in member:
        decoded = _ENCODED.sub(
            lambda m: " " if m[1] in ("0020", "002D", "002d") else chr(int(m[1], 16)), member
        )
        decoded = decoded if decoded.strip() else member
    words = _WORD_STARTS.sub("_", ascii_name(decoded))
    if "__" in words:
        words = _SEVERAL_UNDERSCORES.sub("_", words)
    return ascii_name(words.upper())


def near_names(wrong: str, names: Iterable[str], *, limit: int = 100) -> list[str]:
    """Return the candidates for a "did you mean", nearest first; comparing with every name would be too slow.

    Candidates share the first four letters, or the first letter and about the same length.
    """
    folded = wrong.casefold()
    ranks: dict[str, tuple[int, int, bool, str]] = {}
    for name in names:
        other = name.casefold()
        shared = sum(takewhile(bool, map(eq, folded, other)))
        apart = abs(len(other) - len(folded))
        if shared >= _SHARED_START or (shared and apart <= _ABOUT_AS_LONG):
            rank = (-shared, apart, name[0] != wrong[0], name)
            ranks[other] = min(rank, ranks.get(other, rank))
    return [rank[-1] for rank in nsmallest(limit, ranks.values())]


class Names:
    """Assigns the names of one namespace, each once."""

    def __init__(
        self,
        taken: Iterable[str] = (),
        renames: Mapping[str, str] | None = None,
        place: str = "",
        prefix: str = "",
    ) -> None:
        """``prefix`` is put before every name, renamed ones included."""
        self._taken = dict.fromkeys(taken, "")
        self._renames = renames or {}
        self._place = place
        self._prefix = prefix
        self.findings: list[str] = []

    def is_taken(self, name: str) -> bool:
        """Return whether the name has been assigned or was reserved from the start."""
        return add_prefix(self._prefix, name) in self._taken

    def owners(self) -> Iterator[str]:
        """Return the owners of the assigned names."""
        return (owner for owner in self._taken.values() if owner)

    def take(self, wanted: str, owner: str) -> str:
        """Return ``wanted``, with a suffix if it is taken; ``owner`` identifies the element in renames and findings."""
        requested = add_prefix(self._prefix, self._renames.get(owner, wanted))
        name, number = requested, 2
        while name in self._taken:
            name, number = f"{requested}_{number}", number + 1
        if name != requested:
            other = self._taken[requested] or "a name of the gateway"
            self.findings.append(
                f"{owner}: the GraphQL name {requested} is taken by {other}; it is named {name}{self._place}."
            )
        self._taken[name] = owner
        return name
