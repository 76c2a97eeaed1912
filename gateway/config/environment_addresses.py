"""Which addresses environments may have that are added at run time: https, a host that the settings allow, port 443.

    "https://Contoso.operations.dynamics.com"  →  "https://contoso.operations.dynamics.com/data"

Whoever adds an environment chooses where the gateway connects to, with a token. So an address is read by a grammar
that leaves no room for two parsers to differ, and not repaired: no user, no other port, no IP address in any spelling,
no escapes. That the name leads to a public IP address is checked when a connection is opened (``odata.own_origin``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

MAX_LENGTH = 300
_FLAGS = re.IGNORECASE | re.ASCII  # without ASCII, the Kelvin sign would be a k
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"https://((?:{_LABEL}\.)+[a-z][a-z0-9-]*[a-z0-9])(?::443)?(/.*)?", _FLAGS)
"""The last label of a name begins with a letter, that of an IP address in any spelling (``0x7f.1``) with a digit."""
_LOCAL = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?(/.*)?", _FLAGS)
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_FINOPS = re.compile(r"(?:[^.]+\.)+dynamics\.(?:com|us|cn)")
_ROOT = "/data"
"""Path of the service root of Finance & Operations. People copy the address of the web client, which has none."""
_EXAMPLE = "https://contoso.operations.dynamics.com/data"
LOGIN_HOSTS = frozenset(
    {
        "https://login.microsoftonline.com",
        "https://login.microsoftonline.us",
        "https://login.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
    }
)
"""https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud"""


def environment_address(text: str, allowed_hosts: Iterable[str]) -> str:
    """Return the service root that a text names. Raises ValueError, which says what is accepted."""
    address = text.strip()
    allowed = tuple(allowed_hosts)
    if len(address) > MAX_LENGTH:
        raise ValueError(f"an address has at most {MAX_LENGTH} characters")
    is_local, match = is_listed_loopback(address, allowed), _ADDRESS.fullmatch(address)
    if is_local:
        match = _LOCAL.fullmatch(address)
    if match is None:
        raise ValueError(f"expected an https:// address with a host name, such as {_EXAMPLE}")
    host, path = match[1].lower(), (match[2] or "").rstrip("/")
    if not is_local and not is_allowed(host, allowed):
        raise ValueError(f"the host {host} is not allowed (setting linking.allowed_hosts)")
    if not _PATH.fullmatch(path):
        raise ValueError(f"expected the path of a service root, as in {_EXAMPLE}")
    if not path and _FINOPS.fullmatch(host):
        path = _ROOT
    origin = origin_of(address) if is_local else f"https://{host}"
    return f"{origin}{path}"


def is_allowed(host: str, allowed_hosts: Iterable[str]) -> bool:
    """Return whether patterns allow a host: ``*.example.com`` does at any depth, ``*`` any name."""
    return any(
        pattern in ("*", host) or (pattern[0] == "*" and host.endswith(pattern[1:]))
        for pattern in allowed_hosts
    )


def is_listed_loopback(address: str, allowed_hosts: Iterable[str]) -> bool:
    """Return whether an address is of this machine, for a sandbox, and its host is listed itself.

    No pattern lists it: a gateway would then call whatever else runs beside it.
    """
    match = _LOCAL.fullmatch(address)
    return match is not None and match[1].lower() in allowed_hosts


def is_login_host(authority: str, own: str) -> bool:
    """Return whether credentials may be sent to a login host: it is Microsoft's, or that of the deployment."""
    return authority.rstrip("/") in {*LOGIN_HOSTS, own.rstrip("/")}


def origin_of(address: str) -> str:
    """``https://x.example/data`` → ``https://x.example``."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def is_own_scope(scope: str, address: str) -> bool:
    """Return whether tokens of a scope are for the environment itself: another one's must not be sent to it."""
    return origin_of(scope) == origin_of(address)
