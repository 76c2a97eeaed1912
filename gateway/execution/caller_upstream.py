"""The upstream of one operation that has its caller's identity: notes if the caller has to sign in for it.

Whatever the operation makes of that error, it is then answered as a whole by it (HTTP 401), as no part of it can be had
without signing in. Only an operation that has written something keeps its answer, which tells what was written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.errors import OutcomeUnknown, Unauthenticated
from gateway.identity.caller import Caller
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, PassingOn, Upstream, whole_response


class CallerIdentities(Protocol):
    """Where operations with the identity of their callers go."""

    def for_caller(self, caller: Caller) -> Upstream:
        """Return the upstream with a caller's identity."""
        ...

    def renew_caller(self, caller: Caller) -> None:
        """Take the newest token of a caller for what runs already."""
        ...


class CallerUpstream(PassingOn[Upstream]):
    """Passes everything on."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream)
        self._refusal: Unauthenticated | None = None
        self._may_have_written = False

    @property
    def refusal(self) -> Unauthenticated | None:
        """The error by which the whole operation is answered; None if it keeps its answer."""
        return None if self._may_have_written else self._refusal

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        """Return the answer to a read; see ``ReadUpstream.send``."""
        try:
            return await self._upstream.send(request, safe=safe)
        except Unauthenticated as error:
            self._refusal = error
            raise

    def note(self, refusal: Unauthenticated) -> None:
        """Note that a read of another operation of the caller, whose answer this one uses, was refused."""
        self._refusal = refusal

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        """Return the answer to a write; see ``WriteUpstream.write``."""
        try:
            response = await self._upstream.write(request, outcome_part, begins)
        except Unauthenticated as error:
            self._refusal = error
            raise
        except OutcomeUnknown:
            self._may_have_written = True
            raise
        self._may_have_written = True
        return response
