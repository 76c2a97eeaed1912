"""The schemas of status and drift in the description of the administration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.status.records import Calls

from .admin_openapi import reference
from .admin_operations import Schema

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time"}
_DIGEST: Schema = {"type": "string", "description": "SHA-256 of a metadata document."}
_MILLISECONDS: Schema = {"type": ["number", "null"], "description": "Null: no answer came."}
_STATE: Schema = {"type": "string", "enum": ["opening", "open", "closed", "failed"]}
_CALLS = {
    "operations": "GraphQL operations.",
    "operations_with_errors": "Of them, those whose answer has errors.",
    "requests": "Upstream requests, with their repetitions.",
    "answered": "With a status below 400.",
    "denied": "With 401 or 403.",
    "throttled": "With 429.",
    "rejected": "With another status below 500.",
    "failed": "With a status from 500.",
    "unanswered": "Lost, timed out, or cancelled with their operation.",
    "retried": "Requests that were sent again.",
}
assert _CALLS.keys() == set(Calls.__struct_fields__) - {"latencies"}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_SCOPE: Schema = {
    "type": "string",
    "enum": ["deployment", "process"],
    "description": "Whose numbers they are: of all processes, some seconds old; or of the one that serves.",
}
_ERROR = _object(
    {
        "source": {"type": "string", "enum": ["operation", "opening", "reload", "metadata"]},
        "code": _TEXT,
        "message": {"type": "string", "description": "The gateway's own, never the upstream's."},
        "count": _COUNT,
        "first": _TIME,
        "last": _TIME,
    }
)
_PROCESS = _object(
    {"host": _TEXT, "pid": _COUNT, "state": _STATE, "since": _TIME, "updated": _TIME}
)
_METADATA = _object(
    {
        "sha256": _DIGEST,
        "served_since": _TIME,
        "documents": {
            "type": "integer",
            "description": "Different documents that processes serve: more than 1 while they reload.",
        },
    },
    {
        "fetched": _TIME,
        "age_seconds": _COUNT,
        "checked": {**_TIME, "description": "When newer metadata was last looked for."},
    },
)
_CHANGE = _object(
    {
        "level": {"type": "string", "enum": ["breaking", "dangerous", "safe"]},
        "kind": {"type": "string", "example": "FIELD_REMOVED"},
        "place": {"type": "string", "description": "Type, @directive or schema."},
        "description": _TEXT,
    }
)
_DOCUMENT = _object(
    {
        "at": _TIME,
        "before": _DIGEST,
        "after": _DIGEST,
        "state": {
            "type": "string",
            "enum": ["compared", "comparing", "unknown"],
            "description": "unknown: the earlier document was no longer there to be compared.",
        },
    },
    {
        "breaking": _COUNT,
        "dangerous": _COUNT,
        "safe": _COUNT,
        "changes": _list(reference("SchemaChange")),
        "left_off": {"type": "integer", "description": "Changes that are counted and not listed."},
        "broken_operations": _list(_object({"id": _TEXT, "errors": _list(_TEXT)})),
    },
)
STATUS_SCHEMAS: Mapping[str, Any] = {
    "EnvironmentCalls": _object(
        {
            "since": _TIME,
            **{name: {**_COUNT, "description": text} for name, text in _CALLS.items()},
            "p50_ms": _MILLISECONDS,
            "p95_ms": _MILLISECONDS,
        }
    ),
    "EnvironmentStatus": _object(
        {
            "environment": _TEXT,
            "scope": _SCOPE,
            "at": _TIME,
            "state": {**_STATE, "description": "The worst of all processes; closed: no request."},
            "calls": _object(
                {"hour": reference("EnvironmentCalls"), "day": reference("EnvironmentCalls")}
            ),
            "errors": _list(_ERROR),
            "processes": _list(_PROCESS),
        },
        {
            "problem": _object(
                {"message": _TEXT, "retry_at": {"type": ["string", "null"], "format": "date-time"}}
            ),
            "metadata": _METADATA,
            "last_throttled": _TIME,
        },
    ),
    "SchemaChange": _CHANGE,
    "EnvironmentDrift": _object(
        {
            "environment": _TEXT,
            "scope": _SCOPE,
            "since": _TIME,
            "at": _TIME,
            "documents": _list(_DOCUMENT),
        }
    ),
}
