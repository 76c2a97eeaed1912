"""Policies for tests, and what a view of roles has to be equal to: an API over metadata without what it hides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from gateway.config.role_models import RoleOptions
from gateway.metadata.role_policy import make_policy
from schema.catalog import Catalog
from schema.catalog.records import Verb
from schema.catalog.role_catalog import RoleCatalog, role_catalog
from schema.catalog.values import Abilities
from schema.model.records import EntitySet, Model
from schema.policy.records import Policy, Right
from schema.policy.view import RoleView
from schema.types.build import ODataSchema, build_schema
from schema.types.federation import Federation
from schema.types.resolvers import NEVER_EXECUTED
from schema.writes import Patterns, WriteRules, Writes

VERBS = {Verb.CREATE: Right.CREATE, Verb.UPDATE: Right.UPDATE, Verb.DELETE: Right.DELETE}
WRITES = {"create": True, "update": True, "delete": True, "subscribe": True}


def policy_of(**roles: Mapping[str, Any]) -> Policy:
    """A policy of roles, written as in the settings."""
    return make_policy({name: RoleOptions.model_validate(r) for name, r in roles.items()}, {})


def view_of(catalog: Catalog, **roles: Mapping[str, Any]) -> RoleCatalog:
    """The catalogue of callers who have all of these roles."""
    return role_catalog(catalog, RoleView(policy_of(**roles), roles))


def schema_of(
    catalog: Catalog, rules: WriteRules | None = None, *, subscriptions: bool = True
) -> ODataSchema:
    """A schema with everything that a catalogue can have."""
    return build_schema(
        catalog,
        NEVER_EXECUTED,
        writes=Writes(catalog, rules),
        subscriptions=subscriptions,
        federation=Federation(),
    )


def removed(view: RoleCatalog, abilities: Abilities) -> ODataSchema:
    """The schema of metadata that never had what the view hides, and whose settings allow the writes that it gives."""
    shown = view.model
    model = Model(
        namespace=shown.namespace,
        entity_sets={s.name: s for s in _sets(view)},
        singletons=dict(shown.singletons),
        entity_types=dict(shown.entity_types),
        complex_types=dict(shown.complex_types),
        enum_types=dict(shown.enum_types),
        operations=shown.operations,
        imports=dict(shown.imports),
    )
    given = {v: [n for n in shown.entity_sets if view.gives(r, n)] for v, r in VERBS.items()}
    verbs = {verb: Patterns(allow=tuple(names) or ("-",)) for verb, names in given.items()}
    catalog = Catalog(model, abilities)
    return schema_of(catalog, WriteRules(verbs=verbs), subscriptions=view.has_watchable)


def _sets(view: RoleCatalog) -> Iterator[EntitySet]:
    """The sets, annotated with what cannot be filtered and ordered by."""
    access = view.visibility.access
    for entity_set in view.model.entity_sets.values():
        partly = tuple(
            p.name
            for declaring in view.model.lineage(entity_set.type)
            for p in declaring.properties
            if not access(declaring.name, p.name).filterable
        )
        can = entity_set.can
        yield structs.replace(
            entity_set,
            can=structs.replace(
                can,
                non_filterable=(*can.non_filterable, *partly),
                non_sortable=(*can.non_sortable, *partly),
            ),
        )
