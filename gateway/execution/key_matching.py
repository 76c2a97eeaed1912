"""Matches rows to keys, which are compared as the upstream compares them.

If text compares without case and trailing blanks, a child may spell its parent's key in another way. Most do not, so
a row is looked up by its key as it stands, and only an unknown spelling is brought to its normal form. All is done for
a whole level at once, column by column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import UNSET

from gateway.errors import UpstreamMalformed
from gateway.odata.key_filters import by_column
from gateway.odata.literals import parse_value
from gateway.odata.local_filter import comparable
from gateway.odata.query import Value
from gateway.planning.plan import Key

from .page_cutter import column_of


def keys_of(rows: Iterable[Any], attributes: Sequence[str]) -> list[Key]:
    """Return each row's values of these attributes."""
    rows = list(rows)
    return list(zip(*[column_of(a)(rows) for a in attributes], strict=True))


def hashable(key: Key) -> Key:
    """Return a key whose parts can be hashed: lists and objects of untyped JSON as their text, in a tuple.

    The tuple keeps them from passing as a value of any type.
    """
    return tuple((repr(part),) if isinstance(part, list | dict) else part for part in key)


def referring_keys(
    keys: Sequence[Key],
    free: Sequence[int],
    *,
    has_nulls: bool,
    columns: Sequence[Sequence[Value]] | None = None,
) -> list[Key]:
    """Return the keys that name a row. ``columns``: the values of each part, if they are known.

    In such a key no part is null. In a product without nulls an absent reference is empty text, so not all of its
    ``free`` parts (the company is none) are empty.
    """
    if not keys:
        return []
    # Most levels have neither gaps nor blanks, which whole columns tell at once.
    columns = by_column(keys) if columns is None else columns
    gaps = any(None in values or UNSET in values for values in columns)
    blanks = not has_nulls and free and all("" in columns[i] for i in free)
    if not (gaps or blanks):
        return list(keys)
    return [
        key
        for key in keys
        if not _has_gap(key) and (has_nulls or not free or any(key[i] != "" for i in free))
    ]


def mistyped_keys(types: Sequence[str], keys: Sequence[Key]) -> dict[Key, UpstreamMalformed]:
    """Return the keys with a part that is no value of its Edm type, which no filter can name, and the error of each."""
    errors: dict[Key, UpstreamMalformed] = {}
    for key in keys:
        try:
            for edm, part in zip(types, key, strict=False):
                parse_value(edm, part)
        except ValueError as error:
            errors[key] = UpstreamMalformed(
                "The upstream sent a reference that is not of its type.", detail=str(error)
            )
    return errors


def _has_gap(key: Key) -> bool:
    return None in key or UNSET in key


def normal_forms(
    types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool
) -> list[tuple[Any, ...]]:
    """Return what two keys share if the upstream takes them as equal (reference 1.2: case, trailing blanks).

    ``types`` are the Edm types of the parts. Raises TypeError or ValueError for values of other types.
    """
    if not keys:
        return []
    columns = zip(types, by_column(keys), strict=True)
    folded = (_normal_column(edm, values, case_insensitive) for edm, values in columns)
    return list(zip(*folded, strict=True))


def are_distinct(
    types: Sequence[str],
    keys: Sequence[Key],
    *,
    case_insensitive: bool,
    columns: Sequence[Sequence[Value]] | None = None,
) -> bool:
    """Return whether no two of these different keys are equal for the upstream. ``columns``: likewise."""
    if len(keys) < 2:
        return True
    columns = by_column(keys) if columns is None else columns
    # One distinct column is enough, and in most keys that is the last one: the company comes first.
    for edm, values in zip(reversed(types), reversed(columns), strict=True):
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
    """Fold all texts in one call, unless one ends in blanks or holds the separator."""
    joined = "\0".join((*texts, ""))
    folded = [] if " \0" in joined else joined.casefold().split("\0")[:-1]
    return folded if len(folded) == len(texts) else [t.rstrip(" ").casefold() for t in texts]


class KeyIndex(ABC):
    """The rows of each requested key, however the rows spell it."""

    def __init__(
        self, types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool
    ) -> None:
        self._types = types
        self._keys = keys
        self._insensitive = case_insensitive
        self._by_normal: dict[tuple[Any, ...], Key] | None = None
        self._rows: dict[Key, Any] = self.empty()

    @abstractmethod
    def empty(self) -> dict[Key, Any]:
        """Return the value of each key without any row."""

    @abstractmethod
    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        """Add rows to their keys; rows of keys that were not requested are dropped.

        Raises AttributeError, TypeError or ValueError if a key is missing or not of its types.
        """

    def all(self) -> dict[Key, Any]:
        """Return the value of each requested key."""
        if len(self._rows) == len(self._keys):
            return self._rows
        return dict(zip(self._keys, map(self._rows.__getitem__, self._keys), strict=True))

    def requested_key(self, key: Key) -> Key | None:
        """Return the requested key that the upstream takes as equal to this one. Raises ValueError for a gap."""
        if _has_gap(key):
            raise ValueError("a row without a value by which it was requested")
        if self._by_normal is None:
            self._by_normal = dict(zip(self._normal(self._keys), self._keys, strict=True))
        (normal,) = self._normal([key])
        return self._by_normal.get(normal)

    def _normal(self, keys: Sequence[Key]) -> list[tuple[Any, ...]]:
        return normal_forms(self._types, keys, case_insensitive=self._insensitive)


class ManyIndex(KeyIndex):
    """Key → its rows, if a key may have many."""

    def empty(self) -> dict[Key, list[Any]]:
        return {key: [] for key in self._keys}

    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        lists = self._rows
        for key, row in zip(keys_of(rows, attributes), rows, strict=True):
            try:
                lists[key].append(row)
            except KeyError:
                # Another spelling: it shares the list of its requested key from now on.
                requested = self.requested_key(key)
                lists[key] = [] if requested is None else lists[requested]
                lists[key].append(row)


class OneIndex(KeyIndex):
    """Key → its row or None, if a key has one at the most; of several in an answer the first counts."""

    def empty(self) -> dict[Key, Any]:
        return dict.fromkeys(self._keys)

    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        by_key, count = self._rows, len(self._rows)
        # From the end, so that the first row of a key is the one that stays.
        by_key.update(zip(reversed(keys_of(rows, attributes)), reversed(rows), strict=True))
        for key in list(by_key)[count:] if len(by_key) > count else ():
            row, requested = by_key.pop(key), self.requested_key(key)
            if requested is not None:
                by_key[requested] = row
