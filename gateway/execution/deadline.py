"""The time that an operation may take.

    reads            given up when the time is over
    a mutation       before its first write leaves: nothing is written
                     from then on: it goes on to its end, and is answered late

A write that is broken off leaves nobody who knows what became of it, and one that is left out leaves half of what
belongs together: a sales order without its lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.errors import DeadlineExceeded
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, WriteUpstream, whole_response

HINT = "Ask for less at a time, or allow more time: the header X-D365-Timeout, the setting operation_timeout."


class Deadline:
    """When an operation that starts now must be over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()

    @property
    def at(self) -> float:
        """The end, by the event loop's clock."""
        return self._started + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._loop.time() >= self.at

    def passed(self, said: str, requests: int = 0, rows: int = 0) -> DeadlineExceeded:
        """Return the error, with what was spent. ``said`` ends the sentence."""
        return DeadlineExceeded(
            f"The operation took longer than {self.seconds:g} seconds: {said}.",
            hint=HINT,
            seconds=self._loop.time() - self._started,
            requests=requests,
            rows=rows,
        )


class TimelyWriter:
    """Sends the writes of one operation: none where the first one's turn does not come in time, else all."""

    def __init__(self, upstream: WriteUpstream, deadline: Deadline) -> None:
        self.root = upstream.root
        self.unfinished = upstream.unfinished
        self.shutdown = upstream.shutdown
        self._upstream = upstream
        self._deadline = deadline
        self._has_begun = False

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a write as the upstream's client does.

        Raises DeadlineExceeded or NotSent where nothing was written, OutcomeUnknown where the gateway shuts down
        before the answer is there.
        """
        if not self._has_begun and self._deadline.is_over:
            raise self._missed()
        shutdown = self.shutdown
        until = None if self._has_begun else self._deadline.at
        limit = asyncio.timeout_at(until)
        with shutdown.pending(limit) as write:

            def begin() -> None:
                shutdown.check()
                self._has_begun = write.is_sent = True
                limit.reschedule(None)
                if begins is not None:
                    begins()

            try:
                async with limit:
                    return await self._upstream.write(request, outcome_part, begin)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise (shutdown.failure(write) or self._missed()) from error

    def _missed(self) -> DeadlineExceeded:
        return self._deadline.passed("nothing was written, for other requests took their time")
