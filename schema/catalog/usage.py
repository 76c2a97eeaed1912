"""Where the types of a model are used: which types have properties of a type, and which have navigations to one.

A view of roles asks whether anything that it shows uses an enum, a complex value or a filter. The answer for a whole
catalogue is computed once, and shared by all views of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from schema.model.records import ComplexType, EntityType, Model, Property
from schema.model.snapshot import forget_records, reopen

_FORGET_AFTER = 500
"""Types after which the records read for the index are dropped, to bound memory."""


class PropertyKind(NamedTuple):
    """What decides the filter of a property."""

    type_name: str
    many: bool
    ax_type: str | None


class Uses(NamedTuple):
    """The uses of the types of one model."""

    kinds: Mapping[PropertyKind, tuple[Property, tuple[str, ...]]]
    """Kind → a property of it, and the types that declare properties of it."""
    owners: Mapping[str, tuple[str, ...]]
    """Type of properties → the types that declare them."""
    sources: Mapping[str, tuple[str, ...]]
    """Target of navigations → the types that declare them."""
    keys: Mapping[str, tuple[str, ...]]
    """Entity type → the parts of its key that it declares itself."""


class Usage:
    """The uses of the types of a model, computed when they are first needed."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._uses: Uses | None = None
        self.shared: dict[str, Any] = {}
        """What else is computed once for all views of the model."""

    @property
    def uses(self) -> Uses:
        """The uses; reads the whole model."""
        uses = self._uses
        if uses is None:
            uses = self._uses = _read(reopen(self._model))
        return uses


def _read(model: Model) -> Uses:
    kinds: dict[PropertyKind, tuple[Property, list[str]]] = {}
    owners: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    keys: dict[str, tuple[str, ...]] = {}
    types: tuple[Mapping[str, EntityType | ComplexType], ...] = (
        model.entity_types,
        model.complex_types,
    )
    count = 0
    for table in types:
        for csdl in table:
            declared = table[csdl]
            for kind in {_kind(p): p for p in declared.properties}.items():
                kinds.setdefault(kind[0], (kind[1], []))[1].append(csdl)
            for type_name in {p.type.name for p in declared.properties}:
                owners.setdefault(type_name, []).append(csdl)
            for target in {n.target for n in declared.navigations}:
                sources.setdefault(target, []).append(csdl)
            if isinstance(declared, EntityType) and declared.key:
                keys[csdl] = tuple(map(sys.intern, declared.key))
            count += 1
            if count % _FORGET_AFTER == 0:
                forget_records(model)
    forget_records(model)
    return Uses(
        {kind: (prop, tuple(names)) for kind, (prop, names) in kinds.items()},
        {name: tuple(names) for name, names in owners.items()},
        {name: tuple(names) for name, names in sources.items()},
        keys,
    )


def _kind(prop: Property) -> PropertyKind:
    return PropertyKind(prop.type.name, prop.type.many, prop.ax_type)
