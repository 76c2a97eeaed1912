"""Writes rows in groups: lists in changesets, a new row with rows below it, a whole operation.

Rows of a list that have rows below them are written independently of each other (``bulk``).

F&O has no deep insert. A header with lines is one changeset if the caller sets the header's key and the lines fit into
one; else the header goes first, and the lines follow (``header_first``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gateway.errors import UnsupportedQuery
from schema.catalog.records import Verb

from .batch_sender import BatchSender
from .binder import Binder
from .bounds import FindExisting
from .bulk import BulkWriter
from .header_first import HeaderFirstWriter
from .outcome import Outcome, root_errors, unsent_outcome
from .plan import Identity, RowsMutation, RowWrite
from .success import ENTITY_ID, json_object_of


class ChangesetWriter:
    """Writes the rows of one operation in groups; ``size`` is the most rows of a list's changeset."""

    def __init__(
        self,
        sender: BatchSender,
        binder: Binder,
        find_existing: FindExisting,
        size: int,
        *,
        is_independent: bool,
    ) -> None:
        """``find_existing`` returns the rows that an upsert changes.

        ``is_independent``: the rows of a list are written by themselves, and not in changesets.
        """
        self._sender = sender
        self._binder = binder
        self._find_existing = find_existing
        self._size = size
        self._is_independent = is_independent
        self._header_first = HeaderFirstWriter(sender, binder, size, self.with_key)
        self._bulk = BulkWriter(
            sender, self._header_first, size, self._with_children, self.with_key
        )

    async def write(self, mutation: RowsMutation) -> list[Outcome]:
        """Write a mutation's rows, and return the outcome of each in their order.

        Raises GatewayError only before anything is sent.
        """
        if not mutation.field.many:
            return [await self._write_row(mutation.writes[0])]
        existing = await self._existing(mutation.writes)
        if self._goes_in_batches(mutation.writes):
            return await self._bulk.write(_resolve_upserts(mutation.writes, existing)[0])
        outcomes: list[Outcome] = []
        for group in self._groups(mutation.writes):
            # A refused row does not stop the list, but an upstream that fails does.
            if any(o.cause is not None for o in outcomes):
                outcomes.extend(map(unsent_outcome, group))
                continue
            writes, existing_after = _resolve_upserts(group, existing)
            if len(writes) == 1:
                results = [await self._write_row(writes[0])]
            else:
                results = list(map(self.with_key, await self._sender.write_changeset(writes)))
            # A changeset that was refused wrote nothing: the same rows exist as before it.
            if all(outcome.is_done for outcome in results):
                existing = existing_after
            outcomes.extend(results)
        return outcomes

    def _goes_in_batches(self, writes: Sequence[RowWrite]) -> bool:
        """Return whether the rows of a list are written independently of each other, in few requests if they may."""
        if len(writes) < 2:
            return False
        shares = self._sender.batch_size > 1 and any(write.has_rows_below for write in writes)
        return self._is_independent or shares

    def _groups(self, writes: Sequence[RowWrite]) -> Iterator[list[RowWrite]]:
        """Yield the parts of a list that are sent together; a row with rows below it is one by itself."""
        group: list[RowWrite] = []
        for write in writes:
            if group and (len(group) == self._size or write.children):
                yield group
                group = []
            group.append(write)
            if write.children:
                yield group
                group = []
        if group:
            yield group

    async def _existing(self, writes: Sequence[RowWrite]) -> frozenset[Identity]:
        """Return which of the rows to upsert exist, by one key batch. Raises GatewayError."""
        upserts = [w for w in writes if w.verb is Verb.UPSERT and w.key is not None]
        return await self._find_existing(upserts) if upserts else frozenset()

    async def _write_row(self, write: RowWrite) -> Outcome:
        """Write a row, with the rows below it."""
        if not write.has_rows_below:
            return self.with_key(await self._sender.write_row(write))
        below = sum(len(children.rows) for children in write.children)
        if write.key is not None and below <= self._size:
            group = self._with_children(write)
            return _header_outcome(await self._sender.write_changeset(group))
        return await self._header_first.write(write)

    def with_key(self, outcome: Outcome) -> Outcome:
        """Return an outcome with the key that the upstream gave a new row, as its answer tells it.

        The row in the answer comes first, then the header with its address.
        """
        write, response = outcome.write, outcome.response
        if write.key is not None or response is None:
            return outcome
        row = json_object_of(response) or {}
        try:
            key = self._binder.key_of_body(write.csdl, row)
        except (TypeError, ValueError):
            # The row holds values that are no key of this type.
            key = None
        for address in (response.headers.get(name) for name in ENTITY_ID):
            if key is None and address is not None:
                key = self._binder.key_of_address(write.csdl, address)
        return replace(outcome, write=replace(write, key=key))

    def _with_children(self, write: RowWrite) -> list[RowWrite]:
        """Return a row whose key is known, and the rows below it as they are sent."""
        below = (self._binder.joined(children, write.body) for children in write.children)
        return [write, *(row for rows in below for row in rows)]

    async def write_atomic(self, mutations: Mapping[str, RowsMutation]) -> list[list[Outcome]]:
        """Write all mutations, by response key, in one changeset.

        Raises GatewayError if one cannot join, before any is sent.
        """
        # Key → for each of its rows, the row and the rows below it.
        groups = {key: list(map(self._join, m.writes)) for key, m in mutations.items()}
        owners = [key for key, own in groups.items() for group in own for _ in group]
        self._binder.check_count(len(owners))
        writes = [write for mutation in mutations.values() for write in mutation.writes]
        resolved, _ = _resolve_upserts(writes, await self._existing(writes))
        flat = [row for write in resolved for row in self._with_children(write)]
        outcomes = iter(_name_causes(await self._sender.write_changeset(flat), owners))
        return [
            [self.with_key(_header_outcome([next(outcomes) for _ in group])) for group in own]
            for own in groups.values()
        ]

    def _join(self, write: RowWrite) -> list[RowWrite]:
        if write.has_rows_below and write.key is None:
            raise UnsupportedQuery(
                f"{'.'.join(write.place)} cannot join the changeset: its key comes from a number"
                " sequence, and the rows below it need it.",
                hint="Set the key (the number sequence must be manual), or leave out @atomic.",
            )
        return self._with_children(write)


def _resolve_upserts(
    writes: Sequence[RowWrite], existing: frozenset[Identity]
) -> tuple[list[RowWrite], frozenset[Identity]]:
    """Return the writes with each upsert as an update or a create, and which rows exist after all of them."""
    rows, resolved = set(existing), []
    for write in writes:
        row = write.identity
        if write.verb is not Verb.UPSERT:
            resolved.append(write)
        elif row in rows:
            resolved.append(replace(write, verb=Verb.UPDATE, body=write.change))
        else:
            resolved.append(replace(write, verb=Verb.CREATE))
        if write.verb is Verb.DELETE:
            rows.discard(row)
        elif write.verb is not Verb.UPDATE:
            rows.add(row)
    return resolved, frozenset(rows)


def _header_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a row together with that of the rows below it."""
    return replace(outcomes[0], errors=root_errors(outcomes))


def _name_causes(outcomes: Sequence[Outcome], owners: Sequence[str]) -> list[Outcome]:
    """Return the outcomes; one whose cause is a row of another mutation names that mutation.

    ``owners`` are the response keys of the rows. The path of an error leads within one mutation only, so the other
    one stands in the message.
    """
    owner_of = {id(o.write): owner for o, owner in zip(outcomes, owners, strict=True)}
    return [
        outcome
        if outcome.because is None or owner_of[id(outcome.because)] == owner
        else _caused_elsewhere(outcome, owner_of[id(outcome.because)])
        for outcome, owner in zip(outcomes, owners, strict=True)
    ]


def _caused_elsewhere(outcome: Outcome, owner: str) -> Outcome:
    errors = (
        replace(
            e, message=f"{e.message} See {'.'.join((owner, *e.path))}.", path=outcome.write.place
        )
        for e in outcome.errors
    )
    return replace(outcome, errors=tuple(errors))
