"""Events of jobs, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class JobEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job has ended, or waits for its caller to sign in."""

    job: str
    """The first digits of its id."""
    kind: str
    state: str
    rows: int
    seconds: float
    """Since it was started, with the time that it has waited."""
    error: str | None = None
    """Code of the error."""


class JobDelayed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job failed for a reason that may pass, and goes on at its last checkpoint."""

    job: str
    kind: str
    error: str
    wait: float
