"""Settings of what several replicas share: ``[replicas]``.

[replicas]
address = "rediss://:PASSWORD@redis.internal:6380/0"
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

SCHEMES = ("redis", "rediss", "unix")


def _address(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in SCHEMES or not (parts.hostname or parts.path.strip("/")):
        # Without the value: it may hold a password.
        raise ValueError("expected the address of a Redis or Valkey, such as redis://HOST:6379/0")
    return value


class ReplicaOptions(BaseModel):
    """What the replicas of a deployment share, and where. The workers of one machine count as replicas."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="forbid", hide_input_in_errors=True
    )

    address: Annotated[SecretStr, AfterValidator(_address)] | None = Field(
        default=None,
        description="Address of a Redis or Valkey that all replicas use: redis://, rediss:// (TLS) or unix://. Not"
        " set: each process has limits and a cache of its own.",
    )
    prefix: str = Field(
        default="d365-graphql",
        pattern=r"^[A-Za-z0-9._-]{1,60}$",
        description="Beginning of all its keys and channels: deployments that share a server need different ones.",
    )
    timeout: float = Field(
        default=0.25,
        gt=0,
        le=10,
        description="Seconds in which it must answer. If it does not, each replica goes on by itself, with its share"
        " of the limit, until it answers again.",
    )
    alone: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="Part of concurrency that a replica uses at most as long as it does not know how many others there"
        " are, because the shared state has not answered yet.",
    )
    answers: bool = Field(
        default=True,
        description="Whether cached answers (cache.ttl) are also kept there, for all replicas.",
    )
