"""The arguments of mutations of unified types as those of their rows, and errors of rows in terms of the types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gateway.errors import BadArgument, InvalidId
from gateway.operations.global_ids import parse_id
from gateway.operations.value_conversion import from_upstream
from gateway.planning.entity_lookups import id_key
from schema.catalog import Catalog
from schema.catalog.records import MutationField, Verb
from schema.unified.api import UnifiedKind
from schema.writes.catalog import UNIQUE_BY
from schema.writes.unified import UnifiedWrites, UnknownValueError

from .outcome import Outcome, UserError


def row_arguments(
    unified: UnifiedWrites, field: MutationField, arguments: Mapping[str, Any], catalog: Catalog
) -> Mapping[str, Any]:
    """Return coerced arguments as those of the mutation of the rows. Raises BadArgument, InvalidId."""
    try:
        return _row_arguments(unified, field, arguments, catalog)
    except UnknownValueError as error:
        raise BadArgument(str(error), hint=error.hint) from error


def _row_arguments(
    unified: UnifiedWrites, field: MutationField, arguments: Mapping[str, Any], catalog: Catalog
) -> Mapping[str, Any]:
    if field.verb is Verb.CREATE:
        row = unified.row(UnifiedKind.CREATE_INPUT, field.view, arguments["input"])
        names = arguments.get(UNIQUE_BY.name)
        own = {**arguments, "input": row}
        return own if names is None else {**own, UNIQUE_BY.name: row_names(unified, field, names)}
    others = {name: value for name, value in arguments.items() if name != "id"}
    patch = unified.row(UnifiedKind.PATCH, field.view, arguments["patch"])
    return {**others, "key": _key(field, arguments["id"], catalog), "patch": patch}


def row_names(unified: UnifiedWrites, field: MutationField, names: Iterable[str]) -> list[str]:
    """Return names of fields of a unified type as those of its rows. Raises BadArgument."""
    inputs = unified.inputs(UnifiedKind.CREATE_INPUT, field.view)
    own: list[str] = []
    for name in names:
        item = inputs.get(name)
        if item is None or item.items:
            raise BadArgument(f"{UNIQUE_BY.name}: {name} is no plain field of the input.")
        own.append(item.raw.name)
    return own


def _key(field: MutationField, text: str, catalog: Catalog) -> dict[str, Any]:
    """Return the key of the row behind an id, as an argument has it. Raises InvalidId."""
    name, values = parse_id(text, catalog.tag)
    info = catalog.object(field.csdl)
    if name != info.name:
        raise InvalidId(f"This id is not that of a row of {info.name}.", hint="Use its `id`.")
    key = id_key(info.key, values)
    return {
        part.name: value if part.value is None else from_upstream(part.value, value)
        for part, value in zip(info.key, key, strict=True)
    }


def with_unified_names(unified: UnifiedWrites, field: MutationField, outcome: Outcome) -> Outcome:
    """Return an outcome whose errors name fields of the unified type, as far as it has them."""
    if not outcome.errors:
        return outcome
    names = unified.unified_names(field)
    return replace(outcome, errors=tuple(_renamed(e, names) for e in outcome.errors))


def _renamed(error: UserError, names: Mapping[str, str]) -> UserError:
    path = tuple(names.get(part, part) for part in error.path if part != "create")
    field = None if error.field is None else names.get(error.field, error.field)
    conflicts = tuple(
        {**conflict, "field": names.get(conflict["field"], conflict["field"])}
        for conflict in error.conflicts
    )
    return replace(error, field=field, path=path, conflicts=conflicts)
