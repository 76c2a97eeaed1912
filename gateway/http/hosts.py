"""Which ``Host`` a request may name (RFC 9110, section 7.2; 421: section 15.5.20).

A web page whose name its owner points to a loopback or internal address (DNS rebinding) is of the same origin as what
answers there: only its name tells that it is a stranger. Addresses and loopback names cannot be pointed elsewhere, so
they always pass; other names must be the one that is listened on, or be in ``allowed_hosts``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9a-fA-F:.%]+[0-9A-Za-z._~-]*\]|[0-9A-Za-z._~-]+)(:[0-9]{1,5})?")
_LOOPBACK = re.compile(r"(?:.+\.)?localhost")
_MOST = 1_000
"""Hosts whose verdict is remembered."""


class Hosts:
    """The names under which the gateway may be called."""

    def __init__(self, allowed: Iterable[str], *, listens_on: str) -> None:
        names = {name.lower().rstrip(".") for name in (*allowed, listens_on)}
        self._everything = "*" in names
        self._names = frozenset(name for name in names if "*" not in name)
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))
        self._known: dict[str, bool] = {}

    def allows(self, host: str) -> bool:
        """Return whether a ``Host`` header, with or without a port, addresses this gateway."""
        found = self._known.get(host)
        if found is None:
            found = self._checked(host)
            if len(self._known) < _MOST:
                self._known[host] = found
        return found

    def _checked(self, host: str) -> bool:
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
