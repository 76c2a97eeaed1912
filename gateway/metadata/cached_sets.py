"""The entity sets whose answers are cached for a while: by category of the environment, and by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.events import CategoriesStale, Observer
from gateway.odata.dialect import Dialect
from schema.model.exposure import matching, require_matches
from schema.model.records import Model

from .categories import load_categories

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient


async def cached_sets(
    settings: Settings,
    client: ODataClient,
    dialect: Dialect,
    model: Model,
    metadata: str,
    observe: Observer,
) -> frozenset[str]:
    """Return the entity sets whose answers may be cached. ``metadata`` is the digest of the model's document.

    Raises ExposureError for a pattern of ``cache.sets`` or ``cache.exclude`` that matches nothing. An environment that
    does not say the categories of its sets stops nothing: only the named ones are cached then.
    """
    options, names = settings.cache, tuple(model.entity_sets)
    require_matches(names, **{"cache.sets": options.sets, "cache.exclude": options.exclude})
    kept = set(matching(names, options.sets))
    if options.categories and dialect.has_entity_categories:
        chosen = {category.casefold() for category in options.categories}
        categories = await _categories(settings, client, dialect, metadata, observe)
        kept.update(n for n in names if categories.get(n, "").casefold() in chosen)
    return frozenset(kept.difference(matching(names, options.exclude)))


async def _categories(
    settings: Settings, client: ODataClient, dialect: Dialect, metadata: str, observe: Observer
) -> Mapping[str, str]:
    folder = None if settings.url is None else settings.cache_dir
    root = dialect.environment_root(client.root)
    try:
        return await load_categories(client, root, metadata, cache_dir=folder, observe=observe)
    except GatewayError as error:
        observe(CategoriesStale(url=f"{root}/metadata/DataEntities", reason=error.message))
        return {}
