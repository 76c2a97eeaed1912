"""What an operation needs of the service: reads and writes, whoever carries them.

    ODataClient        sends them over the network
    Traced             notes what is sent, then passes it on
    TimelyWriter       lets no write leave after the deadline
    the fakes of explain answer without a service

Both protocols take requests whose URLs are relative to the service root, and raise errors of ``gateway.errors`` only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from gateway.shutdown import Shutdown

from .query import Request
from .response_check import Response

OutcomePart: TypeAlias = Callable[[Response], Response]
"""Returns the part of an answer that shows what happened: a ``$batch`` is answered with 200 whatever its parts are."""


def whole_response(response: Response) -> Response:
    """Return the answer itself: of anything but a ``$batch``, its own status shows what happened."""
    return response


class ReadUpstream(Protocol):
    """Where reads go."""

    root: str
    """Service root, without a slash at its end; next links are relative to it."""

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Return the answer to a read: 2xx, with the content that the request accepts.

        It is repeated after a failure if that does no harm: GET and HEAD are, others if ``safe`` says so. Raises
        AuthError or UpstreamError, UnsupportedQuery if the address is too long.
        """
        ...


class WriteUpstream(Protocol):
    """Where writes go."""

    root: str
    """Service root, without a slash at its end."""

    unfinished: set[asyncio.Task[Any]]
    """Mutations under way; the connections stay open until they have ended."""

    shutdown: Shutdown
    """Tells writes that the gateway is about to end."""

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = ...,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Return the service's answer to a write, whatever its status.

        It is sent again only if the service certainly did not process it. ``begins`` is called when its turn has come,
        just before it leaves; an error that it raises stops the write. Raises OutcomeUnknown if the answer was lost
        or does not show what was written; AuthError, UpstreamUnavailable, UpstreamTimeout or UpstreamThrottled if
        nothing was.
        """
        ...


class SharedAnswers(Protocol):
    """What the operations of an environment share of its answers: see ``gateway.cache``."""

    async def close(self) -> None:
        """Give up what is read in the background."""
        ...


class Upstream(ReadUpstream, WriteUpstream, Protocol):
    """Where both go: what an engine is given."""


_Upstream = TypeVar("_Upstream", bound=WriteUpstream)


class PassingOn(Generic[_Upstream]):
    """What stands before an upstream and has its properties."""

    def __init__(self, upstream: _Upstream) -> None:
        self.root = upstream.root
        self.unfinished: set[asyncio.Task[Any]] = upstream.unfinished
        self.shutdown: Shutdown = upstream.shutdown
        self._upstream = upstream
