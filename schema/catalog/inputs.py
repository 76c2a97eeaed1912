"""Input types of reads: ``where``, ``orderBy`` and filters, limited to what the upstream product supports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, Unpack, assert_never

from schema.model.edm import EDM
from schema.model.records import Capabilities, Model, Navigation, Property
from schema.operators import Operand, WhereOperator

from . import descriptions as describe
from .names import Names
from .objects import CatalogObjects
from .records import (
    Field,
    FieldKind,
    InputField,
    InputRole,
    TypeEntry,
    TypeKind,
)
from .types import CatalogOptions
from .values import Abilities

_UNORDERED = frozenset({"binary", "other", "flags"})
_KIND_OF_SCALAR = {row.scalar: row.kind for row in reversed(EDM.values())}
_RELATION_INPUTS = {
    InputRole.TO_ONE: TypeKind.WHERE,
    InputRole.TO_MANY: TypeKind.COLLECTION_WHERE,
}
_OF_ROWS = frozenset({TypeKind.WHERE, TypeKind.ORDER_BY})
RESERVED_INPUTS = frozenset({InputRole.AND.value, InputRole.OR.value, InputRole.NOT.value})
"""Fields of a ``where`` type that combine conditions instead of testing a field."""
_LOGIC = (
    (InputRole.AND, True, describe.AND),
    (InputRole.OR, True, describe.OR),
    (InputRole.NOT, False, describe.NOT),
)

RowInput = tuple[str, InputRole, str, Field]
"""Name, role and type of an input field, and the object field that it concerns."""


class CatalogInputs(CatalogObjects):
    """The input types of reads; a type without fields does not exist."""

    def __init__(
        self, model: Model, abilities: Abilities, **options: Unpack[CatalogOptions]
    ) -> None:
        super().__init__(model, abilities, **options)
        self._inputs: dict[str, Mapping[str, InputField]] = {}
        self._filters: dict[tuple[str, bool, str | None, bool], str | None] = {}
        self._operators: dict[str, tuple[WhereOperator, ...]] = {}
        self._can_filter: dict[str, bool] = {}
        self._can_order: dict[str, bool] = {}
        self._denied: dict[tuple[str, str], frozenset[str] | None] = {}

    def forget(self) -> None:
        """Drop the records of single types."""
        super().forget()
        self._inputs, self._denied = {}, {}

    def tables(self) -> Iterator[dict[Any, Any]]:
        """Yield the tables that hold most memory."""
        yield from super().tables()
        yield self._inputs

    # Questions

    def filter_operators(self, csdl_or_scalar: str) -> tuple[WhereOperator, ...]:
        """Return the operators of a filter type, by a scalar's name or a qualified enum, in the order of the API."""
        operators = self._operators.get(csdl_or_scalar)
        if operators is None:
            offered = self.abilities.operators.get(self.kind_of(csdl_or_scalar), ())
            operators = tuple(o for o in WhereOperator if o in offered)
            self._operators[csdl_or_scalar] = operators
        return operators

    def kind_of(self, csdl_or_scalar: str) -> str:
        """Return the kind of value of a filter type, a key of ``Abilities.operators``."""
        enum = self.model.enum_types.get(csdl_or_scalar)
        if enum is None:
            return _KIND_OF_SCALAR.get(csdl_or_scalar, "other")
        return "flags" if enum.flags else "enum"

    def property_filter(self, prop: Property, *, is_key: bool = False) -> str | None:
        """Return the filter type of a property; None for complex values, lists and values without operators."""
        decided_by = (prop.type.name, prop.type.many, prop.ax_type, is_key)
        try:
            # Not ``get``: None is a result too.
            return self._filters[decided_by]
        except KeyError:
            is_plain = self._is_plain(prop)
            filter_type = self._filters[decided_by] = (
                self._filter(prop, is_key) if is_plain else None
            )
            return filter_type

    def _filter(self, prop: Property, is_key: bool) -> str | None:
        csdl = prop.type.name
        if self.displayed_enum(csdl) is None:
            csdl = self.value(prop, is_key=is_key).scalar
        name = self.generated_name(TypeKind.FILTER, csdl)
        return name if name is not None and self.filter_operators(csdl) else None

    def shows_plain(self, field: Field) -> bool:  # noqa: ARG002 - of a view it depends on it
        """Return whether every value of a column shows as it is."""
        return True

    def can_filter(self, csdl: str) -> bool:
        """Return whether rows of the type can be filtered by any property."""
        can = self._can_filter.get(csdl)
        if can is None:
            can = self._can_filter[csdl] = any(
                self.property_filter(p) for p in self.filterable_properties(csdl)
            )
        return can

    def filterable_properties(self, csdl: str) -> Iterator[Property]:
        """Return the properties that no Capabilities annotation excludes from filters."""
        denied = self.denied_properties(csdl, "filterable", "non_filterable")
        if denied is None:
            return iter(())
        return (p for p in self.properties_of(csdl) if p.name not in denied)

    def can_order(self, csdl: str) -> bool:
        """Return whether rows of the type can be ordered by any property."""
        can = self._can_order.get(csdl)
        if can is None:
            denied = self.denied_properties(csdl, "sortable", "non_sortable")
            can = self._can_order[csdl] = denied is not None and any(
                self._is_plain(p)
                and p.name not in denied
                and self.value(p, is_key=False).kind not in _UNORDERED
                for p in self.properties_of(csdl)
            )
        return can

    def denied_properties(self, csdl: str, whole: str, parts: str) -> frozenset[str] | None:
        """Return the properties that the annotations of every set of the type exclude; None if they exclude all."""
        try:
            # Not ``get``: None is a result too.
            return self._denied[csdl, parts]
        except KeyError:
            denied = self._denied[csdl, parts] = self._denied_by_all(csdl, whole, parts)
            return denied

    def _denied_by_all(self, csdl: str, whole: str, parts: str) -> frozenset[str] | None:
        sets = self.model.sets_of_type.get(csdl, ())
        if len(sets) == 1:
            can = self.model.entity_sets[sets[0]].can
            return frozenset(getattr(can, parts)) if getattr(can, whole) else None
        capabilities: list[Capabilities] = [self.model.entity_sets[name].can for name in sets]
        # Sets of one type share its input types: a property is offered if any of the sets supports it.
        if not capabilities:
            return frozenset()
        denied = [frozenset(getattr(can, parts)) for can in capabilities if getattr(can, whole)]
        return frozenset.intersection(*denied) if denied else None

    def _exists(self, entry: TypeEntry) -> bool:
        """Return whether the type has any field."""
        if entry.kind is TypeKind.ORDER_BY:
            return self.can_order(entry.csdl)
        if entry.kind in (TypeKind.WHERE, TypeKind.COLLECTION_WHERE):
            return self.can_filter(entry.csdl)
        if entry.kind is TypeKind.FILTER:
            return bool(self.filter_operators(entry.csdl))
        return True

    # Fields

    def input_fields(self, name: str) -> tuple[InputField, ...]:
        """Return the fields of a generated input type. Raises KeyError if there is none."""
        return tuple(self.inputs_of(name).values())

    def inputs_of(self, name: str) -> Mapping[str, InputField]:
        """Return the fields of a generated input type by name. Raises KeyError if there is none."""
        inputs = self._inputs.get(name)
        if inputs is None:
            fields = self._input_fields(self._entries[name])
            inputs = self._inputs[name] = {f.name: f for f in fields}
        return inputs

    def first_inputs(self, name: str, count: int) -> tuple[InputField, ...]:
        """Return the first fields of a generated input type, computing no others. Raises KeyError if there is none."""
        entry = self._entries[name]
        if entry.kind is TypeKind.ORDER_BY:
            inputs: Iterator[InputField] = map(
                _of_row, self._order_fields(entry.csdl, self.each_field(entry.csdl))
            )
        else:
            inputs = self._input_fields(entry)
        return tuple(islice(inputs, count))

    def _input_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        if entry.kind is TypeKind.FILTER:
            return self._operator_fields(entry)
        if entry.kind is TypeKind.COLLECTION_WHERE:
            return self._collection_fields(entry.csdl)
        if entry.kind in _OF_ROWS:
            return chain(self.logic_fields(entry), map(_of_row, self.row_inputs(entry)))
        raise KeyError(entry.name)

    def row_inputs(self, entry: TypeEntry) -> Iterator[RowInput]:
        """Return the fields of a ``where`` or ``orderBy`` type that concern fields of a row."""
        if entry.kind is TypeKind.ORDER_BY:
            return self._order_fields(entry.csdl, self.object(entry.csdl).fields.values())
        return self._where_fields(entry)

    def _operator_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        value = self.generated_name(TypeKind.ENUM, entry.csdl) or entry.csdl
        is_flags = self.kind_of(entry.csdl) == "flags"
        for operator in self.filter_operators(entry.csdl):
            type_name, many = _operand(operator, value, is_flags=is_flags)
            yield InputField(
                name=operator.value,
                role=InputRole.OPERATOR,
                type_name=type_name,
                many=many,
                description=operator.description,
            )

    def _order_fields(self, csdl: str, fields: Iterable[Field]) -> Iterator[RowInput]:
        denied = self.denied_properties(csdl, "sortable", "non_sortable")
        for field in fields:
            if denied is not None and field.source not in denied and is_ordered(field):
                yield field.name, InputRole.ORDER, "SortDirection", field

    def _collection_fields(self, csdl: str) -> Iterator[InputField]:
        where = self.name_of(TypeKind.WHERE, csdl)
        roles = ((InputRole.SOME, describe.SOME), (InputRole.NONE, describe.NO_ROW))
        for role, text in roles:
            yield InputField(name=role.value, role=role, type_name=where, description=text)

    def logic_fields(self, entry: TypeEntry) -> Iterator[InputField]:
        """Return the ``and``, ``or`` and ``not`` of a ``where`` type; nothing for an ``orderBy`` type."""
        return (
            InputField(
                name=role.value, role=role, type_name=entry.name, many=many, description=text
            )
            for role, many, text in (_LOGIC if entry.kind is TypeKind.WHERE else ())
        )

    def _where_fields(self, entry: TypeEntry) -> Iterator[RowInput]:
        denied = self.denied_properties(entry.csdl, "filterable", "non_filterable")
        if denied is None:
            return
        fields = self.object(entry.csdl).fields
        # A field called ``and``, ``or`` or ``not`` must not hide the logical operator.
        names = None if RESERVED_INPUTS.isdisjoint(fields) else Names(RESERVED_INPUTS)
        for field in fields.values():
            condition = None if field.source in denied else self.where_condition(entry.csdl, field)
            if condition is not None:
                name = names.take(field.name, entry.name) if names else field.name
                yield name, *condition, field

    def where_condition(self, csdl: str, field: Field) -> tuple[InputRole, str] | None:
        """Return role and input type of a field's condition; None if it has none. Ignores annotations of properties."""
        if field.kind is FieldKind.ETAG:
            return None
        if field.prop is not None:
            name = self.property_filter(field.prop)
            return None if name is None else (InputRole.VALUE, name)
        role = None if field.navigation is None else self.relation_role(csdl, field.navigation)
        return None if role is None else (role, self.name_of(_RELATION_INPUTS[role], field.target))

    def relation_role(self, csdl: str, navigation: Navigation) -> InputRole | None:
        """Return how filters on the type traverse a navigation; None if they cannot."""
        able = self.abilities.filter_to_many if navigation.many else self.abilities.filter_to_one
        denied = self.denied_properties(csdl, "filterable", "non_filterable")
        if not able or navigation.declared or denied is None or navigation.name in denied:
            return None
        if not self.can_filter(navigation.target):
            return None
        return InputRole.TO_MANY if navigation.many else InputRole.TO_ONE

    def relation_input(self, role: InputRole) -> TypeKind:
        """Return the family of input types that a navigation's condition uses."""
        return _RELATION_INPUTS[role]


def _operand(operator: WhereOperator, value: str, *, is_flags: bool) -> tuple[str, bool]:
    """Return the type of an operator's operand, and whether it is a list."""
    match operator.operand:
        case Operand.VALUE:
            return value, is_flags
        case Operand.LIST:
            return value, True
        case Operand.BOOLEAN:
            return "Boolean", False
        case _:
            assert_never(operator.operand)


def _of_row(row: RowInput) -> InputField:
    name, role, type_name, field = row
    return InputField(
        name=name, role=role, type_name=type_name, of=field, description=field.description
    )


def is_ordered(field: Field) -> bool:
    """Return whether rows can be ordered by a field, ignoring annotations."""
    value = field.value
    is_value = field.kind is FieldKind.VALUE and not field.many
    return value is not None and is_value and value.kind not in _UNORDERED
