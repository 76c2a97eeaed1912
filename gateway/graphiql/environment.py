"""Describes the environment on the page's badge: its name, its kind, whether it can be written."""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import urlsplit

from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.config.version import gateway_version
from gateway.odata.dialects import environment_kind


class Environment(TypedDict):
    """What the page's badge shows."""

    name: str
    """Host of the service root, or what the sandbox is called."""
    kind: str | None
    """``sandbox`` (the embedded one), ``test``, ``development``, ``production``; None if nothing tells."""
    readOnly: bool
    version: str
    """Of the gateway."""


def environment_of(settings: Settings) -> Environment:
    """Return the badge for the environment in these settings."""
    host = None if settings.url is None else urlsplit(settings.url).hostname
    kind = "sandbox" if host is None else settings.environment_kind or environment_kind(host)
    return Environment(
        name=_title(settings) or host or "Embedded sandbox",
        kind=kind,
        readOnly=settings.read_only,
        version=gateway_version(),
    )


def _title(settings: Settings) -> str | None:
    """Return the title of an environment of a deployment; None for that of the settings themselves."""
    if not isinstance(settings, EnvironmentSettings) or not settings.environment:
        return None
    return settings.environment_title or settings.environment
