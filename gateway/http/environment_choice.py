"""Which environment a request is for: the caller bounds it, then path, header, host and claim name it, in this order.

    caller    environment_claim of the token, environments of the key and of the roles: all must allow it
    path      /e/acme/graphql
    header    X-D365-Environment: acme
    host      acme.erp.example.com, by the setting environment_host
    claim     if none of the others names one, and the caller may use exactly one

Names that differ, environments that do not exist and those that are not the caller's are refused alike. Nothing of the
GraphQL request is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from starlette.types import Scope

from gateway.config.environment_models import NAME, OWN, PLACE
from gateway.config.environments import names_environment
from gateway.config.settings import Settings
from gateway.environments.opened import unavailable
from gateway.environments.registry import Environment, Registry
from gateway.identity.caller import Caller
from gateway.identity.references import MissingValue, Reference
from gateway.runtime.role_views import ANONYMOUS_ROLE
from gateway.store.faults import LATER

from .presence import presence_of
from .refusals import UnknownEnvironment
from .request_parameters import ENVIRONMENT_HEADER

_PAUSE = 5.0
"""Seconds after which a request that came before the store was read may come again."""
_HEADER = ENVIRONMENT_HEADER.lower()


class EnvironmentChoice:
    """Chooses the environments of requests, by the settings."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._registry = registry
        self._roles = settings.roles
        self._serves_own = settings.default_environment
        claim = settings.inbound.environment_claim
        self._claim = None if claim is None else Reference("claims", claim)
        pattern = settings.environment_host
        self._domain = None if pattern is None else pattern.removeprefix(PLACE)

    def of(
        self, scope: Scope, headers: Mapping[str, str], caller: Caller | None
    ) -> Environment | None:
        """Return the environment of a request; None: that of the settings. Raises UnknownEnvironment.

        Raises EnvironmentUnavailable if nobody knows yet whether it exists.

        ``caller`` is None for the administrator, who may use all.
        """
        bounds = [] if caller is None else list(self._bounds(caller))
        named = set(self._named(scope, headers))
        if len(named) > 1:
            raise UnknownEnvironment
        name = named.pop() if named else _only(bounds)
        declared = self._registry.find(name) if name else None
        is_unknown = declared is None and (bool(name) or not self._serves_own)
        if is_unknown and (self._registry.is_complete or not NAME.fullmatch(name)):
            raise UnknownEnvironment
        if not all(names_environment(patterns, name) for patterns in bounds):
            raise UnknownEnvironment
        if caller is not None and self._roles and not self._has_role(caller, name, declared):
            raise UnknownEnvironment
        if is_unknown:
            message = "The store of environments cannot be read for now."
            raise unavailable(message, _PAUSE, hint=LATER)
        return declared

    def _named(self, scope: Scope, headers: Mapping[str, str]) -> Iterator[str]:
        presence = presence_of(scope)
        in_path = None if presence is None else presence.in_path
        in_host = self._in_host(headers.get("host", "")) if self._domain else None
        for name in (in_path, headers.get(_HEADER), in_host):
            if name is not None:
                yield "" if name == OWN else name or "?"

    def _in_host(self, host: str) -> str | None:
        """Return the environment that a host names, known or not; None for other hosts."""
        name = re.sub(r":[0-9]+$", "", host).lower().rstrip(".")
        assert self._domain is not None
        return name.removesuffix(self._domain) if name.endswith(self._domain) else None

    def _bounds(self, caller: Caller) -> Iterator[tuple[str, ...]]:
        """Yield the lists of patterns of which each must allow the environment."""
        if caller.environments:
            yield caller.environments
        if self._claim is not None and caller.kind in {"token", "anonymous"}:
            # Without the claim no environment is allowed, and no name matches an empty pattern.
            yield self._claimed(self._claim, caller) or ("",)

    @staticmethod
    def _claimed(claim: Reference, caller: Caller) -> tuple[str, ...]:
        try:
            value = claim.value(caller)
        except MissingValue:
            return ()
        values = value if isinstance(value, list | tuple) else (value,)
        return tuple(v for v in values if isinstance(v, str))

    def _has_role(self, caller: Caller, name: str, declared: Environment | None) -> bool:
        """Return whether a role of the caller exists in the environment."""
        roles = caller.roles
        if not roles and caller.kind == "anonymous":
            roles = (ANONYMOUS_ROLE,)
        known = [role for role in roles if role in self._roles]
        if declared is None and not known:
            return True  # refused as anywhere, for it has no role at all
        chosen = () if declared is None else declared.roles
        return any(
            (not chosen or role in chosen)
            and names_environment(self._roles[role].environments, name)
            for role in known
        )


def _only(bounds: list[tuple[str, ...]]) -> str:
    """Return the one environment that the bounds name; empty: that of the settings."""
    exact = {p[0] for p in bounds if len(p) == 1 and NAME.fullmatch(p[0])}
    name = exact.pop() if len(exact) == 1 else ""
    return "" if name == OWN else name
