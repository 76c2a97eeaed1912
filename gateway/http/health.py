"""How the gateway is: ``/healthz``, ``/readyz``, and ``POST /admin/reload`` for who holds the admin token."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.runtime.assembly import Gateway
from gateway.runtime.generations import GenerationManager
from gateway.runtime.metadata_reload import Attempt, Reloader
from gateway.runtime.profile_instances import ProfileRegistry


async def liveness(_: Request) -> Response:
    """Tell that the process lives."""
    return JSONResponse({"status": "ok"})


async def readiness(request: Request) -> Response:
    """Tell what serves, since when, and how the last look for new metadata ended; 503 before the start is over."""
    live: GenerationManager | None = getattr(request.app.state, "live", None)
    if live is None:
        return JSONResponse({"status": "starting"}, status_code=503)
    gateway = live.gateway
    facts: dict[str, object] = {
        "status": "ready",
        "sandbox": gateway.is_sandbox,
        "metadata": gateway.metadata.digest,
        "since": _moment(gateway.since),
        "entitySets": len(gateway.catalog.model.entity_sets),
        "generation": live.generation,
        "types": gateway.schema.made_types,
        "reload": _told(request.app.state.reloader.last, _secrets(gateway)),
    }
    if gateway.profiles:
        profiles: ProfileRegistry = request.app.state.profiles
        facts["profiles"] = {
            name: _profile(len(settings.chosen), profiles.opened(name))
            for name, settings in gateway.profiles.items()
            if settings.introspection
        }
    return JSONResponse(facts)


def _profile(sets: int, live: GenerationManager | None) -> dict[str, object]:
    """Tell of a profile; one that nobody has asked yet takes no memory, and is there all the same."""
    if live is None:
        return {"sets": sets, "open": False}
    types = live.gateway.schema.made_types
    return {"sets": sets, "open": True, "generation": live.generation, "types": types}


def reload_endpoint(token: str, tell_others: Callable[[], None] | None) -> Callable[..., Any]:
    """Return the endpoint that looks for new metadata, and answers when that is done."""

    async def reload(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return JSONResponse(
                {"error": "The admin token is missing or wrong."},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        reloader: Reloader | None = getattr(request.app.state, "reloader", None)
        if reloader is None:
            return JSONResponse({"status": "starting"}, status_code=503)
        if tell_others is not None:
            tell_others()
        attempt = await reloader.reload("admin")
        facts = {"metadata": request.app.state.live.gateway.metadata.digest}
        status = 502 if attempt.outcome == "failed" else 200
        return JSONResponse({**facts, "reload": _told(attempt)}, status_code=status)

    return reload


def _told(attempt: Attempt | None, hidden: Sequence[str] = ()) -> dict[str, str] | None:
    """Say how a look for new metadata ended; to everybody without where they come from."""
    if attempt is None:
        return None
    told = {
        "at": _moment(attempt.at),
        "reason": attempt.reason,
        "outcome": attempt.outcome,
        "message": attempt.message,
        "hint": attempt.hint,
    }
    return {
        name: reduce(lambda text, place: text.replace(place, "…"), hidden, fact)
        for name, fact in told.items()
        if fact is not None
    }


def _secrets(gateway: Gateway) -> tuple[str, ...]:
    """Return what may stand in an error and is nobody's business: addresses, folders."""
    settings = gateway.settings
    places = [gateway.client.root, settings.url, settings.metadata]
    hosts = [urlsplit(place).netloc for place in places if place]
    return tuple(dict.fromkeys(place for place in (*places, *hosts) if place))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
