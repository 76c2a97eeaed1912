"""The answer of a ``changes`` field, from a step of its feed and what is selected of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .feed import Feed
from .records import ChangedRow, RemovedRow
from .selection import ChangesSelection, PayloadField, RowField
from .step import Step


def payload_of(feed: Feed, step: Step, selection: ChangesSelection) -> dict[str, Any]:
    """Return the value of the field."""
    return {field.key: _value(field, feed, step) for field in selection.fields}


def _value(field: PayloadField, feed: Feed, step: Step) -> object:
    match field.name:
        case "upserts":
            return [_upsert(row, field.below) for row in step.upserts]
        case "deletes":
            return [_removed(row, field.below) for row in step.removed]
        case "cursor":
            return feed.text(step.cursor)
        case "hasMore":
            return step.has_more
        case "lag":
            return step.lag
        case "source":
            return step.source or feed.source.name
        case "guarantee":
            return feed.source.guarantee
        case "deletesWithin":
            return feed.source.deletes_within
        case "resyncRequired":
            return step.resync
        case _:
            return "Changes"


def _upsert(row: ChangedRow, fields: Sequence[RowField]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for field in fields:
        match field.name:
            case "node":
                value[field.key] = row.nodes[field.place]
            case "object":
                # Null for lists that are not those of a unified model.
                value[field.key] = row.nodes.get(field.place)
            case "kind":
                value[field.key] = row.kind
            case "id":
                value[field.key] = row.id
            case "etag":
                value[field.key] = row.etag
            case _:
                value[field.key] = "ChangedRow"
    return value


def _removed(row: RemovedRow, fields: Sequence[RowField]) -> dict[str, Any]:
    values = {"id": row.id, "reason": row.reason}
    return {field.key: values.get(field.name, "RemovedRow") for field in fields}


def payload_errors(step: Step, selection: ChangesSelection, key: str) -> list[dict[str, Any]]:
    """Return the errors below rows, at their places in the answer."""
    places = {
        below.place: (field.key, below.key)
        for field in selection.fields
        for below in field.below
        if below.place
    }
    return [
        {
            "message": error["message"],
            "path": [key, places[place][0], number, places[place][1], *error["path"]],
            **({"extensions": error["extensions"]} if "extensions" in error else {}),
        }
        for number, place, error in step.errors
    ]
