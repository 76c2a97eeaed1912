"""Profiles: slices of the served catalogue, each an API of its own with settings of its own.

    settings of the service + [profiles.ap]  →  the settings that hold for ap
    names of the sets that are served        →  the sets of ap

A profile is a part of what the service serves and is called as it is there: its model is taken from the served model
(``models.narrowed``), so one document is read for all, and ids of one API are those of another. What leads out of the
part (a navigation, an operation) is not there, as where ``include`` narrows the service itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_settings import SettingsConfigDict

from schema.errors import ExposureError, did_you_mean
from schema.exposure import matching, require_matches
from schema.model import Model

from .categories import load_categories
from .errors import SettingsError
from .events import Observer
from .odata.dialect import Dialect
from .setting_groups import Profile
from .settings import Settings

if TYPE_CHECKING:
    from .odata.client import ODataClient

_OVER = frozenset(Profile.model_fields) & frozenset(Settings.model_fields) - {"include", "exclude"}
"""What a profile sets in the place of the service."""


class ProfileSettings(Settings):
    """The settings that hold for a profile."""

    model_config = SettingsConfigDict(defer_build=True)  # most services have no profiles

    profile: str
    title: str | None = None
    description: str | None = None
    services: tuple[str, ...] = ()
    """Names of its custom services."""
    chosen: tuple[str, ...] = ()
    """Names of its sets and singletons; none before they are known."""


def profile_settings(settings: Settings, name: str) -> ProfileSettings:
    """Give the settings that hold for a profile. Raises SettingsError where there is none of that name."""
    profile = settings.profiles.get(name)
    if profile is None:
        near = did_you_mean(name, settings.profiles)
        known = ", ".join(settings.profiles) or "none"
        raise SettingsError(f"There is no profile {name}.{near}", hint=f"Profiles: {known}.")
    given = {key: getattr(profile, key) for key in _OVER}
    over: dict[str, Any] = {k: v for k, v in given.items() if v is not None and v != ()}
    over["read_only"] = settings.read_only or bool(profile.read_only)
    # Everything has been checked: a part of it need not be checked again.
    return ProfileSettings.model_construct(
        **{
            **dict(settings),
            **over,
            "profiles": {},
            "serve_all": True,
            "profile": name,
            "title": profile.title,
            "description": profile.description,
            "services": profile.services,
        }
    )


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Read settings that another process told, be they a profile's."""
    return (ProfileSettings if "profile" in values else Settings).model_validate(values)


async def choose(
    settings: Settings,
    client: ODataClient,
    model: Model,
    dialect: Dialect,
    metadata: str,
    observe: Observer,
) -> Mapping[str, ProfileSettings]:
    """Give the settings of every profile with its sets, of a model that was read from the document of that digest.

    Raises ExposureError for what matches nothing, SettingsError for categories where there are none, and GatewayError
    where the environment does not tell them.
    """
    categories: Mapping[str, str] = {}
    by_category = [name for name, profile in settings.profiles.items() if profile.categories]
    if by_category:
        if not dialect.has_metadata_service:
            raise SettingsError(
                f"profiles.{by_category[0]}.categories: {dialect.title} tells no categories.",
                hint="Name sets or patterns.",
            )
        folder = None if settings.url is None else settings.cache_dir
        categories = await load_categories(client, metadata, cache_dir=folder, observe=observe)
    return {
        name: profile_settings(settings, name).model_copy(
            update={"chosen": chosen_sets(name, profile, model, categories)}
        )
        for name, profile in settings.profiles.items()
    }


def chosen_sets(
    name: str, profile: Profile, model: Model, categories: Mapping[str, str]
) -> tuple[str, ...]:
    """Give the sets and singletons of a profile, in the order of the model. Raises ExposureError."""
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
    """Give the wanted categories in small letters. Raises ExposureError for one that no set has."""
    known = {category.casefold(): category for category in categories.values()}
    for category in wanted:
        if category.casefold() not in known:
            raise ExposureError(
                f"{place}: no entity set is of the category {category}.",
                hint=f"There are: {', '.join(sorted(known.values())) or 'none'}.",
            )
        yield category.casefold()
