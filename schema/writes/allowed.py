"""Determines which writes each entity set supports: by settings, annotations and writable fields."""

from __future__ import annotations

from schema.catalog import Catalog
from schema.catalog.records import Verb
from schema.model.records import EntitySet, Property
from schema.policy.records import Right

from .rules import WriteRules

_NONE: frozenset[Verb] = frozenset()
_UPSERT = frozenset({Verb.CREATE, Verb.UPDATE})
"""The writes that an upsert needs."""


RIGHTS = {Verb.CREATE: Right.CREATE, Verb.UPDATE: Right.UPDATE, Verb.DELETE: Right.DELETE}
"""Verb → the right that it needs."""


class AllowedWrites:
    """The writes that are allowed, computed from the model's properties without object types."""

    def __init__(self, catalog: Catalog, rules: WriteRules) -> None:
        self._catalog = catalog
        self._rules = rules
        self._of_sets: dict[str, frozenset[Verb]] = {}
        self._alike: dict[frozenset[Verb], frozenset[Verb]] = {}
        self._valued: dict[str, bool] = {}

    def of_set(self, name: str) -> frozenset[Verb]:
        """Return the writes that rows of a set support."""
        verbs = self._of_sets.get(name)
        if verbs is None:
            verbs = self._supported(self._catalog.model.entity_sets[name])
            # Thousands of sets share a few sets of verbs: equal ones are stored once.
            verbs = self._of_sets[name] = self._alike.setdefault(verbs, verbs)
        return verbs

    def of_type(self, csdl: str) -> frozenset[Verb]:
        """Return the writes that rows of a type support in any of its sets."""
        sets = self._catalog.model.sets_of_type.get(csdl, ())
        return self.of_set(sets[0]) if len(sets) == 1 else _NONE.union(*map(self.of_set, sets))

    def _supported(self, entity_set: EntitySet) -> frozenset[Verb]:
        """Return the verbs without ``refusal``."""
        name, csdl = entity_set.name, entity_set.type
        # Rights first: where there are none, the type need not be read.
        given = [verb for verb, right in RIGHTS.items() if self._catalog.gives(right, name)]
        if not given or self._not_writable(csdl) is not None:
            return _NONE
        verbs = frozenset(
            verb
            for verb in given
            if self._rules.allow(verb, name) and self._not_possible(verb, entity_set) is None
        )
        return verbs | {Verb.UPSERT} if verbs >= _UPSERT and self._gives_key(csdl) else verbs

    def refusal(self, verb: Verb, entity_set: EntitySet) -> str | None:
        """Return why rows of a set do not support a write; None if they do."""
        if verb is Verb.UPSERT:
            return self._no_upsert(entity_set)
        if not self._catalog.gives(RIGHTS[verb], entity_set.name):
            return "no role gives the right"
        if not self._rules.allow(verb, entity_set.name):
            return f"the settings forbid it (writes.{verb.value}, writes.deny_{verb.value})"
        return self._not_writable(entity_set.type) or self._not_possible(verb, entity_set)

    def _no_upsert(self, entity_set: EntitySet) -> str | None:
        for verb in (Verb.CREATE, Verb.UPDATE):
            refusal = self.refusal(verb, entity_set)
            if refusal is not None:
                return f"it needs {verb.value}, and {refusal}"
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
