"""Requests with their absolute addresses and headers, which are the same each time a plan is run again."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import ref

from msgspec import Struct

from .lazy_request import normalize_address
from .query import Request

LONGEST = 2_000
"""Characters of an address; longer ones hardly come twice."""


class Addressed(Struct, frozen=True):
    """A request on its way to one service."""

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
        self._known: dict[int, tuple[ref[Request], Addressed]] = {}
        """By the id of the request, for as long as that lives: with a plan that comes again, or with one operation."""

    def of(self, request: Request) -> Addressed:
        """Return a request relative to the root with its address. Raises httpx.InvalidURL."""
        known = self._known.get(id(request))
        if known is not None and known[0]() is request:
            return known[1]
        own = {**self._headers, "Accept": "application/json", **request.headers}
        url = self._root + request.url
        absolute = Request(request.method, url, own, request.body, request.shown)
        made = Addressed(absolute, normalize_address(url), own)
        if len(url) <= LONGEST and request.body is None:
            self._remember(request, made)
        return made

    def _remember(self, request: Request, made: Addressed) -> None:
        known, key = self._known, id(request)

        def forget(reference: ref[Request]) -> None:
            # An id may be that of another request by now.
            if (current := known.get(key)) is not None and current[0] is reference:
                del known[key]

        known[key] = (ref(request, forget), made)
