"""An ``httpx.Request`` at a fiftieth of its cost: 2 µs instead of 100; and the response to it.

httpx parses the address and normalises the headers of every request. Ours are already as they go over the wire, and our
transport needs no more than that. So :class:`LazyRequest` initialises itself as httpx's request only if somebody reads
an attribute of it: another transport, a test, an ``httpx.Auth``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from .long_values import SentText

LONGEST = 65_536
"""Characters of an address that httpx accepts."""
_PLAIN = re.compile(rf"[!$-;=?-_a-z|~]{{1,{LONGEST}}}")
"""Addresses that httpx leaves as they are: no space, quotation mark, ``#``, ``<``, ``>``, brace or backtick."""


def normalize_address(address: str) -> str:
    """Return an absolute address as it goes over the wire. Raises httpx.InvalidURL."""
    return address if _PLAIN.fullmatch(address) else str(httpx.URL(address))


class LazyRequest(httpx.Request):
    """A request to an address that ``normalize_address`` returned.

    ``own_headers`` are all of its headers but those that HTTP itself requires (``Host``, ``Content-Length``).
    """

    sent_text: SentText | None = None
    """What is sent in the place of a part of the body."""

    def __init__(
        self,
        method: str,
        address: str,
        own_headers: Mapping[str, str],
        body: bytes | None,
        timeout: dict[str, float | None],
    ) -> None:
        self.method = method
        self.address = address
        self.own_headers = own_headers
        self.body = body
        self.extensions = {"timeout": timeout}
        self.is_initialized = False
        """Whether httpx's attributes exist; from then on they count, not ``own_headers`` and ``body``."""

    def __getattr__(self, name: str) -> Any:
        # Called for missing attributes only, so at the first read of one that httpx would have set.
        if self.is_initialized:
            raise AttributeError(name)
        self.is_initialized = True
        super().__init__(
            self.method,
            self.address,
            headers=self.headers_as_sent,
            content=self.body_as_sent,
            extensions=self.extensions,
        )
        return getattr(self, name)

    @property
    def body_as_sent(self) -> bytes | AsyncIterator[bytes] | None:
        """The body: its bytes, or what yields them while it is sent."""
        text, body = self.sent_text, self.body
        return body if text is None or body is None else text.body(body)

    @property
    def headers_as_sent(self) -> Mapping[str, str]:
        """The headers, with the length of a body that is not in memory as a whole if that is known."""
        text, body = self.sent_text, self.body
        length = None if text is None or body is None else text.length_of(body)
        return (
            self.own_headers
            if length is None
            else {**self.own_headers, "Content-Length": str(length)}
        )

    def set_header(self, name: str, value: str) -> None:
        """Set a header, whether the request is initialised or not."""
        if self.is_initialized:
            self.headers[name] = value
        else:
            self.own_headers = {**self.own_headers, name: value}


class LazyResponse(httpx.Response):
    """The response to a lazy request, likewise: its status, its header fields by lower-case name, and its stream.

    It initialises itself as httpx's response only if somebody reads another attribute of it.
    """

    def __init__(
        self,
        status_code: int,
        own_headers: Sequence[tuple[bytes, bytes]],
        stream: httpx.AsyncByteStream,
        request: httpx.Request,
        extensions: dict[str, Any],
    ) -> None:
        self.status_code = status_code
        self.own_headers = own_headers
        self.stream = stream
        self.extensions = extensions
        self.is_initialized = False
        self._sent = request
        # Plain, as every look into httpx's headers encodes a name and compares it with all others.
        self.headers = _by_name(own_headers)  # type: ignore[assignment] # has what is used of them

    def __getattr__(self, name: str) -> Any:
        # Called for missing attributes only, likewise.
        if self.is_initialized:
            raise AttributeError(name)
        self.is_initialized = True
        super().__init__(
            self.status_code,
            headers=list(self.own_headers),
            stream=self.stream,
            request=self._sent,
            extensions=self.extensions,
        )
        return getattr(self, name)


def _by_name(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by lower-case name; lines of the same name are joined (RFC 9110, section 5.2)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
