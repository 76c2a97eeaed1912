"""Settings of SCIM: `[scim]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ScimOptions(BaseModel):
    """Users and groups at `/scim/v2`."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    writes: bool = Field(
        default=False,
        description="Whether PATCH is served: users can be switched on and off, and added to and removed from groups."
        " Callers need the right to write these rows, as anywhere else.",
    )
