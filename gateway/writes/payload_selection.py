"""Selects what the payload of a mutation needs of the rows that it writes."""

from __future__ import annotations

from gateway.documents.collect_fields import Nodes
from gateway.operations.shapes import RowRequirements, Shaper
from schema.catalog.records import MutationField, PayloadRole
from schema.unified.views import UnifiedType
from schema.writes import Writes

from .payload_reader import PayloadSelection


class PayloadSelector:
    """Reads the selections of one operation's payloads."""

    def __init__(self, writes: Writes, shaper: Shaper) -> None:
        self._writes = writes
        self._shaper = shaper

    def selection(self, key: str, nodes: Nodes, field: MutationField) -> PayloadSelection:
        """Return what the payload of a mutation selects of its rows; ``key`` is its response key."""
        set_name = "" if field.entity_set is None else field.entity_set.name
        result = self._writes.result(field)
        level = self._shaper.level(field.csdl) if field.csdl else None
        unified = self._writes.unified
        view = unified.api.type(field.view) if field.view and unified is not None else None
        selects_rows = level is not None and self._collect(nodes, result.type_name, level, view)
        return PayloadSelection(key, nodes, set_name, level if selects_rows else None)

    def _collect(
        self,
        nodes: Nodes,
        type_name: str,
        level: RowRequirements,
        view: UnifiedType | None = None,
    ) -> bool:
        """Add what a payload selects of its rows to their requirements; return whether it selects anything of them.

        ``view``: the rows are shown as objects of a unified type.
        """
        fields = self._writes.payload_of(type_name)
        selects_rows = False
        for same in self._shaper.selection.subfields(nodes, frozenset((type_name,))).values():
            field = fields.get(same[0].name.value)
            if field is None:
                continue
            if field.role is PayloadRole.RESULTS:
                inner = field.result.type_name
                selects_rows |= self._collect(same, inner, level, view)
            elif field.role in (PayloadRole.ROW, PayloadRole.RESULT):
                if view is None or self._shaper.views is None:
                    self._shaper.objects(same, level)
                else:
                    self._shaper.views.object(same, view, level)
                selects_rows = True
            elif field.role is PayloadRole.ETAG:
                if level.info.etag is not None:
                    self._shaper.need(level, level.info.etag)
                selects_rows = True
        return selects_rows
