"""The time that an operation may take.

    a query       is cancelled when the time is over
    a mutation    writes nothing if the time is over before its first write is sent
                  runs to its end once that is sent, and is answered late

The fate of a write that is cancelled is unknown, and a write that is left out leaves half of what belongs together: a
sales order without its lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.admission.work import wait_to_the_end
from gateway.errors import DeadlineExceeded
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, WriteUpstream, whole_response

HINT = "Ask for less at a time, or allow more time: the header X-D365-Timeout, the setting operation_timeout."


class Deadline:
    """When an operation that starts now must end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()
        """The beginning, by the event loop's clock."""

    @property
    def span(self) -> tuple[float, float]:
        """When it began, by the event loop's clock, and its seconds."""
        return self.began, self.seconds

    @property
    def at(self) -> float:
        """The end, in seconds of the event loop's clock."""
        return self.began + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self._loop.time() >= self.at

    def error(self, reason: str, requests: int = 0, rows: int = 0) -> DeadlineExceeded:
        """Return the error of an operation that took too long; ``reason`` ends its sentence.

        ``requests`` and ``rows`` are what it spent.
        """
        return DeadlineExceeded(
            f"The operation took longer than {self.seconds:g} seconds: {reason}.",
            hint=HINT,
            seconds=self._loop.time() - self.began,
            requests=requests,
            rows=rows,
        )


class TimelyWriter(PassingOn[WriteUpstream]):
    """Sends the writes of one operation: none if the first one's turn does not come in time, else all."""

    def __init__(self, upstream: WriteUpstream, deadline: Deadline) -> None:
        super().__init__(upstream)
        self._deadline = deadline
        self._has_begun = False

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a write as the upstream's client does.

        Raises DeadlineExceeded or NotSent if nothing was written, OutcomeUnknown if the gateway shuts down before
        the answer has come.
        """
        if not self._has_begun and self._deadline.is_over:
            raise self._too_late()
        shutdown = self.shutdown
        until = None if self._has_begun else self._deadline.at
        limit = asyncio.timeout_at(until)
        with shutdown.pending(limit) as write:

            def begin() -> None:
                shutdown.check()
                self._has_begun = write.is_sent = True
                wait_to_the_end()
                # From here on the write must not be cancelled.
                limit.reschedule(None)
                if begins is not None:
                    begins()

            try:
                async with limit:
                    return await self._upstream.write(request, outcome_part, begin)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise (shutdown.failure(write) or self._too_late()) from error

    def _too_late(self) -> DeadlineExceeded:
        return self._deadline.error("nothing was written, for other requests took their time")
