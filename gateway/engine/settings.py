"""The settings of an engine: limits of plans, documents, rows and writes."""

from __future__ import annotations

from msgspec import Struct, field

from gateway.documents.store import DocumentLimits
from gateway.execution.fast_path import Slicing
from gateway.planning.limits import PlanLimits
from gateway.writes.operations import WriteLimits


class ExecutionSettings(Struct, frozen=True, kw_only=True):
    """The settings of execution."""

    plans: PlanLimits = field(default_factory=PlanLimits)
    documents: DocumentLimits = field(default_factory=DocumentLimits)
    max_rows: int = 100_000
    max_filtered_rows: int = 100_000
    max_url_length: int = 2_000
    """Characters."""
    timeout: float = 120.0
    """Seconds that an operation may take."""
    slow: float = float("inf")
    """Seconds after which an operation is logged with what it sent."""
    profile: str | None = None
    """Name of the profile, for events; None: the whole catalogue."""
    writes: WriteLimits = field(default_factory=WriteLimits)
    introspection: bool = True
    """Whether ``__schema``, ``__type`` and ``_service`` are answered."""
    slicing: Slicing = field(default_factory=Slicing)
    compiled: bool = True
    """Whether the compiled functions complete; else graphql-core completes everything, with the same answers."""
