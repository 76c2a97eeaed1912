"""Templates for the fields that lead to other rows, which differ by name, description and the type of these rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from schema.catalog import Catalog
from schema.catalog.records import Field, TypeKind
from schema.writes import Writes

from .row_shapes import NAME, TARGET, TEXT, Row, Shape
from .type_records import Member, notation

_SUFFIXES: Mapping[TypeKind, str] = {
    TypeKind.CONNECTION: "Connection",
    TypeKind.WHERE: "Where",
    TypeKind.COLLECTION_WHERE: "CollectionWhere",
    TypeKind.ORDER_BY: "OrderBy",
}
_NESTED = "NestedCreate"


class _Target(NamedTuple):
    """What decides over the fields that lead to rows of a type whose companions are named like most."""

    name: bytes
    can_filter: bool
    can_order: bool


class NavigationRows:
    """The fields of rows that lead to other rows; memory is bounded by the number of types."""

    def __init__(
        self, catalog: Catalog, writes: Writes | None, row_member: Callable[[Field], Member]
    ) -> None:
        self._catalog = catalog
        self._writes = writes
        self._row_member = row_member
        self._targets: dict[str, _Target | None] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}

    def rows(self, csdl: str, fields: Iterable[Field]) -> list[Row] | None:
        """Return the navigations of a type; None if any cannot be made from a template."""
        rows: list[Row] = []
        for field in fields:
            target = self._target(field.target)
            if target is None or not field.description:
                return None
            condition = self._condition(csdl, field)
            nested = self._nested(csdl, field)
            key = (field.kind, field.nullable, target[1:], condition is None, nested is None)
            shape = self._shapes.get(key)
            if shape is None:
                members = dict(self._members(field, condition, nested))
                shape = self._shapes[key] = Shape(_marked(members, target.name.decode()))
            name, text = field.name, field.description
            rows.append(
                (orjson.dumps(name), orjson.dumps(text), name, text, shape, target.name, b"")
            )
        return rows

    def _members(
        self, field: Field, condition: str | None, nested: Member | None
    ) -> Iterator[tuple[TypeKind, Member]]:
        yield TypeKind.OBJECT, self._row_member(field)
        if condition is not None:
            yield TypeKind.WHERE, Member(field.name, field.description, condition)
        if nested is not None:
            yield TypeKind.CREATE_INPUT, nested

    def _condition(self, csdl: str, field: Field) -> str | None:
        """Return the type of the condition on the related rows; None if there is none."""
        condition = self._catalog.where_condition(csdl, field)
        denied = self._catalog.denied_properties(csdl, "filterable", "non_filterable")
        if condition is None or denied is None or field.source in denied:
            return None
        return condition[1]

    def _nested(self, csdl: str, field: Field) -> Member | None:
        """Return the input of related rows that are created with a new row; None if there is none."""
        if self._writes is None:
            return None
        inputs = self._writes.inputs
        if not inputs.is_nested(field):
            return None
        _, give = inputs.field_rules(TypeKind.CREATE_INPUT, csdl)
        spec = give(field)
        use = notation(spec.type_name, nullable=spec.nullable, many=field.many)
        return Member(field.name, spec.description, use)

    def _target(self, csdl: str) -> _Target | None:
        if csdl not in self._targets:
            self._targets[csdl] = self._read_target(csdl)
        return self._targets[csdl]

    def _read_target(self, csdl: str) -> _Target | None:
        catalog = self._catalog
        name = catalog.reference_name(csdl)
        is_usual = catalog.generated_name(TypeKind.INTERFACE, csdl) is None and all(
            catalog.generated_name(kind, csdl) in (None, name + suffix)
            for kind, suffix in _SUFFIXES.items()
        )
        if not is_usual or name + _NESTED in catalog.known_names():
            return None
        return _Target(name.encode(), catalog.can_filter(csdl), catalog.can_order(csdl))


def _marked(members: Mapping[TypeKind, Member], target: str) -> dict[TypeKind, Member]:
    """Return the members of a specimen."""
    names = {target + suffix: TARGET + suffix for suffix in ("", _NESTED, *_SUFFIXES.values())}

    def use(of: str) -> str:
        name = of.strip("[]!")
        return of.replace(name, names[name]) if name in names else of

    return {
        kind: member._replace(
            name=NAME,
            # The text of nested rows is the same for all.
            description=member.description if kind is TypeKind.CREATE_INPUT else TEXT,
            type=use(member.type),
            arguments=tuple(a._replace(type=use(a.type)) for a in member.arguments),
        )
        for kind, member in members.items()
    }
