"""Rows of the register of sweeps, for those who do without SQLAlchemy."""

from __future__ import annotations

from msgspec import Struct


class SweepHead(Struct, frozen=True, kw_only=True):
    """The last sweep of a list."""

    number: int = 0
    """0: none has ended."""
    swept_at: float = 0.0
    """Seconds since the epoch."""
    by_values: bool = False
    leased_until: float = 0.0


class SweepResult(Struct, frozen=True, kw_only=True):
    """What a sweep leaves behind."""

    number: int
    at: float
    """Seconds since the epoch."""
    by_values: bool
    state: bytes
    changes: bytes | None
    """None: what has changed is not known, and nothing that was found before counts any more."""
