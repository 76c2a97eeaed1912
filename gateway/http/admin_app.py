"""The application of the second listener, for people who run the gateway: `/health`, `/health/upstream`, `/admin/…`.

On a loopback interface `/health` answers everybody on the machine. On another one, and below `/admin/` everywhere, a
request needs an API key with the role ``admin``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.audit.opening import recording, sink_of
from gateway.config.audit_models import ADMIN_ROLE
from gateway.config.settings import Settings
from gateway.config.version import gateway_version
from gateway.errors import Forbidden, SettingsError, StoreUnavailable, Unauthenticated
from gateway.events import Observer, RequestRefused, tee
from gateway.identity.authenticator import Authenticator
from gateway.replicas.opening import probe_shared_state
from gateway.shutdown import is_stopping
from gateway.status.sources import StatusSource
from gateway.store.api_keys import open_api_keys

from .admin_counts import EnvironmentCounts
from .admin_environments import AUDIT_REQUIRED, environment_operations
from .admin_hooks import hook_operations
from .admin_link_sessions import link_operations
from .admin_metrics import PROBES, MetricsSource, OwnMetrics, metrics_routes, probe_routes
from .admin_operations import PREFIX as ADMINISTRATION
from .admin_operations import OperationGroup, administered_by, routes_of, send_error
from .admin_reload import Reload, reload_operations
from .admin_status import status_operations
from .admin_status_page import status_page_routes
from .edge import Edge, route_of, send_refusal
from .hosts import is_loopback
from .refusals import HttpError, caller_error
from .request_audit import auditing, record_refusal, record_refused_credentials, record_use
from .request_parameters import headers_of


class WorkerState(Struct, frozen=True):
    """One process that serves."""

    pid: int
    state: Literal["starting", "ready", "stopping"]
    since: float
    """When this state began, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is known of the process that serves, if the listener is in it. Any thread may use it."""

    status: StatusSource
    environments: Callable[[], Mapping[str, int]]
    """Returns how many environments there are besides that of the settings, by state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminContext:
    """What the routes of the listener know."""

    settings: Settings
    workers: Callable[[], Sequence[WorkerState]]
    """Returns the processes that serve. Called in the thread of the listener."""
    observe: Observer
    served: Served | None = None
    """The process that serves, if it is this one."""
    reload: Reload | None = None
    """Reloads metadata; None: nothing does."""
    metrics: MetricsSource | None = None
    """The metrics of the processes that serve; None: there are none."""
    refused: Callable[[str], float | None] | None = None
    """Returns for how many seconds requests to an environment are refused yet, because it does not answer, or None if
    they are sent. May block; any thread may call it. None: nobody knows."""
    own: OwnMetrics = field(default_factory=OwnMetrics)
    """What the listener itself counts."""
    since: float = field(default_factory=time.time)
    """When the gateway started, in seconds since the epoch."""


AdminRoutes: TypeAlias = Callable[[AdminContext], Iterable[BaseRoute]]
"""Returns routes of the listener."""


def create_admin_app(context: AdminContext) -> Starlette:
    """Return the application."""
    settings = context.settings
    context = replace(context, observe=tee(context.observe, context.own.counters.observe))
    api_keys = open_api_keys(settings, context.observe)
    is_local = is_loopback(settings.admin.host)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            recording(_unrequired(settings), context.observe) as log,
            AsyncExitStack() as parts,
        ):
            for group in groups:
                await parts.enter_async_context(group.running())
            with auditing(app, log):
                setattr(app.state, AUDIT_REQUIRED, settings.audit.required)
                yield
        if api_keys is not None:
            await api_keys.close()

    # Issuers and certificates are those of the API: administration takes keys only.
    options = settings.inbound.model_copy(
        update={"issuers": (), "client_certificates": (), "anonymous": False}
    )
    keys = Authenticator(options, api_keys=api_keys, observe=context.observe)
    # Names of the API may resolve to this machine, and a page of theirs may then not read what is for its users.
    own: dict[str, object] = {"host": settings.admin.host, "root_path": ""}
    if is_local:
        own["allowed_hosts"] = ()
    edge = Edge(settings.model_copy(update=own), context.observe)
    groups = [group_of(settings, context.observe) for group_of in GROUPS]
    served = context.served
    groups.append(status_operations(settings, None if served is None else served.status))
    if context.reload is not None:
        groups.append(reload_operations(settings, context.reload))
    routes = [route for routes_of in ROUTES for route in routes_of(context)]
    routes += _administration_routes(groups, context.observe)
    return _AdminApplication(
        edge, keys, context.observe, is_local=is_local, routes=routes, lifespan=lifespan
    )


def _unrequired(settings: Settings) -> Settings:
    """Return settings with which the listener answers if the log cannot be written; changes are refused then."""
    audit = settings.audit.model_copy(update={"required": False})
    return settings.model_copy(update={"audit": audit})


class _AdminApplication(Starlette):
    """Checks host and key before routing."""

    def __init__(
        self, edge: Edge, keys: Authenticator, observe: Observer, *, is_local: bool, **options: Any
    ) -> None:
        """``is_local``: only this machine can reach it."""
        super().__init__(**options)
        self._edge = edge
        self._keys = keys
        self._observe = observe
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        refused = self._edge.admit(scope)
        # Orchestrators call an address, with any name and without a key.
        is_probe = route_of(scope) in PROBES
        if refused is not None and not is_probe:
            await self._edge.refuse(refused, scope, receive, send)
            return
        is_administration = route_of(scope).startswith(ADMINISTRATION)
        try:
            if is_administration or not (self._is_local or is_probe):
                await _check(self._keys, scope)
        except HttpError as error:
            self._observe(RequestRefused(status=error.status, code=error.code, message=str(error)))
            if is_administration:
                await send_error(error, send)
            else:
                await send_refusal(error, scope, receive, send)
            return
        await super().__call__(scope, receive, send)


async def _check(keys: Authenticator, scope: Scope) -> None:
    """Raise HttpError unless a request has the key of an administrator."""
    try:
        caller = await keys.authenticate(scope, headers_of(scope))
    except (Unauthenticated, StoreUnavailable) as error:
        refused = caller_error(error)
        record_refused_credentials(scope, refused, error)
        raise refused from error
    if ADMIN_ROLE not in caller.roles:
        record_refusal(scope, 403, Forbidden.code, caller)
        raise HttpError(403, Forbidden.code, f"The API key has no role {ADMIN_ROLE}.")
    record_use(scope, caller)
    administered_by(scope, caller)


def _health_routes(context: AdminContext) -> Iterable[BaseRoute]:
    served = context.served
    counts = EnvironmentCounts(context.settings, None if served is None else served.environments)

    async def health(_: Request) -> Response:
        workers = context.workers()
        states = {worker.state for worker in workers}
        status = "degraded" if len(states) > 1 else next(iter(states), "starting")
        facts: dict[str, object] = {
            "status": status,
            "version": gateway_version(),
            "since": _iso(context.since),
            "environment": context.settings.url or "sandbox",
            "audit": sink_of(context.settings),
            "workers": [_worker_json(worker) for worker in workers],
        }
        shared = await _shared_state(context.settings)
        if shared is not None:
            facts["sharedState"] = shared
        environments = await counts.environments()
        if environments is not None:
            facts["environments"] = environments
        return json_for_people(facts, 200 if "ready" in states else 503)

    return (Route("/health", health),)


async def _shared_state(settings: Settings) -> Mapping[str, object] | None:
    """Return whether the shared state of replicas can be used; without it they serve, so it decides no status."""
    try:
        found = await probe_shared_state(settings)
    except SettingsError as error:
        return {"up": False, "text": error.message, "hint": error.hint}
    if found is None:
        return None
    facts: dict[str, object] = {"up": found.is_up, "text": found.text}
    return facts if found.hint is None else {**facts, "hint": found.hint}


def _upstream_routes(context: AdminContext) -> Iterable[BaseRoute]:
    endpoint: Callable[[Request], Awaitable[Response]] | None = None

    async def upstream(request: Request) -> Response:
        nonlocal endpoint
        if endpoint is None:
            # A process that only watches workers needs none of what sends requests, unless somebody asks.
            from .upstream_health import upstream_health  # noqa: PLC0415 - see above

            endpoint = upstream_health(context.settings, context.observe, context.refused)
        return await endpoint(request)

    return (Route("/health/upstream", upstream),)


def _probe_routes(context: AdminContext) -> Iterable[BaseRoute]:
    yield from probe_routes(context.workers, context.metrics)
    if context.metrics is not None:
        yield from metrics_routes(context.own, context.workers, context.metrics)
        yield from status_page_routes()


ROUTES: tuple[AdminRoutes, ...] = (_health_routes, _upstream_routes, _probe_routes)
"""The routes of the listener."""
GROUPS: tuple[Callable[[Settings, Observer], OperationGroup], ...] = (
    environment_operations,
    hook_operations,
    link_operations,
)
"""Return the operations of the administration."""


def _administration_routes(
    groups: Sequence[OperationGroup], observe: Observer
) -> Iterator[BaseRoute]:
    """Yield the routes of all operations, and their description."""

    async def describe(_: Request) -> Response:
        from .admin_openapi import openapi  # noqa: PLC0415 - few need it

        return json_for_people(openapi(groups))

    yield Route(f"{ADMINISTRATION}openapi.json", describe)
    yield from routes_of(chain.from_iterable(group.operations for group in groups), observe)


def json_for_people(facts: Mapping[str, object], status: int = 200) -> Response:
    """Return JSON with line breaks."""
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    headers = {"Cache-Control": "no-store"}
    return Response(text, status, headers, media_type="application/json")


def this_process() -> Sequence[WorkerState]:
    """Return the state of this process, which serves from now on."""
    return (WorkerState(os.getpid(), "ready", time.time()),)


def until_stopping(app: object) -> Callable[[], Sequence[WorkerState]]:
    """Return what returns the state of this process, which serves an application from now on."""
    serving = this_process()
    stopping = [structs.replace(state, state="stopping") for state in serving]
    return lambda: stopping if is_stopping(app) else serving


def _worker_json(worker: WorkerState) -> Mapping[str, object]:
    return {"pid": worker.pid, "state": worker.state, "since": _iso(worker.since)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
