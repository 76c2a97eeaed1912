"""Health endpoints: ``/healthz``, ``/readyz``, and ``POST /admin/reload`` with the admin token."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.config.setting_changes import SettingsAttempt
from gateway.environments.opened import OpenEnvironments
from gateway.environments.reloading import is_known, reload_environment
from gateway.errors import EnvironmentUnavailable, Unauthenticated
from gateway.manifests.store import TrustedStore
from gateway.runtime.assembly import Gateway
from gateway.runtime.generations import GenerationManager
from gateway.runtime.metadata_reload import Attempt, Reloader
from gateway.runtime.profile_instances import ProfileRegistry
from gateway.shutdown import is_stopping

from .request_audit import audit_of, record_refusal

ReloadSettings: TypeAlias = Callable[[], Awaitable[tuple[SettingsAttempt, State]]]
"""Reads the settings anew; returns how that ended, and the state of the application that serves then."""


async def liveness(_: Request) -> Response:
    """Answer 200 while the process lives."""
    return JSONResponse({"status": "ok"})


async def readiness(request: Request) -> Response:
    """Answer what is served, since when, and the result of the last reload; 503 while the gateway starts or stops."""
    if is_stopping(request.app):
        # Before anything else ends: balancers need time to send the next requests elsewhere.
        return JSONResponse({"status": "stopping"}, status_code=503)
    live: GenerationManager | None = getattr(request.app.state, "live", None)
    if live is None:
        return JSONResponse({"status": "starting"}, status_code=503)
    gateway = live.gateway
    facts: dict[str, object] = {
        "status": "ready",
        "sandbox": gateway.is_sandbox,
        "metadata": gateway.metadata.digest,
        "since": _iso(gateway.since),
        "entitySets": len(gateway.catalog.model.entity_sets),
        "generation": live.generation,
        "types": gateway.schema.made_types,
        "reload": reload_json(request.app.state.reloader.last, _secrets(gateway)),
    }
    settings: SettingsAttempt | None = getattr(request.app.state, "settings_reload", None)
    if settings is not None:
        # Names and messages are not for strangers.
        facts["settings"] = {"at": _iso(settings.at), "outcome": settings.outcome}
    environments: OpenEnvironments | None = getattr(request.app.state, "environments", None)
    if environments is not None:
        # Numbers only: names and addresses are not for strangers.
        facts["environments"] = environments.states()
    if gateway.profiles:
        profiles: ProfileRegistry = request.app.state.profiles
        facts["profiles"] = {
            name: _profile_json(len(settings.chosen), profiles.opened(name))
            for name, settings in gateway.profiles.items()
            # Others are not listed for strangers.
            if settings.introspection and not settings.bound_roles
        }
    return JSONResponse(facts)


def _profile_json(sets: int, live: GenerationManager | None) -> dict[str, object]:
    """Return the state of a profile; one without requests is not opened yet and takes no memory."""
    if live is None:
        return {"sets": sets, "open": False}
    types = live.gateway.schema.made_types
    return {"sets": sets, "open": True, "generation": live.generation, "types": types}


def reload_endpoint(
    token: str,
    reload_settings: ReloadSettings | None,
    tell_others: Callable[[], None] | None,
) -> Callable[..., Any]:
    """Return the endpoint that reloads settings and metadata, and answers when that is done.

    ``tell_others`` lets all processes reload, this one included, and reads the settings in its own time.
    """

    async def reload(request: Request) -> Response:
        authorization = request.headers.get("authorization", "")
        audit = audit_of(request.scope)
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            record_refusal(request.scope, 401, Unauthenticated.code)
            return JSONResponse(
                {"error": "The admin token is missing or wrong."},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        reloader: Reloader | None = getattr(request.app.state, "reloader", None)
        if reloader is None:
            return JSONResponse({"status": "starting"}, status_code=503)
        name = request.query_params.get("environment")
        state = request.app.state
        if not is_known(state.environments, name):
            return JSONResponse({"error": "There is no such environment."}, status_code=404)
        _look_for_documents(state)
        # Other workers reload on their own, all that they have open: each has its generations.
        if tell_others is not None:
            tell_others()
        settings: SettingsAttempt | None = None
        if reload_settings is not None and name is None:
            settings, state = await reload_settings()
        try:
            reloaded = await reload_environment(
                state.environment, state.environments, name, "admin"
            )
        except EnvironmentUnavailable as error:
            wait = {"Retry-After": str(round(error.retry_after or 1))}
            return JSONResponse({"error": error.message}, status_code=503, headers=wait)
        attempt = reloaded.attempt
        is_done = attempt.outcome != "failed" and (settings is None or settings.outcome != "failed")
        if audit is not None:
            audit.acted(request.scope, "reload", is_done=is_done)
        facts: dict[str, object] = {} if name is None else {"environment": reloaded.environment}
        if settings is not None:
            facts["settings"] = settings_json(settings)
        status = 200 if is_done else 502
        content = {**facts, "metadata": reloaded.metadata, "reload": reload_json(attempt)}
        return JSONResponse(content, status_code=status)

    return reload


def _look_for_documents(state: State) -> None:
    documents: TrustedStore | None = getattr(state, "documents", None)
    if documents is not None:
        documents.trigger()


def settings_json(attempt: SettingsAttempt) -> dict[str, object]:
    """Return the result of a reload of the settings, for administrators."""
    facts = {
        "at": _iso(attempt.at),
        "reason": attempt.reason,
        "outcome": attempt.outcome,
        "changed": list(attempt.changed),
        "restart": list(attempt.restart),
        "message": attempt.message,
        "hint": attempt.hint,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def reload_json(attempt: Attempt | None, hidden: Sequence[str] = ()) -> dict[str, str] | None:
    """Return the result of a reload, without the texts in ``hidden``."""
    if attempt is None:
        return None
    facts = {
        "at": _iso(attempt.at),
        "reason": attempt.reason,
        "outcome": attempt.outcome,
        "message": attempt.message,
        "hint": attempt.hint,
    }
    return {
        name: reduce(lambda text, secret: text.replace(secret, "…"), hidden, fact)
        for name, fact in facts.items()
        if fact is not None
    }


def _secrets(gateway: Gateway) -> tuple[str, ...]:
    """Return what errors may hold and strangers must not see: URLs, hosts and paths of the upstream."""
    settings = gateway.settings
    places = [gateway.client.root, settings.url, settings.metadata]
    hosts = [urlsplit(place).netloc for place in places if place]
    return tuple(dict.fromkeys(place for place in (*places, *hosts) if place))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
