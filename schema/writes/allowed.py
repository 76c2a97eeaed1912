"""Which writes there are of which sets: by the settings, the annotations, and by what there is to write."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.catalog.records import Verb
from schema.model.records import EntitySet, Property

from .naming import ROW_VERBS
from .rules import WriteRules


class AllowedWrites:
    """Says what may be written, from the model's properties alone: no object is made for it."""

    def __init__(self, catalog: Catalog, rules: WriteRules) -> None:
        self._catalog = catalog
        self._rules = rules
        self._offered: dict[tuple[Verb, str], bool] = {}
        self._verbs: dict[str, frozenset[Verb]] = {}
        self._alike: dict[frozenset[Verb], frozenset[Verb]] = {}
        self._valued: dict[str, bool] = {}

    def holds(self, verb: Verb, entity_set: EntitySet) -> bool:
        """Return whether rows of a set may be written this way."""
        key = (verb, entity_set.name)
        found = self._offered.get(key)
        if found is None:
            found = self._offered[key] = self.refusal(verb, entity_set) is None
        return found

    def of(self, verb: Verb, of_set: str) -> bool:
        """Return the same for a set of that name."""
        found = self._offered.get((verb, of_set))
        return self.holds(verb, self._catalog.model.entity_sets[of_set]) if found is None else found

    def any(self, csdl: str, *verbs: Verb) -> bool:
        """Return whether rows of a type may be written one of these ways, in any of its sets."""
        found = self._verbs.get(csdl)
        if found is None:
            sets = self._catalog.model.sets_of_type.get(csdl, ())
            found = frozenset(verb for verb in ROW_VERBS for name in sets if self.of(verb, name))
            found = self._verbs[csdl] = self._alike.setdefault(found, found)
        return not found.isdisjoint(verbs)

    def refusal(self, verb: Verb, entity_set: EntitySet) -> str | None:
        """Return why rows of a set may not be written this way; None if they may."""
        if verb is Verb.UPSERT:
            return self._no_upsert(entity_set)
        if not self._rules.allow(verb, entity_set.name):
            return f"the settings forbid it (writes.{verb.value}, writes.deny_{verb.value})"
        return self._not_writable(entity_set.type) or self._not_possible(verb, entity_set)

    def _no_upsert(self, entity_set: EntitySet) -> str | None:
        for verb in (Verb.CREATE, Verb.UPDATE):
            if not self.holds(verb, entity_set):
                return f"it needs {verb.value}, and {self.refusal(verb, entity_set)}"
        given = self._gives_key(entity_set.type)
        return None if given else "the key of a new row cannot be given"

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
            return None if self._can_create(csdl) else "no field can be given on creation"
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
        """Return whether the caller can say which row a new one is; the company may come from the scope."""
        key = self._catalog.key_of(csdl)
        company = self._catalog.abilities.company_property
        parts = (p for p in self._catalog.properties_of(csdl) if p.name in key)
        return all(p.allow_edit_on_create for p in parts if p.name != company)

    # Properties

    def on_create(self, prop: Property) -> bool:
        """Return whether a new row can give the property."""
        return prop.allow_edit_on_create and self.has_input(prop)

    def on_change(self, prop: Property) -> bool:
        """Return whether the property, if not of the key, can be changed."""
        return prop.allow_edit and self.has_input(prop)

    def has_input(self, prop: Property) -> bool:
        """Return whether there is an input type for the values; GraphQL knows no empty ones."""
        csdl = prop.type.name
        is_shown = csdl in self._catalog.model.complex_types and self._catalog.is_served(csdl)
        return not is_shown or self.has_values(csdl)

    def has_values(self, csdl: str) -> bool:
        """Return whether a complex value, or one within it, has anything to give."""
        found = self._valued.get(csdl)
        if found is None:
            found = self._valued[csdl] = self._has_values(csdl)
        return found

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
