"""Events of imports, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class ImportServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An import ended: all rows were tried, or it failed with an error."""

    set: str
    format: str
    mode: str
    """``create``, ``upsert``, or ``validate`` if nothing was written."""
    rows: int
    """Rows with a result."""
    refused: int
    """Those of them that were refused, were not sent, or whose outcome is unknown."""
    seconds: float
    error: str | None = None
    """Code of the error that ended it early; ``CLIENT_LEFT`` if its client did."""
