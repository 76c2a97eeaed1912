"""Reduces a model to the entity sets that match patterns.

The reduced model must be complete in itself: no
navigation leads to a type that no exposed set serves, no binding to a set that is not there, no
operation takes or gives an entity that vanished. Exposure is also a promise about data, so a
navigation that is bound only to sets left out goes too, even where another set of the same type is
exposed.

A contained navigation (CSDL section 8.4) needs no set of its own: its entities are parts of the
exposed one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TypeVar

from msgspec import structs

from schema.errors import ExposureError, did_you_mean

from .records import (
    ComplexType,
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Operation,
    OperationImport,
    Singleton,
    TypeRef,
)

_WILD = frozenset("*?[")

Record = TypeVar("Record")
Root = TypeVar("Root", EntitySet, Singleton)


def expose(model: Model, *, include: Sequence[str], exclude: Sequence[str]) -> Model:
    """Keep the sets and singletons that match ``include`` (empty: all of them) and not ``exclude``.

    Patterns are those of ``fnmatch`` and case-sensitive: ``Customer*``, ``SalesOrder*V[23]``.
    """
    if not include and not exclude:
        return model
    names = (*model.entity_sets, *model.singletons)
    require_matches(names, include=include, exclude=exclude)
    chosen = frozenset(matching(names, include or "*")).difference(matching(names, exclude))
    if not chosen:
        raise ExposureError(
            "The exposure patterns leave no entity set and no singleton.",
            hint="Every name that include selects is taken away again by exclude.",
        )
    return keep(model, chosen)


def keep(model: Model, chosen: Iterable[str]) -> Model:
    """Return a model of these sets and singletons; of a lazily read model, no other records are read."""
    return _Exposure(model, frozenset(chosen)).model()


def matching(names: Sequence[str], patterns: Iterable[str]) -> Iterator[str]:
    """Return the names that match; a pattern that is a name is looked up, which keeps long lists of names fast."""
    existing = frozenset(names)
    for pattern in patterns:
        if _WILD.isdisjoint(pattern):
            if pattern in existing:
                yield pattern
        else:
            yield from (name for name in names if fnmatchcase(name, pattern))


def require_matches(names: Sequence[str], **patterns: Sequence[str]) -> None:
    """Raise ExposureError unless each pattern of each setting matches a name."""
    existing = frozenset(names)
    problems = [
        f'{setting}: no entity set or singleton matches "{pattern}".'
        + did_you_mean(pattern.strip("*"), names)
        for setting, those in patterns.items()
        for pattern in those
        if pattern not in existing and not any(fnmatchcase(name, pattern) for name in names)
    ]
    if problems:
        raise ExposureError(
            "Exposure patterns match nothing:",
            problems=problems,
            hint="Patterns are case-sensitive and apply to entity set names, not to type names.",
        )


class _Exposure:
    """The closure of the selected names over one model."""

    def __init__(self, model: Model, chosen: frozenset[str]) -> None:
        self._model = model
        self._chosen = chosen

    def model(self) -> Model:
        model, chosen = self._model, self._chosen
        entity_types = {
            name: structs.replace(t, navigations=self._navigations(t))
            for name, t in _some(model.entity_types, self._kept)
        }
        operations = tuple(o for o in model.operations if self._is_offered(o))
        complex_types = self._complex_types(entity_types.values(), operations)
        used = _used((*entity_types.values(), *complex_types.values()), operations)
        offered = {(o.kind, o.name) for o in operations}
        return replace(
            model,
            entity_sets={n: self._bound(s) for n, s in _some(model.entity_sets, chosen)},
            singletons={n: self._bound(s) for n, s in _some(model.singletons, chosen)},
            entity_types=entity_types,
            complex_types=complex_types,
            enum_types=dict(_some(model.enum_types, used)),
            operations=operations,
            imports={
                name: self._imported(i)
                for name, i in model.imports.items()
                if (i.kind, i.operation) in offered
            },
        )

    @cached_property
    def _roots(self) -> tuple[EntitySet | Singleton, ...]:
        sets: Iterator[tuple[str, EntitySet]] = _some(self._model.entity_sets, self._chosen)
        singletons = _some(self._model.singletons, self._chosen)
        return (*(s for _, s in sets), *(s for _, s in singletons))

    @cached_property
    def _served(self) -> set[str]:
        """Entity types whose entities an exposed set can contain, directly or within another entity."""
        served: set[str] = set()
        waiting = [root.type for root in self._roots]
        for name in waiting:  # grows while it is walked
            for member in self._model.family(name):
                if member not in served:
                    served.add(member)
                    navigations = self._model.navigations_of(member)
                    waiting.extend(n.target for n in navigations if n.contains_target)
        return served

    @cached_property
    def _kept(self) -> set[str]:
        """The served entity types and their bases, which hold the inherited parts."""
        return {t.name for name in self._served for t in self._model.lineage(name)}

    @cached_property
    def _lost(self) -> set[tuple[str, str]]:
        """(Declaring type, navigation) that exposed sets bind to excluded sets only."""
        bound: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
        for root in self._roots:
            for path, target in root.bindings.items():
                bound[target in self._chosen].update(self._declarations(root.type, path))
        return bound[False] - bound[True]

    def _declarations(self, type_name: str, path: str) -> Iterator[tuple[str, str]]:
        """Return the declaring type and navigation of a binding path; nothing for paths through other properties."""
        *before, navigation = path.split("/")
        if before:
            type_name = before[-1]
        if type_name in self._model.entity_types:
            for t in self._model.lineage(type_name):
                if any(n.name == navigation for n in t.navigations):
                    yield t.name, navigation

    def _navigations(self, owner: EntityType | ComplexType) -> tuple[Navigation, ...]:
        return tuple(n for n in owner.navigations if self._leads_somewhere(owner.name, n))

    def _leads_somewhere(self, owner: str, navigation: Navigation) -> bool:
        if navigation.target_set is not None:
            return navigation.target_set in self._chosen
        return navigation.target in self._served and (owner, navigation.name) not in self._lost

    def _bound(self, root: Root) -> Root:
        bindings = {path: to for path, to in root.bindings.items() if to in self._chosen}
        return structs.replace(root, bindings=bindings)

    def _is_offered(self, operation: Operation) -> bool:
        """Return whether every entity type that the operation is bound to, takes or returns is still served."""
        entity_types = self._model.entity_types
        binding = None if operation.bound_to is None else operation.bound_to.name
        if binding in entity_types and binding not in self._kept:
            return False
        return all(
            ref.name in self._served
            for ref in _values(operation)
            if ref.name in entity_types and ref.name not in self._model.enum_types
        )

    def _imported(self, import_: OperationImport) -> OperationImport:
        is_there = import_.entity_set in self._chosen
        return import_ if is_there else structs.replace(import_, entity_set=None)

    def _complex_types(
        self, entity_types: Iterable[EntityType], operations: Iterable[Operation]
    ) -> dict[str, ComplexType]:
        """Return the complex types in use, with their parts, bases and derived types."""
        every = self._model.complex_types
        used: set[str] = set()
        waiting = [name for name in _used(entity_types, operations) if name in every]
        for name in waiting:  # grows while it is walked
            if name not in used:
                used.add(name)
                parts = {p.type.name for p in every[name].properties}
                kin = {t.name for t in self._model.lineage(name)}.union(self._model.family(name))
                waiting.extend(n for n in parts | kin if n in every)
        return {
            name: structs.replace(t, navigations=self._navigations(t))
            for name, t in _some(every, used)
        }


def _some(records: Mapping[str, Record], names: Container[str]) -> Iterator[tuple[str, Record]]:
    """Return the records of these names, in document order, reading no others."""
    return ((name, records[name]) for name in records if name in names)


def _used(types: Iterable[EntityType | ComplexType], operations: Iterable[Operation]) -> set[str]:
    """Yield the type names of all properties, parameters and results."""
    names = {p.type.name for t in types for p in t.properties}
    for operation in operations:
        names.update(ref.name for ref in _values(operation))
        if operation.bound_to is not None:
            names.add(operation.bound_to.name)
    return names


def _values(operation: Operation) -> Iterator[TypeRef]:
    """Yield the types of an operation's parameters and result, without its binding type."""
    yield from (p.type for p in operation.parameters)
    if operation.returns is not None:
        yield operation.returns
