"""Writes entities as JSON in the three forms of ``odata.metadata`` (section 2.4).

Decimals are written as the exact text that is stored: orjson accepts it as a fragment.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from schema.model.records import short

from .options import Options
from .reading import Entity, Reader, Source
from .values import Field, Kind
from .world import World

LEVELS = ("minimal", "full", "none")
_PREFIXED = frozenset({Kind.DURATION, Kind.BINARY})
"""Kinds whose literals in URLs begin with their names: ``binary'AA=='``."""
_ANNOTATED = {
    Kind.DECIMAL: "#Decimal",
    Kind.MOMENT: "#DateTimeOffset",
    Kind.GUID: "#Guid",
    Kind.DATE: "#Date",
    Kind.TIME: "#TimeOfDay",
}


def etag(content: str) -> str:
    """Return the weak etag of ``'RecVersion,RecId;…'`` (section 5.2)."""
    return f'W/"{base64.b64encode(content.encode()).decode()}"'


def level_of(accept: str) -> str:
    """Return the metadata level that an Accept header requests."""
    for level in LEVELS:
        if f"metadata={level}" in accept.replace(" ", ""):
            return level
    return "minimal"


@dataclass(frozen=True)
class EntityWriter:
    """Writes the entities of one answer."""

    world: World
    reader: Reader
    root: str
    """Service root that contexts and links begin with."""
    level: str = "minimal"

    def rows(
        self, source: Source, entities: list[Entity], options: Options
    ) -> list[dict[str, Any]]:
        """Return entities of one source as JSON objects."""
        write = self._writer(source, options)
        return [write(entity) for entity in entities]

    def context(self, source: Source, options: Options, *, single: bool) -> str:
        """Return ``@odata.context``: ``…#CustomerGroups(dataAreaId)/$entity`` (sections 2.1 and 2.4)."""
        name = source.entity_set or short(source.type_name)
        selected = list(options.select)
        for expand in options.expand:
            if selected or expand.options.select:
                inner = ",".join(expand.options.select)
                selected.append(f"{expand.navigation}({inner})" if inner else expand.navigation)
        columns = f"({','.join(selected)})" if selected else ""
        return f"{self.root}/$metadata#{name}{columns}" + ("/$entity" if single else "")

    def _writer(self, source: Source, options: Options) -> Callable[[Entity], dict[str, Any]]:
        names = self.reader.names(source, options)
        types = source.storage.types
        by_type = [self._plan(t, source, names) for t in types]
        inner = {
            expand.navigation: self._writer(self._inner(source, expand.navigation), expand.options)
            for expand in options.expand
        }
        finops = self.world.finops
        with_tag = self.level != "none" and finops

        def write(entity: Entity) -> dict[str, Any]:
            cells = entity.cells
            row: dict[str, Any] = {}
            if with_tag:
                # Cells are _id, _tag, _type, then the values.
                row["@odata.etag"] = etag(cells[1])
            self._annotate(row, entity, source)
            for index, name, to_json in by_type[cells[2] if not finops else 0]:
                value = cells[index]
                row[name] = None if value is None else to_json(value)
            for name, child in entity.expanded.items():
                if name in entity.totals:
                    row[f"{name}@odata.count"] = entity.totals[name]
                row[name] = _children(child, inner[name])
            return row

        return write if self.level != "full" else self._full(write, source, names)

    def _inner(self, source: Source, navigation_name: str) -> Source:
        return self.reader.target(source, navigation_name)

    def _plan(
        self, row_type: str, source: Source, names: list[str]
    ) -> list[tuple[int, str, Callable[[Any], Any]]]:
        """Return (index of the cell, name, conversion) of the properties of a type."""
        fields = source.storage.fields
        own = self.world.fields_of(source.type_name if self.world.finops else row_type)
        return [
            (3 + at, name, fields[name].to_json) for at, name in enumerate(names) if name in own
        ]

    def _annotate(self, row: dict[str, Any], entity: Entity, source: Source) -> None:
        """Add the type of a row whose type is derived from that of its set."""
        if self.world.finops or self.level != "minimal":
            return
        row_type = source.storage.types[entity.cells[2]]
        if row_type != source.type_name:
            row["@odata.type"] = f"#{row_type}"

    def _full(
        self, write: Callable[[Entity], dict[str, Any]], source: Source, names: list[str]
    ) -> Callable[[Entity], dict[str, Any]]:
        fields = source.storage.fields
        navigations = self.world.navigations_of(source.type_name)

        def annotated(entity: Entity) -> dict[str, Any]:
            plain = write(entity)
            url = self.address(entity, source, names)
            row: dict[str, Any] = {"@odata.type": f"#{source.type_name}"}
            if url is not None:
                row["@odata.id"] = row["@odata.editLink"] = url
            for name, value in plain.items():
                note = _note(fields[name]) if name in fields else None
                if note is not None:
                    row[f"{name}@odata.type"] = note
                row[name] = value
            for name in navigations if url is not None else ():
                row[f"{name}@odata.associationLink"] = f"{url}/{name}/$ref"
                row[f"{name}@odata.navigationLink"] = f"{url}/{name}"
            return row

        return annotated

    def address(self, entity: Entity, source: Source, names: list[str]) -> str | None:
        """Return the canonical URL of an entity; None if its key was not selected."""
        key = self.world.model.key_of(source.type_name)
        if source.entity_set is None or not key or not set(key) <= set(names):
            return None
        fields = source.storage.fields
        parts = [key_literal(fields[k], entity.cells[3 + names.index(k)]) for k in key]
        named = ",".join(f"{k}={part}" for k, part in zip(key, parts, strict=True))
        return f"{self.root}/{source.entity_set}({parts[0] if len(parts) == 1 else named})"


def _children(child: Any, write: Callable[[Entity], dict[str, Any]]) -> Any:
    if isinstance(child, list):
        return [write(entity) for entity in child]
    return None if child is None else write(child)


def _note(field: Field) -> str | None:
    if field.kind is Kind.ENUM:
        return f"#{field.declared.type.name}"
    if field.kind is Kind.INTEGER:
        return "#Int64" if field.declared.type.name == "Edm.Int64" else None
    return _ANNOTATED.get(field.kind)


def key_literal(field: Field, stored: Any) -> str:
    """Return a stored key part as a literal in a URL."""
    if field.kind is Kind.TEXT:
        return quote("'" + str(stored).replace("'", "''") + "'", safe="'")
    if field.kind is Kind.ENUM:
        return f"{field.declared.type.name}'{field.to_json(stored)}'"
    if field.kind in _PREFIXED:
        return f"{field.kind.value}'{quote(str(stored), safe='')}'"
    return str(stored) if field.kind is Kind.DECIMAL else str(field.to_json(stored))
