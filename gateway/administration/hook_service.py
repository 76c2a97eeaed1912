"""Makes, rotates and revokes the hooks of environments, for whoever asks: the REST API and commands. It blocks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.config.settings import Settings
from gateway.errors import GatewayError
from gateway.hooks.secrets import open_hook_register

from .actors import Actor
from .known_environments import stored_since
from .opening import RegisterHolder

if TYPE_CHECKING:  # it imports SQLAlchemy
    from gateway.store.hook_register import Hook, HookRegister

GRACE = 86_400.0
"""Seconds for which the secret before can still be used, if nobody says otherwise."""


class HookExists(GatewayError):
    """An environment that has a hook, and is to get one without its place being taken."""

    code = "HOOK_EXISTS"


class NewHook(Struct, frozen=True, kw_only=True):
    """A hook that was made just now."""

    environment: str
    path: str
    """With its secret, which is shown this once."""


class HookService:
    """The hooks of a deployment. Its methods raise NoSuchEnvironment, StoreUnavailable, SettingsError."""

    def __init__(self, settings: Settings, holder: RegisterHolder) -> None:
        self._settings = settings
        self._holder = holder

    def create(self, name: str, actor: Actor, *, rotate: bool, grace: float = GRACE) -> NewHook:
        """Make a hook; with ``rotate`` the secret before ends after so many seconds.

        Raises HookExists if there is one, and none is to take its place.
        """
        self._require(name)
        actor.announce("hook", name)
        with self._register() as register:
            secret = register.create(name, time.time(), grace if rotate else None)
        if secret is None:
            raise HookExists(
                f"The environment {name} has a hook.", hint="Rotate its secret, or revoke it first."
            )
        actor.record("hook", name)
        return NewHook(environment=name, path=f"/hooks/{name}/{secret}")

    def show(self, name: str) -> Sequence[Hook]:
        """Return the hooks of an environment, the newest first; nobody can learn their secrets any more."""
        self._require(name)
        with self._register() as register:
            return [hook for hook in register.list() if hook.environment == name]

    def revoke(self, name: str, actor: Actor) -> int:
        """Remove the hooks of an environment; return how many there were."""
        self._require(name)
        actor.announce("hook_revoked", name)
        with self._register() as register:
            number = register.revoke(name)
        actor.record("hook_revoked", name)
        return number

    def _require(self, name: str) -> None:
        stored_since(self._settings, self._holder, name)

    def _register(self) -> closing[HookRegister]:
        return closing(open_hook_register(self._settings))
