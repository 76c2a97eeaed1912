"""The version of this distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def gateway_version() -> str:
    """Return the installed version, such as ``0.1.0``; ``unknown`` if only the source is on the path."""
    try:
        return version("d365-graphql-gateway")
    except PackageNotFoundError:
        return "unknown"
