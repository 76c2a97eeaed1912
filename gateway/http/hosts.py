"""Checks the ``Host`` of a request (RFC 9110, section 7.2; status 421: section 15.5.20).

It protects against DNS rebinding: an attacker's page whose name resolves to a loopback or internal address is of the
same origin as the gateway there, and only the name gives it away. Addresses and loopback names cannot be made to
resolve elsewhere, so they always pass. Other names must be the one that the gateway listens on, or in
``allowed_hosts``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9a-fA-F:.%]+[0-9A-Za-z._~-]*\]|[0-9A-Za-z._~-]+)(:[0-9]{1,5})?")
_LOOPBACK = re.compile(r"(?:.+\.)?localhost")
_MAX_CACHED = 1_000
"""Maximum hosts whose result is cached."""


class Hosts:
    """The host names that the gateway answers to."""

    def __init__(self, allowed: Iterable[str], *, listens_on: str) -> None:
        names = {name.lower().rstrip(".") for name in (*allowed, listens_on)}
        self._everything = "*" in names
        self._names = frozenset(name for name in names if "*" not in name)
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._cached: dict[str, bool] = {}

    def allows(self, host: str) -> bool:
        """Return whether a ``Host`` header, with or without a port, names this gateway."""
        is_allowed = self._cached.get(host)
        if is_allowed is None:
            is_allowed = self._check(host)
            # Clients choose these names, so the cache must not grow with them.
            if len(self._cached) < _MAX_CACHED:
                self._cached[host] = is_allowed
        return is_allowed

    def _check(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if parts is None:
            return False
        name = parts[1].lower().rstrip(".")
        if self._everything or name in self._names or _LOOPBACK.fullmatch(name):
            return True
        return name.endswith(self._suffixes) or is_address(name)


def is_address(name: str) -> bool:
    """Return whether a host is an IP address: ``127.0.0.1``, ``[::1]``."""
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the interface: ``127.0.0.1``, ``::1``, ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
