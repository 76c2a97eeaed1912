"""Settings of what tells how the gateway does: metrics, traces and the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class MetricsOptions(BaseModel):
    """What is measured, for /metrics of the second listener."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

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


class TracingOptions(BaseModel):
    """Traces of requests, for a collector of OpenTelemetry."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Address that takes traces by OTLP over HTTP, such as http://collector:4318/v1/traces; needs the"
        " extra otel. Not set: nothing is traced.",
    )
    ratio: float = Field(
        default=0.01, ge=0, le=1, description="Share of the requests that are traced, by chance."
    )
    follow_callers: bool = Field(
        default=False,
        description="Whether the callers' traceparent decides instead, if they send one. Any caller can then have all"
        " requests traced.",
    )
    headers: SecretStr | None = Field(
        default=None,
        description="Headers for the collector: name=value, several separated by commas.",
    )
    service_name: str = Field(
        default="d365-graphql-gateway",
        min_length=1,
        description="Name of the service in traces.",
    )

    @field_validator("headers")
    @classmethod
    def _are_pairs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            for pair in value.get_secret_value().split(","):
                name, sign, _ = pair.partition("=")
                if not sign or not name.strip():
                    raise ValueError("expected name=value, several separated by commas")
        return value

    @property
    def header_fields(self) -> Mapping[str, str]:
        """The headers by their names."""
        if self.headers is None:
            return {}
        pairs = (pair.partition("=") for pair in self.headers.get_secret_value().split(","))
        return {name.strip(): value.strip() for name, _, value in pairs}


LogLevelName: TypeAlias = Literal["debug", "info", "warning", "error", "off"]


class LogOptions(BaseModel):
    """What is logged, beside log_level and log_format."""

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")

    levels: Mapping[str, LogLevelName] = Field(
        default={},
        description="Minimum level of some events instead of log_level: by their names or patterns, such as"
        " subscription_*, or by the names of libraries (aiohttp, uvicorn). The first that matches counts.",
    )
    sample: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the operations without errors that are logged, by chance; all others are.",
    )
    slow: float | None = Field(
        default=None,
        gt=0,
        description="Seconds after which an operation is logged with the requests that it sent (operation_slow).",
    )
