"""Sends the writes of one operation, of which one has a file in the place of its stand-in."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from gateway.errors import BadArgument, NotSent, OutcomeUnknown
from gateway.odata.long_values import ValueReader, WrittenValue
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, WriteUpstream, whole_response


class FileWriter(PassingOn[WriteUpstream]):
    """Passes writes on. A stand-in is never sent: a body that does not have it exactly once is refused."""

    def __init__(self, upstream: WriteUpstream, file: WrittenValue) -> None:
        super().__init__(upstream)
        self._file = file

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Send a write as the upstream does; see ``WriteUpstream.write``. Raises BadArgument, NotSent."""
        text = self._file.text
        if text.has_begun or not text.is_in(request.body):
            raise BadArgument(
                "The file cannot be written by this request.",
                hint="Write it as base64, in a mutation.",
            )
        # The answer may have the new row, with the file in it.
        reader = ValueReader(self._file.name)
        request = structs.replace(request, sent_text=text, reader=reader)
        try:
            return await self._upstream.write(request, outcome_part, begins)
        except OutcomeUnknown as error:
            if text.is_complete or error.upstream_status is not None:
                raise
            raise NotSent(
                "Nothing was written: the file could not be sent to its end.",
                hint="Send it again.",
                detail=error.detail or error.message,
            ) from error
