"""Entity sets of each profile: by patterns, by categories of the environment, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.config.profiles import ProfileSettings, profile_settings
from gateway.config.setting_models import Profile
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Observer
from gateway.odata.dialect import Dialect
from schema.errors import ExposureError
from schema.model.exposure import matching, require_matches
from schema.model.records import Model

from .categories import load_categories

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient


async def load_profile_settings(
    settings: Settings,
    client: ODataClient,
    model: Model,
    dialect: Dialect,
    metadata: str,
    observe: Observer,
) -> Mapping[str, ProfileSettings]:
    """Return the settings of every profile, with its entity sets. ``metadata`` is the digest of the model's document.

    Raises ExposureError for a pattern without match, SettingsError if the product has no categories, and GatewayError
    if the environment does not return them.
    """
    categories: Mapping[str, str] = {}
    by_category = [name for name, profile in settings.profiles.items() if profile.categories]
    if by_category:
        if not dialect.has_entity_categories:
            raise SettingsError(
                f"profiles.{by_category[0]}.categories: {dialect.title} has no categories.",
                hint="Use sets or include instead.",
            )
        folder = None if settings.url is None else settings.cache_dir
        categories = await load_categories(
            client,
            dialect.environment_root(client.root),
            metadata,
            cache_dir=folder,
            observe=observe,
        )
    return {
        name: profile_settings(settings, name).model_copy(
            update={"chosen": sets_of_profile(name, profile, model, categories)}
        )
        for name, profile in settings.profiles.items()
    }


def sets_of_profile(
    name: str, profile: Profile, model: Model, categories: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the entity sets and singletons of a profile, in the order of the model. Raises ExposureError."""
    names = (*model.entity_sets, *model.singletons)
    place = f"profiles.{name}"
    require_matches(
        names,
        **{
            f"{place}.include": profile.include,
            f"{place}.exclude": profile.exclude,
            f"{place}.sets": profile.sets,
        },
    )
    chosen = set(_included(profile, names))
    if profile.categories:
        requested = set(_folded(f"{place}.categories", profile.categories, categories))
        chosen = {n for n in chosen if categories.get(n, "").casefold() in requested}
    chosen = chosen.difference(matching(names, profile.exclude))
    chosen |= set(matching(names, profile.sets))
    if not chosen:
        raise ExposureError(
            f"{place}: the profile has no entity set and no singleton.",
            hint="An entity set must match include, be in one of the categories, and not match exclude.",
        )
    return tuple(n for n in names if n in chosen)


def _included(profile: Profile, names: Sequence[str]) -> Iterator[str]:
    if profile.include:
        return matching(names, profile.include)
    only_named = profile.sets and not profile.categories
    return iter(()) if only_named else iter(names)


def _folded(place: str, requested: Sequence[str], categories: Mapping[str, str]) -> Iterator[str]:
    """Yield the requested categories in lower case. Raises ExposureError for one that no entity set has."""
    existing = {category.casefold(): category for category in categories.values()}
    for category in requested:
        if category.casefold() not in existing:
            raise ExposureError(
                f"{place}: no entity set has the category {category}.",
                hint=f"Categories: {', '.join(sorted(existing.values())) or 'none'}.",
            )
        yield category.casefold()
