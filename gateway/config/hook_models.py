"""Settings of hooks: `[hooks]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .value_types import Names


class HookOptions(BaseModel):
    """Events that environments report, at the addresses that ``env hook`` makes."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    events: dict[str, Names] = Field(
        default={},
        description="Business event = the entity sets whose rows it may have changed, for those who follow them."
        " Data events name theirs themselves.",
    )
    per_minute: int = Field(
        default=3_000,
        ge=1,
        description="Reports of one environment a minute, per worker; beyond: 429.",
    )
    max_body: int = Field(
        default=1_048_576, ge=1_024, description="Maximum bytes of a report; beyond: 413."
    )
