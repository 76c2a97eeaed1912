"""Reads what environments report: data events, business events, and the envelopes of Azure Event Grid. Pure.

    data event       the context of Dataverse, through which Finance & Operations sends it: the virtual table's name
    business event   a contract of its own fields, with BusinessEventId
    Event Grid       a list of events, or one CloudEvent, with either of these as data; a handshake comes first

No value of a row is read: a report says where to look, and the row is then read by those who follow it, as they may
see it.

https://learn.microsoft.com/dynamics365/fin-ops-core/dev-itpro/business-events/data-events
https://learn.microsoft.com/power-apps/developer/data-platform/use-webhooks
https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.errors import BadArgument

ENTITY_HEADER = "x-ms-dynamics-entity-name"
"""Header of Dataverse's webhooks, whose bodies lack most of their content if that is long."""
GRID_HEADER = "aeg-event-type"
VALIDATION = "SubscriptionValidation"
_VIRTUAL = "mserp_"
"""Prefix of the virtual tables over data entities of Finance & Operations."""
_LONGEST = 200
_MOST = 1_000
"""Events of one report that are read."""


class Report(Struct, frozen=True, kw_only=True):
    """What an environment has reported."""

    entities: frozenset[str] = frozenset()
    """Names of data entities in lower case, as virtual tables have them: ``custcustomerv3entity``."""
    events: frozenset[str] = frozenset()
    """Names of business events."""
    validation: str | None = None
    """The code of a handshake of Event Grid, which the answer repeats."""


def read_report(headers: Mapping[str, str], body: bytes) -> Report:
    """Return what a request reports; nothing of an event that is none of these. Raises BadArgument."""
    try:
        content = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadArgument("The body is no JSON.") from None
    events = content[:_MOST] if isinstance(content, list) else [content]
    if headers.get(GRID_HEADER, "").casefold() == VALIDATION.casefold():
        return Report(validation=_validation_code(events))
    facts = [_facts(event) for event in events]
    entities = {name for of in facts if (name := _entity(of.get("PrimaryEntityName")))}
    if not entities and (name := _entity(headers.get(ENTITY_HEADER))):
        entities.add(name)
    names = {name for of in facts if (name := _text(of.get("BusinessEventId")))}
    return Report(entities=frozenset(entities), events=frozenset(names))


def _facts(event: object) -> Mapping[str, Any]:
    """Return the event itself, without the envelope of Event Grid."""
    if not isinstance(event, dict):
        return {}
    data = event.get("data")
    is_envelope = "eventType" in event or "specversion" in event
    return data if is_envelope and isinstance(data, dict) else event


def _validation_code(events: list[object]) -> str:
    code = _text(_facts(events[0]).get("validationCode")) if events else None
    if code is None:
        raise BadArgument("The validation event has no validationCode.")
    return code


def _entity(name: object) -> str | None:
    text = _text(name)
    return None if text is None else text.casefold().removeprefix(_VIRTUAL) or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None
