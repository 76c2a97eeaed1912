"""Hooks of environments over REST: `/admin/environments/{name}/hook`, for those who have an admin key.

Also of environments that the settings declare, and of their own one, ``default``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.administration.hook_service import GRACE, HookService
from gateway.administration.opening import RegisterHolder
from gateway.config.settings import Settings
from gateway.environments.environment_json import time_text
from gateway.errors import BadArgument
from gateway.events import Observer
from gateway.process.daemon_call import daemon_call

from .admin_environments import actor_of
from .admin_operations import AdminAnswer, AdminRequest, Operation, OperationGroup

HOOK = "/admin/environments/{name}/hook"
_MAX_GRACE = 2_592_000
_TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_SCHEMAS: Mapping[str, Any] = {
    "NewHook": {
        "type": "object",
        "properties": {
            "rotate": {
                "type": "boolean",
                "default": False,
                "description": "Make another one in the place of that which is there.",
            },
            "grace": {
                "type": "number",
                "minimum": 0,
                "maximum": _MAX_GRACE,
                "default": GRACE,
                "description": "Seconds for which the one before is still accepted.",
            },
        },
        "additionalProperties": False,
    },
    "Hook": {
        "type": "object",
        "required": ["environment", "path"],
        "properties": {
            "environment": {"type": "string"},
            "path": {
                "type": "string",
                "description": "Path of the address, with its secret, which is shown this once.",
            },
        },
        "additionalProperties": False,
    },
    "Hooks": {
        "type": "object",
        "required": ["environment", "hooks"],
        "properties": {
            "environment": {"type": "string"},
            "hooks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["created", "expires"],
                    "properties": {
                        "created": _TIME,
                        "expires": {
                            "type": ["string", "null"],
                            "format": "date-time",
                            "description": "Null: it is the current one.",
                        },
                    },
                    "additionalProperties": False,
                },
            },
        },
        "additionalProperties": False,
    },
}


def hook_operations(settings: Settings, _observe: Observer) -> OperationGroup:
    """Return the operations on hooks."""
    holder = RegisterHolder(settings)
    routes = _Hooks(HookService(settings, holder))

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await daemon_call(holder.close)

    return OperationGroup(operations=routes.operations(), schemas=lambda: _SCHEMAS, running=running)


class _Hooks:
    def __init__(self, service: HookService) -> None:
        self._service = service

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="GET",
                path=HOOK,
                name="getHook",
                summary="Return since when the environment has a hook. Its secret can be learned by nobody.",
                answer=self._show,
                results={200: "Hooks"},
                errors=(404,),
            ),
            Operation(
                method="POST",
                path=HOOK,
                name="createHook",
                summary="Make the address at which the environment reports events, or another one in its place.",
                answer=self._create,
                results={201: "Hook"},
                body="NewHook",
                errors=(404, 409),
            ),
            Operation(
                method="DELETE",
                path=HOOK,
                name="revokeHook",
                summary="Accept no reports of the environment any longer.",
                answer=self._revoke,
                results={204: None},
                errors=(404,),
            ),
        )

    async def _show(self, request: AdminRequest) -> AdminAnswer:
        name = request.path["name"]
        hooks = await daemon_call(lambda: self._service.show(name))
        facts = [
            {
                "created": time_text(hook.created),
                "expires": None if hook.expires_at is None else time_text(hook.expires_at),
            }
            for hook in hooks
        ]
        return AdminAnswer(content={"environment": name, "hooks": facts})

    async def _create(self, request: AdminRequest) -> AdminAnswer:
        name, actor = request.path["name"], actor_of(request)
        rotate, grace = request.body.get("rotate", False), request.body.get("grace", GRACE)
        if request.body.keys() - {"rotate", "grace"}:
            raise BadArgument("Accepted: rotate, grace.")
        is_number = isinstance(grace, int | float) and not isinstance(grace, bool)
        if not isinstance(rotate, bool) or not is_number or not 0 <= grace <= _MAX_GRACE:
            raise BadArgument(
                f"rotate is true or false, and grace has 0 to {_MAX_GRACE:,} seconds."
            )
        hook = await daemon_call(
            lambda: self._service.create(name, actor, rotate=rotate, grace=grace)
        )
        content = {"environment": hook.environment, "path": hook.path}
        return AdminAnswer(status=201, content=content)

    async def _revoke(self, request: AdminRequest) -> AdminAnswer:
        name, actor = request.path["name"], actor_of(request)
        await daemon_call(lambda: self._service.revoke(name, actor))
        return AdminAnswer(status=204)
