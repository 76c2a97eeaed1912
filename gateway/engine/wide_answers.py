"""Answers whose rows go to the client while they are read, if a query is one long list (``execution.wide_lists``).

A list that was broken off is answered whole for some time, so that a client that repeats its request reads in words
what is wrong, and a part that the environment could not send is requested again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.completion import Completer
from gateway.events import Observer
from gateway.execution.fast_path import Slicing
from gateway.execution.plan_runner import PlanRunner
from gateway.execution.wide_lists import AnswerStream, WideList, is_wide
from gateway.failures import failure_answer
from gateway.odata.retry import remaining_time
from gateway.operations.raw_rows import RawRows
from gateway.planning.plan import ListRoot
from gateway.request import Answer, PlannedQuery

WHOLE_FOR = 300.0
"""Seconds for which a list that was broken off is answered whole."""
_MOST = 200
"""Lists that are remembered."""


class WideAnswers:
    """Answers the long lists of one engine."""

    def __init__(
        self,
        completer: Completer,
        slicing: Slicing,
        observe: Observer,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._completer = completer
        self._slicing = slicing
        self._observe = observe
        self._now = now
        self._broken: dict[int, float] = {}
        """Hash of what identifies a list → when it was broken off."""

    def suit(self, query: PlannedQuery) -> bool:
        """Return whether the rows of a query are to go to its client while they are read."""
        return (
            query.request.stream is not None
            and is_wide(query.prepared, query.roots)
            and self._completer.is_fast(query.prepared)
        )

    def tell_fields(
        self, query: PlannedQuery, fields: Callable[[], Sequence[tuple[bytes, bytes]]]
    ) -> None:
        """Let an answer that begins while its rows are read have these header fields."""
        if query.request.stream is not None and self.suit(query):
            query.request.stream.more_fields = fields

    async def answer(
        self, query: PlannedQuery, stream: AnswerStream, runner: PlanRunner
    ) -> Answer | None:
        """Write the rows of a query as they come, and return the rest of its answer; None if nothing was written.

        An answer that could not be completed has an error and no rest.
        """
        if not self.suit(query):
            return None
        root, identity = query.roots[0], _identity_of(query)
        assert isinstance(root, ListRoot)
        if self._now() - self._broken.get(identity, -WHOLE_FOR) < WHOLE_FOR:
            return None
        errors: list[dict[str, Any]] = []

        async def complete_part(
            rows: RawRows, start: int, error: Exception
        ) -> tuple[bytes, list[Any]]:
            self._completer.note_failure(error)
            text, decoded, found = await self._completer.complete_part(
                query, root, rows, start, runner
            )
            errors.extend(found)
            return text, decoded

        wide = WideList(query.prepared, root, runner.fetcher, self._slicing, stream, complete_part)
        try:
            rest = await wide.rest()
        except asyncio.CancelledError:
            # Nobody repeats what a client has left, but what took too long.
            if stream.has_begun and (remaining_time() or 0.0) <= 0:
                self._note(identity)
            raise
        except Exception as error:
            if not stream.has_begun:
                raise
            self._note(identity)
            # What it has read, sent and cost counts nevertheless.
            runner.fetcher.pages.rows_read += wide.uncounted
            failed = failure_answer(error, self._observe)
            failed.sent = stream.size
            return failed
        if rest is None:
            return None
        if runner.learns and root.plan.window is not None:
            root.shape.rows.learn(root.plan.window.size, wide.written)
        return Answer(errors=errors, rest=rest, sent=stream.size)

    def _note(self, identity: int) -> None:
        self._broken.pop(identity, None)
        while len(self._broken) >= _MOST:
            del self._broken[next(iter(self._broken))]
        self._broken[identity] = self._now()


def _identity_of(query: PlannedQuery) -> int:
    """Return what is equal for the same list with the same arguments."""
    request = query.request
    caller = request.caller.log_id
    return hash((request.query, repr(request.variables), request.companies, caller))
