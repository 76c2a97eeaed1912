"""The parts of display values in the arguments of mutations: whether there are any, and their display values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from graphql import FieldNode, Node, ObjectFieldNode

from gateway.dimensions.formats import EnvironmentFormats
from gateway.dimensions.parts import LEDGER_TYPE, compose
from gateway.errors import BadArgument
from gateway.request import ValidOperation
from schema.catalog.display_values import DisplayValue
from schema.types.parts import ATTRIBUTES

_ENDING = "Parts"
"""Of the names of all fields with parts; what else is called so costs no more than a look."""


def takes_parts(operation: ValidOperation, names: Collection[str] = ()) -> bool:
    """Return whether an input of a mutation operation may have the parts of a display value.

    ``names`` are those of fields of unified types that are such parts.
    """
    # A walk over the whole document takes longer than to look for what must be in its text.
    text = operation.request.query
    is_written = _ENDING in text or any(name in text for name in names)
    places = (operation.operation,) if is_written else ()
    below = _all_below(*places, operation.request.variables)
    return any(_is_input(item, names) for item in below)


def selects_parts(operation: ValidOperation) -> bool:
    """Return whether the document of a mutation operation may select the parts of a display value."""
    if _ENDING not in operation.request.query:
        return False
    return any(map(_is_selection, _all_below(operation.document.node)))


def _is_input(item: object, names: Collection[str]) -> bool:
    if isinstance(item, Mapping):
        return any(
            key in names or (isinstance(value, Mapping) and str(key).endswith(_ENDING))
            for key, value in item.items()
        )
    if not isinstance(item, ObjectFieldNode):
        return False
    return item.name.value in names or item.name.value.endswith(_ENDING)


def _is_selection(item: object) -> bool:
    if not isinstance(item, FieldNode) or not item.name.value.endswith(_ENDING):
        return False
    below = () if item.selection_set is None else item.selection_set.selections
    return any(isinstance(field, FieldNode) and field.name.value in ATTRIBUTES for field in below)


def _all_below(*items: object) -> Iterator[object]:
    """Yield nodes of a document and values of variables, with all that is in them."""
    waiting: list[Any] = list(items)
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, Node):
            waiting.extend(getattr(item, name, None) for name in item.keys)


def display_value(
    parts: DisplayValue,
    values: Mapping[str, Any] | None,
    body: Mapping[str, Any],
    formats: EnvironmentFormats,
    what: str,
) -> str:
    """Return the display value of the parts in an input. Raises GatewayError.

    ``body``: what else the input sets, by column. ``what`` names the field in messages.
    """
    if parts.column.name in body:
        raise BadArgument(f"{what} and its display value are both set.", hint="Set one of them.")
    if values is None:
        return ""
    of_type = body.get(parts.account_type) if parts.account_type else LEDGER_TYPE
    of_ledger = None if of_type is None else of_type == LEDGER_TYPE
    if parts.format == "account":
        of_ledger = False
    return compose(values, parts.format, formats.require(), what, of_ledger=of_ledger)
