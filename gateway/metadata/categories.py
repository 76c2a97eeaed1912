"""Categories of entity sets: ``CustomersV3`` is ``Master``, ``SalesOrderHeadersV2`` is ``Document``.

F&O has them in its metadata service, next to the data service; the metadata document lacks them:

    {environment}/metadata/DataEntities   →   {"value": [{"PublicCollectionName": …, "EntityCategory": …}, …]}

They are fetched once for each metadata document and cached on disk. Which profile serves an entity set depends on them,
so without an answer, now or for an earlier document, the gateway does not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.errors import GatewayError, UpstreamMalformed
from gateway.events import CategoriesStale, Observer, log_event
from gateway.odata.nextlink import next_request
from gateway.odata.query import Request
from gateway.storage.document_cache import DocumentCache

if TYPE_CHECKING:
    from gateway.odata.client import ODataClient

MAX_PAGES = 500
"""Maximum pages of the list that are read."""

_JSON = {"Accept": "application/json"}


class DataEntity(msgspec.Struct, frozen=True):
    """A data entity of the environment."""

    name: str | None = msgspec.field(name="PublicCollectionName", default=None)
    """Its entity set."""
    aot: str | None = msgspec.field(name="Name", default=None)
    """Its name for developers of the environment, and for events."""
    category: str | None = msgspec.field(name="EntityCategory", default=None)


class _Entities(msgspec.Struct, frozen=True):
    entities: list[DataEntity] = msgspec.field(name="value")
    next: str | None = msgspec.field(name="@odata.nextLink", default=None)


class _Cached(msgspec.Struct, frozen=True):
    metadata: str
    """SHA-256 of the metadata document for which they were fetched."""
    categories: dict[str, str]


async def load_categories(
    client: ODataClient,
    environment: str,
    metadata: str,
    *,
    cache_dir: Path | None = None,
    observe: Observer = log_event,
) -> Mapping[str, str]:
    """Return entity set → category, for the metadata document with the digest ``metadata``.

    ``environment`` is the environment's address without the path of its data service. Raises GatewayError.
    """
    url = f"{environment}/metadata"
    cache = DocumentCache(None if cache_dir is None else cache_dir / "categories", observe)
    key = f"{url}/DataEntities"
    cached = await asyncio.to_thread(_read, cache, key)
    if cached is not None and cached.metadata == metadata:
        return cached.categories
    try:
        entities = await data_entities(client, environment)
    except GatewayError as error:
        if cached is None:
            raise
        observe(CategoriesStale(url=key, reason=error.message))
        return cached.categories
    categories = {e.name: e.category for e in entities if e.name and e.category}
    body = msgspec.json.encode(_Cached(metadata, categories))
    await asyncio.to_thread(cache.write_new, key, body)
    return categories


async def data_entities(client: ODataClient, environment: str) -> list[DataEntity]:
    """Return all data entities of an environment, read page by page. Raises GatewayError."""
    service = f"{environment}/metadata"
    entities: list[DataEntity] = []
    request = Request("GET", "DataEntities", {})
    for _ in range(MAX_PAGES):
        response = await client.fetch(f"{service}/{request.url}", _JSON)
        try:
            page = msgspec.json.decode(response.body, type=_Entities)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UpstreamMalformed(
                "The environment's list of data entities is unreadable.",
                hint="Profiles with categories need it. Use sets or include instead.",
            ) from error
        entities += page.entities
        if page.next is None:
            return entities
        request = next_request(request, page.next, root=service)
    raise UpstreamMalformed(f"The list of data entities has more than {MAX_PAGES} pages.")


def _read(cache: DocumentCache, key: str) -> _Cached | None:
    document = cache.read(key)
    if document is None:
        return None
    try:
        return msgspec.json.decode(document[1], type=_Cached)
    except msgspec.MsgspecError:
        return None
