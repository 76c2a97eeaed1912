"""The metadata model that is served, its flavour, and which rows belong to which set.

There are two flavours: F&O, with every refusal of ``d365-odata.md``, and generic OData v4 for the metadata of other
services, with none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from schema.model.records import EntityType, Model, Navigation, ReferentialConstraint

from .catalogue import NAMESPACE, Catalogue
from .values import Field, fields_of

COMPANY = "dataAreaId"


@dataclass(frozen=True)
class World:
    """A catalogue, and what requests need to know of it."""

    catalogue: Catalogue
    document: bytes
    """The bytes of ``$metadata``."""
    text_case: Literal["ignored", "distinguished"] = "ignored"
    fields: dict[str, dict[str, Field]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def model(self) -> Model:
        return self.catalogue.model

    @cached_property
    def finops(self) -> bool:
        """Whether the document is F&O's, and its refusals apply."""
        return NAMESPACE in {
            self.model.namespace,
            *(t.rpartition(".")[0] for t in self.model.entity_types),
        }

    @property
    def folds_text(self) -> bool:
        """Whether texts compare without case and trailing blanks: always in F&O (section 1.2)."""
        return self.finops or self.text_case == "ignored"

    def fields_of(self, type_name: str) -> dict[str, Field]:
        """Return the fields of a type, inherited ones first."""
        fields = self.fields.get(type_name)
        if fields is None:
            fields = fields_of(
                self.model, type_name, has_nulls=not self.finops, folds=self.folds_text
            )
            self.fields[type_name] = fields
        return fields

    def navigations_of(self, type_name: str) -> dict[str, Navigation]:
        return {n.name: n for n in self.model.navigations_of(type_name)}

    def is_scoped(self, type_name: str) -> bool:
        """Return whether rows of the type belong to companies (section 1.2)."""
        return self.finops and COMPANY in self.fields_of(type_name)

    def storage_of_set(self, name: str) -> str:
        """Return the name of the storage that holds a set's or a singleton's rows."""
        return self.catalogue.storage_of(name)

    def storage_of_navigation(
        self, owner: str, source_set: str | None, navigation: Navigation
    ) -> str:
        """Return the storage to which a navigation leads: by its binding, any set of its type, or the type's own."""
        entity_set = self.set_of_navigation(owner, source_set, navigation)
        return f"~{navigation.target}" if entity_set is None else self.storage_of_set(entity_set)

    def set_of_navigation(
        self, owner: str, source_set: str | None, navigation: Navigation
    ) -> str | None:
        """Return the entity set to which a navigation leads; None for contained entities."""
        if navigation.contains_target:
            return None
        source = self.model.entity_sets.get(source_set or "")
        bound = None if source is None else source.bindings.get(navigation.name)
        if bound is None and source is not None:
            paths = (f"{t.name}/{navigation.name}" for t in self.model.lineage(owner))
            bound = next((source.bindings[p] for p in paths if p in source.bindings), None)
        if bound in self.model.entity_sets:
            return bound
        return self.any_set(navigation.target)

    def any_set(self, type_name: str) -> str | None:
        """Return the first set of a type, or of one it is derived from."""
        for name in (type_name, *(t.name for t in self.model.lineage(type_name))):
            sets = self.model.sets_of_type.get(name)
            if sets:
                return sets[0]
        return None

    def types_in(self, storage: str) -> tuple[str, ...]:
        """Return the types whose rows a storage holds; several for shared tables and derived types."""
        if storage.startswith("~"):
            return self.model.family(storage[1:])
        names: dict[str, None] = {}
        for entity_set in self._sharing(storage):
            names.update(dict.fromkeys(self.model.family(self.type_of(entity_set))))
        return tuple(names)

    def _sharing(self, storage: str) -> Iterator[str]:
        yield storage
        for name, facts in self.catalogue.facts.items():
            if facts.rows_of == storage:
                yield name

    def type_of(self, name: str) -> str:
        """Return the entity type of a set or a singleton."""
        if name in self.model.entity_sets:
            return self.model.entity_sets[name].type
        return self.model.singletons[name].type

    def is_concrete(self, type_name: str) -> bool:
        entity_type = self.model.entity_types[type_name]
        return isinstance(entity_type, EntityType) and not entity_type.abstract

    def join_of(self, navigation: Navigation) -> tuple[ReferentialConstraint, ...]:
        """Return the join of a navigation: its constraints, or its partner's reversed; empty if neither has any."""
        if navigation.on or navigation.partner is None:
            return navigation.on
        partner = self.navigations_of(navigation.target).get(navigation.partner)
        on = () if partner is None else partner.on
        return tuple(ReferentialConstraint(pair.referenced, pair.property) for pair in on)
