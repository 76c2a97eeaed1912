"""The columns that `customFields` names, as the upstream does: those of a type that its caller sees."""

from __future__ import annotations

from collections.abc import Iterable

from schema.catalog.records import Field, FieldKind, ObjectInfo

Columns = tuple[tuple[str, Field | None], ...]
"""Names, each with its column if there is one."""


def custom_columns(info: ObjectInfo, names: Iterable[str]) -> Columns:
    """Return the columns of a type by their upstream names: plain values, as the caller sees them; None for others."""
    values = {f.source: f for f in info.fields.values() if f.kind is FieldKind.VALUE}
    return tuple((name, values.get(name)) for name in names)
