"""Events of HTTP requests, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class RequestServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An HTTP request of a client has ended."""

    method: str
    route: str
    """Its path, if that is an API's; else the first part of it."""
    status: int
    """0: the connection ended before there was one."""
    seconds: float
    is_stream: bool = False
    """Whether its answer was an event stream, which lasts as long as its client wants."""
