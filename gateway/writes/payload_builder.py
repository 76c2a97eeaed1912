"""Builds the payload of a mutation of rows: its rows, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schema.writes.unified import UnifiedWrites

from .outcome import Outcome, absent_outcome
from .payload import Payload, list_payload, row_payload, with_conflicts
from .payload_reader import PayloadReader, PayloadSelection
from .plan import RowsMutation
from .unified_words import UnifiedWords


class PayloadBuilder:
    """Builds the payloads of one operation."""

    def __init__(self, reader: PayloadReader, unified: UnifiedWrites | None = None) -> None:
        self._reader = reader
        self._unified = unified

    async def build(
        self,
        mutation: RowsMutation,
        selection: PayloadSelection,
        outcomes: Sequence[Outcome],
        together: Iterable[RowsMutation] = (),
    ) -> Payload:
        """Return the payload of a mutation that was sent; its rows are read as far as they are selected.

        ``together``: the mutations of its changeset, of which any may have rolled back its rows.
        """
        outcomes = [await self._explain_conflict(outcome) for outcome in outcomes]
        if self._unified is not None:
            own = self._words(mutation)
            outcomes = [self._in_words(outcome, own, together) for outcome in outcomes]
        rows = await self._reader.rows(selection, outcomes)
        verb = mutation.field.verb
        if mutation.field.many:
            return list_payload(outcomes, rows, verb)
        return row_payload(outcomes[0], rows[0], verb)

    def _words(self, mutation: RowsMutation | None) -> UnifiedWords | None:
        """Return the words of a mutation; None if it writes rows as they are."""
        if mutation is None or self._unified is None or not mutation.field.view:
            return None
        return UnifiedWords(self._unified, mutation.field)

    def _in_words(
        self, outcome: Outcome, own: UnifiedWords | None, together: Iterable[RowsMutation]
    ) -> Outcome:
        """Return an outcome in the words of its mutation, or of the one whose refusal rolled it back."""
        cause = outcome.because
        if cause is not None:
            others = (m for m in together if m.field.verb is cause.verb and _writes(m, cause.csdl))
            other = next(others, None)
            own = own if other is None else self._words(other)
        return outcome if own is None else own.outcome(outcome)

    async def _explain_conflict(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the fields in which another writer's version of the row differs."""
        if not outcome.is_conflict:
            return outcome
        differences = await self._reader.differences(outcome.write)
        if differences is None:
            return absent_outcome(outcome)
        return with_conflicts(outcome, differences)


def _writes(mutation: RowsMutation, csdl: str) -> bool:
    """Return whether a mutation writes rows of a type, or creates them below others."""
    below = (children.rows for write in mutation.writes for children in write.children)
    return mutation.field.csdl == csdl or any(row.csdl == csdl for rows in below for row in rows)
