"""What one poll has found, and what its subscribers read of it together.

Ten thousand subscribers with one selection, the same variables and the same scope get the same bytes of one read. Those
of one scope who ask for different things at the same time are a group: their reads are shared as far as they can be
(``gateway.execution.shared_reads``). The answers live as long as somebody still has the changes before him.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.engine import Engine
from gateway.execution.shared_reads import ReadContext
from gateway.request import GraphQLRequest

from .changes import Change, Kind
from .operation import BATCH
from .start import ActiveSubscription

Results: TypeAlias = list[bytes]


@dataclass(frozen=True)
class Reader:
    """A subscription that reads the rows of changes."""

    begun: ActiveSubscription
    timeout: float | None

    @property
    def key(self) -> Hashable:
        """What those have in common who get the same results."""
        return self.timeout, *self.begun.reading

    @property
    def scope(self) -> Hashable:
        """What those have in common who may share upstream reads."""
        return self.begun.companies


@dataclass(eq=False)
class Part:
    """Changes whose rows are read at once, by readers of one scope."""

    start: int
    """Number of the first change in its poll."""
    changes: Sequence[Change]
    readers: list[Reader] = field(default_factory=list)
    _reads: tuple[Engine, ReadContext] | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of the rows that are there to be read."""
        return [change.id for change in self.changes if change.kind is not Kind.DELETED]

    def request(self, reader: Reader) -> GraphQLRequest:
        """Return the query of a reader for the rows."""
        return reader.begun.rows(self.ids, reader.timeout)

    def reads(self, engine: Engine) -> ReadContext | None:
        """Return what the readers share; None for an engine other than that of the first one."""
        if self._reads is None:
            requests = [self.request(r) for r in self.readers if r.begun.of.query]
            self._reads = engine, engine.shared_reads(requests)
        return self._reads[1] if self._reads[0] is engine else None


Read: TypeAlias = Callable[[Reader, Part], Awaitable[Results]]


class Batch(tuple[Change, ...]):
    """The changes of one poll, handed to all its subscribers."""

    def __init__(self, _changes: Iterable[Change]) -> None:
        super().__init__()
        self._answers: dict[tuple[int, Hashable], asyncio.Task[Results]] = {}
        self._groups: dict[Hashable, list[Reader]] = {}
        """Key of a reader → those who have begun to read with it."""
        self._open: dict[tuple[int, Hashable], Part] = {}
        """Parts that readers of a scope may still join."""

    async def results(self, reader: Reader, start: int, read: Read) -> Results:
        """Return the results for ``BATCH`` changes from ``start`` on, which are read once for all readers of one key.

        A reader who leaves does not end the read of the others. An error of the read is raised for each of them.
        """
        if (start, reader.key) not in self._answers:
            group = self._groups.get(reader.key)
            if group is None:
                self._join(reader, start, read)
            else:
                # Whoever is the first to need a later part begins it for the whole group.
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
        # The first of these tasks runs when all who were woken by the poll have joined.
        place = part.start, reader.scope
        if self._open.get(place) is part:
            del self._open[place]
        return await read(reader, part)

    def _changes(self, start: int) -> Sequence[Change]:
        return self[start : start + BATCH]


def _retrieved(task: asyncio.Task[Results]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
