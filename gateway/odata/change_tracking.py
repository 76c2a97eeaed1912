"""Change tracking: what a service says of a list since a delta link that it gave before.

    GET Notes            Prefer: odata.track-changes     rows, page by page, at the end @odata.deltaLink
    GET (delta link)                                     changed rows, deleted ones, at the end another delta link

https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part1-protocol.html#sec_RequestingChanges. Deleted rows have
the form of 4.0 (a context that ends with ``$deletedEntity``) or of 4.01 (``@removed``):
https://docs.oasis-open.org/odata/odata-json-format/v4.01/odata-json-format-v4.01.html#sec_DeletedEntity.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from .nextlink import next_request
from .query import Request
from .render import JSON_HEADERS
from .response_check import Response, malformed_answer

_APPLIED = "odata.track-changes"


class GoneRow(Struct, frozen=True):
    """A row that is no longer part of the list."""

    address: str
    """Its address; empty: ``values`` has its key."""
    values: Mapping[str, Any]
    is_deleted: bool
    """Whether it was deleted; else it no longer matches the filter."""


class TrackedPage(Struct, frozen=True):
    """One page of an answer."""

    rows: list[Mapping[str, Any]]
    gone: list[GoneRow]
    link: str
    """Of the next page, or of what changes later."""
    is_last: bool
    """Whether it is a delta link."""


class _Body(Struct):
    value: list[dict[str, Any]]
    next: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta: str | None = msgspec.field(default=None, name="@odata.deltaLink")
    short_next: str | None = msgspec.field(default=None, name="@nextLink")
    short_delta: str | None = msgspec.field(default=None, name="@deltaLink")


_decode = msgspec.json.Decoder(_Body, float_hook=Decimal).decode


def tracked(request: Request, rows: int) -> Request:
    """Return the request of a list with the preference that its changes are tracked, and for so many rows a page."""
    prefer = f"{_APPLIED},odata.maxpagesize={rows}"
    return Request(request.method, request.url, {**request.headers, "Prefer": prefer})


def by_link(url: str, rows: int) -> Request:
    """Return the request of a link, relative to the service root."""
    return Request("GET", url, {**JSON_HEADERS, "Prefer": f"odata.maxpagesize={rows}"})


def read_page(response: Response, sent: Request, entity_set: str, root: str) -> TrackedPage:
    """Return what an answer says. Raises UpstreamMalformed, also for a link to something else than the entity set."""
    try:
        body = _decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed_answer(response, "it is no page of a list") from error
    following, delta = body.next or body.short_next, body.delta or body.short_delta
    link = following or delta
    if link is None:
        raise malformed_answer(
            response, "the service states that it tracks changes, and sends no delta link"
        )
    # An answer without changes may have the delta link of its own request.
    url = next_request(sent, link, root=root, may_repeat=following is None).url
    if not is_link_of(url, entity_set):
        raise malformed_answer(response, "its link leads to another entity set")
    rows: list[Mapping[str, Any]] = []
    gone: list[GoneRow] = []
    for item in body.value:
        _sort_in(item, rows, gone)
    return TrackedPage(rows, gone, url, following is None)


def is_link_of(url: str, entity_set: str) -> bool:
    """Return whether a relative address is one of this entity set: so a cursor names no other."""
    rest = url.removeprefix(entity_set)
    return rest != url and rest[:1] in ("", "?", "/", "(") and ".." not in url


def _sort_in(item: dict[str, Any], rows: list[Mapping[str, Any]], gone: list[GoneRow]) -> None:
    kind = str(item.get("@odata.context", item.get("@context", ""))).rpartition("/")[2]
    removed = item.get("@removed", item.get("@odata.removed"))
    if kind in ("$link", "$deletedLink"):
        return
    if kind == "$deletedEntity":
        reason = item.get("reason")
    elif isinstance(removed, dict):
        reason = removed.get("reason")
    else:
        rows.append(item)
        return
    address = item.get("@id") or item.get("@odata.id") or (item.get("id") if not removed else "")
    gone.append(GoneRow(str(address or ""), item, is_deleted=reason != "changed"))
