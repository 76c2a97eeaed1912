"""Shares what equal models have in common: most environments of one product differ by a few custom fields only.

    model of A ──────────────── its snapshot
    model of B ── names of A ── records of A's snapshot, and of B's own those that differ

A model that is opened like another one takes everything from there that is equal: names by identity, records from the
other snapshot. What is left of its own is as large as the difference.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from .records import Model
from .snapshot import Records, release_pages, tables_by_name

Value = TypeVar("Value")
_MOST = 4
"""One in so many records may differ; of another product, nothing is worth sharing."""


def shared(own: Mapping[str, Value], like: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return a mapping with the keys and values of another one where they are equal; that one if all of it is.

    Its order is kept.
    """
    if own == like and all(a == b for a, b in zip(own, like, strict=True)):
        return like
    keys = {key: key for key in like}
    return {keys.get(k, k): like[k] if k in like and like[k] == v else v for k, v in own.items()}


class Layered(Mapping[str, Value]):
    """A mapping that differs from another one in a few places."""

    __slots__ = ("_like", "_missing", "_own")

    def __init__(self, like: Mapping[str, Value], own: Mapping[str, Value]) -> None:
        """Return what ``own`` holds; of it, only the difference is kept."""
        self._like = like
        self._own = {k: v for k, v in own.items() if like.get(k) != v}
        self._missing = frozenset(k for k in like if k not in own)

    @property
    def differences(self) -> int:
        """How many entries are others, or are absent."""
        return len(self._own) + len(self._missing)

    def __getitem__(self, key: str) -> Value:
        if key in self._own:
            return self._own[key]
        if key in self._missing:
            raise KeyError(key)
        return self._like[key]

    def __iter__(self) -> Iterator[str]:
        yield from (k for k in self._like if k not in self._missing)
        yield from (k for k in self._own if k not in self._like)

    def __len__(self) -> int:
        added = sum(k not in self._like for k in self._own)
        return len(self._like) - len(self._missing) + added


def layered(own: Mapping[str, Value], like: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return a mapping as the difference to another one; as it is if they have little in common."""
    if not own or not like:
        return own
    result = Layered(like, own)
    if not result.differences:
        return like
    return own if result.differences * _MOST > len(own) else result


class SharedRecords(Records[Value]):
    """Records of a snapshot, of which most are read from another one."""

    __slots__ = ("_changed", "_like")

    def __init__(self, own: Records[Value], like: Records[Value]) -> None:
        super().__init__((), (), own.view, own.decode)
        self._like = like
        self._places = shared(own.places, like.places)
        self._changed = {
            name: piece
            for name in own
            if len(piece := own.piece(name)) != like.size(name)
            or bytes(piece) != bytes(like.piece(name))  # faster than to compare views
        }

    @property
    def changed(self) -> int:
        """The number of records that differ."""
        return len(self._changed)

    def piece(self, name: str) -> memoryview:
        """Return the bytes of a record. Raises KeyError."""
        changed = self._changed.get(name)
        if changed is not None:
            return changed
        if name not in self._places:
            raise KeyError(name)
        return self._like.piece(name)

    def size(self, name: str) -> int:
        """Return the number of bytes of a record; -1 if there is none."""
        return len(self.piece(name)) if name in self._places else -1

    @property
    def contents(self) -> tuple[Any, ...]:
        """The snapshots from which records are decoded."""
        return (*super().contents, *self._like.contents)


def open_like(model: Model, like: Model) -> Model:
    """Return a model of a snapshot that shares with another one what is equal; as it is if that is little."""
    own, other = dict(tables_by_name(model)), dict(tables_by_name(like))
    if not own or own.keys() != other.keys() or not _is_alike(model, like):
        return model
    result = copy.copy(model)
    tables = {name: SharedRecords(records, other[name]) for name, records in own.items()}
    release_pages(model)
    release_pages(like)
    if sum(t.changed for t in tables.values()) * _MOST > sum(map(len, own.values())):
        return model
    vars(result).update(
        tables,
        operations=like.operations if model.operations == like.operations else model.operations,
        derived=shared(model.derived, like.derived),
        sets_of_type=shared(model.sets_of_type, like.sets_of_type),
    )
    return result


def _is_alike(model: Model, like: Model) -> bool:
    """Return whether two models may have much in common."""
    sets = len(model.entity_sets.keys() & like.entity_sets.keys())
    return 2 * sets > len(model.entity_sets)
