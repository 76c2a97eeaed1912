"""The OpenAPI description of the administration: `/admin/openapi.json`, made of the operations that are routed.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from gateway.config.version import gateway_version

from .admin_operations import (
    JSON,
    MERGE_PATCH,
    DescribedOperation,
    OperationGroup,
    Parameter,
    Schema,
)

OPENAPI = "/admin/openapi.json"
_IN_PATH = re.compile(r"\{(\w+)\}")
_TEXTS = {
    400: "The request is wrong: its body is no JSON object, or an option cannot be used.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "The API key has no role admin.",
    404: "There is no such environment.",
    409: "The name is taken.",
    412: "It was changed since it was read.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    503: "The store cannot be used, or does not hold environments.",
}
_ALWAYS = (401, 403, 503)
_WITH_BODY = (400, 413, 415)
ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "additionalProperties": False,
            "properties": {
                "code": {
                    "type": "string",
                    "description": "For programs.",
                    "example": "INVALID_OPTION",
                },
                "message": {"type": "string", "description": "What is wrong."},
                "hint": {"type": "string", "description": "What to do."},
                "field": {
                    "type": "string",
                    "description": "The option that is wrong, such as url.",
                },
            },
        }
    },
    "additionalProperties": False,
}


def openapi(groups: Sequence[OperationGroup]) -> dict[str, Any]:
    """Return the description of all operations."""
    schemas: dict[str, Schema] = {"Error": ERROR}
    for group in groups:
        schemas |= group.schemas()
    operations = [operation for group in groups for operation in group.operations]
    paths = paths_of(operations, _TEXTS, error="Error", always=_ALWAYS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Administration of d365-graphql",
            "version": gateway_version(),
            "description": "Environments of a deployment: they are added, changed, checked and removed while it runs.",
        },
        "servers": [{"url": "/", "description": "The second listener (admin.host, admin.port)."}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key with the role admin: d365-graphql keys create NAME --role admin",
                }
            },
        },
    }


def paths_of(
    operations: Iterable[DescribedOperation],
    texts: Mapping[int, str],
    *,
    error: str,
    always: Sequence[int],
) -> dict[str, dict[str, Any]]:
    """Return the description of operations by path.

    ``texts`` says what statuses mean, ``error`` names the schema of errors, ``always`` are those of every request.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = paths.setdefault(operation.path, _path_parameters(operation.path))
        path[operation.method.lower()] = _described(operation, texts, error, always)
    return paths


def _path_parameters(path: str) -> dict[str, Any]:
    names = _IN_PATH.findall(path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    return {"parameters": parameters} if parameters else {}


def _described(
    operation: DescribedOperation, texts: Mapping[int, str], error: str, always: Sequence[int]
) -> dict[str, Any]:
    with_body = () if operation.body is None else _WITH_BODY
    errors = sorted({*operation.errors, *always, *with_body})
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            **{str(s): _response(s, schema, texts) for s, schema in operation.results.items()},
            **{str(s): _response(s, error, texts) for s in errors},
        },
    }
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        kinds = (MERGE_PATCH, JSON) if operation.method == "PATCH" else (JSON,)
        content = {kind: {"schema": reference(operation.body)} for kind in kinds}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _response(status: int, schema: str | None, texts: Mapping[int, str]) -> Mapping[str, Any]:
    text = texts.get(status) or HTTPStatus(status).phrase
    if schema is None:
        return {"description": text}
    return {"description": text, "content": {JSON: {"schema": reference(schema)}}}


def _parameter(parameter: Parameter) -> Mapping[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def reference(schema: str) -> Schema:
    """Return a reference to a schema by name."""
    return {"$ref": f"#/components/schemas/{schema}"}
