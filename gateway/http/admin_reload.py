"""``POST /admin/reload`` of the second listener: looks for new metadata, for those who have an admin key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from gateway.administration.known_environments import stored_since
from gateway.administration.opening import RegisterHolder
from gateway.config.settings import Settings
from gateway.environments.reloading import Reloaded
from gateway.process.daemon_call import daemon_call

from .admin_operations import AdminAnswer, AdminRequest, Operation, OperationGroup, Parameter
from .health import reload_json
from .request_audit import audit_of

RELOAD = "/admin/reload"
Reload: TypeAlias = Callable[[str | None], Awaitable[Reloaded | None]]
"""Reloads an environment (None: that of the settings, and all that are open); None: processes were told to."""
_ENVIRONMENT = Parameter(
    name="environment",
    place="query",
    description="Name of an environment; default: that of the settings. Without it, all that are open.",
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
        reloaded = await reload(name)
        audit, is_done = audit_of(request.scope), True
        content: dict[str, object] = {"status": "requested"}
        if reloaded is not None:
            is_done = reloaded.attempt.outcome != "failed"
            content = {"status": "done" if is_done else "failed", **reloaded_json(reloaded)}
        if audit is not None:
            audit.acted(request.scope, "reload", is_done=is_done)
        status = 202 if reloaded is None else 200 if is_done else 502
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
        summary="Look for new metadata, and answer when it is served.",
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
