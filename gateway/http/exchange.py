"""What the gateway's own server does for its application beyond ASGI, which takes a small request fewer steps.

    scope[EXCHANGE] ──▶ the body if it is there · a call if the client leaves · a response in one message

Behind other servers there is none, and the same is done by ASGI's messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol
from weakref import ref

from starlette.types import Scope

from gateway.telemetry.request_context import REQUEST_ID, TRACEPARENT

EXCHANGE = "d365.exchange"
"""Key of a scope with a weak reference to its ``Exchange``, which has the scope: each request would leave a cycle."""
WHOLE = "d365.body"
"""Key of a message ``http.response.start`` with the whole body: no other message follows."""

HEAD = "d365.head"
"""Key of a scope with the ``Head`` of its header fields, if those are still the ones that were received."""
_REQUEST_ID, _PARENT = REQUEST_ID.encode(), TRACEPARENT.encode()


class Head:
    """Header fields as they were received, and what they say: one for all equal heads in a row of a connection."""

    __slots__ = ("fields", "hosts", "parent", "raw", "request_id")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw
        self.fields = read_fields(raw)
        """Lower-case name → value."""
        self.hosts = [value for name, value in raw if name == b"host"]
        self.request_id: str | None = None
        self.parent: str | None = None
        """The client's place in a trace."""
        for name, value in raw:
            if name == _REQUEST_ID:
                self.request_id = value.decode("latin-1")
            elif name == _PARENT:
                self.parent = value.decode("latin-1")


def read_fields(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return header fields by lower-case name; lines of the same name are joined with commas."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def head_of(scope: Scope) -> Head:
    """Return what the header fields of a request say, which are read once."""
    head: Head | None = scope.get(HEAD)
    # A proxy's are others.
    if head is None or head.raw is not scope["headers"]:
        head = scope[HEAD] = Head(scope["headers"])
    return head


class Exchange(Protocol):
    """One request and its response."""

    def take_body(self) -> bytes | None:
        """Return the request's body, once; None if it has not arrived completely."""
        ...

    def watch(self, on_gone: Callable[[], None]) -> bool:
        """Call a function when the client leaves, until ``unwatch``; return whether that is noticed now."""
        ...

    def unwatch(self) -> None:
        """Call nothing any more."""
        ...


def exchange_of(scope: Scope) -> Exchange | None:
    """Return the exchange of a request; None if its server has none."""
    reference: ref[Exchange] | None = scope.get(EXCHANGE)
    return None if reference is None else reference()
