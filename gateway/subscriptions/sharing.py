"""The changes of one poll, and the reads of their rows, which subscribers share.

Ten thousand subscribers with one selection, the same variables and the same scope get the same bytes of one read. Those
of one scope with different selections are a group: their reads are shared as far as possible
(``gateway.execution.shared_reads``). The answers are freed with the changes, when the last subscriber has read them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.changes.records import Kind
from gateway.engine import Engine
from gateway.execution.shared_reads import ReadContext
from gateway.request import GraphQLRequest

from .changes import Change
from .operation import BATCH
from .start import ActiveSubscription

Results: TypeAlias = list[bytes]


@dataclass(frozen=True)
class Reader:
    """A subscription, as the reader of the rows of changes."""

    subscription: ActiveSubscription
    timeout: float | None

    @property
    def key(self) -> Hashable:
        """The key that readers with the same results share."""
        return self.timeout, *self.subscription.reading

    @property
    def scope(self) -> Hashable:
        """The key that readers share whose upstream reads can be combined."""
        return self.subscription.companies, self.subscription.scope


@dataclass(eq=False)
class Part:
    """Up to ``BATCH`` changes, whose rows are read together by readers of one scope."""

    start: int
    """Index of its first change in the poll."""
    changes: Sequence[Change]
    readers: list[Reader] = field(default_factory=list)
    _reads: tuple[Engine, ReadContext] | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of the rows that were not deleted."""
        return [change.id for change in self.changes if change.kind is not Kind.DELETED]

    def request(self, reader: Reader) -> GraphQLRequest:
        """Return a reader's query for the rows."""
        return reader.subscription.rows(self.ids, reader.timeout)

    def reads(self, engine: Engine) -> ReadContext | None:
        """Return the reads that the readers share; None for another engine than the first reader's."""
        if self._reads is None:
            requests = [self.request(r) for r in self.readers if r.subscription.request.query]
            self._reads = engine, engine.reads.side_by_side(requests)
        return self._reads[1] if self._reads[0] is engine else None


Read: TypeAlias = Callable[[Reader, Part], Awaitable[Results]]


class Batch(tuple[Change, ...]):
    """The changes of one poll, for all its subscribers."""

    def __init__(self, _changes: Iterable[Change]) -> None:
        super().__init__()
        self._answers: dict[tuple[int, Hashable], asyncio.Task[Results]] = {}
        self._groups: dict[Hashable, list[Reader]] = {}
        """Key of a reader → the group that it reads with."""
        self._open: dict[tuple[int, Hashable], Part] = {}
        """Parts that more readers of the scope may join."""

    async def results(self, reader: Reader, start: int, read: Read) -> Results:
        """Return the results for ``BATCH`` changes from ``start`` on, which are read once for all readers with one key.

        A reader that leaves does not cancel the read of the others. An error of the read is raised for each of them.
        """
        if (start, reader.key) not in self._answers:
            group = self._groups.get(reader.key)
            if group is None:
                self._join(reader, start, read)
            else:
                # The first reader that needs a later part starts it for the whole group.
                part = Part(start, self._changes(start), group)
                for each in group:
                    self._begin(each, part, read)
        return await asyncio.shield(self._answers[start, reader.key])

    def _join(self, reader: Reader, start: int, read: Read) -> None:
        place = start, reader.scope
        part = self._open.get(place)
        if part is None:
            part = self._open[place] = Part(start, self._changes(start))
        part.readers.append(reader)
        self._groups[reader.key] = part.readers
        self._begin(reader, part, read)

    def _begin(self, reader: Reader, part: Part, read: Read) -> None:
        place = part.start, reader.key
        if place not in self._answers:
            task = self._answers[place] = asyncio.create_task(self._read(reader, part, read))
            task.add_done_callback(_retrieved)

    async def _read(self, reader: Reader, part: Part, read: Read) -> Results:
        # The event loop runs the first of these tasks after all readers that the poll woke have joined.
        place = part.start, reader.scope
        if self._open.get(place) is part:
            del self._open[place]
        return await read(reader, part)

    def _changes(self, start: int) -> Sequence[Change]:
        return self[start : start + BATCH]


def _retrieved(task: asyncio.Task[Results]) -> None:
    """Retrieve an error that no reader awaits any more, else asyncio would log it."""
    if not task.cancelled():
        task.exception()
