"""Reads a row rule of the policy as a coerced ``where`` argument.

The rule is checked against the catalogue at the start, with samples in the place of references, and read again for
each caller, with their values. Operands are coerced by the API's own input types, as those of variables are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, TypeAlias

from graphql import GraphQLEnumType, GraphQLInputType, GraphQLList, GraphQLNonNull, GraphQLSchema

from gateway.documents.input_coercion import coerce_json
from gateway.errors import BadArgument
from gateway.identity.references import Reference, reference_of
from schema.catalog import Catalog
from schema.catalog.records import InputField, InputRole, TypeKind
from schema.errors import did_you_mean
from schema.operators import WhereOperator

ValueOf: TypeAlias = Callable[[Reference, GraphQLInputType], Any]
"""Returns the value of a reference to which a type belongs. Raises MissingValue."""
_CAN_BE_NULL = frozenset({WhereOperator.EQ.value, WhereOperator.NE.value})
_SAMPLES: Mapping[str, Any] = {
    "String": "x",
    "Int": 1,
    "Long": "1",
    "Float": 1.5,
    "Decimal": "1.5",
    "Boolean": True,
    "DateTime": "2024-01-31T00:00:00Z",
    "Date": "2024-01-31",
    "TimeOfDay": "12:00:00",
    "Duration": "PT1S",
    "UUID": "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f10",
    "Base64": "AA==",
}


class RuleError(Exception):
    """A rule cannot be used."""

    def __init__(self, place: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        """Where in the rule: ``vendorGroupId.eq``."""
        self.message = message
        self.hint = hint


class RuleReader:
    """Reads rules by the input types of one catalogue."""

    def __init__(self, catalog: Catalog, core: GraphQLSchema) -> None:
        self._catalog = catalog
        self._core = core

    def read(self, csdl: str, where: Mapping[str, Any], value_of: ValueOf) -> dict[str, Any]:
        """Return the coerced argument for rows of a type. Raises RuleError, MissingValue."""
        name = self._catalog.generated_name(TypeKind.WHERE, csdl)
        if name is None or not self._catalog.can_filter(csdl):
            raise RuleError("", "these rows cannot be filtered.", "Leave where out.")
        return _Reading(self._catalog, self._core, value_of).rows(name, where, "")


class _Reading:
    """One reading, with the values of one caller."""

    def __init__(self, catalog: Catalog, core: GraphQLSchema, value_of: ValueOf) -> None:
        self._catalog = catalog
        self._core = core
        self._value_of = value_of

    def rows(self, input_name: str, where: object, place: str) -> dict[str, Any]:
        fields = self._catalog.inputs_of(input_name)
        return {
            name: self._term(_named(fields, name, place), value, _joined(place, name))
            for name, value in _object(where, place).items()
        }

    def _term(self, item: InputField, value: object, place: str) -> Any:
        match item.role:
            case InputRole.AND | InputRole.OR:
                return [self.rows(item.type_name, term, place) for term in _list(value, place)]
            case InputRole.NOT | InputRole.TO_ONE:
                return self.rows(item.type_name, value, place)
            case InputRole.TO_MANY:
                return self._collection(item, value, place)
            case InputRole.VALUE:
                return self._operators(item, value, place)
            case _:
                raise AssertionError(item.role)

    def _collection(self, item: InputField, value: object, place: str) -> dict[str, Any]:
        fields = self._catalog.inputs_of(item.type_name)
        # ``some: {}`` asks whether there is any row, so it may be empty.
        return {
            name: {}
            if inner == {}
            else self.rows(_named(fields, name, place).type_name, inner, _joined(place, name))
            for name, inner in _object(value, place).items()
            if _named(fields, name, place)
        }

    def _operators(self, item: InputField, value: object, place: str) -> dict[str, Any]:
        fields = self._catalog.inputs_of(item.type_name)
        return {
            name: self._operand(_named(fields, name, place), operand, _joined(place, name))
            for name, operand in _object(value, place).items()
        }

    def _operand(self, operator: InputField, operand: object, place: str) -> Any:
        if operand is None:
            if operator.name not in _CAN_BE_NULL:
                raise RuleError(place, "it cannot be null.", "Leave it out, or use isNull.")
            return None
        single: GraphQLInputType = self._core.type_map[operator.type_name]  # type: ignore[assignment]
        try:
            if not operator.many:
                reference = reference_of(operand)
                value = (
                    json_of_toml(operand)
                    if reference is None
                    else self._value_of(reference, single)
                )
                return coerce_json(value, single, what=place)
            items = [i for part in _items(operand) for i in self._each(part, single)]
            return coerce_json(items, GraphQLList(GraphQLNonNull(single)), what=place)
        except BadArgument as error:
            raise RuleError(place, error.message.removeprefix(f"{place}: "), error.hint) from error
        except ValueError as error:
            raise RuleError(place, f"{error}.") from error

    def _each(self, item: object, single: GraphQLInputType) -> Iterator[Any]:
        """Yield an item of a list; all items of one that is a reference to a list."""
        reference = reference_of(item)
        if reference is None:
            yield json_of_toml(item)
        else:
            value = self._value_of(reference, single)
            yield from value if isinstance(value, list | tuple) else (value,)


def sample_of(_: Reference, single: GraphQLInputType) -> Any:
    """Return a value of a type, for checking a rule before there is a caller."""
    if isinstance(single, GraphQLEnumType):
        return next(iter(single.values))
    return _SAMPLES.get(getattr(single, "name", ""), "x")


def references_in(where: object) -> Iterator[Reference]:
    """Yield the references in a rule. Raises ValueError for a misspelled one."""
    if isinstance(where, Mapping):
        for value in where.values():
            yield from references_in(value)
    elif isinstance(where, list | tuple):
        for value in where:
            yield from references_in(value)
    elif (reference := reference_of(where)) is not None:
        yield reference


def _named(fields: Mapping[str, InputField], name: str, place: str) -> InputField:
    item = fields.get(name)
    if item is None:
        raise RuleError(
            _joined(place, name),
            f"there is no {name}.{did_you_mean(name, fields)}",
            "Write names as in the argument where of the API.",
        )
    return item


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RuleError(place, "it is not an object.", "Write it as the argument where of the API.")
    # An empty object excludes nothing, which a rule never means.
    if not value:
        raise RuleError(place, "it is empty.", "Leave it out, or say which rows it gives.")
    return value


def _list(value: object, place: str) -> Sequence[object]:
    if isinstance(value, Mapping):
        return (value,)
    if not isinstance(value, list | tuple) or not value:
        raise RuleError(place, "it is not a list of conditions.")
    return value


def _items(operand: object) -> Sequence[object]:
    return operand if isinstance(operand, list | tuple) else (operand,)


def json_of_toml(value: object) -> object:
    """Return a value of TOML as JSON has it."""
    match value:
        case datetime():
            text = value.isoformat()
            return text if value.tzinfo is not None else f"{text}Z"
        case date() | time():
            return value.isoformat()
        case _:
            return value


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
