"""The pairs of columns by which a navigation joins two types, as far as the metadata declares them."""

from __future__ import annotations

from .records import Model, Navigation

Pairs = tuple[tuple[str, str], ...]
"""(property of the declaring type, property of the target)."""


def join_pairs(navigation: Navigation, model: Model) -> Pairs:
    """Return the referential constraints of a navigation, or those of its partner reversed; empty if unknown."""
    own = tuple((c.property, c.referenced) for c in navigation.on)
    return own or _from_partner(navigation, model)


def _from_partner(navigation: Navigation, model: Model) -> Pairs:
    for other in model.navigations_of(navigation.target):
        if other.name == navigation.partner:
            return tuple((c.referenced, c.property) for c in other.on)
    return ()
