"""Rows that are written together: lists in changesets, a new row with rows below it, a whole operation.

F&O has no deep insert. A header with lines is one changeset where the caller gives the header's key; where a number
sequence gives it, the header goes first and the lines follow in one changeset, and if they are refused the header is
deleted again. Whatever happens is told: nothing stays half-written in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import UnsupportedQuery
from schema.fields import Verb

from .bind import Binder
from .exchange import Exchange, what_to_check
from .outcome import (
    OUTCOME_UNKNOWN,
    PARTLY_WRITTEN,
    ROLLED_BACK,
    Outcome,
    UserError,
    not_sent,
    rolled_back,
)
from .plan import RowsMutation, RowWrite
from .reading import Identity, Reading, identity
from .success import ENTITY_ID, json_object_of


class Groups:
    """Writes the rows of one operation in groups. ``size`` is the most rows of a changeset of a list."""

    def __init__(self, exchange: Exchange, binder: Binder, reading: Reading, size: int) -> None:
        self._exchange = exchange
        self._binder = binder
        self._reading = reading
        self._size = size

    async def mutation(self, mutation: RowsMutation) -> list[Outcome]:
        """Write a mutation's rows by themselves; outcomes in the order of the rows. Raises GatewayError before any."""
        if not mutation.field.many:
            return [await self._single(mutation.writes[0])]
        there = await self._there(mutation.writes)
        outcomes: list[Outcome] = []
        for group in self._grouped(mutation.writes):
            if any(o.cause is not None for o in outcomes):
                outcomes.extend(map(not_sent, group))
                continue
            writes, after = _settled(group, there)
            if len(writes) == 1:
                found = [await self._single(writes[0])]
            else:
                found = list(map(self._keyed, await self._exchange.together(writes)))
            if all(outcome.is_done for outcome in found):
                there = after
            outcomes.extend(found)
        return outcomes

    def _grouped(self, writes: Sequence[RowWrite]) -> Iterator[list[RowWrite]]:
        """Part a list into what is sent together; a row with rows below it goes by itself."""
        waiting: list[RowWrite] = []
        for write in writes:
            if waiting and (len(waiting) == self._size or write.children):
                yield waiting
                waiting = []
            waiting.append(write)
            if write.children:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    async def _there(self, writes: Sequence[RowWrite]) -> frozenset[Identity]:
        """Tell which of the rows to upsert are there, by one key batch. Raises GatewayError."""
        upserts = [w for w in writes if w.verb is Verb.UPSERT and w.key is not None]
        return await self._reading.existing(upserts) if upserts else frozenset()

    async def _single(self, write: RowWrite) -> Outcome:
        if not any(children.rows for children in write.children):
            return self._keyed(await self._exchange.one(write))
        if write.key is not None:
            group = self.with_children(write)
            return _header(await self._exchange.together(group))
        return await self._header_first(write)

    def _keyed(self, outcome: Outcome) -> Outcome:
        """Put in the key of a new row that the upstream gave: in the row, else in the header with its address."""
        write, response = outcome.write, outcome.response
        if write.key is not None or response is None:
            return outcome
        made = json_object_of(response) or {}
        try:
            key = self._binder.key_of_body(write.csdl, made)
        except (TypeError, ValueError):
            key = None  # its answer holds no such key
        for address in (response.headers.get(name) for name in ENTITY_ID):
            if key is None and address is not None:
                key = self._binder.key_of_address(write.csdl, address)
        return replace(outcome, write=replace(write, key=key))

    def with_children(self, write: RowWrite) -> list[RowWrite]:
        """Give a row whose key is known, and the rows below it as they are sent."""
        below = (self._binder.joined(children, write.body) for children in write.children)
        return [write, *(row for rows in below for row in rows)]

    async def _header_first(self, write: RowWrite) -> Outcome:
        header = self._keyed(await self._exchange.one(write))
        if not header.is_done:
            return header
        lines = self._lines(write, _known_of(header))
        if lines is None:
            return _partly(header, "its rows could not be joined to it: the answer lacks its key")
        outcomes = await self._exchange.together(lines)
        refused = _errors_of(outcomes)
        if not refused:
            return header
        if any(e.code == OUTCOME_UNKNOWN for e in refused):
            return _partly(header, "it is not known whether its rows were written", refused)
        return await self._taken_back(header, refused)

    def _lines(self, write: RowWrite, made: Mapping[str, Any]) -> list[RowWrite] | None:
        """Join the rows below to the row that was made; None where its answer lacks what joins them."""
        needed = {source for children in write.children for source, _ in children.join}
        if any(made.get(n) is None for n in needed):
            return None
        return [row for c in write.children for row in self._binder.joined(c, made)]

    async def _taken_back(self, header: Outcome, refused: Sequence[UserError]) -> Outcome:
        """Delete a header whose lines were refused, and tell what happened."""
        write = header.write
        if write.key is None:
            return _partly(header, "its key is not known, so that it was not deleted", refused)
        # Without an etag: lines touch their header (reference d365-odata 5.2), so its version may be another by now.
        taken = replace(write, verb=Verb.DELETE, body={}, children=())
        deleted = await self._exchange.one(taken)
        if deleted.is_done:
            because = "The row was created and deleted again: the rows below it were refused."
            back = rolled_back(header, because, cause=replace(header, errors=tuple(refused)))
            return replace(back, errors=(*refused, *back.errors))
        said = "; ".join(e.message for e in deleted.errors)
        if any(e.code == OUTCOME_UNKNOWN for e in deleted.errors):
            reason = f"it is not known whether it was deleted again: {said}"
            return replace(_partly(header, reason, refused), response=None)
        return _partly(header, f"it could not be deleted again: {said}", refused)

    # All or nothing

    async def atomic(self, by_key: Mapping[str, RowsMutation]) -> list[list[Outcome]]:
        """Write all mutations, by response key, in one changeset.

        Raises GatewayError where one cannot join, before any is sent.
        """
        mutations = list(by_key.values())
        joining = [[self._joinable(w) for w in mutation.writes] for mutation in mutations]
        self._binder.check_count(sum(len(group) for groups in joining for group in groups))
        writes = [w for mutation in mutations for w in mutation.writes]
        settled, _ = _settled(writes, await self._there(writes))
        flat = [row for write in settled for row in self.with_children(write)]
        owners = [
            key for key, groups in zip(by_key, joining, strict=True) for g in groups for _ in g
        ]
        found = await self._exchange.together(flat)
        outcomes = iter(_across(found, owners))
        return [
            [self._keyed(_header([next(outcomes) for _ in group])) for group in groups]
            for groups in joining
        ]

    def _joinable(self, write: RowWrite) -> list[RowWrite]:
        if any(c.rows for c in write.children) and write.key is None:
            raise UnsupportedQuery(
                f"{'.'.join(write.place)} cannot join the changeset: its key comes from a number"
                " sequence, and the rows below it need it.",
                hint="Give the key (the number sequence must be manual), or leave out @atomic.",
            )
        return self.with_children(write)


def _settled(
    writes: Sequence[RowWrite], there: frozenset[Identity]
) -> tuple[list[RowWrite], frozenset[Identity]]:
    """Decide for each upsert whether it updates or creates, and give which rows are there after all of it."""
    now, found = set(there), []
    for write in writes:
        row = identity(write)
        if write.verb is not Verb.UPSERT:
            found.append(write)
        elif row in now:
            found.append(replace(write, verb=Verb.UPDATE, body=write.change))
        else:
            found.append(replace(write, verb=Verb.CREATE))
        if write.verb is Verb.DELETE:
            now.discard(row)
        elif write.verb is not Verb.UPDATE:
            now.add(row)
    return found, frozenset(now)


def _known_of(made: Outcome) -> Mapping[str, Any]:
    """Return what is known of a new row: what was sent, its key, and the row in the answer."""
    key = {part.name: part.value.value for part in made.write.key or ()}
    return {**made.write.body, **key, **(json_object_of(made.response) or {})}


def _header(outcomes: Sequence[Outcome]) -> Outcome:
    """Give the outcome of a row with that of the rows below it."""
    return replace(outcomes[0], errors=_errors_of(outcomes))


def _across(outcomes: Sequence[Outcome], owners: Sequence[str]) -> list[Outcome]:
    """Name the mutation of the cause where it is another one than the row's: a path leads within one mutation only."""
    owner_of = {id(o.write): owner for o, owner in zip(outcomes, owners, strict=True)}
    return [
        outcome
        if outcome.because is None or owner_of[id(outcome.because)] == owner
        else _elsewhere(outcome, owner_of[id(outcome.because)])
        for outcome, owner in zip(outcomes, owners, strict=True)
    ]


def _elsewhere(outcome: Outcome, owner: str) -> Outcome:
    errors = (
        replace(
            e, message=f"{e.message} See {'.'.join((owner, *e.path))}.", path=outcome.write.place
        )
        for e in outcome.errors
    )
    return replace(outcome, errors=tuple(errors))


def _errors_of(outcomes: Sequence[Outcome]) -> tuple[UserError, ...]:
    """Return the errors of rows that were written together, one for each cause."""
    lost = next((o for o in outcomes if o.cause is not None), None)
    if lost is not None:
        return lost.errors
    errors = [e for o in outcomes for e in o.errors]
    reasons = [e for e in errors if e.code != ROLLED_BACK]
    return tuple(reasons or errors[:1])


def _partly(header: Outcome, reason: str, more: Sequence[UserError] = ()) -> Outcome:
    told = UserError(
        code=PARTLY_WRITTEN,
        message=f"The row was created, but {reason.rstrip('.')}. {what_to_check(header.write)}",
        path=header.write.place,
    )
    return replace(header, errors=(*more, told))
