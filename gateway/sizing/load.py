"""The load that a deployment has at its peak, as people know it or as its metrics tell it."""

from __future__ import annotations

from msgspec import Struct


class Load(Struct, frozen=True, kw_only=True):
    """What happens in a second at the peak, and what is open then."""

    operations: float = 10.0
    """Operations a second."""
    rows: float = 50.0
    """Rows of an operation."""
    fields: float = 10.0
    """Values of a row."""
    requests: float = 1.5
    """Requests to the environment that an operation needs."""
    cached: float = 0.0
    """Part of those that the cache answers."""
    upstream_seconds: float = 0.3
    """Time of a request to the environment."""
    exported_rows: float = 0.0
    """Rows a second of exports, all together."""
    exports: float = 0.0
    """Exports at a time."""
    watches: float = 0.0
    """Lists that subscribers watch: each scope and filter is one."""
    interval: float = 10.0
    """Seconds between two polls."""
    streams: float = 0.0
    """Open event streams and WebSockets."""
    pushed: float = 0.0
    """Changes a second that streams get, each stream by itself."""
    callers: float = 100.0
    """Callers that are signed in."""
    environments: float = 0.0
    """Further environments in use."""
    entity_sets: float = 4_000.0
    """Entity sets of the catalogue."""


class Deployment(Struct, frozen=True, kw_only=True):
    """What the settings say that matters for it."""

    workers: int = 2
    """Processes of a replica."""
    is_shared: bool = False
    """Whether the replicas share polls and limits (``replicas.address``)."""
    by_caller: bool = False
    """Whether requests have the identity of each caller (``identity``)."""
    concurrency: int = 8
    """Requests at a time (``concurrency``)."""
    page: int = 1_000
    """Rows of a page of exports (``max_page_size``)."""
    remembered: int = 10_000
    """Callers whose tokens are remembered (``inbound.cache_size``)."""
    cache_mib: float = 0.0
    """What the cache of answers may take (``cache.max_bytes``), if it is on."""
    factor: float = 1.0
    """CPU that this deployment was seen to use, to that of the coefficients."""
