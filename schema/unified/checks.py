"""Checks what the types of mapping files refer to: joins, types, enum values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schema.errors import did_you_mean

from .fields import SCALARS
from .records import EnumSpec, FieldSpec, JoinSpec, TypeSpec

Problem = tuple[tuple[str, ...], str]
"""Keys below the type, and what is wrong there."""


def type_problems(
    spec: TypeSpec, types: Mapping[str, TypeSpec], enums: Mapping[str, EnumSpec]
) -> Iterator[Problem]:
    """Yield what is wrong with a type."""
    for join in spec.joins.values():
        yield from (
            (("joins", join.name, "after"), text) for text in _join_problems(join, spec.joins)
        )
    for field in spec.fields.values():
        keys = ("fields", field.name)
        if field.type not in SCALARS and field.type not in types and field.type not in enums:
            known = (*SCALARS, *types, *enums)
            yield (*keys, "type"), _no("type", field.type, known)
        if field.join and field.join not in spec.joins:
            yield (*keys, "join"), _no("join", field.join, spec.joins)
        yield from (((*keys, "values"), text) for text in _value_problems(field, enums))
        yield from (((*keys, "column"), text) for text in _path_problems(field, spec.joins))
        yield from (((*keys, key), text) for key, text in _item_problems(field, types))


def _join_problems(join: JoinSpec, joins: Mapping[str, JoinSpec]) -> Iterator[str]:
    if join.after and join.after not in joins:
        yield _no("join", join.after, joins)
    seen = {join.name}
    while join.after in joins:
        if join.after in seen:
            yield "it leads back to itself."
            return
        seen.add(join.after)
        join = joins[join.after]


def _value_problems(field: FieldSpec, enums: Mapping[str, EnumSpec]) -> Iterator[str]:
    enum = enums.get(field.type)
    if enum is None:
        return
    others = (field.otherwise, field.empty, field.constant)
    for value in dict.fromkeys((*field.values.values(), *others)):
        if value and value not in enum.values:
            yield _no(f"value of {enum.name}", value, enum.values)


def _path_problems(field: FieldSpec, joins: Mapping[str, JoinSpec]) -> Iterator[str]:
    for path in (
        *field.paths,
        field.minus,
        *(p for item in field.collect for p in item.values.values()),
    ):
        join, dot, _ = path.rpartition(".")
        if dot and join not in joins:
            yield _no("join", join, joins)


def _item_problems(field: FieldSpec, types: Mapping[str, TypeSpec]) -> Iterator[tuple[str, str]]:
    if not field.collect:
        return
    if field.type not in types:
        yield "type", "collect makes items of a type of the file."
        return
    own = types[field.type].fields
    if field.distinct not in own:
        yield "distinct", _no(f"field of {field.type}", field.distinct, own)
    names = {name for item in field.collect for name in (*item.values, *item.constants)}
    for name in sorted(names - own.keys()):
        yield "collect", _no(f"field of {field.type}", name, own)


def _no(what: str, name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    return f"there is no {what} {name}.{did_you_mean(name, known)}"
