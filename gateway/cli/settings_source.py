"""Where the settings of a running gateway come from, so that they can be read again: from the same places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gateway.config.settings import Settings

from .options import settings_from, with_sandbox_cache


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The options of ``serve`` that say what the settings are."""

    config: Path | None = None
    sandbox: bool = False
    roles: bool = False
    host: str | None = None
    port: int | None = None

    def read(self) -> Settings:
        """Return the settings as they are now. Blocks; raises SettingsError."""
        settings = settings_from(
            self.config, sandbox=self.sandbox, roles=self.roles, host=self.host, port=self.port
        )
        return with_sandbox_cache(settings)


ReadSettings = Callable[[], Settings]
"""Reads the settings again. Blocks; raises SettingsError."""


def imposing(read: ReadSettings, before: Settings, after: Settings) -> ReadSettings:
    """Return what reads settings, and gives those values that ``serve`` itself has changed in them.

    Such as the store of a demonstration, or a folder that workers share.
    """
    values = {
        name: getattr(after, name)
        for name in Settings.model_fields
        if getattr(before, name) != getattr(after, name)
    }
    return partial(_imposed, read, values)


def _imposed(read: ReadSettings, values: Mapping[str, Any]) -> Settings:
    return read().model_copy(update=dict(values))
