"""Outlines a mutation operation before it runs: how many rows each mutation writes, and what it reads for its payload.

An outline is no binding: values are neither coerced nor checked, so that it costs little beside the writes themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from graphql import FieldNode, GraphQLError, OperationDefinitionNode
from graphql.utilities import value_from_ast_untyped
from msgspec import Struct

from gateway.documents.collect_fields import Nodes
from gateway.errors import GatewayError
from gateway.planning.plan import ReadPlan
from gateway.planning.planner import OperationPlanner
from schema.catalog import Catalog
from schema.catalog.records import MutationField, Verb
from schema.writes.unified import UnifiedWrites
from schema.writes.unified_inputs import UnusableInputError

from .payload_reader import PayloadSelection
from .plan import NaturalKey


class PayloadOutline(Struct, frozen=True):
    """What is read for a payload: by one plan after the write, or only what is below the rows of its answer."""

    fresh: ReadPlan
    answered: ReadPlan


class MutationOutline(Struct, frozen=True, kw_only=True):
    """One mutation of an operation."""

    field: MutationField
    rows: int = 1
    """Rows that it writes, without those below them."""
    below: tuple[int, ...] = ()
    """Rows that are created below each of them; empty if there are none at all."""
    has_keys: bool = True
    """Whether the caller names the keys of new rows, so that they can be written together with what is below them."""
    payload: PayloadOutline | None = None
    """None if nothing of a row is selected."""
    looked_up: int = 0
    """Rows that are looked up by their natural keys first."""
    is_ruled: bool = False
    """Whether the caller's roles have a rule for the rows, which is checked before and after the write."""


def with_defaults(
    operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the variables of an operation as they were sent, with the defaults of those that were not."""
    defaults = {
        name: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
        and (name := definition.variable.name.value) not in variables
    }
    return {**variables, **defaults} if defaults else variables


def outline_mutation(  # noqa: PLR0913 - all that an outline depends on
    field: MutationField,
    nodes: Nodes,
    variables: Mapping[str, Any],
    catalog: Catalog,
    company_property: str | None,
    payload: PayloadOutline | None,
    unified: UnifiedWrites | None = None,
    *,
    is_ruled: bool,
) -> MutationOutline:
    """Return the outline of a mutation with its variables as they were sent."""
    items = _input_rows(field, nodes[0], variables, unified)
    below = tuple(map(_rows_below, items))
    has_keys = True
    if field.csdl and field.verb is Verb.CREATE and items:
        key = [f.name for f in catalog.object(field.csdl).key if f.source != company_property]
        has_keys = all(name in items[0] for name in key)
    return MutationOutline(
        field=field,
        rows=len(items),
        below=below if any(below) else (),
        has_keys=has_keys,
        payload=payload,
        is_ruled=is_ruled,
    )


def rows_looked_up(
    field: MutationField,
    node: FieldNode,
    variables: Mapping[str, Any],
    key: NaturalKey,
    company_property: str | None,
    unified: UnifiedWrites | None = None,
) -> int:
    """Return how many rows of a mutation set all fields of a natural key; the company comes from the scope."""
    names = [f.name for f in key.fields if f.source != company_property]
    rows = _input_rows(field, node, variables, unified)
    # Each row must have it then; values of earlier mutations are not known yet.
    if key.is_requested:
        return len(rows)
    return sum(all(row.get(name) for name in names) for row in rows)


def _input_rows(
    field: MutationField,
    node: FieldNode,
    variables: Mapping[str, Any],
    unified: UnifiedWrites | None,
) -> list[Mapping[str, Any]]:
    """Return the rows of a mutation's input; one without values for a mutation that names a key, or calls."""
    is_call = field.operation is not None or field.service is not None
    argument = next((a for a in node.arguments or () if a.name.value == "input"), None)
    if is_call or argument is None:
        return [{}]
    value = value_from_ast_untyped(argument.value, dict(variables))
    # A single value stands for a list of one (GraphQL section 3.12).
    items = value if isinstance(value, list) else [value]
    rows: list[Mapping[str, Any]] = [item if isinstance(item, dict) else {} for item in items]
    if field.view and unified is not None and field.verb in (Verb.CREATE, Verb.UPSERT):
        # What is wrong with a value is said when the row is bound.
        with suppress(UnusableInputError):
            return unified.rows(field, rows)
    return rows


def _rows_below(row: Mapping[str, Any]) -> int:
    """Return the rows in ``{lines: {create: […]}}``."""
    nested = (value for value in row.values() if isinstance(value, dict))
    return sum(len(rows) for value in nested for rows in value.values() if isinstance(rows, list))


def payload_outline(
    selection: PayloadSelection, planner: OperationPlanner, bare: OperationPlanner
) -> PayloadOutline | None:
    """Return what is read for a payload; ``bare`` plans without ``$expand``."""
    level, name = selection.level, selection.set_name
    if level is None or not name:
        return None
    try:
        return PayloadOutline(planner.read_by_key(level, name), bare.read_by_key(level, name))
    except (GatewayError, GraphQLError):
        # What is wrong with a payload stops neither its own write nor those beside it, which have their price.
        return None
