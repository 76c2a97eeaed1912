"""Settings of what tells how the gateway does: metrics, traces and the log."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MetricsOptions(BaseModel):
    """What is measured, for /metrics of the second listener."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        default=True,
        description="Whether the gateway measures itself, and the second listener serves /metrics and /status.",
    )
    series: int = Field(
        default=500,
        ge=10,
        description="Combinations of labels of each metric; beyond, names of operations, entity sets and environments"
        " become other.",
    )
