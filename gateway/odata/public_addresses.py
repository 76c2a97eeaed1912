"""IP addresses that are on the internet, and sockets that connect to no other.

A name that leads to a public address when it is checked may lead to 127.0.0.1 when it is used (DNS rebinding). So the
check is of the address that a socket is made for, after the name was resolved.
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

_OF_MACHINES = (
    # Platform services of each machine in Azure:
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    IPv4Network("168.63.129.16/32"),
    # Protocols between neighbours; versions of Python differ on which parts of it are global.
    IPv4Network("192.0.0.0/24"),
)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class NotPublic(OSError):
    """An address that is not on the internet."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


def is_public(text: str) -> bool:
    """Return whether an IP address is on the internet; the IPv4 address in one of IPv6 counts."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is None:
            return address in _UNICAST and address.is_global
        address = inner
    is_of_machine = any(address in network for network in _OF_MACHINES)
    return address.is_global and not address.is_multicast and not is_of_machine


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def public_socket(info: AddrInfoType) -> socket.socket:
    """Return a socket for an address. Raises NotPublic."""
    family, kind, protocol, _, place = info
    if not is_public(str(place[0])):
        raise NotPublic
    return socket.socket(family, kind, protocol)
