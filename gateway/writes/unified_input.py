"""The arguments of mutations of unified types as those of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.errors import BadArgument, InvalidId
from gateway.operations.global_ids import parse_id
from gateway.operations.value_conversion import from_upstream
from gateway.planning.entity_lookups import id_key
from schema.catalog import Catalog
from schema.catalog.records import MutationField, Verb
from schema.writes.catalog import UNIQUE_BY
from schema.writes.unified import UnifiedWrites
from schema.writes.unified_inputs import UnusableInputError


def row_arguments(
    unified: UnifiedWrites, field: MutationField, arguments: Mapping[str, Any], catalog: Catalog
) -> Mapping[str, Any]:
    """Return coerced arguments as those of the mutation of the rows. Raises BadArgument, InvalidId."""
    try:
        return _row_arguments(unified, field, arguments, catalog)
    except UnusableInputError as error:
        raise BadArgument(str(error), hint=error.hint) from error


def _row_arguments(
    unified: UnifiedWrites, field: MutationField, arguments: Mapping[str, Any], catalog: Catalog
) -> Mapping[str, Any]:
    if field.verb in (Verb.CREATE, Verb.UPSERT):
        objects = arguments["input"]
        rows = unified.rows(field, objects) if field.many else unified.row(field, objects)
        names = arguments.get(UNIQUE_BY.name)
        own = {**arguments, "input": rows}
        return own if names is None else {**own, UNIQUE_BY.name: row_names(unified, field, names)}
    if field.many:
        items = [_item(unified, field, item, catalog) for item in arguments["input"]]
        return {**arguments, "input": items}
    return _item(unified, field, arguments, catalog)


def _item(
    unified: UnifiedWrites, field: MutationField, values: Mapping[str, Any], catalog: Catalog
) -> Mapping[str, Any]:
    """Return what names an object and its changes as what names its row and theirs."""
    own = {name: value for name, value in values.items() if name not in ("id", "patch")}
    own["key"] = key_of_id(catalog, field.csdl, values["id"])
    if field.verb is Verb.UPDATE:
        own["patch"] = unified.row(field, values["patch"])
    return own


def row_names(unified: UnifiedWrites, field: MutationField, names: Iterable[str]) -> list[str]:
    """Return names of fields of a unified type as those of its rows. Raises BadArgument."""
    inputs = unified.inputs_of(field)
    own: list[str] = []
    for name in names:
        item = inputs.get(name)
        if item is None or item.items or item.part or item.less is not None:
            raise BadArgument(f"{UNIQUE_BY.name}: {name} is no plain field of the input.")
        own.append(item.raw.name)
    return own


def key_of_id(catalog: Catalog, csdl: str, text: str) -> dict[str, Any]:
    """Return the key of the row behind an id, as an argument has it. Raises InvalidId."""
    name, values = parse_id(text, catalog.tag)
    info = catalog.object(csdl)
    if name != info.name:
        raise InvalidId(f"This id is not that of a row of {info.name}.", hint="Use its `id`.")
    key = id_key(info.key, values)
    return {
        part.name: value if part.value is None else from_upstream(part.value, value)
        for part, value in zip(info.key, key, strict=True)
    }
