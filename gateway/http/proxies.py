"""Reads what trusted proxies say of a request's client: ``Forwarded`` (RFC 7239) and ``X-Forwarded-`` headers.

Each proxy appends the address that it was called from. Read from the end, the first address that is not a trusted
proxy's is the client; whatever precedes it was sent by the client itself and is ignored. If the two kinds of headers
contradict each other both are ignored: a proxy writes one of them and passes on the other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from gateway.storage.accept import unquoted

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Hop: TypeAlias = Mapping[str, str]
"""What one proxy says: ``for``, ``proto`` and ``host``, as far as it does."""

_PAIR = r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*'
_ELEMENT = re.compile(rf"(?:{_PAIR})(?:;(?:{_PAIR})?)*")
_PAIRS = re.compile(_PAIR)
_ELEMENTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):[0-9_]+")
_PREFIX = re.compile(r"(/[0-9A-Za-z._~!$&'()*+,;=:@%-]+)+/?")
_SCHEMES = frozenset({"http", "https"})


class Proxies:
    """The trusted proxies: addresses, networks, or ``*`` for all."""

    def __init__(self, trusted: Iterable[str]) -> None:
        names = tuple(trusted)
        self._trusts_all = "*" in names
        self._networks = tuple(ipaddress.ip_network(n, strict=False) for n in names if n != "*")
        self.trusts = lru_cache(maxsize=1_000)(self._trusts)
        """Whether an address is that of a trusted proxy."""

    def __bool__(self) -> bool:
        return self._trusts_all or bool(self._networks)

    def _trusts(self, address: str) -> bool:
        if self._trusts_all:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def apply(self, scope: MutableMapping[str, Any]) -> None:
        """Set the client, scheme, host and root path of an ASGI scope to those that a trusted proxy names."""
        client = scope.get("client")
        if client is None or not self.trusts(client[0]):
            return
        headers = _headers(scope["headers"])
        hop = self.hop(headers)
        if "for" in hop:
            scope["client"] = (hop["for"], 0)
        scheme = hop.get("proto", "").lower()
        if scheme in _SCHEMES:
            is_socket = scope["type"] == "websocket"
            scope["scheme"] = scheme.replace("http", "ws") if is_socket else scheme
        if "host" in hop:
            others = [(n, v) for n, v in scope["headers"] if n != b"host"]
            scope["headers"] = [(b"host", hop["host"].encode("latin-1")), *others]
        # Forwarded has no parameter for it; proxies agree on this header.
        prefix = headers.get("x-forwarded-prefix", "")
        if _PREFIX.fullmatch(prefix):
            scope["root_path"] = prefix.rstrip("/")

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address of the client of a request on a connection from ``peer``."""
        if not self or not self.trusts(peer):
            return peer
        return self.hop(_headers(headers)).get("for", peer)

    def hop(self, headers: Mapping[str, str]) -> Hop:
        """Return what the outermost trusted proxy says of the client."""
        standard = _forwarded(headers.get("forwarded", ""))
        common = _x_forwarded(headers)
        if standard and "x-forwarded-for" in headers:
            # They contradict each other: one of them is the client's own.
            if standard[-1].get("for") != common[-1].get("for"):
                return {}
            return {**self._outermost(common), **self._outermost(standard)}
        return self._outermost(standard or common)

    def _outermost(self, hops: Sequence[Hop]) -> Hop:
        outermost: Hop = {}
        for hop in reversed(hops):
            outermost = {**outermost, **hop}
            if not self._trusts(hop.get("for", "")):
                break
        return outermost


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _forwarded(header: str) -> Sequence[Hop]:
    """Return the hops of a ``Forwarded`` header; none if any part of it is malformed."""
    elements = _ELEMENTS.findall(header)
    # An unterminated quote, or text between the elements.
    if "".join(elements).count('"') % 2 or len(",".join(elements)) != len(header):
        return ()
    if not all(_ELEMENT.fullmatch(element) for element in elements):
        return ()
    return [_element(element) for element in elements]


def _element(element: str) -> Hop:
    pairs = {name.lower(): unquoted(value) for name, value in _PAIRS.findall(element)}
    if "for" in pairs:
        pairs["for"] = _address(pairs["for"])
    return {name: value for name, value in pairs.items() if name in {"for", "proto", "host"}}


def _x_forwarded(headers: Mapping[str, str]) -> Sequence[Hop]:
    """Return the hops of the ``X-Forwarded-`` headers; scheme and host are the last proxy's."""
    addresses = [_address(part) for part in headers.get("x-forwarded-for", "").split(",")]
    hops: list[dict[str, str]] = [{"for": address} if address else {} for address in addresses]
    for name in ("proto", "host"):
        last = headers.get(f"x-forwarded-{name}", "").rpartition(",")[2].strip()
        if last:
            hops[-1][name] = last
    return hops


def _address(node: str) -> str:
    """``"[2001:db8::7]:4711"`` → ``2001:db8::7``, ``203.0.113.7:80`` → ``203.0.113.7`` (RFC 7239, section 6)."""
    text = node.strip()
    with_port = _PORT.fullmatch(text)
    return (with_port[1] if with_port else text).strip("[]")
