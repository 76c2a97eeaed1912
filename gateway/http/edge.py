"""Checks every request before routing: its ``Host``, and what trusted proxies say of its client.

root path ──▶ Host allowed? ──▶ trusted proxy? ──▶ forwarded host allowed? ──▶ routes
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from gateway.config.environment_models import PLACE
from gateway.config.settings import Settings
from gateway.events import Observer, RequestRefused
from gateway.identity.certificates import HEADER as CERTIFICATE

from .exchange import head_of
from .hidden_secrets import hide_secret
from .hosts import Hosts
from .proxies import Proxies
from .refusals import HttpError
from .request_audit import record_refusal
from .responses import send_body

HEALTH = frozenset({"/healthz", "/readyz"})
"""Answered whatever the host: orchestrators call an address, with any name."""
_CERTIFICATE = CERTIFICATE.encode()
_MAX_SHOWN = 100
"""Maximum characters of a refused host in the error message."""


class Edge:
    """The checks of one application."""

    def __init__(self, settings: Settings, observe: Observer) -> None:
        pattern = settings.environment_host
        of_environments = () if pattern is None else (pattern.replace(PLACE, "*"),)
        self._hosts = Hosts((*settings.allowed_hosts, *of_environments), listens_on=settings.host)
        self._proxies = Proxies(settings.trusted_proxies)
        self._root_path = settings.root_path
        self._reads_certificates = bool(settings.inbound.client_certificates)
        self._observe = observe

    def admit(self, scope: Scope) -> HttpError | None:
        """Complete the scope of a request; return an error if it is refused."""
        if self._root_path:
            scope["root_path"] = self._root_path
        route = route_of(scope)
        hide_secret(scope, route)
        is_health = route in HEALTH
        refused = None if is_health else self._misdirected(scope)
        if self._reads_certificates:
            self._drop_certificate(scope)
        if self._proxies and refused is None:
            original = scope["headers"]
            self._proxies.apply(scope)
            # A proxy has named another host.
            if scope["headers"] is not original and not is_health:
                refused = self._misdirected(scope)
        if scope.get("root_path"):
            scope["path"] = scope["root_path"] + route_of(scope)
        return refused

    def _drop_certificate(self, scope: Scope) -> None:
        """Remove the header with the client's certificate, unless a trusted proxy has sent it."""
        client = scope.get("client")
        if client is None or not self._proxies.trusts(client[0]):
            scope["headers"] = [
                (name, value) for name, value in scope["headers"] if name != _CERTIFICATE
            ]

    def _misdirected(self, scope: Scope) -> HttpError | None:
        hosts = head_of(scope).hosts
        if len(hosts) != 1:
            if not hosts and scope.get("http_version") == "1.0":  # which knows no Host
                return None
            return HttpError(400, "BAD_REQUEST", "A request must have exactly one Host header.")
        host = hosts[0].decode("latin-1")
        if self._hosts.allows(host):
            return None
        return HttpError(
            421,
            "MISDIRECTED_REQUEST",
            f"This gateway does not answer to the host {host[:_MAX_SHOWN]!r}.",
            "Add the name that clients use to allowed_hosts (D365_ALLOWED_HOSTS).",
        )

    async def refuse(self, refused: HttpError, scope: Scope, receive: Receive, send: Send) -> None:
        """Log and answer a refused request."""
        self._observe(
            RequestRefused(status=refused.status, code=refused.code, message=str(refused))
        )
        record_refusal(scope, refused.status, refused.code)
        await send_refusal(refused, scope, receive, send)


def route_of(scope: Scope) -> str:
    """Return the path below the root path, whether or not a proxy has removed that."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :] or "/"
    return path


async def send_refusal(refused: HttpError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request or a WebSocket handshake with an error in JSON."""
    status, body = refused.status, refused.answer.encode()
    fields = (
        (b"content-type", b"application/json; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *refused.fields,
    )
    if scope["type"] == "http":
        await send_body(send, status, body, fields)
        return
    # The handshake must be read before it is answered (ASGI extension "websocket.http.response").
    await receive()
    start = {"type": "websocket.http.response.start", "status": status, "headers": list(fields)}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})
