"""Rows of the registers of status and drift, for those who do without SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class StatusRow(Struct, frozen=True, kw_only=True):
    """What a process knows of an environment."""

    environment: str
    process: str
    state: str
    updated: float
    """Seconds since the epoch."""
    facts: str
    """As JSON."""


class CallsRow(Struct, frozen=True, kw_only=True):
    """What a process counted in a slot."""

    environment: str
    process: str
    slot: int
    counts: str
    """As JSON."""


class StatusRows(Struct, frozen=True):
    """What all processes told of one environment."""

    statuses: Sequence[StatusRow] = ()
    calls: Sequence[CallsRow] = ()


class DriftEntry(Struct, frozen=True, kw_only=True):
    """A change from one document to another."""

    id: str
    environment: str
    at: float
    """Seconds since the epoch."""
    before: str | None
    """SHA-256 of a document; None: the first one that was seen."""
    after: str
    changes: str | None = None
    """As JSON; None: they are being compared, or could not be."""
