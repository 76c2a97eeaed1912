"""Settings of aggregates: `[aggregates]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AggregateOptions(BaseModel):
    """Counts, sums, averages and groups of the rows of a list."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    enabled: bool = Field(
        default=True, description="Whether each list has a field that aggregates its rows."
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        description="Maximum rows that are read for an aggregate which the service does not compute itself.",
    )
    max_groups: int = Field(
        default=10_000, ge=1, description="Maximum groups of an aggregate; they are held in memory."
    )
