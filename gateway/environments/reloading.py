"""Reloads metadata because people ask for it: of one environment, or of all that are open."""

from __future__ import annotations

from msgspec import Struct

from gateway.config.environment_models import OWN
from gateway.errors import NoSuchEnvironment
from gateway.runtime.metadata_reload import Attempt, Reason

from .open_environment import OpenEnvironment
from .opened import OpenEnvironments


class Reloaded(Struct, frozen=True):
    """An environment after a reload."""

    environment: str
    metadata: str
    """SHA-256 of the document that is served."""
    attempt: Attempt


def is_known(others: OpenEnvironments | None, name: str | None) -> bool:
    """Return whether there is an environment of that name; without one, that of the settings is meant."""
    return name in {None, OWN} or (others is not None and others.registry.find(name) is not None)


async def reload_environment(
    own: OpenEnvironment, others: OpenEnvironments | None, name: str | None, reason: Reason
) -> Reloaded:
    """Reload an environment, and return when that is done; it is opened if it is not.

    Without a name it is that of the settings, and all others that are open follow in the background. Raises
    NoSuchEnvironment, EnvironmentUnavailable.
    """
    if name in {None, OWN}:
        if name is None and others is not None:
            others.reload_open(reason)
        return await _reloaded(own, reason)
    declared = None if others is None or name is None else others.registry.find(name)
    if others is None or declared is None:
        raise NoSuchEnvironment("There is no such environment.")
    lease = await others.lease(declared)
    try:
        return await _reloaded(lease.environment, reason)
    finally:
        lease.release()


async def _reloaded(environment: OpenEnvironment, reason: Reason) -> Reloaded:
    attempt = await environment.reloader.reload(reason)
    digest = environment.live.gateway.metadata.digest
    return Reloaded(environment.name or OWN, digest, attempt)
