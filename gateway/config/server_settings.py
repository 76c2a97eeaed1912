"""The settings of the HTTP server: where it listens, whom it trusts, how much it holds, and how it sends answers.

The third part of :class:`~gateway.config.settings.Settings`.
"""

from __future__ import annotations

from pydantic import Field

from .reading_settings import ReadingSettings
from .value_types import HostNames, ProxyAddresses, RootPath


class ServerSettings(ReadingSettings):
    """How the API is served over HTTP."""

    host: str = Field(default="127.0.0.1", description="Network interface to listen on.")
    port: int = Field(
        default=8_000, ge=0, le=65_535, description="Port to listen on; 0: any free port."
    )
    keep_alive: float = Field(
        default=75.0,
        gt=0,
        description="Seconds until an idle connection is closed. Choose more than your load balancer's idle"
        " timeout.",
    )
    send_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds in which a client must read 64 KiB of a waiting response; slower connections are"
        " cut.",
    )
    max_connections: int = Field(
        default=2_000, ge=1, description="Maximum connections per worker; beyond: 503."
    )
    max_connections_per_peer: int = Field(
        default=500,
        ge=1,
        description="Maximum connections per client and worker; beyond: 503. Behind a proxy set trusted_proxies,"
        " so that its clients are counted.",
    )
    max_operations: int = Field(
        default=1_000,
        ge=1,
        description="Maximum operations that run at a time, per worker; beyond: 503. Half of them may be background"
        " work, or of one of several environments; callers share them.",
    )
    max_loop_lag: float = Field(
        default=5.0,
        ge=0,
        description="Seconds by which a worker's event loop may be late; beyond: 503. 0: any.",
    )
    max_waiting_bytes: int = Field(
        default=256_000_000,
        ge=1_000_000,
        description="Maximum bytes of responses that wait for slow clients, per worker; beyond: 503. One"
        " WebSocket may hold a quarter.",
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="Host names by which clients may call the gateway: api.example.com, *.example.com; *: any. IP"
        " addresses, localhost and the setting host always pass.",
    )
    trusted_proxies: ProxyAddresses = Field(
        default=(),
        description="Addresses or networks of proxies whose Forwarded and X-Forwarded-* headers are trusted.",
    )
    root_path: RootPath = Field(
        default="", description="Path prefix under which a proxy serves the gateway, such as /erp."
    )
    compression: bool = Field(
        default=True, description="Whether responses are compressed (zstd, br, gzip)."
    )
    compress_over: int = Field(
        default=1_024, ge=0, description="Minimum size of a compressed response, in bytes."
    )
