"""The environment that a request is in: what its address says, and what keeps it open while the request lasts."""

from __future__ import annotations

from starlette.types import Scope

from gateway.environments.open_environment import OpenEnvironment
from gateway.environments.opened import Lease

PREFIX = "/e/"
"""Path below which environments are served: ``/e/acme/graphql``."""
BELOW = (
    *("/graphql", "/graphiql", "/export", "/import", "/exports", "/files"),
    *("/jobs", "/webhooks", "/scim"),
)
"""What is served below the path of an environment."""
_KEY = "d365.presence"


class Presence:
    """The environment of one request or connection."""

    __slots__ = ("_leases", "environment", "in_path", "is_chosen", "name")

    def __init__(self, in_path: str | None) -> None:
        self.in_path = in_path
        """Name in the path; None if that names no environment."""
        self.is_chosen = in_path is None
        """Whether it is known in which environment the request is, or would be without its headers."""
        self.name = ""
        """Name of the environment; empty: that of the settings, or the caller was not admitted yet."""
        self.environment: OpenEnvironment | None = None
        """None: that of the settings, or the caller was not admitted yet."""
        self._leases: dict[OpenEnvironment, Lease] = {}

    def leave(self) -> None:
        """Note that the request or connection has ended."""
        self.environment = None
        leases, self._leases = self._leases, {}
        for lease in leases.values():
            lease.release()

    def enter(self, lease: Lease | None) -> None:
        """Note which environment it is in, which stays open until ``leave``. None: that of the settings."""
        self.is_chosen = True
        self.environment = None if lease is None else lease.environment
        self.name = "" if self.environment is None else self.environment.name
        if lease is None:
            return
        if lease.environment in self._leases:  # the caller of a connection was admitted again
            lease.release()
        else:
            self._leases[lease.environment] = lease


def begin(scope: Scope, route: str) -> Presence:
    """Return the presence of a request with this path below the root path, from which the environment is removed.

    A request that is answered below ``/e/acme`` has that as root path, as if a proxy had served it there.
    """
    name: str | None = None
    if route.startswith(PREFIX):
        name = route[len(PREFIX) :].partition("/")[0]
        scope["deployment_root"] = scope.get("root_path", "")
        scope["root_path"] = f"{scope['deployment_root']}{PREFIX}{name}"
    presence = scope[_KEY] = Presence(name)
    return presence


def is_below(route: str) -> bool:
    """Return whether a path, without what names the environment, is served in each environment."""
    return route == "/" or any(route == p or route.startswith(f"{p}/") for p in BELOW)


def presence_of(scope: Scope) -> Presence | None:
    """Return the presence of a request; None if no environments are declared."""
    presence: Presence | None = scope.get(_KEY)
    return presence


def environment_of(scope: Scope) -> OpenEnvironment | None:
    """Return the environment that a request is in; None while the gateway starts or the environment is not known."""
    presence = presence_of(scope)
    if presence is not None:
        if presence.environment is not None:
            return presence.environment
        if not presence.is_chosen:
            return None
    own: OpenEnvironment | None = getattr(scope["app"].state, "environment", None)
    return own


def deployment_root(scope: Scope) -> str:
    """Return the root path of the deployment: that of the request without its environment."""
    root: str = scope.get("deployment_root", scope.get("root_path", ""))
    return root
