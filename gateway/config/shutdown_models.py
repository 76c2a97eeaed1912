"""Settings of the end of a process: how long it still serves, and how long it waits for what is running."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ShutdownOptions(BaseModel):
    """What happens between SIGTERM and the end of the process."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    drain: float | None = Field(
        default=None,
        ge=0,
        description="Seconds for which new connections are still accepted after SIGTERM, while /readyz already answers"
        " 503: more than the load balancer needs to notice. Not set: 5, or 0 if host is a loopback address.",
    )
    grace: float | None = Field(
        default=None,
        ge=0,
        description="Seconds for which running operations may go on after that. Not set: the longest operation_timeout,"
        " of all environments and profiles. Kill the process no earlier than drain + grace + 8 seconds after SIGTERM.",
    )
    spread: float = Field(
        default=3.0,
        ge=0,
        description="Seconds over which WebSockets and event streams are ended, 100 a second or faster, so that their"
        " clients do not connect to another replica all at once.",
    )
