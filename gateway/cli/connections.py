"""Limits of connections: how many there may be, in all and per client, and how slowly responses may be read.

    new connection ──too many?──▶ health requests are answered, all others get 503; far too many: 503 at once
    every second ──▶ connections that read less than ``MIN_BYTES`` of a waiting response in ``send_timeout`` are cut

Connections are counted per client. Those of a trusted proxy count for the client that its latest request names.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any
from weakref import WeakKeyDictionary

from gateway.config.settings import Settings
from gateway.events import ConnectionCut, Observer, log_event
from gateway.http.proxies import Proxies

MIN_BYTES = 65_536
"""Bytes that a client must read in ``send_timeout`` seconds, if as many wait for it."""
EXCESS = 1_000
"""Connections beyond the limits whose requests are read, because health probes must be answered."""
_MAX_PAUSE = 1.0
"""Maximum seconds between two checks of waiting responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The settings of connections."""

    total: int = 2_000
    per_peer: int = 500
    send_timeout: float = 30.0
    trusted_proxies: tuple[str, ...] = ()
    observe: Observer = log_event


def limits_of(settings: Settings) -> ConnectionLimits:
    """Return the limits that settings ask for."""
    return ConnectionLimits(
        total=settings.max_connections,
        per_peer=settings.max_connections_per_peer,
        send_timeout=settings.send_timeout,
        trusted_proxies=settings.trusted_proxies,
    )


class Admission(Enum):
    """How a new connection is treated."""

    SERVED = auto()
    EXCESS = auto()
    """Only health requests are answered."""
    REFUSED = auto()


class Outlet:
    """The transport of a connection, which counts the bytes written to it."""

    def __init__(self, transport: asyncio.Transport, connections: Connections) -> None:
        self._transport = transport
        self._connections = connections
        self._write = transport.write
        self._has_ended = False
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info
        peer = transport.get_extra_info("peername")
        self.peer: str = peer[0] if isinstance(peer, tuple) else "local"
        self.client: str | None = None
        """The client for which the connection counts at the moment."""
        self.written = 0
        self.taken = 0
        """Bytes that the client had read at ``since``."""
        self.since = 0.0

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closed or ``write_eof`` was called: uvloop would raise."""
        if self._has_ended or self.is_closing():
            return
        self.written += len(data)
        self._write(data)

    def write_eof(self) -> None:
        """Close the sending side."""
        if not (self._has_ended or self.is_closing()):
            self._has_ended = True
            self._transport.write_eof()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def on_lost(self) -> None:
        """Stop counting a lost connection."""
        self._connections.remove(self)

    def count_for(self, client: str) -> bool:
        """Count the connection for another client; return whether it is within that client's limit."""
        return self._connections.move(self, client)


class Connections:
    """All connections of one server."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.proxies = Proxies(limits.trusted_proxies)
        self._outlets: set[Outlet] = set()
        self._clients: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._outlets)

    def add(self, outlet: Outlet) -> Admission:
        """Count a new connection, and return how to treat it."""
        beyond = len(self._outlets) - self.limits.total
        if not self.proxies.trusts(outlet.peer):
            beyond = max(beyond, self._clients[outlet.peer] - self.limits.per_peer)
            self._count(outlet, outlet.peer)
        self._outlets.add(outlet)
        outlet.since = asyncio.get_running_loop().time()
        self._schedule_check()
        if beyond < 0:
            return Admission.SERVED
        return Admission.EXCESS if beyond < EXCESS else Admission.REFUSED

    def move(self, outlet: Outlet, client: str) -> bool:
        """Count a connection for a client; return whether it is within that client's limit."""
        if outlet.client != client:
            self._uncount(outlet)
            self._count(outlet, client)
        return self._clients[client] <= self.limits.per_peer

    def remove(self, outlet: Outlet) -> None:
        """Stop counting a connection."""
        self._uncount(outlet)
        self._outlets.discard(outlet)
        if not self._outlets and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self, outlet: Outlet, client: str) -> None:
        outlet.client = client
        self._clients[client] += 1

    def _uncount(self, outlet: Outlet) -> None:
        if outlet.client is None:
            return
        self._clients[outlet.client] -= 1
        if not self._clients[outlet.client]:
            del self._clients[outlet.client]
        outlet.client = None

    # Slow readers

    def _schedule_check(self) -> None:
        if self._timer is None:
            # One timer for all connections: a timer for each write would cost more than the write.
            pause = min(_MAX_PAUSE, self.limits.send_timeout / 4)
            self._timer = asyncio.get_running_loop().call_later(pause, self._cut_stuck)

    def _cut_stuck(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for outlet in tuple(self._outlets):
            if self._is_stuck(outlet, now):
                self.limits.observe(ConnectionCut(reason="the response was not read in time"))
                outlet.abort()
        if self._outlets:
            self._schedule_check()

    def _is_stuck(self, outlet: Outlet, now: float) -> bool:
        waiting: int = outlet.get_write_buffer_size()
        taken = outlet.written - waiting
        # Progress, or nothing to read: the time starts again.
        if not waiting or taken - outlet.taken >= MIN_BYTES:
            outlet.taken, outlet.since = taken, now
        return now - outlet.since >= self.limits.send_timeout


# uvicorn makes a protocol for each connection and hands it nothing of ours; the state is the only thing they share.
_OF_SERVERS: WeakKeyDictionary[object, Connections] = WeakKeyDictionary()


def change_limits(server_state: object, limits: ConnectionLimits) -> None:
    """Use other limits for the connections of a server from now on, also for those that are open."""
    connections = _OF_SERVERS.get(server_state)
    if connections is not None:
        connections.limits = replace(limits, observe=connections.limits.observe)
        connections.proxies = Proxies(limits.trusted_proxies)


def connections_of(
    server_state: object, limits: ConnectionLimits, app: object = None
) -> Connections:
    """Return the connections of a server, identified by the state that uvicorn hands to its protocols.

    ``app``: the application that it serves, whose observer hears of connections, too.
    """
    connections = _OF_SERVERS.get(server_state)
    if connections is None:
        observe = getattr(getattr(app, "state", None), "observe", None)
        if observe is not None:
            limits = replace(limits, observe=observe)
        connections = _OF_SERVERS[server_state] = Connections(limits)
    return connections
