"""Adds, changes and checks environments of the store, for whoever asks: the REST API, commands, the link page.

Its methods block, except ``check``. All raise StoreUnavailable, and SettingsError if environments cannot be stored.
"""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from gateway.config.environment_models import NAME, EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.environments.environment_json import merge_patch, options_json
from gateway.errors import (
    BadArgument,
    EnvironmentExists,
    InvalidOption,
    NoSuchEnvironment,
    SettingsError,
    VersionConflict,
)
from gateway.events import Observer
from gateway.process.daemon_call import daemon_call
from schema.errors import did_you_mean

from .actors import Actor
from .option_checks import check_name, checked_options

if TYPE_CHECKING:  # they import SQLAlchemy and cryptography, which take 0.5 s
    from gateway.runtime.environment_check import Report
    from gateway.runtime.upstream_chain import Step
    from gateway.store.environment_register import EnvironmentRegister
    from gateway.store.stored_environment import Linked, State, StoredEnvironment

CHECK_SECONDS = 120.0
"""Seconds that a check may take: the metadata of a whole environment have 40 MB."""
_TRIES = 5
"""Attempts to change an environment that others change at the same time."""
_RETAINED = "retained"
"""Stands for a secret that stays as it is while the other options are checked."""


class EnvironmentService:
    """The administration of the environments of one store."""

    def __init__(
        self,
        settings: Settings,
        register: Callable[[], EnvironmentRegister],
        observe: Observer,
    ) -> None:
        """``register`` is called with the first use."""
        self._settings = settings
        self._register = register
        self._observe = observe
        self._checks: dict[str, asyncio.Future[Report]] = {}

    @property
    def register(self) -> EnvironmentRegister:
        """The register. Raises SettingsError if environments of the store are not served."""
        if not self._settings.stored_environments:
            raise SettingsError(
                "Environments of the store are not served: stored_environments is false.",
                hint="Set stored_environments = true (D365_STORED_ENVIRONMENTS), and restart.",
            )
        return self._register()

    def list(self, after: str | None = None, limit: int | None = None) -> list[StoredEnvironment]:
        """Return environments by name: those after a name, at most ``limit``. Raises BadArgument."""
        if after is not None and not NAME.fullmatch(after):
            raise BadArgument("after: accepted: the name of an environment.")
        return self.register.list(after, limit)

    def show(self, name: str) -> StoredEnvironment:
        """Return an environment. Raises NoSuchEnvironment."""
        return self._known(name, self.register.get(self._named(name)))

    def add(
        self,
        name: object,
        values: Mapping[str, Any],
        actor: Actor,
        *,
        linked: Linked | None = None,
    ) -> tuple[StoredEnvironment, bool]:
        """Return a new environment, and True; or the one that has this name and equal options, and False.

        Raises InvalidOption, EnvironmentExists.
        """
        new = check_name(self._settings, name)
        options = checked_options(self._settings, new, values)
        actor.announce("added", new, values)
        try:
            environment = self.register.create(new, options, linked)
        except EnvironmentExists as error:
            if not self._has(new, options):
                raise EnvironmentExists(
                    f"{error.message} Its options are others.",
                    hint="Update it, or choose another name.",
                ) from None
            return self.show(new), False
        actor.record("added", new, values)
        return environment, True

    def update(
        self,
        name: str,
        patch: Mapping[str, Any],
        actor: Actor,
        *,
        matches: Callable[[StoredEnvironment], bool] | None = None,
    ) -> StoredEnvironment:
        """Change options by a merge patch; return the environment as it is now. Secrets that it does not name stay.

        ``matches``: whether the current environment is the one that the caller has read. Raises NoSuchEnvironment,
        InvalidOption, VersionConflict.
        """
        for _ in range(_TRIES):
            current = self._matching(name, matches)
            options, retained = self._patched(current, patch)
            if options == current.options and retained == current.secrets:
                return current
            actor.announce("updated", name, patch)
            try:
                changed = self.register.replace(
                    name, options, current.version, retained=frozenset(retained)
                )
            except VersionConflict:
                continue
            actor.record("updated", name, patch)
            return self._known(name, changed)
        raise VersionConflict(f"The environment {name} is being changed by others.")

    def set_state(self, name: str, state: State, actor: Actor) -> StoredEnvironment:
        """Enable or disable an environment, which may be so already. Raises NoSuchEnvironment."""
        before, act = self.show(name), "enabled" if state == "active" else "disabled"
        if before.state != state:
            actor.announce(act, name)
        environment = self._known(name, self.register.set_state(name, state))
        if environment.version != before.version:
            actor.record(act, name)
        return environment

    def remove(
        self,
        name: str,
        actor: Actor,
        *,
        matches: Callable[[StoredEnvironment], bool] | None = None,
    ) -> StoredEnvironment:
        """Remove an environment with its secrets; return it as it was. Raises NoSuchEnvironment, VersionConflict."""
        self._matching(name, matches)
        actor.announce("removed", name)
        environment = self._known(name, self.register.remove(name))
        actor.record("removed", name)
        return environment

    def reload(self, name: str, actor: Actor) -> StoredEnvironment:
        """Make all processes load its metadata anew. Raises NoSuchEnvironment."""
        environment = self._known(name, self.register.reload(self._named(name)))
        actor.record("reloaded", name)
        return environment

    def settings_of(self, name: str) -> EnvironmentSettings:
        """Return the settings of an environment, with its secrets. Raises NoSuchEnvironment, SecretUnreadable."""
        options = self.register.options_with_secrets(self._named(name))
        if options is None:
            raise self._unknown(name)
        return overlaid(self._settings, name, options, stored=True)

    async def check(self, name: str) -> AsyncIterator[Step]:
        """Yield the steps of a check as they end. Raises NoSuchEnvironment, SecretUnreadable."""
        settings = await daemon_call(lambda: self.settings_of(name))
        async for step in check_environment(settings, self._observe):
            yield step

    async def report(self, name: str) -> Report:
        """Return a check; requests for one that runs share it. Raises NoSuchEnvironment, SecretUnreadable."""
        running = self._checks.get(name)
        if running is None:
            running = self._checks[name] = asyncio.ensure_future(self._make_report(name))
            running.add_done_callback(lambda _: self._checks.pop(name, None))
        return await asyncio.shield(running)

    async def _make_report(self, name: str) -> Report:
        steps = [step async for step in self.check(name)]
        from gateway.runtime.environment_check import Report  # noqa: PLC0415 - see check_environment

        return Report(tuple(steps), time.time())

    def _patched(
        self, current: StoredEnvironment, patch: Mapping[str, Any]
    ) -> tuple[EnvironmentOptions, builtins.set[str]]:
        """Return options with the new secrets only, and the names of those that stay."""
        from gateway.store.stored_environment import (  # noqa: PLC0415 - it imports cryptography
            split_secrets,
            with_secrets,
        )

        retained = {secret for secret in current.secrets if not _names(patch, secret)}
        values = merge_patch(options_json(current.options), patch)
        for secret in retained:
            _place(values, secret)
        options = checked_options(self._settings, current.name, values, current=current.options)
        moved = [
            f for f in ("url", "tenant_id") if getattr(options, f) != getattr(current.options, f)
        ]
        if current.linked is not None and moved:
            raise InvalidOption(
                moved[0],
                f"{moved[0]} cannot be changed: an administrator has linked the environment as it is.",
                hint="Remove the environment, and let its administrator link it again.",
            )
        plain, new = split_secrets(options)
        return with_secrets(plain, {k: v for k, v in new.items() if k not in retained}), retained

    def _matching(
        self, name: str, matches: Callable[[StoredEnvironment], bool] | None
    ) -> StoredEnvironment:
        current = self.show(name)
        if matches is not None and not matches(current):
            raise VersionConflict(
                f"The environment {name} has version {current.version} by now.",
                hint="Read it again, and repeat your change.",
            )
        return current

    def _has(self, name: str, options: EnvironmentOptions) -> bool:
        """Return whether an environment has these options, secrets included."""
        stored = self.register.options_with_secrets(name)
        return stored is not None and stored.model_dump() == options.model_dump()

    def _named(self, name: str) -> str:
        """Return the name of an environment that may exist: others are no texts for a store."""
        if not NAME.fullmatch(name):
            raise self._unknown(name)
        return name

    def _known(self, name: str, environment: StoredEnvironment | None) -> StoredEnvironment:
        if environment is None:
            raise self._unknown(name)
        return environment

    def _unknown(self, name: str) -> NoSuchEnvironment:
        if name in self._settings.environments:
            return NoSuchEnvironment(
                f"The environment {name} is declared in the settings.",
                hint="Change it there, and restart.",
            )
        names = [environment.name for environment in self.register.list()]
        return NoSuchEnvironment(f"There is no environment {name}.{did_you_mean(name, names)}")


def check_environment(settings: EnvironmentSettings, observe: Observer) -> AsyncIterator[Step]:
    """Return the steps of a check of an environment with these settings."""
    # A process that only watches others imports nothing of what sends requests before it is needed.
    from gateway.metadata.model_process import build_in_subprocess  # noqa: PLC0415 - see above
    from gateway.runtime.environment_check import bounded, service_steps  # noqa: PLC0415 - likewise

    # Problems are reported at once, not after retries.
    once = settings.model_copy(update={"retries": 0})
    return bounded(service_steps(once, observe, build_model=build_in_subprocess), CHECK_SECONDS)


def _names(patch: Mapping[str, Any], secret: str) -> bool:
    """Return whether a patch has a value for a secret such as ``credentials.certificate_password``, or removes it."""
    group, _, field = secret.rpartition(".")
    if not group:
        return field in patch
    inner = patch.get(group, {})
    return inner is None or (isinstance(inner, dict) and field in inner)


def _place(values: dict[str, Any], secret: str) -> None:
    group, _, field = secret.rpartition(".")
    target = values.setdefault(group, {}) if group else values
    if isinstance(target, dict):  # else it is refused
        target[field] = SecretStr(_RETAINED)
