"""The connections of a server: how many there may be, of whom, and that answers are taken.

    connection ──too many?──▶ its head is read: health is answered, all else is 503; far too many: 503 at once
    every second: who has taken less than ``TAKEN`` bytes of what waits for ``send_timeout`` seconds is cut

The peers of a ceiling are clients: of a trusted proxy's connection it is the client that each request names.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from weakref import WeakKeyDictionary

from gateway.events import ConnectionCut, Observer, log_event
from gateway.http.proxies import Proxies

TAKEN = 65_536
"""Bytes that a client takes at least in ``send_timeout`` seconds, where so much waits for it."""
EXCESS = 64
"""Connections beyond the ceilings whose requests are looked at: a probe of health must be answered."""
_LOOK = 1.0
"""Seconds between two looks at what waits, at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What the settings say of connections."""

    total: int = 2_000
    per_peer: int = 500
    send_timeout: float = 30.0
    trusted_proxies: tuple[str, ...] = ()
    observe: Observer = log_event


class Admission(Enum):
    """What a new connection may do."""

    SERVED = auto()
    EXCESS = auto()
    """Ask for health."""
    REFUSED = auto()


class Outlet:
    """A connection's transport, which counts what is written to it."""

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
        """Whom the connection is counted for at the moment."""
        self.written = 0
        self.taken = 0
        """Bytes that the client had taken at ``since``."""
        self.since = 0.0

    def write(self, data: bytes) -> None:
        """Send some bytes, unless the connection is closed or its answer has ended: uvloop would raise."""
        if self._has_ended or self.is_closing():
            return
        self.written += len(data)
        self._write(data)

    def write_eof(self) -> None:
        """Say that nothing more comes."""
        if not (self._has_ended or self.is_closing()):
            self._has_ended = True
            self._transport.write_eof()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def left(self) -> None:
        """Say that the connection is lost."""
        self._connections.remove(self)

    def serves(self, client: str) -> bool:
        """Count the connection for another client; return whether that one has not too many."""
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
        """Count a new connection."""
        beyond = len(self._outlets) - self.limits.total
        if not self.proxies.trusts(outlet.peer):
            beyond = max(beyond, self._clients[outlet.peer] - self.limits.per_peer)
            self._count(outlet, outlet.peer)
        self._outlets.add(outlet)
        outlet.since = asyncio.get_running_loop().time()
        self._look_later()
        if beyond < 0:
            return Admission.SERVED
        return Admission.EXCESS if beyond < EXCESS else Admission.REFUSED

    def move(self, outlet: Outlet, client: str) -> bool:
        """Count a connection for a client; return whether that one has not too many."""
        if outlet.client != client:
            self._uncount(outlet)
            self._count(outlet, client)
        return self._clients[client] <= self.limits.per_peer

    def remove(self, outlet: Outlet) -> None:
        """Count a connection no longer."""
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

    # Answers that are not taken

    def _look_later(self) -> None:
        if self._timer is None:
            pause = min(_LOOK, self.limits.send_timeout / 4)
            self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for outlet in tuple(self._outlets):
            if self._is_stuck(outlet, now):
                self.limits.observe(ConnectionCut(reason="its answer was not taken in time"))
                outlet.abort()
        if self._outlets:
            self._look_later()

    def _is_stuck(self, outlet: Outlet, now: float) -> bool:
        waiting: int = outlet.get_write_buffer_size()
        taken = outlet.written - waiting
        if not waiting or taken - outlet.taken >= TAKEN:
            outlet.taken, outlet.since = taken, now
        return now - outlet.since >= self.limits.send_timeout


_OF_SERVERS: WeakKeyDictionary[object, Connections] = WeakKeyDictionary()


def connections_of(server_state: object, limits: ConnectionLimits) -> Connections:
    """Return the connections of a server, which is known by its state."""
    found = _OF_SERVERS.get(server_state)
    if found is None:
        found = _OF_SERVERS[server_state] = Connections(limits)
    return found
