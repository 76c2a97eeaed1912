"""Requests with their absolute addresses and headers, which are the same each time a plan is run again."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .lazy_request import normalize_address
from .query import Request

MOST = 256
"""Requests that are remembered; then all are forgotten."""
LONGEST = 2_000
"""Characters of an address; longer ones hardly come twice."""


class Addressed(Struct, frozen=True):
    """A request on its way to one service."""

    relative: Request
    absolute: Request
    address: str
    """As it goes over the wire."""
    headers: Mapping[str, str]
    """All but those that each attempt has of its own."""


class AddressedRequests:
    """The requests to one service root, which ends with a slash."""

    def __init__(self, root: str, headers: Mapping[str, str]) -> None:
        """``headers``: of every request that does not say otherwise."""
        self._root = root
        self._headers = headers
        self._known: dict[int, Addressed] = {}

    def of(self, request: Request) -> Addressed:
        """Return a request relative to the root with its address. Raises httpx.InvalidURL."""
        known = self._known.get(id(request))
        # An id may be that of another request by now, unless that is remembered.
        if known is not None and known.relative is request:
            return known
        own = {**self._headers, "Accept": "application/json", **request.headers}
        url = self._root + request.url
        absolute = Request(request.method, url, own, request.body, request.shown)
        made = Addressed(request, absolute, normalize_address(url), own)
        if len(url) <= LONGEST and request.body is None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[id(request)] = made
        return made
