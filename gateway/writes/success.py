"""Decides which answers below 300 prove that a write was done.

    create   201; 200 with the row; 204 with OData-EntityId or Location
    update   204; 200 with the row
    upsert   204; 200 with the row; 201
    delete   204; 200 with the row
    action   200 or 201 with JSON; 204
    service  200 or 201, with a body if the settings declare an output; 204

OData 4.0 Protocol, sections 8.3.3, 9.1 and 11.4. Anything else leaves open what happened: proxies and half-finished
requests answer with an empty 200, for example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.odata.response_check import Response, nested_too_deeply, shows_outcome
from gateway.operations.lenient_rows import untyped_json
from schema.catalog.records import Verb

from .plan import CallWrite, RowWrite

ENTITY_ID = ("odata-entityid", "location")
"""Headers that name a new row, the better one first; OData 4.0 Protocol, sections 8.3.3 and 8.3.2."""


def is_done(write: RowWrite, response: Response) -> bool:
    """Return whether an answer below 300 proves that the row was written."""
    if not shows_outcome(response):
        return False
    match response.status:
        case 200:
            return _holds_row(write, json_object_of(response))
        case 201:
            may_create = write.verb in (Verb.CREATE, Verb.UPSERT)
            return may_create and not nested_too_deeply(response.body)
        case 204:
            names_row = any(name in response.headers for name in ENTITY_ID)
            return not response.body and (write.verb is not Verb.CREATE or names_row)
    return False


def is_call_done(call: CallWrite, response: Response) -> bool:
    """Return whether an answer below 300 proves that an action or custom service has run."""
    if response.status == 204:
        return not response.body
    if response.status not in (200, 201) or nested_too_deeply(response.body):
        return False
    needs_body = call.has_result if call.is_service else True
    return bool(response.body) or not needs_body


def json_object_of(response: Response | None) -> dict[str, Any] | None:
    """Return the JSON object in an answer, such as an entity; None if it holds none that can be decoded."""
    if response is None or not response.body:
        return None
    try:
        decoded = untyped_json(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _holds_row(write: RowWrite, body: Mapping[str, Any] | None) -> bool:
    """Return whether an object is a row of the set: it has a property of the write or OData's entity annotations."""
    if body is None:
        return False
    names = {*write.body, *(part.name for part in write.key or ())}
    if not names.isdisjoint(body):
        return True
    is_list = isinstance(body.get("value"), list)
    return not is_list and any(name.startswith("@odata.") for name in body)
