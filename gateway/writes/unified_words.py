"""What is said of rows in the words of their unified type: errors, conflicts and values for later mutations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import BadArgument
from gateway.operations.view_values import difference, form_of, printed
from schema.catalog.records import MutationField, Verb
from schema.unified.api import UnifiedKind
from schema.unified.lookups import MissingError, operand_of
from schema.unified.views import UnifiedField, ViewKind
from schema.writes.unified import UnifiedWrites
from schema.writes.unified_inputs import WrittenField

from .outcome import Outcome, UserError
from .plan import Place

_PLACE = re.compile(r"\b(?:input|patch|key)(?:\.\w+|\[\d+\])+")
_PARTS = re.compile(r"[.\[\]]+")
_COMPOUND = re.compile(r"\b[a-z]+[A-Z]\w*\b")
"""A word that cannot be one of plain English: ``dataAreaId``."""


class UnifiedWords:
    """The words of one mutation of a unified type."""

    def __init__(self, unified: UnifiedWrites, field: MutationField) -> None:
        self._unified = unified
        self._bound = unified.api.type(field.view)
        self._names_row = field.verb in (Verb.UPDATE, Verb.DELETE)
        self._inputs = _by_column(unified.inputs_of(field))

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose errors name fields of the type, as far as it has them."""
        if not outcome.errors:
            return outcome
        return replace(outcome, errors=tuple(map(self._user_error, outcome.errors)))

    def _user_error(self, error: UserError) -> UserError:
        path, is_whole = self._path(error.path)
        conflicts = tuple(map(self._conflict, error.conflicts))
        field = path[-1] if error.field is not None and is_whole and path else None
        text = self.text(error.message)
        return replace(error, message=text, field=field, path=path, conflicts=conflicts)

    def _conflict(self, conflict: Mapping[str, Any]) -> Mapping[str, Any]:
        item = self._inputs.get(conflict["field"])
        if item is None:
            return conflict
        field = self._bound.fields[item.name]
        values = {
            name: conflict[name] if field.minus else _shown(field, conflict[name])
            for name in ("current", "sent")
        }
        return {"field": item.name, **values}

    def place(self, path: Place) -> Place:
        """Return a path in the arguments for the rows as one in those of the type, as far as there is one."""
        return self._path(path)[0]

    def _path(self, path: Place) -> tuple[Place, bool]:
        """Return the path, and whether it leads to the same place and not to one above."""
        own: list[str] = []
        inputs, is_row, above = self._inputs, True, ""
        for part in path:
            if part.isdecimal() or (part == "input" and not own):
                own.append(part)
            elif self._names_row and is_row and part == "key":
                return (*own, "id"), True
            elif self._names_row and is_row and part in ("patch", "ifMatch"):
                own.append(part)
                is_row = False
            elif part != "create":
                item = inputs.get(above + part)
                if item is None and any(name.startswith(f"{part}.") for name in inputs):
                    above = f"{part}."
                    continue
                above = ""
                if item is None:
                    return tuple(own), False
                own.append(item.name)
                is_row = False
                if item.items:
                    nested = self._unified.inputs(UnifiedKind.NESTED_INPUT, item.items)
                    inputs = _by_column(nested)
        return tuple(own), True

    def text(self, message: str) -> str:
        """Return a message that names places and fields of rows with those of the type."""

        def place(match: re.Match[str]) -> str:
            parts = [part for part in _PARTS.split(match[0]) if part]
            return ".".join(self.place(tuple(parts)))

        def name(match: re.Match[str]) -> str:
            item = self._inputs.get(match[0])
            return match[0] if item is None else item.name

        return _COMPOUND.sub(name, _PLACE.sub(place, message))

    def error(self, error: BadArgument) -> BadArgument:
        """Return an error of the arguments for the rows as one of those of the type."""
        renamed = error.fresh_copy()
        renamed.message = self.text(error.message)
        renamed.args = (renamed.message,)
        return renamed


def _by_column(inputs: Mapping[str, WrittenField]) -> dict[str, WrittenField]:
    """Return the fields of an input by the names of the row's fields that they write, or of parts of these."""
    parts = {f"{item.raw.name}.{item.part}": item for item in inputs.values() if item.part}
    whole = [item for item in inputs.values() if not item.part]
    named = {raw.name: item for item in whole for raw in item.written}
    # A field that is this column alone is closer than an amount that two columns give.
    return parts | named | {item.raw.name: item for item in whole if item.less is None}


def columns_of(field: UnifiedField) -> tuple[str, ...] | None:
    """Return the fields of the row that decide the value of a field; None if those of other rows do."""
    is_value = field.kind is ViewKind.VALUE and not (field.sum or field.many)
    if not is_value or any(column.steps for column in field.columns):
        return None
    return tuple(column.field.name for column in field.columns)


def value_of(field: UnifiedField, values: Sequence[Any]) -> Any:
    """Return the value of a field by those of its columns, as an argument of a mutation takes it."""
    if field.minus:
        amount = difference(*values)
        return None if amount is None else str(amount)
    return next(
        (v for v in (_shown(field, value) for value in values) if v is not None), field.empty
    )


def _shown(field: UnifiedField, value: Any) -> Any:
    """Return the value of a field by that of its column, as the row's own field shows it."""
    if value is None:
        return None
    if field.table is not None or field.otherwise is not None:
        return dict(_table(field)).get(value, field.otherwise)
    if field.convert is not None:
        return field.convert(value) if value else None
    column = field.columns[0].field.value
    assert column is not None
    form = form_of(column, field.type_name)
    if form == "member" and column.enum is not None:
        members = {shown: wire for wire, shown in column.enum.to_graphql.items()}
        return members.get(value, value)
    if form == "text":
        return value or None
    if form == "day":
        return value[:10]
    return printed(value) if form == "printed" else value


def _table(field: UnifiedField) -> Iterator[tuple[Any, str | None]]:
    """Yield the value of the row's field and that of the unified one."""
    column = field.columns[0].field.value
    assert column is not None
    for wire, unified in (field.table or {}).items():
        try:
            yield operand_of(column, wire), unified
        except MissingError:
            continue
