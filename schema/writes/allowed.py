"""Determines which writes each entity set supports: by settings, annotations and writable fields."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.catalog.records import Verb
from schema.model.records import EntitySet, Property

from .naming import ROW_VERBS
from .rules import WriteRules


class AllowedWrites:
    """The writes that are allowed, computed from the model's properties without object types."""

    def __init__(self, catalog: Catalog, rules: WriteRules) -> None:
        self._catalog = catalog
        self._rules = rules
        self._offered: dict[tuple[Verb, str], bool] = {}
        self._verbs: dict[str, frozenset[Verb]] = {}
        self._alike: dict[frozenset[Verb], frozenset[Verb]] = {}
        self._valued: dict[str, bool] = {}

    def holds(self, verb: Verb, entity_set: EntitySet) -> bool:
        """Return whether rows of a set support a write."""
        key = (verb, entity_set.name)
        is_allowed = self._offered.get(key)
        if is_allowed is None:
            is_allowed = self._offered[key] = self.refusal(verb, entity_set) is None
        return is_allowed

    def of(self, verb: Verb, of_set: str) -> bool:
        """Return whether rows of a set, by its name, support a write."""
        is_allowed = self._offered.get((verb, of_set))
        return (
            self.holds(verb, self._catalog.model.entity_sets[of_set])
            if is_allowed is None
            else is_allowed
        )

    def any(self, csdl: str, *verbs: Verb) -> bool:
        """Return whether rows of a type support one of these writes in any of its sets."""
        supported = self._verbs.get(csdl)
        if supported is None:
            sets = self._catalog.model.sets_of_type.get(csdl, ())
            supported = frozenset(
                verb for verb in ROW_VERBS for name in sets if self.of(verb, name)
            )
            # Thousands of types share a few sets of verbs: equal sets are stored once.
            supported = self._verbs[csdl] = self._alike.setdefault(supported, supported)
        return not supported.isdisjoint(verbs)

    def refusal(self, verb: Verb, entity_set: EntitySet) -> str | None:
        """Return why rows of a set do not support a write; None if they do."""
        if verb is Verb.UPSERT:
            return self._no_upsert(entity_set)
        if not self._rules.allow(verb, entity_set.name):
            return f"the settings forbid it (writes.{verb.value}, writes.deny_{verb.value})"
        return self._not_writable(entity_set.type) or self._not_possible(verb, entity_set)

    def _no_upsert(self, entity_set: EntitySet) -> str | None:
        for verb in (Verb.CREATE, Verb.UPDATE):
            if not self.holds(verb, entity_set):
                return f"it needs {verb.value}, and {self.refusal(verb, entity_set)}"
        sets_key = self._gives_key(entity_set.type)
        return None if sets_key else "the key of a new row cannot be set"

    def _not_writable(self, csdl: str) -> str | None:
        declared = self._catalog.model.entity_types[csdl]
        if declared.read_only:
            return "the metadata says that the type is read-only (IsReadOnly)"
        if declared.abstract:
            return "the type is abstract"
        has_key = self._catalog.is_served(csdl) and self._catalog.key_of(csdl)
        return None if has_key else "its rows have no key"

    def _not_possible(self, verb: Verb, entity_set: EntitySet) -> str | None:
        can, csdl = entity_set.can, entity_set.type
        if verb is Verb.CREATE:
            if not can.insertable:
                return "the metadata says so (Capabilities.InsertRestrictions)"
            return None if self._can_create(csdl) else "no field can be set on creation"
        if verb is Verb.UPDATE:
            if not can.updatable:
                return "the metadata says so (Capabilities.UpdateRestrictions)"
            return None if self._can_change(csdl) else "no field can be changed"
        return None if can.deletable else "the metadata says so (Capabilities.DeleteRestrictions)"

    def _can_create(self, csdl: str) -> bool:
        properties = self._catalog.properties_of(csdl)
        return self._catalog.model.is_open(csdl) or any(map(self.on_create, properties))

    def _can_change(self, csdl: str) -> bool:
        key = self._catalog.key_of(csdl)
        properties = (p for p in self._catalog.properties_of(csdl) if p.name not in key)
        return self._catalog.model.is_open(csdl) or any(map(self.on_change, properties))

    def _gives_key(self, csdl: str) -> bool:
        """Return whether the caller can set the key of a new row; the company may come from the scope."""
        key = self._catalog.key_of(csdl)
        company = self._catalog.abilities.company_property
        parts = (p for p in self._catalog.properties_of(csdl) if p.name in key)
        return all(p.allow_edit_on_create for p in parts if p.name != company)

    # Properties

    def on_create(self, prop: Property) -> bool:
        """Return whether a create can set the property."""
        return prop.allow_edit_on_create and self.has_input(prop)

    def on_change(self, prop: Property) -> bool:
        """Return whether an update can change the property, if it is not part of the key."""
        return prop.allow_edit and self.has_input(prop)

    def has_input(self, prop: Property) -> bool:
        """Return whether the values have an input type; GraphQL has no empty ones (section 3.10)."""
        csdl = prop.type.name
        is_shown = csdl in self._catalog.model.complex_types and self._catalog.is_served(csdl)
        return not is_shown or self.has_values(csdl)

    def has_values(self, csdl: str) -> bool:
        """Return whether a complex type, or one within it, has a writable property."""
        has = self._valued.get(csdl)
        if has is None:
            has = self._valued[csdl] = self._has_values(csdl)
        return has

    def _has_values(self, csdl: str) -> bool:
        model = self._catalog.model
        waiting, seen = [csdl], {csdl}
        for name in waiting:  # grows while it is walked
            if model.is_open(name):
                return True
            for prop in self._catalog.properties_of(name):
                inner = prop.type.name
                if not prop.allow_edit_on_create or inner in seen:
                    continue
                if inner not in model.complex_types or not self._catalog.is_served(inner):
                    return True
                seen.add(inner)
                waiting.append(inner)
        return False
