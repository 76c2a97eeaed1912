"""Settings of unified models: `[unified]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class UnifiedOptions(BaseModel):
    """Models with one shape over several entity sets, such as `directory`."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    enabled: bool = Field(
        default=True,
        description="Whether unified models are served, of which the environment has entity sets.",
    )
    folder: Path | None = Field(
        default=None,
        description="Folder of mapping files (`*.toml`) that extend the models, or declare others. They are read at the"
        " start and at each reload.",
    )
