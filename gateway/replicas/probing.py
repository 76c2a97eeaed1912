"""Probes the shared state once, for people: whether it answers and takes writes, its version, and what to do if not."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from gateway.config.replica_models import ReplicaOptions

from .shared_state import cause_of

OLDEST = (6, 2)
"""Exclusive ranges of streams, which the logs of subscriptions need."""
PATIENCE = 5.0
"""Seconds for a connection, which may need TLS."""
_HINTS: tuple[tuple[type[BaseException], str], ...] = (
    (
        AuthenticationError,
        "Set user and password in replicas.address: redis://:PASSWORD@HOST:6379.",
    ),
    (NoPermissionError, "Let the user of replicas.address use all commands on keys of the prefix."),
    (ReadOnlyError, "It is a read-only copy: set replicas.address to the primary server."),
    (OutOfMemoryError, "Raise its maxmemory, or set maxmemory-policy to allkeys-lru."),
)
_AWAY = "Is it running, is replicas.address right, and may this machine connect?"
_Facts: TypeAlias = dict[str, Any]


class Probe(Struct, frozen=True):
    """What was found; ``hint`` is None if it can be used."""

    is_up: bool
    text: str
    hint: str | None = None


async def probe(options: ReplicaOptions) -> Probe:
    """Return whether the shared state can be used. Never shows its address, which may hold a password."""
    assert options.address is not None
    client: Redis = Redis.from_url(
        options.address.get_secret_value(), socket_connect_timeout=PATIENCE
    )
    loop = asyncio.get_running_loop()
    key = f"{options.prefix}:probe"
    try:
        async with asyncio.timeout(PATIENCE):
            facts: _Facts = await client.info("server")
            began = loop.time()
            await client.set(key, b"check", ex=60)
            seconds = loop.time() - began
    except (RedisError, OSError, TimeoutError) as failure:
        error = cause_of(failure)
        hints = (hint for kind, hint in _HINTS if isinstance(error, kind))
        return Probe(False, f"it cannot be used: {type(error).__name__}", next(hints, _AWAY))
    finally:
        await client.aclose()
    name, version = _product(facts)
    text = f"{name} {version}, answers in {seconds * 1000:.1f} ms"
    if _numbers(version) < OLDEST:
        return Probe(False, text, "Redis 6.2 or a later one is needed, or any Valkey.")
    if seconds > options.timeout:
        hint = "It is slower than replicas.timeout, after which it counts as away."
        return Probe(False, text, hint)
    return Probe(True, text)


def _product(facts: _Facts) -> tuple[str, str]:
    # Valkey tells the version of Redis, too, with which it is compatible.
    if "valkey_version" in facts:
        return "Valkey", str(facts["valkey_version"])
    return "Redis", str(facts.get("redis_version", "0"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
