"""Rows that are written together: lists in changesets, a new row with rows below it, a whole operation.

F&O has no deep insert. A header with lines is one changeset where the caller gives the header's key; where a number
sequence gives it, the header goes first and the lines follow in one changeset, and if they are refused the header is
deleted again. Whatever happens is told: nothing stays half-written in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import UnsupportedQuery
from schema.fields import Verb

from .bind import Binder
from .exchange import Exchange, what_to_check
from .outcome import (
    OUTCOME_UNKNOWN,
    PARTLY_WRITTEN,
    Outcome,
    UserError,
    rolled_back,
)
from .plan import RowsMutation, RowWrite
from .reading import Reading, identity, untyped_row


class Groups:
    """Writes the rows of one operation in groups. ``size`` is the most rows of a changeset of a list."""

    def __init__(self, exchange: Exchange, binder: Binder, reading: Reading, size: int) -> None:
        self._exchange = exchange
        self._binder = binder
        self._reading = reading
        self._size = size

    async def mutation(self, mutation: RowsMutation) -> list[Outcome]:
        """Write a mutation's rows by themselves; outcomes in the order of the rows."""
        if not mutation.field.many:
            return [await self._single(mutation.writes[0])]
        writes = await self.settled(mutation.writes)
        outcomes: list[Outcome] = []
        waiting: list[RowWrite] = []
        for write in writes:
            if write.children:
                outcomes.extend(await self._flush(waiting))
                outcomes.append(await self._single(write))
                continue
            waiting.append(write)
            if len(waiting) == self._size:
                outcomes.extend(await self._flush(waiting))
        outcomes.extend(await self._flush(waiting))
        return outcomes

    async def _flush(self, waiting: list[RowWrite]) -> list[Outcome]:
        writes = tuple(waiting)
        waiting.clear()
        if len(writes) < 2:
            return [await self._exchange.one(write) for write in writes]
        return await self._exchange.together(writes)

    async def settled(self, writes: Sequence[RowWrite]) -> list[RowWrite]:
        """Decide for each upsert whether it updates or creates: one key batch tells which rows are there."""
        upserts = [w for w in writes if w.verb is Verb.UPSERT and w.key is not None]
        there = await self._reading.existing(upserts) if upserts else frozenset()
        return [_settled(write, there) for write in writes]

    async def _single(self, write: RowWrite) -> Outcome:
        if not any(children.rows for children in write.children):
            return await self._exchange.one(write)
        if write.key is not None:
            group = self.with_children(write)
            return _header(await self._exchange.together(group))
        return await self._header_first(write)

    def with_children(self, write: RowWrite) -> list[RowWrite]:
        """Give a row whose key is known, and the rows below it as they are sent."""
        below = (self._binder.joined(children, write.body) for children in write.children)
        return [write, *(row for rows in below for row in rows)]

    async def _header_first(self, write: RowWrite) -> Outcome:
        header = await self._exchange.one(write)
        if not header.is_done or header.response is None:
            return header
        made = untyped_row(header.response)
        lines = self._lines(write, made)
        key = None if made is None else self._binder.key_of_body(write.csdl, made)
        if lines is None or made is None:
            return _partly(header, "its rows could not be joined to it: the answer lacks its key")
        outcomes = await self._exchange.together(lines)
        refused = [e for o in outcomes for e in o.errors]
        if not refused:
            return replace(header, write=replace(write, key=key))
        if any(e.code == OUTCOME_UNKNOWN for e in refused):
            return _partly(header, "it is not known whether its rows were written", refused)
        return await self._taken_back(replace(header, write=replace(write, key=key)), refused)

    def _lines(self, write: RowWrite, made: Any) -> list[RowWrite] | None:
        """Join the rows below to the row that was made; None where its answer lacks what joins them."""
        needed = {source for children in write.children for source, _ in children.join}
        if not isinstance(made, dict) or any(made.get(n) is None for n in needed):
            return None
        return [row for c in write.children for row in self._binder.joined(c, made)]

    async def _taken_back(self, header: Outcome, refused: list[UserError]) -> Outcome:
        """Delete a header whose lines were refused, and tell what happened."""
        write = header.write
        if write.key is None:
            return _partly(header, "its key is not known, so that it was not deleted", refused)
        # Without an etag: lines touch their header (reference d365-odata 5.2), so its version may be another by now.
        deleted = await self._exchange.one(replace(write, verb=Verb.DELETE, body={}, children=()))
        if not deleted.is_done:
            said = "; ".join(e.message for e in deleted.errors)
            return _partly(header, f"it could not be deleted again ({said})", refused)
        back = rolled_back(
            header, "The row was created and deleted again: the rows below it were refused."
        )
        return replace(back, errors=(*refused, *back.errors))

    # All or nothing

    async def atomic(self, mutations: Sequence[RowsMutation]) -> list[list[Outcome]]:
        """Write all mutations in one changeset. Raises UnsupportedQuery where one cannot join, before any is sent."""
        groups: list[list[list[RowWrite]]] = []
        for mutation in mutations:
            writes = await self.settled(mutation.writes)
            groups.append([self._joinable(write) for write in writes])
        flat = [row for groups_of in groups for group in groups_of for row in group]
        outcomes = iter(await self._exchange.together(flat))
        return [
            [_header([next(outcomes) for _ in group]) for group in groups_of]
            for groups_of in groups
        ]

    def _joinable(self, write: RowWrite) -> list[RowWrite]:
        if any(c.rows for c in write.children) and write.key is None:
            raise UnsupportedQuery(
                f"{'.'.join(write.place)} cannot join the changeset: its key comes from a number"
                " sequence, and the rows below it need it.",
                hint="Give the key (the number sequence must be manual), or leave out @atomic.",
            )
        return self.with_children(write)


def _settled(write: RowWrite, there: frozenset[tuple[Any, ...]]) -> RowWrite:
    if write.verb is not Verb.UPSERT:
        return write
    if identity(write) in there:
        return replace(write, verb=Verb.UPDATE, body=write.change)
    return replace(write, verb=Verb.CREATE)


def _header(outcomes: Iterable[Outcome]) -> Outcome:
    """Give the outcome of a row with that of the rows below it."""
    first, *below = outcomes
    errors = [e for o in below for e in o.errors if not _is_echo(e, first)]
    own = [e for e in first.errors if not errors or not _is_echo(e, first)]
    return replace(first, errors=(*own, *errors)) if errors or own else first


def _is_echo(error: UserError, first: Outcome) -> bool:
    """Whether an error only says that something else was refused."""
    return error.code == "ROLLED_BACK" and not first.is_done


def _partly(header: Outcome, reason: str, more: Sequence[UserError] = ()) -> Outcome:
    told = UserError(
        code=PARTLY_WRITTEN,
        message=f"The row was created, but {reason}. {what_to_check(header.write)}",
        path=header.write.place,
    )
    return replace(header, errors=(*more, told))
