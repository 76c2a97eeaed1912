"""Builds the payload of a mutation of rows: what its selection needs, and what became of each row."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.documents.collect_fields import Nodes
from gateway.operations.shapes import RowRequirements, Shaper
from schema.catalog.records import MutationField, PayloadRole, TypeKind
from schema.writes import Writes

from .outcome import Outcome, absent_outcome
from .payload import Payload, list_payload, row_payload, with_conflicts
from .payload_reader import PayloadReader, PayloadSelection
from .plan import RowsMutation


class PayloadBuilder:
    """Builds the payloads of one operation."""

    def __init__(self, writes: Writes, shaper: Shaper, reader: PayloadReader) -> None:
        self._writes = writes
        self._shaper = shaper
        self._reader = reader

    async def build(
        self, mutation: RowsMutation, selection: PayloadSelection, outcomes: Sequence[Outcome]
    ) -> Payload:
        """Return the payload of a mutation that was sent; its rows are read as far as they are selected."""
        outcomes = [await self._explain_conflict(outcome) for outcome in outcomes]
        rows = await self._reader.rows(selection, outcomes)
        if mutation.field.many:
            return list_payload(outcomes, rows)
        return row_payload(outcomes[0], rows[0])

    async def _explain_conflict(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the fields in which another writer's version of the row differs."""
        if not outcome.is_conflict:
            return outcome
        differences = await self._reader.differences(outcome.write)
        if differences is None:
            return absent_outcome(outcome)
        return with_conflicts(outcome, differences)

    def selection(self, key: str, nodes: Nodes, field: MutationField) -> PayloadSelection:
        """Return what the payload of a mutation selects of its rows; ``key`` is its response key."""
        set_name = "" if field.entity_set is None else field.entity_set.name
        result = self._writes.result(field)
        level = self._shaper.level(field.csdl) if field.csdl else None
        selects_rows = level is not None and self._collect(nodes, result.type_name, level)
        return PayloadSelection(key, nodes, set_name, level if selects_rows else None)

    def _collect(self, nodes: Nodes, type_name: str, level: RowRequirements) -> bool:
        """Add what a payload selects of its rows to their requirements; return whether it selects anything of them."""
        fields = self._writes.payload_of(type_name)
        selects_rows = False
        for same in self._shaper.selection.subfields(nodes, frozenset((type_name,))).values():
            field = fields.get(same[0].name.value)
            if field is None:
                continue
            if field.role is PayloadRole.RESULTS:
                inner = self._writes.name_of(TypeKind.PAYLOAD, level.info.csdl)
                selects_rows |= self._collect(same, inner, level)
            elif field.role in (PayloadRole.ROW, PayloadRole.RESULT):
                self._shaper.objects(same, level)
                selects_rows = True
            elif field.role is PayloadRole.ETAG:
                if level.info.etag is not None:
                    self._shaper.need(level, level.info.etag)
                selects_rows = True
        return selects_rows
