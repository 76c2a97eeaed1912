"""Which addresses webhooks may be sent to that callers choose: https, a host that the settings allow, port 443.

Whoever registers a webhook chooses where the gateway connects to. So an address is read by a grammar that leaves no
room for two parsers to differ, and not repaired: no user, no other port, no IP address in any spelling. That the name
leads to an address on the internet is checked when a connection is opened (``gateway.webhooks.sending``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .environment_addresses import is_allowed

MAX_LENGTH = 1_000
_FLAGS = re.IGNORECASE | re.ASCII  # without ASCII, the Kelvin sign would be a k
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_REST = r"((?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
_PUBLIC = re.compile(rf"https://((?:{_LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9])(?::443)?{_REST}", _FLAGS)
"""The last label of a name begins with a letter, that of an IP address in any spelling (``0x7f.1``) with a digit."""
_PRIVATE = re.compile(
    rf"(https?)://({_LABEL}(?:\.{_LABEL})*)(:[0-9]{{1,5}})?{_REST}",
    _FLAGS,
)


def webhook_address(text: str, hosts: Iterable[str], private_hosts: Iterable[str]) -> str:
    """Return the address that a text names. Raises ValueError, which says what is accepted."""
    address = text.strip()
    if len(address) > MAX_LENGTH:
        raise ValueError(f"an address has at most {MAX_LENGTH:,} characters")
    private = _PRIVATE.fullmatch(address)
    if private is not None and is_private_host(private[2], private_hosts):
        scheme, host, port, rest = private.groups()
        return f"{scheme.lower()}://{host.lower()}{port or ''}{rest or '/'}"
    public = _PUBLIC.fullmatch(address)
    if public is None:
        raise ValueError(
            "expected an https:// address with a host name, such as https://app.example.com/changes"
        )
    host, rest = public[1].lower(), public[2] or "/"
    if not is_allowed(host, hosts):
        raise ValueError(f"the host {host} is not allowed (setting webhooks.hosts)")
    return f"https://{host}{rest}"


def is_private_host(host: str, private_hosts: Iterable[str]) -> bool:
    """Return whether a host is named itself: no pattern names one of the own network."""
    return host.lower() in private_hosts
