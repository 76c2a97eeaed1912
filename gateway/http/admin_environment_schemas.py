"""The schemas of environments in the description of the administration: made of the options that the settings have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.administration.option_checks import OF_SERVER
from gateway.config.environment_models import NAME, EnvironmentOptions
from gateway.config.environment_secrets import SECRETS
from gateway.config.environments import RENAMED
from gateway.config.settings import Settings

from .admin_openapi import reference
from .admin_operations import Schema

_DEFINITIONS = "#/components/schemas/{model}"
_TEXTS = {
    "url": "Service root, such as https://contoso.operations.dynamics.com/data.",
    "title": "Name for people.",
    "client_id": "Application (client) id. Not set: that of the deployment, which is then a multi-tenant one.",
    "profiles": "Names of the deployment's profiles that it serves. Empty: all.",
    "roles": "Names of the deployment's roles that exist in it. Empty: all.",
    "relations": "Relations that the metadata lacks, besides those of the deployment.",
    "credentials": "Credentials other than the client secret.",
}
_NAME: Schema = {
    "type": "string",
    "pattern": f"^{NAME.pattern}$",
    "description": "Name, which is part of the address: /e/NAME/graphql.",
}
_TIME: Schema = {"type": "string", "format": "date-time"}
_FACTS: Mapping[str, Schema] = {
    "secrets": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names of the secrets that are set. Their values are never shown.",
    },
    "state": {"type": "string", "enum": ["active", "disabled"]},
    "version": {"type": "integer", "description": "Grows with each change."},
    "address": {"type": "string", "description": "Path of its GraphQL API."},
    "created": _TIME,
    "updated": _TIME,
    "linked": {
        "description": "Who has proved to administer it; null: it was not linked by its administrator.",
        "anyOf": [
            {
                "type": "object",
                "required": ["tenant", "subject", "name", "at"],
                "properties": {
                    "tenant": {"type": "string"},
                    "subject": {"type": "string", "description": "Object id of the user."},
                    "name": {"type": "string"},
                    "at": _TIME,
                },
                "additionalProperties": False,
            },
            {"type": "null"},
        ],
    },
}
_PROBLEM: Schema = {
    "type": "string",
    "description": "Why its options are not shown: this version of the gateway cannot read them.",
}
_OF_SERVER: Schema = {
    "description": "Of environments that the deployment itself has stored.",
    "readOnly": True,
}
CHECK: Schema = {
    "type": "object",
    "required": ["status", "at", "steps"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "problem"]},
        "at": _TIME,
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "status", "text"],
                "properties": {
                    "name": {"type": "string", "example": "sign-in"},
                    "status": {"type": "string", "enum": ["ok", "warning", "problem"]},
                    "text": {"type": "string"},
                    "hint": {"type": "string", "description": "What to do."},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def environment_schemas() -> Mapping[str, Schema]:
    """Return the schemas by name."""
    made = EnvironmentOptions.model_json_schema(ref_template=_DEFINITIONS, mode="validation")
    models: dict[str, Any] = made.pop("$defs", {})
    options = {
        name: _option(name, schema)
        for name, schema in made["properties"].items()
        if name not in OF_SERVER
    }
    del models["SandboxOptions"]
    credentials = models["CredentialOptions"]["properties"]
    credentials.pop("federated_token_file")
    shown = {name: schema for name, schema in options.items() if name not in SECRETS}
    described = {k: v for k, v in shown["credentials"].items() if k != "$ref"}
    shown["credentials"] = {**described, **reference("Credentials")}
    shown |= {name: dict(_OF_SERVER) for name in OF_SERVER}
    return {
        **models,
        "NewEnvironment": _table({"name": _NAME, **options}, required=("name", "url")),
        "EnvironmentChanges": {
            **_table({name: _nullable(schema) for name, schema in options.items()}),
            "description": "A JSON merge patch: what it does not name stays, null removes an option.",
        },
        "Credentials": _table(
            {n: s for n, s in credentials.items() if f"credentials.{n}" not in SECRETS}
        ),
        "Environment": _table(
            {"name": _NAME, **shown, **_FACTS, "problem": _PROBLEM}, required=("name", *_FACTS)
        ),
        "Environments": _table(
            {
                "environments": {"type": "array", "items": reference("Environment")},
                "next": {
                    "type": ["string", "null"],
                    "description": "The value of after for the next page; null: this is the last one.",
                },
            },
            required=("environments", "next"),
        ),
        "Check": CHECK,
    }


def _option(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an option: without null, which only patches have, and with a text for people."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    option = {k: v for k, v in schema.items() if k not in {"default", "title", "anyOf"}}
    if len(kinds) == 1:
        option |= kinds[0]
    elif kinds:
        option["anyOf"] = kinds
    field = Settings.model_fields.get(RENAMED.get(name, name))
    text = _TEXTS.get(name) or (None if field is None else field.description)
    if text:
        option["description"] = text
    return option


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    described = {k: v for k, v in schema.items() if k == "description"}
    inner = {k: v for k, v in schema.items() if k != "description"}
    return {**described, "anyOf": [inner, {"type": "null"}]}


def _table(properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    table: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        table["required"] = list(required)
    return {**table, "additionalProperties": False}
