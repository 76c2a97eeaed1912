"""From the settings of roles to their policy, checked against the metadata.

Everything that a role names must exist: a pattern without match protects nothing, or grants nothing, and nobody would
notice. All problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from gateway.config.role_models import RoleOptions, SetRights
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Observer
from gateway.odata.dialect import Dialect
from schema.catalog import Catalog
from schema.errors import did_you_mean
from schema.model.records import Model, Property, short
from schema.policy.records import (
    Limits,
    Mask,
    Names,
    Policy,
    Right,
    Role,
    SetGrant,
)

from .categories import load_categories
from .write_rules import write_rules

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient

CATEGORY = "@"
"""Begins the name of a category where sets are named."""
_SHOWN = 5
"""Maximum names in a problem."""


async def load_policy(
    settings: Settings,
    client: ODataClient,
    dialect: Dialect,
    metadata: str,
    observe: Observer,
) -> Policy | None:
    """Return the unchecked policy of the settings; None without roles. ``metadata`` is the digest of the document.

    Raises SettingsError if the product has no categories, and GatewayError if the environment does not return them.
    """
    if not settings.roles:
        return None
    categories: Mapping[str, str] = {}
    by_category = [
        name for name, role in settings.roles.items() if any(map(_is_category, role.sets))
    ]
    if by_category:
        if not dialect.has_entity_categories:
            raise SettingsError(
                f"roles.{by_category[0]}.sets: {dialect.title} has no categories.",
                hint="Use names or patterns of entity sets.",
            )
        folder = None if settings.url is None else settings.cache_dir
        root = dialect.environment_root(client.root)
        categories = await load_categories(
            client, root, metadata, cache_dir=folder, observe=observe
        )
    return make_policy(settings.roles, categories)


def make_policy(roles: Mapping[str, RoleOptions], categories: Mapping[str, str]) -> Policy:
    """Return the policy of roles, unchecked."""
    return Policy({name: _role(name, role) for name, role in roles.items()}, categories)


def _role(name: str, role: RoleOptions) -> Role:
    grants = [(pattern, _grant(rights)) for pattern, rights in role.sets.items()]
    return Role(
        name=name,
        description=role.description,
        sets=tuple((p, g) for p, g in grants if not _is_category(p)),
        categories=tuple((p.removeprefix(CATEGORY), g) for p, g in grants if _is_category(p)),
        inherits=role.inherits,
        companies=role.companies,
        company=role.company,
        actions=Names(allow=role.actions),
        explain=role.explain,
        introspection=role.introspection,
        graphiql=role.graphiql,
        documents=role.documents,
        limits=Limits(**role.limits.model_dump()),
    )


def _grant(rights: SetRights) -> SetGrant:
    def has(right: Right) -> bool:
        value = getattr(rights, right.value)
        return rights.read if value is None else bool(value)

    return SetGrant(
        rights=frozenset(right for right in Right if has(right)),
        columns=Names(rights.columns, rights.deny_columns),
        where=rights.where,
        presets=rights.presets,
        masks={pattern: Mask(mask) for pattern, mask in rights.masks.items()},
    )


def _is_category(pattern: str) -> bool:
    return pattern.startswith(CATEGORY)


def policy_problems(policy: Policy, catalog: Catalog, settings: Settings) -> list[str]:
    """Return what is wrong with a policy, one sentence each with its place."""
    # A copy: the check may read the whole metadata, which must not stay in memory.
    checks = _Checks(policy, catalog.fresh_copy().model, settings)
    return list(dict.fromkeys(checks.problems()))


class _Checks:
    """The checks of one policy."""

    def __init__(self, policy: Policy, model: Model, settings: Settings) -> None:
        self._policy = policy
        self._model = model
        self._names = (*model.entity_sets, *model.singletons)
        self._known = frozenset(self._names)
        self._settings = settings
        self._matching: dict[str, tuple[str, ...]] = {}
        self._columns: dict[tuple[str, ...], Mapping[str, Mapping[str, None]]] = {}

    def problems(self) -> Iterator[str]:
        """Yield the problems of all roles."""
        calls = self._calls()
        for role in self._policy.roles.values():
            place = f"roles.{role.name}"
            for pattern in role.actions.allow:
                if not any(fnmatchcase(name, pattern) for name in calls):
                    suggestion = did_you_mean(pattern.strip("*"), calls)
                    yield (
                        f'{place}.actions: no action, function or service matches "{pattern}".{suggestion}'
                    )
            for pattern, grant in role.sets:
                of_pattern = f'{place}.sets."{pattern}"'
                sets = self._sets(pattern)
                if not sets:
                    suggestion = did_you_mean(pattern.strip("*"), self._names)
                    yield f"{of_pattern}: no entity set or singleton matches.{suggestion}"
                yield from self._of_grant(of_pattern, sets, grant)
            for category, grant in role.categories:
                of_category = f'{place}.sets."{CATEGORY}{category}"'
                sets = self._of_category(category)
                if not sets:
                    existing = sorted(set(self._policy.categories.values()))
                    yield (
                        f"{of_category}: no entity set has this category."
                        f" Categories: {', '.join(existing) or 'none'}."
                    )
                yield from self._of_grant(of_category, sets, grant)

    def _calls(self) -> frozenset[str]:
        """Return the names by which roles name actions, functions and services."""
        rules = write_rules(self._settings)
        services = () if rules is None else rules.services
        return frozenset(
            [short(o.name) for o in self._model.operations]
            + list(self._model.imports)
            + [service.name for service in services]
        )

    def _sets(self, pattern: str) -> tuple[str, ...]:
        sets = self._matching.get(pattern)
        if sets is None:
            sets = (pattern,) if pattern in self._known else ()
            sets = sets or tuple(n for n in self._names if fnmatchcase(n, pattern))
            self._matching[pattern] = sets
        return sets

    def _of_category(self, category: str) -> tuple[str, ...]:
        folded = category.casefold()
        categories = self._policy.categories
        return tuple(n for n in self._names if categories.get(n, "").casefold() == folded)

    def _of_grant(self, place: str, sets: tuple[str, ...], grant: SetGrant) -> Iterator[str]:
        if not sets:
            return
        named = {
            "columns": grant.columns.allow,
            "deny_columns": grant.columns.deny,
            "presets": tuple(grant.presets),
            "masks": tuple(grant.masks),
        }
        for setting, patterns in named.items():
            for pattern in patterns:
                if pattern != "*" and not self._matches(sets, pattern):
                    suggestion = did_you_mean(pattern.strip("*"), self._columns_of(sets))
                    yield f'{place}.{setting}: no property matches "{pattern}".{suggestion}'
        for pattern, mask in grant.masks.items():
            if mask is not Mask.NULL:
                others = self._not_texts(sets, pattern, grant)
                if others:
                    more = ", …" if len(others) > _SHOWN else ""
                    yield (
                        f"{place}.masks: {mask.value} is for texts, which"
                        f" {', '.join(others[:_SHOWN])}{more} is not."
                    )

    def _matches(self, sets: tuple[str, ...], pattern: str) -> bool:
        columns = self._columns_of(sets)
        return pattern in columns or any(fnmatchcase(name, pattern) for name in columns)

    def _not_texts(self, sets: tuple[str, ...], pattern: str, grant: SetGrant) -> list[str]:
        first = list(grant.masks)[: list(grant.masks).index(pattern)]
        return sorted(
            place
            for name, places in self._columns_of(sets).items()
            if fnmatchcase(name, pattern) and not any(fnmatchcase(name, p) for p in first)
            if grant.columns.holds(name)
            for place in places
        )

    def _columns_of(self, sets: tuple[str, ...]) -> Mapping[str, Mapping[str, None]]:
        """Return property → its places (``Set.Property``) at which it is not a text and no part of a key."""
        columns = self._columns.get(sets)
        if columns is None:
            columns = self._columns[sets] = self._read_columns(sets)
        return columns

    def _read_columns(self, sets: Iterable[str]) -> Mapping[str, Mapping[str, None]]:
        columns: dict[str, dict[str, None]] = {}
        model = self._model
        for name in sets:
            root = model.entity_sets.get(name) or model.singletons[name]
            for csdl in model.family(root.type):
                key = model.key_of(csdl)
                for prop in model.properties_of(csdl):
                    places = columns.setdefault(prop.name, {})
                    if prop.name not in key and not _is_text(prop):
                        places[f"{name}.{prop.name}"] = None
        return columns


def _is_text(prop: Property) -> bool:
    return prop.type.name == "Edm.String" and not prop.type.many
