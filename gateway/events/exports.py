"""Events of exports, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class PackageDownloaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The data package of an entity set was downloaded."""

    set: str
    size: int
    """Bytes."""
    seconds: float


class ExportServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An export ended: all rows were sent, or it failed with an error."""

    set: str
    format: str
    rows: int
    size: int
    """Bytes that were sent, in the coding of the response."""
    seconds: float
    error: str | None = None
    """Code of the error that ended it early; ``CLIENT_LEFT`` if its client did."""
