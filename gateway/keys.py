"""Which rows belong to which keys: keys read from rows and compared as the upstream compares them.

Where text compares without case and trailing blanks, a child may spell its parent's key in another way. Most do
not, so a row is looked up by its key as it stands, and only a spelling that is not known yet is brought to its
normal form. All is done for a whole level at once, column by column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from .odata.local import comparable
from .plan import Key


def keys_of(rows: Iterable[Any], attributes: Sequence[str]) -> list[Key]:
    """Give each row's values of these attributes."""
    rows = list(rows)
    return list(zip(*(map(attrgetter(a), rows) for a in attributes), strict=True))


def hashable(key: Key) -> Key:
    """Wrap what untyped JSON may hold in the place of a plain value, so that no type takes it for one of its own."""
    return tuple((repr(part),) if isinstance(part, list | dict) else part for part in key)


def referring(keys: Sequence[Key], free: Sequence[int], *, has_nulls: bool) -> list[Key]:
    """Give the keys that name a row: no part is null; where absent text is empty, not all of the parts ``free`` are."""
    if not keys:
        return []
    columns = list(zip(*keys, strict=True))
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
    """Give what two keys share when the upstream takes them as equal (reference 1.2: case, trailing blanks).

    ``types`` are the Edm types of the parts. Raises TypeError or ValueError for values of other types.
    """
    if not keys:
        return []
    columns = zip(types, zip(*keys, strict=True), strict=True)
    folded = (_normal_column(edm, values, case_insensitive) for edm, values in columns)
    return list(zip(*folded, strict=True))


def _normal_column(edm: str, values: Sequence[Any], case_insensitive: bool) -> Sequence[Any]:
    distinct = set(values)
    if len(distinct) == 1:
        return (comparable(edm, values[0], case_insensitive=case_insensitive),) * len(values)
    kinds = set(map(type, distinct))
    if str not in kinds:
        return values
    if edm == "Edm.String" and kinds == {str}:
        return [v.rstrip(" ").casefold() for v in values] if case_insensitive else values
    return [comparable(edm, v, case_insensitive=case_insensitive) for v in values]


class Places(dict[Key, list[Any]]):
    """Key as a row spells it → the rows of that key. Rows of keys that were not asked for share nobody's place."""

    def __init__(
        self, types: Sequence[str], keys: Sequence[Key], *, case_insensitive: bool
    ) -> None:
        super().__init__((key, []) for key in keys)
        self._types = types
        self._insensitive = case_insensitive
        self._by_normal: dict[tuple[Any, ...], list[Any]] | None = None

    def add(self, rows: Sequence[Any], attributes: Sequence[str]) -> None:
        """Put rows in their places. Raises TypeError or ValueError where a key is missing or not of its types."""
        for key, row in zip(keys_of(rows, attributes), rows, strict=True):
            self[key].append(row)

    def __missing__(self, key: Key) -> list[Any]:
        if _has_gap(key):
            raise ValueError("a row without a value by which it was asked for")
        if self._by_normal is None:
            self._by_normal = dict(zip(self._normal(list(self)), self.values(), strict=True))
        (normal,) = self._normal([key])
        place = self[key] = self._by_normal.get(normal, [])
        return place

    def _normal(self, keys: Sequence[Key]) -> list[tuple[Any, ...]]:
        return normal_forms(self._types, keys, case_insensitive=self._insensitive)
