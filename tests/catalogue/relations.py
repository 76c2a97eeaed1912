"""Navigations in pairs of partners, bound to entity sets, with constraints where the columns are there."""

from __future__ import annotations

from collections.abc import Sequence

from schema.model.records import Navigation, ReferentialConstraint
from tests.catalogue import shape
from tests.catalogue.columns import Columns
from tests.catalogue.dice import Dice
from tests.catalogue.records import Draft, qualified
from tests.catalogue.words import ROLES

LONGEST_REFERENCE = 4
"""Keys of more parts are not copied into other types."""

GENERIC = ("Name", "Code", "Value", "Key", "RecordId", "GroupId", "SourceKey")
"""Parts of keys that mean nothing in another type without its name."""


def relate(drafts: Sequence[Draft], columns: Columns, dice: Dice) -> None:
    """Join the types until each has as many navigations as it is to have."""
    order = sorted(drafts, key=lambda draft: -_left(draft))
    stubs = [draft for draft in order for _ in range(_left(draft))]
    for parent in order:
        while _left(parent):
            child = _other(parent, stubs, dice)
            if child is None:
                stubs = [draft for draft in order if _left(draft) for _ in range(_left(draft))]
                child = _other(parent, stubs, dice)
            _join(child or parent, parent, columns, dice)


def _left(draft: Draft) -> int:
    return draft.degree - len(draft.navigations)


def _other(parent: Draft, stubs: Sequence[Draft], dice: Dice) -> Draft | None:
    for _ in range(30):
        draft = dice.pick(stubs)
        if draft is not parent and _left(draft):
            return draft
    return None


def _join(child: Draft, parent: Draft, columns: Columns, dice: Dice) -> None:
    """Add a navigation from the child to the parent and, unless they are one, its partner."""
    to_parent = _free(child, parent.type, dice)
    on = _constraints(child, parent, columns)
    to_child = _free(parent, child.type, dice) if child is not parent else None
    required = dice.chance(shape.REQUIRED_NAVIGATIONS)
    child.navigations[to_parent] = Navigation(
        name=to_parent,
        target=qualified(parent.type),
        nullable=not required,
        partner=to_child,
        on=tuple(ReferentialConstraint(own, other) for own, other in on),
    )
    child.bindings[to_parent] = parent.entity_set
    if to_child is None:
        return
    many = dice.chance(shape.MANY_PAIRS)
    parent.navigations[to_child] = Navigation(
        name=to_child,
        target=qualified(child.type),
        many=many,
        partner=to_parent,
        on=tuple(ReferentialConstraint(other, own) for own, other in on),
    )
    parent.bindings[to_child] = child.entity_set


def _free(draft: Draft, target: str, dice: Dice) -> str:
    taken = {*draft.navigations, *draft.properties, draft.type}
    name = target
    while name in taken:
        name = f"{dice.pick(ROLES)}{name}"
    return name


def _constraints(child: Draft, parent: Draft, columns: Columns) -> list[tuple[str, str]]:
    """Return pairs of the child's column and the part of the parent's key, or none if a part would be missing."""
    if not parent.key or len(parent.key) > LONGEST_REFERENCE or child is parent:
        return []
    names = {part: f"{parent.type}{part}" if part in GENERIC else part for part in parent.key}
    missing = [part for part, name in names.items() if name not in child.properties]
    wrong = any(
        name in child.properties and child.properties[name].type != parent.properties[part].type
        for part, name in names.items()
    )
    if wrong or not child.has_room(len(missing)):
        return []
    if any(names[part] in child.navigations for part in missing):
        return []
    for part in missing:
        columns.add_reference(child, names[part], parent.properties[part])
    return [(name, part) for part, name in names.items()]
