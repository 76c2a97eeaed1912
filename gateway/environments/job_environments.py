"""Opens environments for jobs, whose callers are checked anew: their key, their user, their roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from gateway.config.profiles import profile_settings
from gateway.config.settings import Settings
from gateway.errors import EnvironmentUnavailable, Forbidden, NoSuchEnvironment, Unauthenticated
from gateway.identity.caller import Caller
from gateway.runtime.served_api import ServedApi
from gateway.store.api_keys import ApiKeys
from gateway.store.faults import LATER

from .open_environment import OpenEnvironment
from .opened import OpenEnvironments


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnvironments:
    """The environments of a process, as its jobs enter them."""

    settings: Settings
    own: Callable[[], OpenEnvironment]
    """Returns that of the settings."""
    others: OpenEnvironments | None
    knows_callers: bool
    api_keys: ApiKeys | None

    @asynccontextmanager
    async def enter(
        self, name: str, profile: str | None, caller: Caller
    ) -> AsyncIterator[tuple[Caller, ServedApi]]:
        """Yield a caller as it is now, and the API that serves it; the environment stays open until the end.

        Raises Unauthenticated, Forbidden, NoSuchEnvironment, EnvironmentUnavailable, and what refuses a user.
        """
        await self._check_key(caller)
        if not name:
            async with self._of(self.own(), profile, caller) as entered:
                yield entered
            return
        declared = None if self.others is None else self.others.registry.find(name)
        if declared is None or self.others is None:
            if self.others is not None and not self.others.registry.is_complete:
                raise EnvironmentUnavailable(
                    "The store of environments cannot be read for now.", hint=LATER
                )
            raise NoSuchEnvironment(f"There is no environment {name} any longer.")
        lease = await self.others.lease(declared)
        try:
            async with self._of(lease.environment, profile, caller) as entered:
                yield entered
        finally:
            lease.release()

    async def _check_key(self, caller: Caller) -> None:
        """Raise Unauthenticated if the API key of a caller was revoked, or has expired."""
        if caller.kind != "key" or self.api_keys is None:
            return
        key = await self.api_keys.find(caller.subject)
        if key is None or not key.is_valid():
            raise Unauthenticated("The API key of the job's caller is not valid any longer.")

    @asynccontextmanager
    async def _of(
        self, environment: OpenEnvironment, profile: str | None, caller: Caller
    ) -> AsyncIterator[tuple[Caller, ServedApi]]:
        users = environment.live.gateway.users
        if users is not None and self.knows_callers:
            caller = await users.with_user(replace(caller, user={}))
        yield caller, await self._api(environment, profile, caller)

    async def _api(
        self, environment: OpenEnvironment, profile: str | None, caller: Caller
    ) -> ServedApi:
        if profile is not None and profile not in environment.live.gateway.profiles:
            raise Forbidden(f"There is no profile {profile} any longer.")
        views = environment.views
        if views is None:
            whole = environment.live
            live = whole if profile is None else await environment.profiles.live(profile)
            return ServedApi(live=live, profile=profile)
        view = views.view_of(caller)
        bound = () if profile is None else profile_settings(self.settings, profile).bound_roles
        if bound and not set(bound).intersection(view.roles):
            raise Forbidden(f"The profile {profile} is not for the caller's roles any longer.")
        return ServedApi(live=await views.live(profile, view), views=views, profile=profile)
