"""Rows that are written together: lists in changesets, a new row with rows below it, a whole operation.

F&O has no deep insert. A header with lines is one changeset where the caller gives the header's key and the lines fit
into one; else the header goes first, and the lines follow (``header_first``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gateway.errors import UnsupportedQuery
from schema.catalog.records import Verb

from .binder import Binder
from .header_first import HeaderFirst
from .outcome import Outcome, not_sent, reasons_of
from .payload_rows import Identity, Reading, identity
from .plan import RowsMutation, RowWrite
from .sender import Exchange
from .success import ENTITY_ID, json_object_of


class Groups:
    """Writes the rows of one operation in groups. ``size`` is the most rows of a changeset of a list."""

    def __init__(self, exchange: Exchange, binder: Binder, reading: Reading, size: int) -> None:
        self._exchange = exchange
        self._binder = binder
        self._reading = reading
        self._size = size
        self._header_first = HeaderFirst(exchange, binder, size, self._keyed)

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
        below = sum(len(children.rows) for children in write.children)
        if write.key is not None and below <= self._size:
            group = self.with_children(write)
            return _header(await self._exchange.together(group))
        return await self._header_first.write(write)

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
        """Return a row whose key is known, and the rows below it as they are sent."""
        below = (self._binder.joined(children, write.body) for children in write.children)
        return [write, *(row for rows in below for row in rows)]

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


def _header(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a row with that of the rows below it."""
    return replace(outcomes[0], errors=reasons_of(outcomes))


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
