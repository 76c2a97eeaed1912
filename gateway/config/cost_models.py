"""Settings of the cost of operations: how much one may cost, and how much each caller may spend."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CostOptions(BaseModel):
    """What operations may cost the environment. A point is a tenth of a second of its work."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    max_cost: float | None = Field(
        default=None,
        gt=0,
        description="Maximum points of an operation, by its estimate; a dearer one is refused before anything is sent"
        " (COST_EXCEEDED). A point is a tenth of a second of the environment's work. Not set: no limit.",
    )
    points_per_minute: float | None = Field(
        default=None,
        gt=0,
        description="Points that each caller may spend a minute; who has none left waits (RATE_LIMITED). Callers who"
        " have not signed in share one budget. Not set: no limit.",
    )
    burst: float = Field(
        default=60.0,
        ge=1,
        le=3_600,
        description="Seconds of points_per_minute that a caller may save up, and spend at once.",
    )
