"""Label texts: ``@SYS13342`` in en-US → ``Customer account``.

F&O has them in its metadata service, next to the data service:

    {environment}/metadata/Labels?$filter=Language eq 'en-US'        →   {"value": [{"Id": …, "Value": …}, …]}
    {environment}/metadata/Labels(Id='@SYS13342',Language='en-US')   →   {"Value": "Customer account", …}

The list is requested first; labels that are missing from it, because it ends early or is refused, are requested one by
one. They are cached on disk, with the ids that have no text. Labels are optional: without them, because the service has
none or the account may not read them, descriptions are names, and an event says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.events import LabelsUnavailable, Observer, log_event
from gateway.odata.client import ODataClient
from gateway.odata.nextlink import next_request
from gateway.odata.query import Request
from gateway.storage.document_cache import DocumentCache

PROBE = 20
"""Labels requested first; if none of them exists, the service is taken to have none."""
CHUNK = 200
"""Labels requested at a time."""
MAX_PAGES = 500
"""Maximum pages of the list that are read."""

_JSON = {"Accept": "application/json"}


class _Label(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="Id", default="")
    value: str = msgspec.field(name="Value", default="")


class _Labels(msgspec.Struct, frozen=True):
    labels: list[_Label] = msgspec.field(name="value")
    next: str | None = msgspec.field(name="@odata.nextLink", default=None)


async def load_labels(
    client: ODataClient,
    environment: str,
    ids: Iterable[str],
    language: str,
    *,
    cache_dir: Path | None = None,
    refresh: bool = False,
    observe: Observer = log_event,
) -> dict[str, str]:
    """Return the texts of the label ids that have one. Never raises GatewayError.

    ``environment`` is the environment's address without the path of its data service. With ``refresh``, cached labels
    are fetched again.
    """
    service = f"{environment}/metadata"
    cache = DocumentCache(None if cache_dir is None else cache_dir / "labels", observe)
    key = f"{service}/Labels {language}"
    cached = {} if refresh else await asyncio.to_thread(_read, cache, key)
    requested = list(dict.fromkeys(ids))
    missing = [label for label in requested if label not in cached]
    if missing:
        texts, failure = await _fetch_all(client, service, missing, language)
        if failure is not None:
            observe(LabelsUnavailable(url=f"{service}/Labels", reason=failure))
        if texts:
            cached = {**cached, **texts}
            body = await asyncio.to_thread(msgspec.json.encode, cached)
            await asyncio.to_thread(cache.write_new, key, body)
    return {label: cached[label] for label in requested if cached.get(label)}


async def _fetch_all(
    client: ODataClient, service: str, ids: Sequence[str], language: str
) -> tuple[dict[str, str], str | None]:
    """Return texts by id (empty if there is none), and why it ended early, if it did.

    Reads the list, then requests the rest in chunks, a small one first.
    """
    listed, is_complete = await _fetch_list(client, service, language)
    if is_complete:
        return {label: listed.get(label, "") for label in ids}, None
    texts = {label: listed[label] for label in ids if label in listed}
    rest = [label for label in ids if label not in listed]
    chunks = [rest[:PROBE], *(rest[at : at + CHUNK] for at in range(PROBE, len(rest), CHUNK))]
    for chunk in chunks:
        try:
            chunk_texts = await _fetch_chunk(client, service, chunk, language)
        except GatewayError as exc:
            return texts, exc.message
        texts.update(zip(chunk, chunk_texts, strict=True))
        if not any(texts.values()):
            return {}, "none of the first labels was found"
    return texts, None


async def _fetch_list(
    client: ODataClient, service: str, language: str
) -> tuple[dict[str, str], bool]:
    """Return the labels of a language from the list, read page by page, and whether it is complete.

    An empty list counts as incomplete: the service may not support the filter.
    """
    texts: dict[str, str] = {}
    request = Request("GET", f"Labels?$filter=Language%20eq%20{_literal(language)}", {})
    for _ in range(MAX_PAGES):
        try:
            response = await client.fetch(f"{service}/{request.url}", _JSON)
            page = msgspec.json.decode(response.body, type=_Labels)
            texts.update((label.id, label.value) for label in page.labels)
            if page.next is None:
                return texts, bool(texts)
            request = next_request(request, page.next, root=service)
        except (GatewayError, msgspec.MsgspecError, UnicodeDecodeError):
            break
    return texts, False


async def _fetch_chunk(
    client: ODataClient, service: str, ids: Sequence[str], language: str
) -> list[str]:
    """Return the texts of some labels, requested concurrently. The first error cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_fetch(client, service, label, language)) for label in ids]
    except* GatewayError as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


async def _fetch(client: ODataClient, service: str, label: str, language: str) -> str:
    """Return the text of a label; empty if the service has none."""
    url = f"{service}/Labels(Id={_literal(label)},Language={_literal(language)})"
    try:
        response = await client.fetch(url, _JSON)
    except UpstreamRejected as exc:
        # Cached as empty, so that it is not requested at every start.
        if exc.upstream_status == 404:
            return ""
        raise
    try:
        return msgspec.json.decode(response.body, type=_Label).value
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _literal(text: str) -> str:
    # OData 4.01 URL Conventions, section 2: a quote inside a string literal is doubled, then encoded.
    doubled = text.replace("'", "''")
    return f"'{quote(doubled, safe='')}'"


def _read(cache: DocumentCache, key: str) -> Mapping[str, str]:
    cached = cache.read(key)
    return msgspec.json.decode(cached[1], type=dict[str, str]) if cached else {}
