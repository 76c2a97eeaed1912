"""Selections of introspection types, merged, with the values of their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from schema.types.federation import ENTITY, SERVICE

MANY = 20
"""Root fields from which on an operation counts as long."""
WIDE_FIELDS = frozenset({"fields", "possibleTypes"})
"""Fields of a type whose answer may be as long as the catalogue."""
_ROOTS = frozenset({"queryType", "mutationType", "subscriptionType"})
_WIDE_TYPES = frozenset({"Query", "Mutation", "Subscription", "Node", ENTITY})


class Selected(NamedTuple):
    """One selected field: of an operation, ``__Schema``, ``__Type``, ``__Field`` and so on."""

    key: str
    """Response key."""
    name: str
    below: tuple[Selected, ...] = ()
    include_deprecated: bool = False
    type_name: str = ""
    """The argument of ``__type``."""


def is_whole(selection: Sequence[Selected]) -> bool:
    """Return whether the response is long or grows with the catalogue, so that a subprocess writes it into a cache."""
    return len(selection) > MANY or any(_is_wide_root(root) for root in selection)


def _is_wide_root(root: Selected) -> bool:
    if root.name == SERVICE:
        return any(field.name == "sdl" for field in root.below)
    if root.name == "__type":
        return _is_deep(root.below) or (root.type_name in _WIDE_TYPES and _is_wide(root.below))
    return any(
        field.name == "types" or (field.name in _ROOTS and _is_wide(field.below))
        for field in root.below
    )


def _is_wide(below: Iterable[Selected]) -> bool:
    return any(field.name in WIDE_FIELDS for field in below)


def _is_deep(below: Iterable[Selected]) -> bool:
    """Return whether fields of a type lead to fields of other types, which may be anything."""
    return any(_is_wide(inner.below) for field in below for inner in _descend(field))


def _descend(field: Selected) -> Iterator[Selected]:
    for inner in field.below:
        yield inner
        yield from _descend(inner)
