"""Parts of display values: the columns that they need, their place in the answer, and what divides the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from gateway.dimensions.formats import EnvironmentFormats
from gateway.dimensions.parts import LEDGER_TYPE, Parts, divide
from gateway.documents.collect_fields import Nodes, Selection
from gateway.errors import UpstreamMalformed
from schema.catalog.display_values import DIMENSION, PARTS
from schema.catalog.records import Field, ObjectInfo

Divide = Callable[..., Parts | None]


class PartsShape(Struct, frozen=True):
    """The answer for the parts of a display value."""

    columns: tuple[Field, ...]
    """Of the display value, and of the type of the account if it depends on that."""
    fields: tuple[tuple[str, str, tuple[tuple[str, str], ...] | None], ...]
    """(response key, field name, those of a dimension)."""


def parts_shape(selection: Selection, nodes: Nodes, columns: tuple[Field, ...]) -> PartsShape:
    """Return the answer below the field nodes of the parts of a display value."""
    fields: list[tuple[str, str, tuple[tuple[str, str], ...] | None]] = []
    for key, own in selection.subfields(nodes, frozenset((PARTS,))).items():
        name, below = own[0].name.value, None
        if name == "dimensions":
            inner = selection.subfields(own, frozenset((DIMENSION,)))
            below = tuple((k, n[0].name.value) for k, n in inner.items())
        fields.append((key, name, below))
    return PartsShape(columns, tuple(fields))


def parts_columns(field: Field, info: ObjectInfo) -> tuple[Field, ...]:
    """Return the columns that the parts of a display value need: one or two."""
    assert field.parts is not None
    names = (field.parts.column.name, field.parts.account_type)
    return tuple(info.by_source(name) for name in names if name)


def divider(field: Field, formats: EnvironmentFormats) -> Divide:
    """Return what divides the values of a field's columns. It raises GatewayError."""
    assert field.parts is not None
    kind, may_be_masked = field.parts.format, field.parts.may_be_masked
    has_type, never = bool(field.parts.account_type), kind == "account"

    def parts_of(text: Any, account_type: Any = None) -> Parts | None:
        if text is None:
            return None
        if not isinstance(text, str):
            raise UpstreamMalformed("The upstream sent a display value that is not text.")
        of_ledger = not never and (not has_type or account_type == LEDGER_TYPE)
        return divide(
            text, kind, formats.require(), of_ledger=of_ledger, may_be_masked=may_be_masked
        )

    return parts_of
