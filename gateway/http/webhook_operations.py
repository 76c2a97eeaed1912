"""The operations on webhooks of changes, as `/webhooks/openapi.json` describes them and `webhook_endpoint` routes them.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.version import gateway_version

from .admin_openapi import paths_of, reference
from .admin_operations import DescribedOperation, Parameter, Schema

WEBHOOKS = "/webhooks"
ONE = f"{WEBHOOKS}/{{webhook}}"
LETTERS = f"{ONE}/dead-letters"
LETTER = f"{LETTERS}/{{letter}}"
OPENAPI = f"{WEBHOOKS}/openapi.json"
_COMPANIES = Parameter(
    name="X-D365-Company",
    place="header",
    description="Legal entities, separated by commas, if the body names none.",
    schema={"type": "string"},
)
_ONE, _SECRET, _MISSING = {200: "Webhook"}, {200: "WebhookWithSecret"}, (404,)
OPERATIONS = (
    DescribedOperation(
        method="GET",
        path=WEBHOOKS,
        name="listWebhooks",
        summary="List your webhooks; with an administrator's key those of all callers.",
        results={200: "Webhooks"},
    ),
    DescribedOperation(
        method="POST",
        path=WEBHOOKS,
        name="createWebhook",
        summary="Receive the changes of a list. The secret of signatures is shown this once.",
        results={201: "WebhookWithSecret"},
        body="NewWebhook",
        parameters=(_COMPANIES,),
        errors=(403, 404, 429),
    ),
    DescribedOperation(
        method="GET",
        path=ONE,
        name="getWebhook",
        summary="Return a webhook.",
        results=_ONE,
        errors=_MISSING,
    ),
    DescribedOperation(
        method="DELETE",
        path=ONE,
        name="removeWebhook",
        summary="Remove a webhook and its dead letters.",
        results={204: None},
        errors=_MISSING,
    ),
    DescribedOperation(
        method="POST",
        path=f"{ONE}/pause",
        name="pauseWebhook",
        summary="Send nothing more until it is resumed.",
        results=_ONE,
        errors=(404, 409),
    ),
    DescribedOperation(
        method="POST",
        path=f"{ONE}/resume",
        name="resumeWebhook",
        summary="Go on at the cursor behind what was delivered, or at another one; with your token as it is now.",
        results=_ONE,
        body="Resume",
        errors=(404, 409),
    ),
    DescribedOperation(
        method="POST",
        path=f"{ONE}/secret",
        name="rotateSecret",
        summary="Sign with a new secret, and for a day with the one before as well.",
        results=_SECRET,
        errors=_MISSING,
    ),
    DescribedOperation(
        method="GET",
        path=LETTERS,
        name="listDeadLetters",
        summary="List what was not taken, the oldest first.",
        results={200: "DeadLetters"},
        errors=_MISSING,
    ),
    DescribedOperation(
        method="GET",
        path=LETTER,
        name="getDeadLetter",
        summary="Return what was not taken, with its body.",
        results={200: "DeadLetterWithBody"},
        errors=_MISSING,
    ),
    DescribedOperation(
        method="DELETE",
        path=LETTER,
        name="removeDeadLetter",
        summary="Forget what was not taken.",
        results={204: None},
        errors=_MISSING,
    ),
    DescribedOperation(
        method="POST",
        path=f"{LETTER}/resend",
        name="resendDeadLetter",
        summary="Send it again now, once. It is forgotten if it is taken.",
        results={204: None},
        errors=(404, 502),
    ),
)
_TEXTS = {
    400: "The request is wrong.",
    401: "The credentials are missing or not accepted.",
    403: "No role of yours may export the list and subscribe to it.",
    404: "There is no such webhook or list, for you.",
    409: "It cannot be done in the state of the webhook, or not by you.",
    429: "You have as many webhooks as one may have.",
    501: "The deployment sends no webhooks.",
    502: "The receiver has not taken it.",
    503: "The store cannot be used for now.",
}
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LINKS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _object(properties: Mapping[str, Schema], *optional: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_WEBHOOK: Mapping[str, Schema] = {
    "id": _TEXT,
    "environment": _TEXT_OR_NULL,
    "profile": _TEXT_OR_NULL,
    "set": _TEXT,
    "where": {**_TEXT_OR_NULL, "description": "JSON, or a value of GraphQL."},
    "fields": {**_TEXT_OR_NULL, "description": "Null: all values of a row."},
    "companies": {"type": ["array", "null"], "items": _TEXT},
    "url": _TEXT,
    "state": {"type": "string", "enum": ["ACTIVE", "PAUSED", "NEEDS_AUTH"]},
    "error": {
        "type": ["object", "null"],
        "description": "Why the last attempt has failed, as in an answer of GraphQL.",
    },
    "sequence": {**_COUNT, "description": "Number of the last webhook, from 1."},
    "delivered": _TIME_OR_NULL,
    "failingSince": _TIME_OR_NULL,
    "deadLetters": _COUNT,
    "created": _TIME,
    "updated": _TIME,
    "links": _LINKS,
}
_LETTER: Mapping[str, Schema] = {
    "id": {**_TEXT, "description": "webhook-id, with which it is sent again."},
    "webhook": _TEXT,
    "error": _TEXT,
    "attempts": _COUNT,
    "created": _TIME,
    "died": _TIME,
    "bytes": _COUNT,
    "links": _LINKS,
}
_SINCE: Schema = {
    "type": ["string", "null"],
    "description": "A cursor of changes, or now; null: the whole list first.",
}
SCHEMAS: Mapping[str, Schema] = {
    "NewWebhook": _object(
        {
            "set": {**_TEXT, "description": "An entity set, or its list in the API."},
            "url": {**_TEXT, "description": "https, a host that webhooks.hosts allows, port 443."},
            "where": {"description": "The filter of the list: an object, or text as in an export."},
            "fields": {**_TEXT, "description": "As of an export. Without it all values of a row."},
            "companies": {"type": ["array", "string"], "items": _TEXT},
            "profile": {**_TEXT, "description": "The API that serves it, if not that of all sets."},
            "since": {**_SINCE, "default": "now"},
        },
        *("where", "fields", "companies", "profile", "since"),
    ),
    "Resume": _object({"since": _SINCE}, "since"),
    "Webhook": _object(_WEBHOOK),
    "WebhookWithSecret": _object(
        {**_WEBHOOK, "secret": {**_TEXT, "description": "whsec_…, to verify signatures with."}}
    ),
    "Webhooks": _object({"webhooks": {"type": "array", "items": reference("Webhook")}}),
    "DeadLetter": _object(_LETTER),
    "DeadLetterWithBody": _object({**_LETTER, "body": {"type": "object"}}),
    "DeadLetters": _object({"deadLetters": {"type": "array", "items": reference("DeadLetter")}}),
    "Errors": {
        "type": "object",
        "required": ["errors"],
        "properties": {
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["message", "extensions"],
                    "properties": {
                        "message": _TEXT,
                        "extensions": {
                            "type": "object",
                            "required": ["code"],
                            "properties": {"code": _TEXT, "hint": _TEXT},
                        },
                    },
                },
            }
        },
    },
}


def describe(path: str) -> Mapping[str, Any]:
    """Return the description. ``path``: what comes before ``/webhooks``, such as ``/e/acme``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Webhooks of d365-graphql",
            "version": gateway_version(),
            "description": "Changes of lists, sent to an address of yours as they are found.",
        },
        "servers": [{"url": path or "/"}],
        "security": [{"caller": []}, {}],
        "paths": paths_of(OPERATIONS, _TEXTS, error="Errors", always=(401, 501, 503)),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "caller": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "As for the API: a token of an accepted issuer, or an API key.",
                }
            },
        },
    }
