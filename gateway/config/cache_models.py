"""Settings of the cache of upstream answers: ``[cache]``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .value_types import Names


class CacheOptions(BaseModel):
    """Which answers of the environment are cached, for how long, and how many."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    ttl: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Seconds for which answers are cached and used. 0: none is cached.",
    )
    stale: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds beyond ttl in which an answer is still used, while it is read anew in the background.",
    )
    stale_if_error: float = Field(
        default=900.0,
        ge=0,
        le=604_800,
        description="Seconds beyond ttl in which an answer is still used if the environment throttles, fails or does"
        " not answer in time.",
    )
    categories: Names = Field(
        default=("Reference", "Configuration", "Parameters"),
        description="Categories of data entities whose answers are cached.",
    )
    sets: Names = Field(
        default=(),
        description="Patterns of further entity sets whose answers are cached, such as Currencies.",
    )
    exclude: Names = Field(
        default=(), description="Patterns of entity sets whose answers are never cached."
    )
    max_bytes: int = Field(
        default=64_000_000,
        ge=1_000_000,
        description="Bytes that all cached answers of a process take; beyond, those used longest ago are removed.",
    )
    coalesce: bool = Field(
        default=True,
        description="Whether equal reads that are under way at the same time are sent once.",
    )
