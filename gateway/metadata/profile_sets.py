"""Which entity sets each profile serves: by patterns, by categories that the environment tells, by name."""

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
    """Return the settings of every profile with its sets, of a model that was read from the document of that digest.

    Raises ExposureError for what matches nothing, SettingsError for categories where there are none, and GatewayError
    where the environment does not tell them.
    """
    categories: Mapping[str, str] = {}
    by_category = [name for name, profile in settings.profiles.items() if profile.categories]
    if by_category:
        if not dialect.has_entity_categories:
            raise SettingsError(
                f"profiles.{by_category[0]}.categories: {dialect.title} tells no categories.",
                hint="Name sets or patterns.",
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
    """Return the sets and singletons of a profile, in the order of the model. Raises ExposureError."""
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
    found = set(_patterned(profile, names))
    if profile.categories:
        wanted = set(_known(f"{place}.categories", profile.categories, categories))
        found = {n for n in found if categories.get(n, "").casefold() in wanted}
    found = found.difference(matching(names, profile.exclude)).union(matching(names, profile.sets))
    if not found:
        raise ExposureError(
            f"{place}: the profile has no entity set and no singleton.",
            hint="A set must match include, be of one of the categories, and not match exclude.",
        )
    return tuple(n for n in names if n in found)


def _patterned(profile: Profile, names: Sequence[str]) -> Iterator[str]:
    if profile.include:
        return matching(names, profile.include)
    only_named = profile.sets and not profile.categories
    return iter(()) if only_named else iter(names)


def _known(place: str, wanted: Sequence[str], categories: Mapping[str, str]) -> Iterator[str]:
    """Return the wanted categories in small letters. Raises ExposureError for one that no set has."""
    known = {category.casefold(): category for category in categories.values()}
    for category in wanted:
        if category.casefold() not in known:
            raise ExposureError(
                f"{place}: no entity set is of the category {category}.",
                hint=f"There are: {', '.join(sorted(known.values())) or 'none'}.",
            )
        yield category.casefold()
