"""The secrets of hooks, as requests are checked by them: from memory, and at most two seconds behind the store.

All hooks of a store fit into memory, so a request with an unknown secret costs no query.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.store.opening import open_database
from gateway.store.polling import StorePoller, Subject, open_poller

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    import sqlalchemy as sa

    from gateway.store.hook_register import Hook, HookRegister

_NONE = "0" * 64


class HookSecrets:
    """The secrets of a store, for the requests of one process."""

    def __init__(self, poller: StorePoller, *, owns: bool) -> None:
        """``owns``: the poller is theirs alone, and is closed with them."""
        self._poller = poller
        self._owns = owns
        self._hooks: Mapping[str, Sequence[Hook]] = {}
        poller.follow(Subject(name="hooks", read=_read, empty={}, apply=self._replace))

    async def accepts(self, environment: str, secret: str) -> bool:
        """Return whether a secret is one of an environment, in a time that says nothing of it.

        Raises StoreUnavailable if the store has not been read since the start.
        """
        from gateway.store.hook_register import digest_of  # noqa: PLC0415 - it imports SQLAlchemy

        await self._poller.refresh()
        digest, now = digest_of(secret), time.time()
        hooks = self._hooks.get(environment, ())
        valid = [h.digest for h in hooks if h.expires_at is None or now < h.expires_at]
        # All of them, and also without any.
        equal = [secrets.compare_digest(digest, known) for known in (*valid, _NONE)]
        return any(equal)

    async def close(self) -> None:
        """Close the connections."""
        if self._owns:
            await self._poller.close()

    def _replace(self, hooks: Mapping[str, Sequence[Hook]]) -> None:
        self._hooks = hooks


def open_hook_secrets(
    settings: Settings, observe: Observer, poller: StorePoller | None
) -> HookSecrets | None:
    """Return the secrets of the configured store; None if there is none.

    ``poller`` is the one of the process, if it follows more of the store. Raises SettingsError if its driver is not
    installed.
    """
    if poller is not None:
        return HookSecrets(poller, owns=False)
    own = open_poller(settings, observe)
    return None if own is None else HookSecrets(own, owns=True)


def open_hook_register(settings: Settings) -> HookRegister:
    """Return the register of the configured store. Raises SettingsError if there is none."""
    from gateway.store.hook_register import HookRegister  # noqa: PLC0415 - it imports SQLAlchemy

    return HookRegister(open_database(settings))


def _read(connection: sa.Connection, _revision: int | None) -> Mapping[str, Sequence[Hook]]:
    from gateway.store.hook_register import hooks_in  # noqa: PLC0415 - likewise

    return hooks_in(connection)
