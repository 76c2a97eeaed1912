"""Writes rows with natural keys once: looks before it creates, and again if an answer was lost.

    there before                  answered as the row that is there, with all rows below it; nothing is created
    not there                     created
    its answer got lost           looked up at once, and once more after ``pause`` seconds:
        there                     created
        not there                 created once more, unless the service may still be at it (it gave no answer in time)
        that answer got lost      looked up twice again; not there: OUTCOME_UNKNOWN

What remains uncertain: a create that the service completes more than the pause after its connection broke. It is looked
for once more behind the second create, and said (PARTLY_WRITTEN), but not prevented; neither are two processes that
create the same row at the same moment, unless the service has a unique key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.errors import BadArgument, GatewayError
from gateway.odata.error_details import DUPLICATE_KEY

from .binder import Binder
from .changesets import ChangesetWriter
from .fresh_reads import forms_of
from .key_locks import one_at_a_time
from .outcome import (
    NOT_SENT,
    OUTCOME_UNKNOWN,
    PARTLY_WRITTEN,
    Outcome,
    UserError,
    rolled_back_outcome,
)
from .plan import KeyValues, NaturalKey, RowsMutation
from .row_lookup import RowLookup, Values
from .rows_below import RowsBelow
from .sender import WriteSender

_LOST = frozenset({OUTCOME_UNKNOWN, PARTLY_WRITTEN})


@dataclass(frozen=True, slots=True)
class NaturalKeyWriter:
    """Writes the mutations of one operation."""

    rows: ChangesetWriter
    lookup: RowLookup
    below: RowsBelow
    sender: WriteSender
    binder: Binder
    pause: float

    async def write(self, mutation: RowsMutation, fields: Sequence[str] = ()) -> list[Outcome]:
        """Write a mutation's rows, and return the outcome of each in their order.

        ``fields`` are those that must be known of a row that is there. Raises GatewayError only before anything is
        sent.
        """
        run = self._run(mutation, fields)
        if run is None:
            return await self.rows.write(mutation)
        async with one_at_a_time(run.locks):
            await run.look()
            await run.write(self.rows)
        return run.in_order()

    async def write_atomic(self, mutations: Mapping[str, RowsMutation]) -> list[list[Outcome]]:
        """Write all mutations, by response key, in one changeset.

        Raises GatewayError if one cannot join, before any is sent.
        """
        runs = {key: self._run(mutation, ()) for key, mutation in mutations.items()}
        keyed = [run for run in runs.values() if run is not None]
        if len(keyed) < len(runs) or not all(run.is_whole for run in keyed):
            # What of a changeset is there says nothing of the rest, unless all of it can be looked up.
            if any(run.natural.is_requested for run in keyed):
                raise BadArgument(
                    "uniqueBy: in an @atomic operation all rows need a natural key, or none.",
                    hint="Give every mutation uniqueBy, write the rows below a header with it, or send an"
                    " Idempotency-Key.",
                )
            return await self.rows.write_atomic(mutations)
        async with one_at_a_time(lock for run in keyed for lock in run.locks):
            return await self._write_atomic(mutations, keyed)

    async def _write_atomic(
        self, mutations: Mapping[str, RowsMutation], runs: Sequence[KeyedRows]
    ) -> list[list[Outcome]]:
        for run in runs:
            await run.look(completes=False)
        there = sum(len(run.outcomes) for run in runs)
        if there == sum(len(run.writes) for run in runs):
            return [run.in_order() for run in runs]
        if there:
            return _partly_there(runs)
        for repeats in (True, False):
            outcomes = await self.rows.write_atomic(mutations)
            for run, own in zip(runs, outcomes, strict=True):
                run.outcomes = dict(enumerate(own))
            if not all(map(is_lost, (o for own in outcomes for o in own))):
                return outcomes
            missing = [await run.settle(repeats=False) for run in runs]
            if not repeats or not all(missing) or self.sender.may_still_run:
                break
        return [run.in_order() for run in runs]

    def _run(self, mutation: RowsMutation, fields: Sequence[str]) -> KeyedRows | None:
        """Return the rows of a mutation with their natural keys; None if they have none."""
        natural = mutation.natural_key
        if natural is None:
            return None
        keys = [natural.values(write) for write in mutation.writes]
        own = self.lookup.info(mutation.field.csdl).fields
        columns = [own[name].source for name in fields if name in own]
        return KeyedRows(self, mutation, natural, keys, columns) if any(keys) else None


class KeyedRows:
    """The rows of one mutation with their natural keys, and what became of each so far."""

    def __init__(
        self,
        writer: NaturalKeyWriter,
        mutation: RowsMutation,
        natural: NaturalKey,
        keys: Sequence[KeyValues | None],
        columns: Sequence[str],
    ) -> None:
        self.natural = natural
        self.writes = mutation.writes
        self.outcomes: dict[int, Outcome] = {}
        self.is_whole = all(keys)
        """Whether each row has a natural key."""
        self._writer = writer
        self._mutation = mutation
        self._keys = {number: key for number, key in enumerate(keys) if key is not None}
        joins = (source for w in self.writes for c in w.children for source, _ in c.join)
        self._columns = tuple(dict.fromkeys((*columns, *joins)))
        insensitive = writer.binder.dialect.case_insensitive
        own = list(self._keys.values())
        forms = forms_of(natural.fields, own, case_insensitive=insensitive)
        self._forms = dict(zip(self._keys, forms, strict=True))

    @property
    def locks(self) -> list[Hashable]:
        """What two writes of the same rows have in common."""
        root, name = self._writer.sender.writer.root, self.writes[0].entity_set
        names = tuple(f.source for f in self.natural.fields)
        return [(root, name, names, form) for form in self._forms.values()]

    def in_order(self) -> list[Outcome]:
        """Return the outcomes of all rows."""
        return [self.outcomes[number] for number in range(len(self.writes))]

    # Before

    async def look(self, *, completes: bool = True) -> None:
        """Note which rows are there. Raises GatewayError."""
        self._refuse_repeated()
        numbers = [number for number in self._keys if number not in self.outcomes]
        self.outcomes.update(await self._there(numbers, is_new=False, completes=completes))

    def _refuse_repeated(self) -> None:
        """Refuse rows with the natural key of an earlier one of the list."""
        first: dict[Hashable, int] = {}
        for number, form in self._forms.items():
            place = first.setdefault(form, number)
            if place != number:
                at = ".".join(self.writes[place].place)
                message = f"Not written: {at} has the same {self.natural.describe()}."
                self.outcomes[number] = self._refused(number, message)

    def _refused(self, number: int, message: str) -> Outcome:
        write = self.writes[number]
        error = UserError(code=DUPLICATE_KEY, message=message, path=write.place)
        return Outcome(write=write, errors=(error,))

    async def _there(
        self, numbers: Sequence[int], *, is_new: bool, completes: bool = True
    ) -> dict[int, Outcome]:
        """Return the outcomes of those rows that are there. Raises GatewayError."""
        rows = await self._find(numbers)
        outcomes: dict[int, Outcome] = {}
        for number in numbers:
            found = rows[self._keys[number]]
            if len(found) > 1:
                message = (
                    f"{len(found):,} rows have this {self.natural.describe()}: nothing was written."
                )
                outcomes[number] = self._refused(number, message)
            elif found:
                write = self.writes[number]
                key = self._writer.binder.key_of_body(write.csdl, found[0])
                outcomes[number] = Outcome(
                    write=replace(write, key=key), row=found[0], is_new=is_new
                )
        there = [o.write for o in outcomes.values() if o.row is not None]
        trail = self._writer.sender.trail
        if trail is not None and there:
            await trail.close(trail.entries_of_existing(there))
        headers = [n for n, o in outcomes.items() if o.row is not None and o.write.has_rows_below]
        if headers:
            whole = await self._writer.below.complete(
                [outcomes[n] for n in headers], writes=completes
            )
            outcomes.update(zip(headers, whole, strict=True))
        return outcomes

    async def _find(self, numbers: Sequence[int]) -> Mapping[KeyValues, list[Values]]:
        if not numbers:
            return {}
        write = self.writes[0]
        return await self._writer.lookup.find(
            write.entity_set,
            write.csdl,
            self.natural.fields,
            [self._keys[number] for number in numbers],
            self._columns,
        )

    # Writes

    async def write(self, rows: ChangesetWriter) -> None:
        """Write the rows that are not there, and find out what became of those whose answer was lost."""
        pending = [n for n in range(len(self.writes)) if n not in self.outcomes]
        while pending:
            await self._send(pending, rows)
            lost = any(is_lost(self.outcomes[n]) for n in pending if n in self._keys)
            await self.settle(repeats=True)
            # What stood behind a lost answer in a list was not sent because of it.
            unsent = [n for n in pending if _is_unsent(self.outcomes[n])]
            pending = unsent if lost and not any(map(is_lost, self.outcomes.values())) else []

    async def _send(self, numbers: Sequence[int], rows: ChangesetWriter) -> None:
        writes = tuple(self.writes[number] for number in numbers)
        outcomes = await rows.write(RowsMutation(self._mutation.field, writes))
        self.outcomes.update(zip(numbers, outcomes, strict=True))

    async def settle(self, *, repeats: bool) -> bool:
        """Look for the rows whose answers were lost; return whether none of them is there.

        ``repeats``: they are created once more then, unless they may still come.
        """
        taken = [n for n in self._keys if _is_taken(self.outcomes[n])]
        lost = [n for n in self._keys if is_lost(self.outcomes[n])]
        if not (lost or taken):
            return False
        try:
            # Somebody else may have created the row since it was looked up, and the service has a unique key.
            self.outcomes.update(await self._there(taken, is_new=False))
            missing = await self._look_twice(lost)
            if missing and repeats:
                missing = await self._repeat(missing)
        except GatewayError:
            # What is known by now says that it is not known.
            return False
        for number in missing:
            self.outcomes[number] = _with_what_remains(self.outcomes[number], self._writer.pause)
        return bool(missing) and len(missing) == len(lost)

    async def _look_twice(self, numbers: Sequence[int]) -> list[int]:
        """Note which rows are there; return those that are not, also after a pause."""
        left = list(numbers)
        for pause in (0.0, self._writer.pause):
            if not left:
                break
            await asyncio.sleep(pause)
            self.outcomes.update(await self._there(left, is_new=True))
            left = [n for n in left if is_lost(self.outcomes[n]) and self.outcomes[n].row is None]
        return left

    async def _repeat(self, numbers: Sequence[int]) -> list[int]:
        """Create rows once more that are not there; return those of which that is not known again."""
        if self._writer.sender.may_still_run:
            return list(numbers)
        await self._send(numbers, self._writer.rows)
        lost = [n for n in numbers if is_lost(self.outcomes[n])]
        missing = await self._look_twice(lost) if lost else []
        taken = [n for n in numbers if _is_taken(self.outcomes[n])]
        self.outcomes.update(await self._there(taken, is_new=True))
        rows = await self._find([n for n in numbers if self.outcomes[n].is_done])
        for number in numbers:
            if self.outcomes[number].is_done and len(rows[self._keys[number]]) > 1:
                self.outcomes[number] = _twice(self.outcomes[number], self.natural)
        return missing


def is_lost(outcome: Outcome) -> bool:
    """Return whether it is not known what became of a row: not if something of it was refused."""
    codes = {error.code for error in outcome.errors}
    return bool(codes) and codes <= _LOST


def _is_unsent(outcome: Outcome) -> bool:
    return any(error.code == NOT_SENT for error in outcome.errors)


def _is_taken(outcome: Outcome) -> bool:
    is_refused = any(error.code == DUPLICATE_KEY for error in outcome.errors)
    # Not what was refused here, because of what was found.
    return is_refused and bool(outcome.problems) and outcome.row is None


def _with_what_remains(outcome: Outcome, pause: float) -> Outcome:
    message = (
        f"The row was not there {pause:g} seconds after the answer was lost, but may still come."
        " Send the mutation again later: it is looked up first."
    )
    errors = tuple(
        replace(e, message=f"{e.message} {message}") if e.code == OUTCOME_UNKNOWN else e
        for e in outcome.errors
    )
    return replace(outcome, errors=errors)


def _twice(outcome: Outcome, natural: NaturalKey) -> Outcome:
    message = (
        f"Two rows have this {natural.describe()}: the service completed the first create late,"
        " after it was sent once more. Delete one of them."
    )
    error = UserError(code=PARTLY_WRITTEN, message=message, path=outcome.write.place)
    return replace(outcome, errors=(error,))


def _partly_there(runs: Sequence[KeyedRows]) -> list[list[Outcome]]:
    """Return the outcomes of an operation of which some rows are there, and nothing was sent."""
    there = next(o for run in runs for o in run.outcomes.values())
    cause = there if there.errors else _in_the_way(there)
    return [
        [
            (outcome if outcome.errors else _in_the_way(outcome))
            if (outcome := run.outcomes.get(number)) is not None
            else rolled_back_outcome(
                Outcome(write=write),
                "Not written: another row of the operation is there.",
                cause=cause,
            )
            for number, write in enumerate(run.writes)
        ]
        for run in runs
    ]


def _in_the_way(outcome: Outcome) -> Outcome:
    message = "The row is there, and others of this @atomic operation are not: nothing was written."
    error = UserError(code=DUPLICATE_KEY, message=message, path=outcome.write.place)
    return replace(outcome, errors=(error,))
