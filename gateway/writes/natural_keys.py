"""Natural keys: properties by which a sender knows a row, whatever key the service gives it.

    uniqueBy                 named by the caller: every row must set them
    writes.natural_keys      named by the settings, else by the dialect's presets: rows that do not set them have none

The company is a part of each, if rows belong to one. A natural key is looked up with the caller's rights, so it holds
only columns that they see in plain: else ``uniqueBy`` is refused, and what the settings name does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import FieldNode, value_from_ast_untyped

from gateway.errors import BadArgument, Forbidden, UnsupportedQuery
from gateway.odata.dialect import Dialect
from gateway.planning.row_bounds import RowBounds
from gateway.request import ValidOperation
from schema.catalog.records import Field, FieldKind, InputField, MutationField, TypeKind, Verb
from schema.errors import did_you_mean
from schema.operators import WhereOperator
from schema.writes import Writes
from schema.writes.catalog import UNIQUE_BY

from .plan import NaturalKey


class NaturalKeys:
    """The natural keys of one schema; ``declared`` are those of the settings: entity set → properties."""

    def __init__(
        self, writes: Writes, dialect: Dialect, declared: Mapping[str, Sequence[str]]
    ) -> None:
        self._writes = writes
        self._dialect = dialect
        self._declared = {**dialect.natural_keys, **declared}

    def of(
        self, field: MutationField, arguments: Mapping[str, Any], bounds: RowBounds | None
    ) -> NaturalKey | None:
        """Return the natural key of the rows that a mutation creates; None if they have none.

        ``bounds`` are those of the caller's roles. Raises BadArgument, Forbidden or UnsupportedQuery for ``uniqueBy``.
        """
        if field.verb is not Verb.CREATE or field.entity_set is None:
            return None
        names = arguments.get(UNIQUE_BY.name)
        if names is None:
            return self._of_settings(field, field.entity_set.name, bounds)
        # An empty list creates in any case.
        return self._requested(field, field.entity_set.name, names, bounds) if names else None

    def _requested(
        self, field: MutationField, set_name: str, names: Sequence[str], bounds: RowBounds | None
    ) -> NaturalKey:
        if not self._writes.catalog.object(field.csdl).key:
            raise UnsupportedQuery(
                f"uniqueBy: rows of {set_name} have no key by which to read them."
            )
        inputs = self._inputs(field)
        for name in names:
            if not self._can_name_rows(inputs.get(name)):
                raise BadArgument(
                    f"uniqueBy: {name} is no plain field of a new row.{did_you_mean(name, inputs)}"
                )
        fields = [of for name in names if (of := inputs[name].of) is not None]
        hidden = [f.name for f in fields if bounds is not None and not bounds.shows(f, set_name)]
        if hidden:
            raise Forbidden(
                f"uniqueBy: the caller may not read all of {', '.join(hidden)}.",
                hint="Send an Idempotency-Key instead.",
            )
        return NaturalKey(self._with_company(field, fields), is_requested=True)

    def _of_settings(
        self, field: MutationField, set_name: str, bounds: RowBounds | None
    ) -> NaturalKey | None:
        names = self._declared.get(set_name)
        if not names or not self._writes.catalog.object(field.csdl).key:
            return None
        inputs = {i.of.source: i for i in self._inputs(field).values() if i.of is not None}
        if not all(self._can_name_rows(inputs.get(name)) for name in names):
            return None
        fields = [of for name in names if (of := inputs[name].of) is not None]
        if bounds is not None and not all(bounds.shows(f, set_name) for f in fields):
            return None
        return NaturalKey(self._with_company(field, fields))

    def _inputs(self, field: MutationField) -> Mapping[str, InputField]:
        """Return the fields that a new row may set."""
        return self._writes.inputs_of(self._writes.name_of(TypeKind.CREATE_INPUT, field.csdl))

    def _can_name_rows(self, item: InputField | None) -> bool:
        """Return whether rows can be found by a field."""
        of = None if item is None else item.of
        if of is None or of.kind is not FieldKind.VALUE or of.value is None or of.many:
            return False
        return of.value.is_enum or self._dialect.answers(of.value.edm, WhereOperator.EQ)

    def _with_company(self, field: MutationField, fields: Sequence[Field]) -> tuple[Field, ...]:
        info, company = self._writes.catalog.object(field.csdl), self._dialect.company_property
        own = () if company is None or not info.has_company else (info.by_source(company),)
        return tuple({f.source: f for f in (*own, *fields)}.values())


def unique_by(node: FieldNode, variables: Mapping[str, Any]) -> Any:
    """Return the value of the argument ``uniqueBy``; None if there is none."""
    argument = next((a for a in node.arguments or () if a.name.value == UNIQUE_BY.name), None)
    value = None if argument is None else value_from_ast_untyped(argument.value, dict(variables))
    # A single value stands for a list of one (GraphQL section 3.12).
    return [value] if isinstance(value, str) else value


def names_natural_key(node: FieldNode, variables: Mapping[str, Any]) -> bool:
    """Return whether a mutation has ``uniqueBy``: sent again, it finds what it has created."""
    return bool(unique_by(node, variables))


def is_repeatable(operation: ValidOperation) -> bool:
    """Return whether each mutation of an operation has ``uniqueBy``; fragments are not looked into."""
    variables = operation.request.variables
    return all(
        isinstance(node, FieldNode) and names_natural_key(node, variables)
        for node in operation.operation.selection_set.selections
    )
