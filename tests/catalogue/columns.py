"""Keys and properties: the ending of a name tells its type, so that one name is of one type wherever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from schema.model.records import EnumType, Property, TypeRef
from tests.catalogue import shape
from tests.catalogue.dice import Dice, Weighted
from tests.catalogue.records import Draft, plain
from tests.catalogue.words import (
    ADJECTIVES,
    COMMON,
    COUNTRIES,
    ENDINGS,
    KEYS,
    LABEL_FILES,
    MIDDLES,
    QUESTIONS,
    STEMS,
)

POOL = {
    "Edm.String": 11_000,
    "Edm.Decimal": 4_000,
    "Edm.DateTimeOffset": 1_500,
    "Edm.Int32": 1_100,
    "Edm.Int64": 800,
    "Edm.Guid": 80,
    "Edm.Binary": 40,
    "Edm.Boolean": 30,
}
"""How many names of each type there are to choose from."""

AX_TYPES = {
    "Edm.String": "String",
    "Edm.Decimal": "Real",
    "Edm.Int64": "Int64",
    "Edm.Guid": "Guid",
    "Edm.Binary": "Container",
    "Edm.Boolean": "Enum",
}
COMPANY = "dataAreaId"
NO_YES = "NoYes"


class Columns:
    """Makes properties; every enumeration type is used by one at least."""

    def __init__(self, enums: Mapping[str, EnumType], dice: Dice) -> None:
        self._dice = dice
        self._types = Weighted(shape.TYPES)
        self._key_types = Weighted(shape.KEY_TYPES)
        self._common = {kind: Weighted(names) for kind, names in COMMON.items()}
        self._keys = {kind: Weighted(names) for kind, names in KEYS.items()}
        self._pool = {kind: _pool(kind, size, dice) for kind, size in POOL.items()}
        names = [plain(name) for name in enums if plain(name) != NO_YES]
        self._enums = {name: full for full in enums if (name := plain(full)) != NO_YES}
        self._unused = cycle(dice.shuffled(names))
        self._no_yes = next(full for full in enums if plain(full) == NO_YES)
        self._questions = list(dict.fromkeys(_questions(dice)))

    def add_key(self, draft: Draft, parts: int, *, company: bool) -> None:
        """Return a type a key of so many parts."""
        names = []
        if company:
            self._add(draft, COMPANY, "Edm.String", key=True)
            names.append(COMPANY)
        while len(names) < parts:
            kind = self._key_types.draw(self._dice)
            name, type_name = self._enum_key() if kind == "enum" else (self._key(kind), kind)
            if name not in draft.properties:
                self._add(draft, name, type_name, key=True)
                names.append(name)
        draft.key = tuple(names)

    def fill(self, draft: Draft) -> None:
        """Add properties until the type has as many as it is to have."""
        while len(draft.properties) < draft.size:
            kind = self._types.draw(self._dice)
            name, type_name = self._enum() if kind == "enum" else (self._name(kind), kind)
            if name in draft.properties or name in draft.navigations:
                continue
            if not (draft.known and name.startswith("Sys")):
                self._add(draft, name, type_name, key=False)

    def add_reference(self, draft: Draft, name: str, part: Property) -> None:
        """Add a property that holds a part of another type's key."""
        self._add(draft, name, part.type.name, key=False)

    def _key(self, kind: str) -> str:
        common = self._keys.get(kind)
        if common is not None and self._dice.chance(0.3):
            return common.draw(self._dice)
        return self._dice.early(self._pool[kind], 1.5)

    def _name(self, kind: str) -> str:
        common = self._common.get(kind)
        if common is not None and self._dice.chance(0.15):
            return common.draw(self._dice)
        return self._dice.early(self._pool[kind], 1.6)

    def _enum_key(self) -> tuple[str, str]:
        name = next(self._unused)
        return name, self._enums[name]

    def _enum(self) -> tuple[str, str]:
        if self._dice.chance(shape.NO_YES_SHARE):
            return self._dice.early(self._questions), self._no_yes
        name = next(self._unused)
        full = self._enums[name]
        return (self._dice.pick(STEMS) + name if self._dice.chance(0.3) else name), full

    def _add(self, draft: Draft, name: str, type_name: str, *, key: bool) -> None:
        dice = self._dice
        is_enum = not type_name.startswith("Edm.")
        fixed = key or dice.chance(0.08)
        draft.properties[name] = Property(
            name=name,
            type=TypeRef(type_name),
            nullable=is_enum
            or type_name == "Edm.Binary"
            or (type_name == "Edm.String" and not key),
            label=self._label(name),
            ax_type="Enum" if is_enum else self._ax_type(type_name),
            allow_edit=not fixed or name == COMPANY,
            allow_edit_on_create=not dice.chance(0.04) or name == COMPANY,
            required=(key and name != COMPANY) or dice.chance(0.012),
        )

    def _label(self, name: str) -> str:
        dice = self._dice
        return (
            f"@SYS{dice.below(360_000)}"
            if dice.chance(0.34)
            else f"@{dice.pick(LABEL_FILES)}:{name}"
        )

    def _ax_type(self, type_name: str) -> str:
        if type_name == "Edm.DateTimeOffset":
            return "Date" if self._dice.chance(shape.DATE_SHARE) else "UtcDateTime"
        if type_name == "Edm.Int32":
            return "Time" if self._dice.chance(shape.TIME_SHARE) else "Int32"
        return AX_TYPES[type_name]


def _pool(kind: str, size: int, dice: Dice) -> Sequence[str]:
    names: dict[str, None] = {}
    endings = ENDINGS[kind]
    while len(names) < size:
        stem, middle = dice.pick(STEMS), dice.pick(MIDDLES)
        words = stem if stem == middle or dice.chance(0.4) else stem + middle
        ending = dice.pick(endings)
        name = ending + words if kind == "Edm.Boolean" else words + ending
        if dice.chance(0.04):
            name += f"_{dice.early(COUNTRIES)}"
        names[name] = None
    return list(names)


def _questions(dice: Dice) -> Iterator[str]:
    for _ in range(2_600):
        words = [dice.early(QUESTIONS, 1.5), dice.pick(STEMS)]
        words += [dice.pick(MIDDLES)] if dice.chance(0.4) else []
        yield "".join([*words, dice.pick(ADJECTIVES)])
