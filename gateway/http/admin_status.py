"""Status of environments over REST: `/admin/environments/{name}/status` and `/drift`, for those who have an admin key.

Also for environments that the settings declare, and for their own one, ``default``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.administration.known_environments import stored_since
from gateway.administration.opening import RegisterHolder
from gateway.config.settings import Settings
from gateway.errors import StoreUnavailable
from gateway.process.daemon_call import daemon_call
from gateway.status.durations import DURATION, SINCE, duration
from gateway.status.sources import StatusSource, stored_source

from .admin_operations import AdminAnswer, AdminRequest, Operation, OperationGroup, Parameter

STATUS = "/admin/environments/{name}/status"
DRIFT = "/admin/environments/{name}/drift"
_SINCE = Parameter(
    name="since",
    place="query",
    description="Changes within this time: minutes (90m), hours (24h) or days (30d, which is the most).",
    schema={"type": "string", "pattern": f"^{DURATION.pattern}$", "default": SINCE},
)


def status_operations(settings: Settings, own: StatusSource | None) -> OperationGroup:
    """Return the operations on the status of environments. ``own``: of the process that serves, if it is this one."""
    status = _Status(settings, own)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await daemon_call(status.close)

    return OperationGroup(operations=status.operations(), schemas=_schemas, running=running)


def _schemas() -> Mapping[str, Any]:
    from .admin_status_schemas import STATUS_SCHEMAS  # noqa: PLC0415 - few need it

    return STATUS_SCHEMAS


class _Status:
    def __init__(self, settings: Settings, own: StatusSource | None) -> None:
        self._settings = settings
        self._holder = RegisterHolder(settings)
        self._source = stored_source(settings) or own

    def operations(self) -> tuple[Operation, ...]:
        return (
            Operation(
                method="GET",
                path=STATUS,
                name="getEnvironmentStatus",
                summary="Return how an environment does: calls, errors, throttling, its metadata.",
                answer=self._status,
                results={200: "EnvironmentStatus"},
                errors=(404,),
            ),
            Operation(
                method="GET",
                path=DRIFT,
                name="getEnvironmentDrift",
                summary="Return how its metadata changed, and what that means for clients.",
                answer=self._drift,
                results={200: "EnvironmentDrift"},
                parameters=(_SINCE,),
                errors=(400, 404),
            ),
        )

    async def _status(self, request: AdminRequest) -> AdminAnswer:
        name = request.path["name"]
        return await self._answer(name, lambda source, born: source.status(name, born))

    async def _drift(self, request: AdminRequest) -> AdminAnswer:
        name, seconds = request.path["name"], duration(request.query.get("since", SINCE))
        return await self._answer(name, lambda source, born: source.drift(name, seconds, born))

    async def _answer(
        self, name: str, read: Callable[[StatusSource, float], dict[str, Any]]
    ) -> AdminAnswer:
        def report() -> dict[str, Any]:
            born = stored_since(self._settings, self._holder, name)
            if self._source is None:
                raise StoreUnavailable(
                    "The processes of this deployment share no store.",
                    hint="Create the store with `d365-graphql keys create`, and restart.",
                )
            return read(self._source, born)

        return AdminAnswer(content=await daemon_call(report))

    def close(self) -> None:
        """Close the connections."""
        self._holder.close()
        if self._source is not None:
            self._source.close()
