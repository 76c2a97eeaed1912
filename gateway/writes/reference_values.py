"""Holds the values of ``@valueFrom`` variables, which come in while an operation runs (``references``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gateway.documents.collect_fields import Nodes
from gateway.errors import GatewayError, UnsupportedQuery
from gateway.operations.global_ids import node_ids
from gateway.operations.value_conversion import from_upstream
from gateway.planning.row_bounds import RowBounds
from schema.catalog import Catalog
from schema.catalog.records import Field
from schema.unified.views import UnifiedField, ViewKind
from schema.writes.unified import UnifiedWrites

from .outcome import Outcome
from .plan import RowsMutation, RowWrite
from .references import Reference, uses_variable
from .success import json_object_of
from .unified_words import columns_of, value_of


class ReferenceValues:
    """The variables of one operation, those that the caller sent and those that its mutations fill in."""

    def __init__(
        self,
        catalog: Catalog,
        references: tuple[Reference, ...],
        variables: Mapping[str, Any],
        bounds: RowBounds | None = None,
        unified: UnifiedWrites | None = None,
    ) -> None:
        """``bounds``: those of the caller's roles, if there are any."""
        self._catalog = catalog
        self._unified = unified
        self._bounds = bounds
        self.references = references
        self.variables = dict(variables)

    def missing(self, nodes: Nodes) -> Reference | None:
        """Return a reference that a mutation uses and that has no value."""
        for reference in self.references:
            has_value = reference.variable in self.variables
            if not has_value and uses_variable(nodes[0], reference.variable):
                return reference
        return None

    def fields_of(self, key: str, mutation: RowsMutation) -> tuple[str, ...]:
        """Return the fields of the row of a mutation whose values variables take."""
        names = [reference.field for reference in self.references if reference.key == key]
        fields = self._view_fields(mutation)
        if fields is None:
            return tuple(names)
        # The key of a row is known in any case.
        views = (fields[name] for name in names if name in fields)
        return tuple(column for view in views for column in columns_of(view) or ())

    def _view_fields(self, mutation: RowsMutation) -> Mapping[str, UnifiedField] | None:
        """Return the fields of the unified type whose rows a mutation writes; None if it writes rows as they are."""
        view = mutation.field.view
        is_unified = bool(view) and self._unified is not None
        return self._unified.api.type(view).fields if is_unified and self._unified else None

    def record(self, key: str, mutation: RowsMutation, outcomes: Sequence[Outcome]) -> None:
        """Fill in the variables that refer to a mutation whose row was written."""
        if mutation.field.many or not outcomes[0].is_done:
            return
        write, there = outcomes[0].write, outcomes[0].row
        if there is not None:
            # What was sent is not in the row that was there before.
            write = replace(write, body=there, own={})
        row = json_object_of(outcomes[0].response) or {}
        for reference in self.references:
            if reference.key == key:
                value = self._field(mutation, write, reference.field, row)
                if value is not None:
                    self.variables[reference.variable] = value

    def record_planned(self, key: str, mutation: RowsMutation) -> None:
        """Fill in the variables that refer to a mutation that is still to be sent.

        Raises UnsupportedQuery if its own input does not hold the value.
        """
        for reference in self.references:
            if reference.key != key:
                continue
            write = None if mutation.field.many else mutation.writes[0]
            value = None if write is None else self._field(mutation, write, reference.field, {})
            if value is None:
                raise UnsupportedQuery(
                    f"${reference.variable}: {key} does not set {reference.field}, and in an @atomic"
                    " operation nothing is written before everything is sent.",
                    hint=f"Set {reference.field} in {key} (a number sequence must be manual then),"
                    " or leave out @atomic.",
                )
            self.variables[reference.variable] = value

    def _shows(self, write: RowWrite, field: Field) -> bool:
        """Return whether the caller sees a value of the upstream's answer, whatever the row has become.

        A value that does not show must not show where it is written to.
        """
        bounds = self._bounds
        if bounds is None or field in self._catalog.object(write.csdl).key:
            return True
        is_ruled = bounds.rule(write.csdl, write.entity_set) is not None
        return not is_ruled and bounds.shows(field, write.entity_set)

    def _sent(self, write: RowWrite, field: Field) -> Mapping[str, Any]:
        """Return what was sent, without the preset of a field that does not show."""
        bounds = self._bounds
        hides = bounds is not None and not bounds.shows(field, write.entity_set)
        return write.own if hides and write.own is not None else write.body

    def _field(
        self, mutation: RowsMutation, write: RowWrite, name: str, row: Mapping[str, Any]
    ) -> Any:
        """Return a field of what a mutation has written as the value of a variable; None if it is not known."""
        fields = self._view_fields(mutation)
        if fields is None:
            return self._value(write, name, row)
        field = fields.get(name)
        if field is None:
            return None
        if field.kind is ViewKind.ID:
            return self._id(write, row)
        columns = columns_of(field)
        if columns is None:
            return None
        return value_of(field, [self._value(write, column, row) for column in columns])

    def _id(self, write: RowWrite, row: Mapping[str, Any]) -> str | None:
        """Return the id of a written row; None if the service has not told its key."""
        info = self._catalog.object(write.csdl)
        # As the service spells it: it may fold the case of what was sent.
        values = [_first(part.source, row, write.body) for part in info.key]
        if None in values:
            return None
        return node_ids(self._catalog.tag)(info.name, *values)

    def _value(self, write: RowWrite, name: str, row: Mapping[str, Any]) -> Any:
        """Return a field of a written row as the value of a variable; None if it is not known.

        The caller's own value comes first, then that of the upstream's answer.
        """
        field = self._catalog.object(write.csdl).fields.get(name)
        if field is None or field.value is None:
            return None
        places = (
            self._sent(write, field),
            row if self._shows(write, field) else {},
            write.key_values,
        )
        raw = _first(field.source, *places)
        try:
            value = from_upstream(field.value, raw)
        except GatewayError:
            # The upstream's value is of no use, but the row is written all the same.
            return None
        is_text = isinstance(value, Decimal) or field.value.scalar == "Long"
        return str(value) if is_text and value is not None else value


def _first(source: str, *places: Mapping[str, Any]) -> Any:
    """Return the first value of a property that is not null."""
    return next((p[source] for p in places if p.get(source) is not None), None)
