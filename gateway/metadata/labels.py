"""Texts of label ids: ``@SYS13342`` in en-US → ``Customer account``.

F&O keeps them in its metadata service, beside the data service (``d365-odata`` 1.3):

    {environment}/metadata/Labels?$filter=Language eq 'en-US'        →   {"value": [{"Id": …, "Value": …}, …]}
    {environment}/metadata/Labels(Id='@SYS13342',Language='en-US')   →   {"Value": "Customer account", …}

The list is asked for first; what it does not tell because it ends early, or is refused, is asked for one by one.
They are fetched once and kept on disk, with the ids that have no text. Labels are a kindness: a service without
them, or an account that may not read them, leaves names as descriptions and an event, never an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec

from gateway.errors import GatewayError, UpstreamRejected
from gateway.events import LabelsUnavailable, Observer, log_event
from gateway.odata.client import ODataClient
from gateway.odata.nextlink import next_request
from gateway.odata.query import Request
from gateway.storage.document_cache import DocumentCache, DocumentInfo, digest_of

PROBE = 20
"""Labels asked for at first; where none of them is found the service is taken to have none."""
CHUNK = 200
MAX_PAGES = 500
"""Pages of the list that are followed."""

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
    """Return the texts of the label ids that have one; a service without labels gives none.

    ``environment`` is the environment's address without the path of its data service. ``refresh``: fetch cached labels
    again.
    """
    service = f"{environment}/metadata"
    cache = DocumentCache(None if cache_dir is None else cache_dir / "labels", observe)
    key = f"{service}/Labels {language}"
    known = {} if refresh else await asyncio.to_thread(_read, cache, key)
    wanted = list(dict.fromkeys(ids))
    missing = [label for label in wanted if label not in known]
    if missing:
        found, trouble = await _fetch_all(client, service, missing, language)
        if trouble is not None:
            observe(LabelsUnavailable(url=f"{service}/Labels", reason=trouble))
        if found:
            known = {**known, **found}
            await asyncio.to_thread(_write, cache, key, known)
    return {label: known[label] for label in wanted if known.get(label)}


async def _fetch_all(
    client: ODataClient, service: str, ids: Sequence[str], language: str
) -> tuple[dict[str, str], str | None]:
    """Take the list, and ask for what it left open in chunks, a small one first.

    Stops at the first trouble and keeps what is there.
    """
    listed, whole = await _fetch_listed(client, service, language)
    if whole:
        return {label: listed.get(label, "") for label in ids}, None
    found = {label: listed[label] for label in ids if label in listed}
    rest = [label for label in ids if label not in listed]
    chunks = [rest[:PROBE], *(rest[at : at + CHUNK] for at in range(PROBE, len(rest), CHUNK))]
    for chunk in chunks:
        try:
            texts = await _gather(client, service, chunk, language)
        except GatewayError as exc:
            return found, exc.message
        found.update(zip(chunk, texts, strict=True))
        if not any(found.values()):
            return {}, "none of the first labels was found"
    return found, None


async def _fetch_listed(
    client: ODataClient, service: str, language: str
) -> tuple[dict[str, str], bool]:
    """Read the list of a language's labels, page by page: what it told, and whether that is all.

    An empty list tells nothing: the service may not know the filter.
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


async def _gather(
    client: ODataClient, service: str, ids: Sequence[str], language: str
) -> list[str]:
    """Ask for some labels at a time; the first error stops the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_fetch(client, service, label, language)) for label in ids]
    except* GatewayError as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


async def _fetch(client: ODataClient, service: str, label: str, language: str) -> str:
    """Return one text; empty where the service has none."""
    url = f"{service}/Labels(Id={_literal(label)},Language={_literal(language)})"
    try:
        response = await client.fetch(url, _JSON)
    except UpstreamRejected as exc:
        if exc.upstream_status == 404:
            return ""
        raise
    try:
        return msgspec.json.decode(response.body, type=_Label).value
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{quote(doubled, safe='')}'"


def _read(cache: DocumentCache, key: str) -> Mapping[str, str]:
    kept = cache.read(key)
    return msgspec.json.decode(kept[1], type=dict[str, str]) if kept else {}


def _write(cache: DocumentCache, key: str, texts: Mapping[str, str]) -> None:
    body = msgspec.json.encode(texts)
    cache.write(DocumentInfo(key=key, digest=digest_of(body), fetched_at=time.time()), body)
