"""Opens what replicas share, if the settings name where. The client of Redis is an optional part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Observer

if TYPE_CHECKING:  # it imports the client, which takes 0.2 s
    from .probing import Probe
    from .replicas import Replicas


@asynccontextmanager
async def open_replicas(settings: Settings, observe: Observer) -> AsyncIterator[Replicas | None]:
    """Yield what this process shares with other replicas; None if that is nothing.

    Raises SettingsError if the client is not installed.
    """
    if settings.replicas.address is None:
        yield None
        return
    require_client()
    from .replicas import Replicas  # noqa: PLC0415 - optional, see above

    replicas = Replicas(settings, observe)
    async with replicas.running():
        yield replicas


async def probe_shared_state(settings: Settings) -> Probe | None:
    """Return whether the shared state can be used; None if the settings name none.

    Raises SettingsError as ``open_replicas`` does.
    """
    if settings.replicas.address is None:
        return None
    require_client()
    from .probing import probe  # noqa: PLC0415 - optional, see above

    return await probe(settings.replicas)


def require_client() -> None:
    """Raise SettingsError if the client of Redis is not installed."""
    if find_spec("redis") is None:
        raise SettingsError(
            "NOT_INSTALLED: replicas.address is set, and the client of Redis is not installed.",
            hint="pip install 'd365-graphql-gateway[redis]'",
        )
