"""Names of entity types and their sets, as many as are needed, no two alike whatever their case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.catalogue import shape
from tests.catalogue.dice import Dice
from tests.catalogue.words import AREAS, KINDS, SUBJECTS, UNCOUNTED

SWAPPED = (
    ("SalesAutomaticDocumentCharges", "SalesAutomaticDocumentCharge"),
    ("SalesAutomaticDocumentCharge", "SalesAutomaticDocumentCharges"),
)
"""Type and set of two entities: each set bears the name of the other's type."""


def plural(name: str) -> str:
    """Return a set's name for a type's: ``TaxCode`` → ``TaxCodes``, ``VendorV2`` → ``VendorsV2``."""
    version = name[-2:] if name[-2:] in shape.VERSIONED else ""
    bare = name.removesuffix(version)
    if bare.endswith("y") and bare[-2] not in "aeou":
        return f"{bare[:-1]}ies{version}"
    return f"{bare}{'es' if bare.endswith(('s', 'x', 'ch')) else 's'}{version}"


def pairs(count: int, taken: Iterable[str], dice: Dice) -> list[tuple[str, str]]:
    """Return so many pairs of a type's and a set's name, none of which is taken."""
    known = {name.casefold() for name in taken}
    made: list[tuple[str, str]] = []

    def keep(type_name: str, set_name: str) -> bool:
        both = {type_name.casefold(), set_name.casefold()}
        if both & known:
            return False
        known.update(both)
        made.append((type_name, set_name))
        return True

    versions = _versions()
    plain = count - len(versions) - len(SWAPPED)
    uncounted = min(shape.SET_NAMED_AS_TYPE, plain // 10)
    while len(made) < plain:
        name = _stem(dice)
        if len(made) < uncounted:
            same = name + dice.pick(UNCOUNTED)
            keep(same, same)
        else:
            name += dice.early(KINDS, 1.3) if dice.chance(0.6) else ""
            keep(name, plural(name))
    bases = dice.shuffled([name for name, _ in made[uncounted:]])
    for version in versions[: max(0, count - len(made) - len(SWAPPED))]:
        while not keep(name := bases.pop() + version, plural(name)):
            pass
    return dice.shuffled([*made, *SWAPPED][:count])


def _versions() -> list[str]:
    return [version for version, count in shape.VERSIONED.items() for _ in range(count)]


def _stem(dice: Dice) -> str:
    words = [dice.early(AREAS, 1.4), dice.pick(SUBJECTS)]
    if dice.chance(0.45):
        words.append(dice.pick(SUBJECTS))
    return "".join(_without_repeats(words))


def _without_repeats(words: Iterable[str]) -> Iterator[str]:
    last = ""
    for word in words:
        if word != last:
            yield word
        last = word
