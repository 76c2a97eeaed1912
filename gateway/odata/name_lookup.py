"""Looks up names in threads of its own: a name server that hangs holds up nothing but the host that is looked up.

The event loop's own look-ups share a few threads: those of ``asyncio.to_thread``, or four of uvloop. aiohttp looks a
host up once at a time, and a client has the host of its service and of its proxy, so that these threads are few.
"""

from __future__ import annotations

import socket
import sys

from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.process.daemon_call import daemon_call


class NameLookup(AbstractResolver):
    """Resolves by the system's own rules: ``/etc/hosts``, ``resolv.conf``."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        # Windows has no address of localhost by the rule that only protocols in use count.
        is_local = sys.platform == "win32" and host == "localhost"
        flags = 0 if is_local else socket.AI_ADDRCONFIG

        def look_up() -> list[ResolveResult]:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
            return [_result(host, *entry) for entry in found]

        return await daemon_call(look_up)

    async def close(self) -> None:
        """Nothing stays open."""


def _result(
    host: str,
    family: socket.AddressFamily,
    _kind: socket.SocketKind,
    protocol: int,
    _canonical: str,
    place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
) -> ResolveResult:
    """Return an address as aiohttp takes it; one of IPv6 within a link names the link."""
    address, port = str(place[0]), int(place[1])
    if family == socket.AF_INET6 and len(place) == 4 and place[3]:
        address, _ = socket.getnameinfo(place, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
