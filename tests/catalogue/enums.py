"""Enumeration types: mostly a handful of members, one with 243, one in which two members have one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from schema.model.records import EnumMember, EnumType
from tests.catalogue import shape
from tests.catalogue.dice import Dice
from tests.catalogue.records import plain, qualified
from tests.catalogue.words import (
    AREAS,
    COUNTRIES,
    ENDINGS,
    LABEL_FILES,
    MEMBERS,
    ODD_MEMBERS,
    SUBJECTS,
)


def make(
    known: Iterable[EnumType], sets: Collection[str], types: Collection[str], dice: Dice
) -> dict[str, EnumType]:
    """Return all enumeration types by qualified name, the known ones among them."""
    made = {enum.name: enum for enum in known}
    sizes = _left([len(enum.members) for enum in made.values()])
    names = _names(len(sizes), {plain(name) for name in made}, sets, types, dice)
    for name, size in zip(names, dice.shuffled(sizes), strict=True):
        made[qualified(name)] = _enum(name, size, dice)
    return made


def _left(taken: Iterable[int]) -> list[int]:
    """Return the sizes of the histogram that the known ones do not take, or else the nearest ones."""
    sizes = Counter(shape.MEMBERS)
    for size in taken:
        sizes[min((s for s in sizes if sizes[s]), key=lambda s: abs(s - size))] -= 1
    return list(sizes.elements())


def _names(
    count: int, taken: set[str], sets: Collection[str], types: Collection[str], dice: Dice
) -> Iterator[str]:
    for name in [*_clashing(sets, types), *_fresh(dice, {*taken, *sets, *types})]:
        if count and name not in taken:
            taken.add(name)
            count -= 1
            yield name
        if not count:
            return


def _clashing(sets: Collection[str], types: Collection[str]) -> Iterator[str]:
    """Yield the name of two entity sets, and that of an entity type in other letters."""
    yield from sorted(name for name in sets if name.endswith("Types") and name not in types)[:2]
    last = max(types)
    yield last[:-1] + last[-1].swapcase()


def _fresh(dice: Dice, taken: Collection[str]) -> Iterator[str]:
    folded = {name.casefold() for name in taken}
    for _ in range(100_000):
        words = [dice.pick(AREAS), dice.pick(SUBJECTS), dice.pick(ENDINGS["enum"])]
        name = "".join(words if dice.chance(0.7) else words[1:])
        if dice.chance(0.13):
            name += f"_{dice.early(COUNTRIES)}"
        if name.casefold() not in folded:
            folded.add(name.casefold())
            yield name


def _enum(name: str, size: int, dice: Dice) -> EnumType:
    file = dice.pick(LABEL_FILES)
    names = _member_names(size, dice)
    start = 0 if dice.chance(0.9) else 1
    step = 1 if dice.chance(0.95) else 10
    values = [start + step * i for i in range(size)]
    if size == 151:
        values[-1] = values[-2]
    members = tuple(
        EnumMember(name=member, value=value, label=f"@{file}:{name}{member}")
        for member, value in zip(names, values, strict=True)
    )
    return EnumType(name=qualified(name), members=members, label=f"@{file}:{name}")


def _member_names(size: int, dice: Dice) -> list[str]:
    names = {"None": None} if size > 2 and dice.chance(0.4) else {}
    if size > 3 and dice.chance(0.02):
        names[dice.pick(ODD_MEMBERS)] = None
    while len(names) < size:
        name = dice.early(MEMBERS, 1.2)
        if size > 8 or name in names:
            name += dice.pick(SUBJECTS)
        names[name] = None
    return list(names)
