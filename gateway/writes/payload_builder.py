"""Builds the payload of a mutation of rows: its rows, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence

from schema.writes.unified import UnifiedWrites

from .outcome import Outcome, absent_outcome
from .payload import Payload, list_payload, row_payload, with_conflicts
from .payload_reader import PayloadReader, PayloadSelection
from .plan import RowsMutation
from .unified_input import with_unified_names


class PayloadBuilder:
    """Builds the payloads of one operation."""

    def __init__(self, reader: PayloadReader, unified: UnifiedWrites | None = None) -> None:
        self._reader = reader
        self._unified = unified

    async def build(
        self, mutation: RowsMutation, selection: PayloadSelection, outcomes: Sequence[Outcome]
    ) -> Payload:
        """Return the payload of a mutation that was sent; its rows are read as far as they are selected."""
        outcomes = [await self._explain_conflict(outcome) for outcome in outcomes]
        if mutation.field.view and self._unified is not None:
            field, unified = mutation.field, self._unified
            outcomes = [with_unified_names(unified, field, outcome) for outcome in outcomes]
        rows = await self._reader.rows(selection, outcomes)
        verb = mutation.field.verb
        if mutation.field.many:
            return list_payload(outcomes, rows, verb)
        return row_payload(outcomes[0], rows[0], verb)

    async def _explain_conflict(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the fields in which another writer's version of the row differs."""
        if not outcome.is_conflict:
            return outcome
        differences = await self._reader.differences(outcome.write)
        if differences is None:
            return absent_outcome(outcome)
        return with_conflicts(outcome, differences)
