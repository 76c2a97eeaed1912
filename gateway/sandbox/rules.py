"""The rules of writes: generated numbers, defaults, related rows, parents.

Those of the built-in sets come from ``data/writing.toml``; those of every set from its metadata: the values of a
single-valued navigation with constraints must exist in the other set.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from schema.model.records import Property, short

from .values import Kind
from .world import COMPANY, World

_COUNTABLE = frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.GUID})


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values of a row that must exist in another set."""

    target: str
    """Entity set."""
    pairs: tuple[tuple[str, str], ...]
    """Own property, property of the other side; companies included."""
    property: str
    """The property that the error names if they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRules:
    """The rules of one table."""

    table: str
    """Name of the X++ table, for messages."""
    numbers: tuple[str, ...] = ()
    counts: str | None = None
    optional: tuple[str, ...] = ()
    """Key parts that may be blank."""
    parent: Lookup | None = None
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Property with an account or dimension combination → property with its kind."""
    defaults: Mapping[str, str] = field(default_factory=dict)


@cache
def builtin_rules() -> dict[str, WriteRules]:
    """Return the rules of ``data/writing.toml`` by the set that holds the rows."""
    source = files(__package__).joinpath("data", "writing.toml")
    return {
        name: _read(spec)
        for name, spec in tomllib.loads(source.read_text(encoding="utf-8")).items()
    }


def _read(spec: dict[str, object]) -> WriteRules:
    lookups = spec.get("lookups", {})
    assert isinstance(lookups, dict)
    parent = spec.get("parent")
    return WriteRules(
        table=str(spec["table"]),
        numbers=tuple(str(spec.get("numbers", "")).split()),
        counts=str(spec["counts"]) if "counts" in spec else None,
        optional=tuple(str(spec.get("optional", "")).split()),
        parent=None if parent is None else _lookup(str(parent)),
        lookups={name: _lookup(text) for name, text in lookups.items()},
        accounts=_texts(spec.get("accounts")),
        defaults=_texts(spec.get("defaults")),
    )


def _texts(value: object) -> dict[str, str]:
    return dict(value) if isinstance(value, dict) else {}


def _lookup(text: str) -> Lookup:
    target, *pairs = text.split()
    split = tuple((own, theirs or own) for own, _, theirs in (p.partition("=") for p in pairs))
    return Lookup(target, split, split[-1][0])


def must_be_sent(declared: Property) -> bool:
    """Return whether a create must set a property: it is required, and the service does not generate it."""
    return declared.required and declared.allow_edit_on_create


class Rules:
    """The rules of a world, by set."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rules: dict[str, WriteRules] = {}

    def of(self, entity_set: str) -> WriteRules:
        """Return the rules for writes to a set."""
        rules = self._rules.get(entity_set)
        if rules is None:
            rules = self._rules[entity_set] = self._make(entity_set)
        return rules

    def dependents(self, entity_set: str) -> list[tuple[str, Lookup, bool]]:
        """Return (set, lookup, whether it is its parent) of built-in tables whose rows refer to rows of this one."""
        storage = self._world.storage_of_set(entity_set)
        dependents = []
        for name, rules in builtin_rules().items() if self._world.catalogue.facts else ():
            if rules.parent is not None and self._leads_to(rules.parent, storage):
                dependents.append((name, self._scoped(name, rules.parent), True))
            dependents += [
                (name, self._scoped(name, lookup), False)
                for lookup in rules.lookups.values()
                if self._leads_to(lookup, storage)
            ]
        return dependents

    def _leads_to(self, lookup: Lookup, storage: str) -> bool:
        return self._world.storage_of_set(lookup.target) == storage

    def _make(self, entity_set: str) -> WriteRules:
        world = self._world
        type_name = world.type_of(entity_set)
        declared = self._declared_lookups(entity_set, type_name)
        storage = world.storage_of_set(entity_set)
        written = builtin_rules().get(storage) if world.catalogue.facts else None
        if written is None:
            return WriteRules(
                table=short(type_name), numbers=self._generated(type_name), lookups=declared
            )
        own = {n: self._scoped(storage, lookup) for n, lookup in written.lookups.items()}
        parent = written.parent
        return WriteRules(
            table=written.table,
            numbers=written.numbers,
            counts=written.counts,
            optional=written.optional,
            parent=None if parent is None else self._scoped(storage, parent),
            lookups={**declared, **own},
            accounts=written.accounts,
            defaults=written.defaults,
        )

    def _scoped(self, entity_set: str, lookup: Lookup) -> Lookup:
        """Return a lookup that also compares companies, if both sides have them."""
        sides = (self._world.type_of(entity_set), self._world.type_of(lookup.target))
        if not all(COMPANY in self._world.fields_of(side) for side in sides):
            return lookup
        return Lookup(lookup.target, ((COMPANY, COMPANY), *lookup.pairs), lookup.property)

    def _declared_lookups(self, entity_set: str, type_name: str) -> dict[str, Lookup]:
        """Return the lookups declared by the metadata: to-one constraints on a whole key of a writable set."""
        lookups: dict[str, Lookup] = {}
        model = self._world.model
        for navigation in model.navigations_of(type_name):
            target = self._world.set_of_navigation(type_name, entity_set, navigation)
            if navigation.many or target is None or not navigation.on:
                continue
            if getattr(model.structured(navigation.target), "read_only", False):
                continue
            pairs = tuple((pair.property, pair.referenced) for pair in navigation.on)
            own = [name for name, _ in pairs if name != COMPANY]
            if own and {theirs for _, theirs in pairs} == set(model.key_of(navigation.target)):
                lookups.setdefault(own[-1], Lookup(target, pairs, own[-1]))
        return lookups

    def _generated(self, type_name: str) -> tuple[str, ...]:
        """Return the key part that the service generates if it is missing: the last one, unless it is required."""
        fields = self._world.fields_of(type_name)
        linked = {
            pair.property for n in self._world.model.navigations_of(type_name) for pair in n.on
        }
        parts = [p for p in self._world.model.key_of(type_name) if p in fields and p != COMPANY]
        free = [p for p in parts if p not in linked] or parts
        return tuple(
            p
            for p in free[-1:]
            if fields[p].kind in _COUNTABLE and not must_be_sent(fields[p].declared)
        )
