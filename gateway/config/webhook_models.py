"""Settings of webhooks of changes: `[webhooks]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .value_types import HostNames, Names


class WebhookOptions(BaseModel):
    """Webhooks that send callers the changes of lists."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    hosts: HostNames = Field(
        default=(),
        description="Hosts to which changes may be sent, at addresses on the internet and by https: app.example.com,"
        " *.example.com; * is any. None: nobody can register a webhook.",
    )
    private_hosts: Names = Field(
        default=(),
        description="Hosts that may be in the own network, by their full names, such as localhost; by http as well,"
        " and at any port.",
    )
    interval: float = Field(
        default=60.0,
        ge=0.05,
        description="Seconds between two looks for changes, if the environment reports none (hooks).",
    )
    batch: int = Field(default=200, ge=1, description="Maximum rows of one webhook.")
    timeout: float = Field(
        default=15.0, gt=0, le=300, description="Seconds in which the receiver must answer."
    )
    attempts: int = Field(
        default=8,
        ge=1,
        le=100,
        description="Attempts of a webhook, in some three hours, after which it is kept as a dead letter and the next"
        " one is sent.",
    )
    pause_after: float = Field(
        default=259_200.0,
        gt=0,
        description="Seconds of failures without a success after which a subscription is paused.",
    )
    keep: float = Field(
        default=2_592_000.0, ge=60, description="Seconds for which dead letters are kept."
    )
    per_caller: int = Field(
        default=20, ge=1, description="Subscriptions of one caller in one deployment; beyond: 429."
    )
    running: int = Field(
        default=4, ge=1, le=100, description="Webhooks that are sent at a time, per worker."
    )
    lease: float = Field(
        default=30.0,
        ge=1,
        description="Seconds after which another process goes on with the webhooks of one that was killed.",
    )
