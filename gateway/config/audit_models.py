"""Settings of the audit log and of the listener for administrators."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from .value_types import AdminPort, Folder, Names

ADMIN_ROLE = "admin"
"""Role of API keys that may use the second listener."""
SinkName: TypeAlias = Literal["file", "stdout", "syslog", "none"]


class AuditOptions(BaseModel):
    """Who did what: where it is recorded, and how much of it."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    sink: SinkName | None = Field(
        default=None,
        description="Where writes, refusals, administrative acts and uses of API keys are recorded. Not set: file if"
        " url is set and there is a folder, else none.",
    )
    path: Folder = Field(
        default=None,
        description="Folder of the audit files, which belongs to the gateway's user; it is made if it is missing. Not"
        " set: audit in data_dir.",
    )
    address: str = Field(
        default="/dev/log",
        min_length=1,
        description="Socket of syslog: a path, or host:port (UDP).",
    )
    max_bytes: int = Field(
        default=50_000_000,
        ge=10_000,
        description="Size in bytes at which a new file begins; one begins each day (UTC) as well.",
    )
    files: int = Field(
        default=1_000,
        ge=2,
        description="Maximum number of files in the folder; beyond, the oldest are removed, except those that other"
        " processes began today.",
    )
    required: bool = Field(
        default=False,
        description="Whether writes that cannot be recorded are refused: each is recorded before it is sent.",
    )
    values: Names = Field(
        default=(),
        description="Patterns of properties, as Set.Property, whose written values are recorded. Of others only the"
        " names are.",
    )


class AdminOptions(BaseModel):
    """The second listener, for those who run the gateway."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="Network interface of the second listener (/health). On any that is not loopback, requests need an"
        " API key with the role admin.",
    )
    port: AdminPort = Field(
        default=0,
        description="Its port; 0: any free port, which is printed at the start; none: there is no second listener.",
    )
