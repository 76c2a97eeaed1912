"""Which rows belong to which keys: keys read from rows and compared as the upstream compares them.

Where text compares without case and trailing blanks, a child may spell its parent's key in another way. Most do
not, so a row is looked up by its key as it stands, and only a spelling that is not known yet is brought to its
normal form. All is done for a whole level at once, column by column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from gateway.odata.key_filters import by_column
from gateway.odata.local_filter import comparable
from gateway.planning.plan import Key


def keys_of(rows: Iterable[Any], attributes: Sequence[str]) -> list[Key]:
    """Return each row's values of these attributes."""
    rows = list(rows)
    return list(zip(*(map(attrgetter(a), rows) for a in attributes), strict=True))


def hashable(key: Key) -> Key:
    """Wrap what untyped JSON may hold in the place of a plain value, so that no type takes it for one of its own."""
    return tuple((repr(part),) if isinstance(part, list | dict) else part for part in key)


def referring(keys: Sequence[Key], free: Sequence[int], *, has_nulls: bool) -> list[Key]:
    """Return the keys that name a row: no part is null; if absent text is empty, not all of the ``free`` parts are."""
    if not keys:
        return []
    columns = by_column(keys)
    gaps = any(None in values or UNSET in values for values in columns)
    blanks = not has_nulls and free and all("" in columns[i] for i in free)
    if not (gaps or blanks):
        return list(keys)
    return [
        key
        for key in keys
        if not _has_gap(key) and (has_nulls or not free or any(key[i] != "" for i in free))
    ]


def _has_gap(key: Key) -> bool:
    return None in key or UNSET in key


def normal_forms(
    types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool
) -> list[tuple[Any, ...]]:
    """Return what two keys share when the upstream takes them as equal (reference 1.2: case, trailing blanks).

    ``types`` are the Edm types of the parts. Raises TypeError or ValueError for values of other types.
    """
    if not keys:
        return []
    columns = zip(types, by_column(keys), strict=True)
    folded = (_normal_column(edm, values, case_insensitive) for edm, values in columns)
    return list(zip(*folded, strict=True))


def are_distinct(types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool) -> bool:
    """Return whether no two of these different keys are equal for the upstream; often one column alone tells."""
    if len(keys) < 2:
        return True
    columns = list(zip(types, by_column(keys), strict=True))
    # What tells keys apart stands last in most of them.
    for edm, values in reversed(columns):
        if len(set(_normal_column(edm, values, case_insensitive))) == len(keys):
            return True
    return len(set(normal_forms(types, keys, case_insensitive=case_insensitive))) == len(keys)


def _normal_column(edm: str, values: Sequence[Any], case_insensitive: bool) -> Sequence[Any]:
    if edm == "Edm.String":
        with suppress(TypeError):
            return _folded(values) if case_insensitive else values
    elif not any(isinstance(v, str) for v in values):
        return values
    return [comparable(edm, v, case_insensitive=case_insensitive) for v in values]


def _folded(texts: Sequence[str]) -> list[str]:
    """Fold all at once where no text ends in blanks or holds the separator."""
    joined = "\0".join((*texts, ""))
    folded = [] if " \0" in joined else joined.casefold().split("\0")[:-1]
    return folded if len(folded) == len(texts) else [t.rstrip(" ").casefold() for t in texts]


class KeyIndex(ABC):
    """What was found for each asked key, however the rows spell it."""

    def __init__(
        self, types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool
    ) -> None:
        self._types = types
        self._keys = keys
        self._insensitive = case_insensitive
        self._by_normal: dict[tuple[Any, ...], Key] | None = None
        self._found: dict[Key, Any] = self.empty()

    @abstractmethod
    def empty(self) -> dict[Key, Any]:
        """Return each key and what it has without any row."""

    @abstractmethod
    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        """Put rows in their places; those of keys that were not asked for come nowhere.

        Raises AttributeError, TypeError or ValueError where a key is missing or not of its types.
        """

    def all(self) -> dict[Key, Any]:
        """Return each asked key and what it has."""
        if len(self._found) == len(self._keys):
            return self._found
        return dict(zip(self._keys, map(self._found.__getitem__, self._keys), strict=True))

    def asked(self, key: Key) -> Key | None:
        """Return the asked key that the upstream takes as equal to this one."""
        if _has_gap(key):
            raise ValueError("a row without a value by which it was asked for")
        if self._by_normal is None:
            self._by_normal = dict(zip(self._normal(self._keys), self._keys, strict=True))
        (normal,) = self._normal([key])
        return self._by_normal.get(normal)

    def _normal(self, keys: Sequence[Key]) -> list[tuple[Any, ...]]:
        return normal_forms(self._types, keys, case_insensitive=self._insensitive)


class ManyIndex(KeyIndex):
    """Key → its rows, where a key may have many."""

    def empty(self) -> dict[Key, list[Any]]:
        return {key: [] for key in self._keys}

    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        found = self._found
        for key, row in zip(keys_of(rows, attributes), rows, strict=True):
            try:
                found[key].append(row)
            except KeyError:
                asked = self.asked(key)
                found[key] = [] if asked is None else found[asked]
                found[key].append(row)


class OneIndex(KeyIndex):
    """Key → its row or None, where a key has one at the most; of several in an answer the first counts."""

    def empty(self) -> dict[Key, Any]:
        return dict.fromkeys(self._keys)

    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        found, known = self._found, len(self._found)
        found.update(zip(reversed(keys_of(rows, attributes)), reversed(rows), strict=True))
        for key in list(found)[known:] if len(found) > known else ():
            row, asked = found.pop(key), self.asked(key)
            if asked is not None:
                found[asked] = row
