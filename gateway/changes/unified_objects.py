"""Reads the unified objects of changed rows: by the ids that an answer brings, for all that it selects of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from gateway.planning.entity_lookups import MAX_NODES

from .followed import UnifiedList
from .reading import RowError, RowReader
from .selection import rows_document
from .step import Step

_MODEL = "model"
_read_places = msgspec.json.Decoder(dict[str, list[Raw]]).decode


class ObjectReader(Struct, frozen=True):
    """Reads the objects of one feed."""

    of: UnifiedList
    rows: RowReader

    async def completed(self, step: Step) -> Step:
        """Return a step with the objects of its rows. Raises ReadFailed."""
        if not step.upserts or not self.rows.selection.objects:
            return step
        ids = [row.id for row in step.upserts]
        nodes: dict[str, list[Raw]] = {}
        errors: list[RowError] = [*step.errors]
        for start in range(0, len(ids), MAX_NODES):
            part = ids[start : start + MAX_NODES]
            for place, objects in (await self._read(part, start, errors)).items():
                nodes.setdefault(place, []).extend(objects)
        upserts = [
            replace(row, nodes={**row.nodes, **{p: objects[n] for p, objects in nodes.items()}})
            for n, row in enumerate(step.upserts)
        ]
        return replace(step, upserts=upserts, errors=errors)

    async def _read(
        self, ids: Sequence[str], start: int, errors: list[RowError]
    ) -> dict[str, list[Raw]]:
        """Return the objects of some rows by selection; ``start`` is the number of the first row of the step."""
        selection, core = self.rows.selection, self.rows.core
        (ids_,) = self.rows.free("ids")
        at = f"{self.of.by_id}(ids: ${ids_})"
        selected = replace(selection, rows=selection.objects)
        document = rows_document(selected, core, self.of.view.name, at)
        nodes = {place: [Raw(b"{}")] * len(ids) for place in document.empty}
        if not document.places:
            return nodes
        text = f"{_MODEL}: {self.of.model} {{ {document.text} }}"
        data, own = await self.rows.read(text, {ids_: list(ids)}, f"${ids_}: [ID!]!", document)
        for error in own:
            path = error.get("path") or []
            if len(path) > 2 and path[0] == _MODEL:
                errors.append((start + path[2], path[1], {**error, "path": path[3:]}))
        below = _read_places(data[_MODEL])
        return nodes | {place: below[place] for place in document.places}
