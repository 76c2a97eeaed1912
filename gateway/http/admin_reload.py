"""``POST /admin/reload`` of the second listener: reads settings and metadata anew, for those who have an admin key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

from gateway.administration.known_environments import stored_since
from gateway.administration.opening import RegisterHolder
from gateway.config.setting_changes import SettingsAttempt
from gateway.config.settings import Settings
from gateway.environments.reloading import Reloaded
from gateway.process.daemon_call import daemon_call

from .admin_operations import AdminAnswer, AdminRequest, Operation, OperationGroup, Parameter
from .health import reload_json, settings_json
from .request_audit import audit_of

RELOAD = "/admin/reload"


class Reloads(NamedTuple):
    """What became of a reload."""

    settings: SettingsAttempt | None
    """None: they were not read, as only one environment was meant."""
    metadata: Reloaded | None
    """None: processes were told to look for new ones."""


Reload: TypeAlias = Callable[[str | None], Awaitable[Reloads]]
"""Reloads the settings and the metadata of all that is open, or the metadata of one environment."""
_ENVIRONMENT = Parameter(
    name="environment",
    place="query",
    description="Name of an environment, whose metadata is reloaded. Without it: the settings, and the metadata of"
    " all that are open.",
    schema={"type": "string"},
)
_SCHEMAS: Mapping[str, Any] = {
    "Reload": {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {
                "type": "string",
                "enum": ["done", "failed", "requested"],
                "description": "requested: several processes reload by themselves.",
            },
            "settings": {
                "type": "object",
                "required": ["at", "reason", "outcome", "changed", "restart"],
                "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "reason": {"type": "string"},
                    "outcome": {"type": "string", "enum": ["changed", "unchanged", "failed"]},
                    "changed": {"type": "array", "items": {"type": "string"}},
                    "restart": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Settings whose new value needs a restart.",
                    },
                    "message": {"type": "string"},
                    "hint": {"type": "string"},
                },
                "additionalProperties": False,
            },
            "environment": {"type": "string"},
            "metadata": {"type": "string", "description": "SHA-256 of the document."},
            "reload": {
                "type": "object",
                "required": ["at", "reason", "outcome"],
                "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "reason": {"type": "string"},
                    "outcome": {"type": "string", "enum": ["changed", "unchanged", "failed"]},
                    "message": {"type": "string"},
                    "hint": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    }
}


def reload_operations(settings: Settings, reload: Reload) -> OperationGroup:
    """Return the operation, which calls ``reload`` in the thread of the listener."""
    holder = RegisterHolder(settings)

    async def answer(request: AdminRequest) -> AdminAnswer:
        name = request.query.get("environment")
        if name is not None:
            await daemon_call(lambda: stored_since(settings, holder, name))
        read, reloaded = await reload(name)
        audit = audit_of(request.scope)
        is_done = read is None or read.outcome != "failed"
        if reloaded is not None and reloaded.attempt.outcome == "failed":
            is_done = False
        said = "requested" if reloaded is None else "done"
        content: dict[str, object] = {"status": said if is_done else "failed"}
        if read is not None:
            content["settings"] = settings_json(read)
        if reloaded is not None:
            content |= reloaded_json(reloaded)
        if audit is not None:
            audit.acted(request.scope, "reload", is_done=is_done)
        status = 502 if not is_done else 202 if reloaded is None else 200
        return AdminAnswer(status=status, content=content)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await daemon_call(holder.close)

    operation = Operation(
        method="POST",
        path=RELOAD,
        name="reload",
        summary="Read the settings anew, look for new metadata, and answer when both are served.",
        answer=answer,
        results=dict.fromkeys((200, 202, 502), "Reload"),
        parameters=(_ENVIRONMENT,),
        errors=(404,),
    )
    return OperationGroup(operations=(operation,), schemas=lambda: _SCHEMAS, running=running)


def reloaded_json(reloaded: Reloaded) -> dict[str, object]:
    """Return the result of a reload for people."""
    return {
        "environment": reloaded.environment,
        "metadata": reloaded.metadata,
        "reload": reload_json(reloaded.attempt),
    }
