"""Custom fields and sets, by which the metadata of environments differs: ``sandbox.custom_fields``.

    CustomersV3 → {"ContosoLoyaltyTier": ("Bronze", "Silver", "Gold"), "ContosoPoints": "int32"}

A set that the built-in catalogue lacks becomes a set of its own, whose key is the company and the first column. All
fields have values in the rows, and are filtered, sorted and written as those of the catalogue are.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from schema.model.records import EntitySet, EntityType, EnumMember, EnumType, Model, Property

from .catalogue import KINDS, NAMESPACE, Catalogue, SetFacts, property_of
from .companies import Company
from .labels import label_id, words
from .store import Row
from .world import COMPANY

Kind: TypeAlias = str | tuple[str, ...]
"""A kind of ``catalogue.KINDS``, or the members of an enum that has the name of the field."""
CustomFields: TypeAlias = Mapping[str, Mapping[str, Kind]]
"""Entity set → field → kind."""
_ROWS = 12
_FIRST_DAY = date(2024, 1, 1)


def customised(catalogue: Catalogue, custom: CustomFields) -> Catalogue:
    """Return a catalogue with custom fields and sets; the same one without any."""
    if not custom:
        return catalogue
    model, facts = catalogue.model, dict(catalogue.facts)
    sets, types = dict(model.entity_sets), dict(model.entity_types)
    enums = {
        e.name: e for fields in custom.values() for n, k in fields.items() for e in _enums(n, k)
    }
    for name, fields in custom.items():
        if name in sets:
            entity_type = types[sets[name].type]
            added = tuple(_property(n, kind) for n, kind in fields.items())
            types[entity_type.name] = msgspec.structs.replace(
                entity_type, properties=(*entity_type.properties, *added)
            )
        else:
            entity_type = _entity_type(name, fields)
            types[entity_type.name] = entity_type
            sets[name] = EntitySet(name=name, type=entity_type.name, label=label_id(name))
            facts[name] = SetFacts(aot=f"{_singular(name)}Entity")
    whole = Model(
        namespace=model.namespace,
        entity_sets=sets,
        entity_types=types,
        enum_types={**model.enum_types, **enums},
        operations=model.operations,
    )
    return Catalogue(whole, facts)


def _entity_type(name: str, fields: Mapping[str, Kind]) -> EntityType:
    first, kind = next(iter(fields.items()))
    if kind != "text":
        raise ValueError(f"{name}.{first}: the first field of a set of its own is its key, a text")
    key = (COMPANY, first)
    company = property_of(COMPANY, KINDS["text"], key, required=False)
    return EntityType(
        name=f"{NAMESPACE}.{_singular(name)}",
        key=key,
        properties=(company, *(_property(n, kind, key) for n, kind in fields.items())),
        label=label_id(name),
    )


def _singular(name: str) -> str:
    return name.removesuffix("s") if name.endswith("s") else f"{name}Entity"


def _property(name: str, kind: Kind, key: tuple[str, ...] = ()) -> Property:
    kinds = (f"{NAMESPACE}.{name}", "Enum") if isinstance(kind, tuple) else KINDS[kind]
    return property_of(name, kinds, key, required=name in key)


def _enums(name: str, kind: Kind) -> Iterator[EnumType]:
    if isinstance(kind, tuple):
        members = (
            EnumMember(name=m, value=v, label=label_id(f"{name}.{m}")) for v, m in enumerate(kind)
        )
        yield EnumType(name=f"{NAMESPACE}.{name}", members=tuple(members), label=label_id(name))


@dataclass(frozen=True, slots=True)
class CustomRows:
    """The values of custom fields in the rows of the built-in sets, and the rows of custom sets."""

    custom: CustomFields
    catalogue: Catalogue
    companies: tuple[Company, ...]
    seed: int

    def added(self, storage: str, rows: Iterable[Row]) -> Iterable[Row]:
        """Return the rows of a storage with the values of custom fields."""
        fields: dict[str, Kind] = {}
        for name, of_set in self.custom.items():
            if self.catalogue.storage_of(name) == storage:
                fields.update(of_set)
        if not fields:
            return rows
        if storage in self.custom and not rows:
            return self._own_rows(storage, fields)
        return self._filled(storage, fields, rows)

    def _filled(
        self, storage: str, fields: Mapping[str, Kind], rows: Iterable[Row]
    ) -> Iterator[Row]:
        draws = {name: self._draw(storage, name) for name in fields}
        for row in rows:
            yield {
                **row,
                **{name: _value(draws[name], name, kind) for name, kind in fields.items()},
            }

    def _own_rows(self, storage: str, fields: Mapping[str, Kind]) -> Iterator[Row]:
        key, *_ = fields
        rows = (
            {COMPANY: company.id, key: f"{company.prefix}-{number:03d}"}
            for company in self.companies
            for number in range(1, _ROWS + 1)
        )
        others = {name: kind for name, kind in fields.items() if name != key}
        return self._filled(storage, others, rows)

    def _draw(self, storage: str, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{storage}/{name}")  # noqa: S311 - data, not secrets


def _value(draw: random.Random, name: str, kind: Kind) -> Any:
    if isinstance(kind, tuple):
        return draw.choice(kind)
    number = draw.randrange(1, 1_000)
    match kind:
        case "int32" | "int64":
            return number
        case "decimal":
            return f"{number}.{number % 100:02d}"
        case "boolean":
            return number % 2 == 0
        case "noyes":
            return ("No", "Yes")[number % 2]
        case "guid":
            return uuid.UUID(int=draw.getrandbits(128))
        case "date":
            return _FIRST_DAY + timedelta(days=number)
        case "moment":
            return datetime(2024, 1, 1, 8, tzinfo=UTC) + timedelta(hours=number)
        case _:
            return f"{words(name)} {number}"
