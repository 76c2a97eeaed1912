"""Converts GraphQL input values to the values of an OData JSON body.

The opposite direction of ``value_conversion``: NoYes as ``Yes`` and ``No``, an X++ date at noon UTC, enum members by
name, Decimals as exact JSON numbers. Payload rules: reference ``d365-odata`` section 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from gateway.dimensions.formats import EnvironmentFormats
from gateway.errors import BadArgument
from gateway.odata.literals import to_json
from gateway.operations.value_conversion import to_list_item, to_literal
from schema.catalog import Catalog
from schema.catalog.display_values import DisplayValue
from schema.catalog.records import Clean, Field, FieldKind, InputField, ValueType
from schema.writes import Writes

from .parts_input import display_value

NULL_DATE = "1900-01-01T12:00:00Z"
_DATES = frozenset({Clean.DATE, Clean.NULL_DATE})

encode_body = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes a body as JSON: Decimals as numbers with all their digits."""


class BodyBuilder:
    """Builds the JSON bodies of one schema's input objects."""

    def __init__(
        self, writes: Writes, product: str, formats: EnvironmentFormats | None = None
    ) -> None:
        """``formats``: those of the environment's display values."""
        self._formats = formats or EnvironmentFormats()
        self._writes = writes
        self._product = product
        self._catalog: Catalog = writes.catalog

    def body(self, type_name: str, values: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Return property → JSON value for the fields that an input object sets.

        ``what`` names the object in messages. Raises BadArgument.
        """
        fields = self._writes.inputs_of(type_name)
        body: dict[str, Any] = {}
        parts: list[tuple[DisplayValue, str]] = []
        for name, value in values.items():
            field = fields[name]
            if field.of is None or field.of.navigation is not None:
                continue
            if field.of.parts is not None:
                parts.append((field.of.parts, name))
                continue
            if field.of.kind is FieldKind.REST:
                body.update(self._rest(type_name, value, f"{what}.{name}"))
            else:
                body[field.of.source] = self.value(field, value, f"{what}.{name}")
        # Last: what an account is may be said after it.
        for value_parts, name in parts:
            at = f"{what}.{name}"
            body[value_parts.column.name] = display_value(
                value_parts, values[name], body, self._formats, at
            )
        return body

    def value(self, field: InputField, value: Any, what: str) -> Any:
        """Return the JSON value of one field. Raises BadArgument."""
        of = field.of
        assert of is not None
        if value is None or of.value is not None:
            return self.plain(of, value, what)
        if not self._catalog.is_served(of.target):
            return value
        if of.many:
            return [
                self.body(field.type_name, item, f"{what}[{i}]") for i, item in enumerate(value)
            ]
        return self.body(field.type_name, value, what)

    def _rest(self, type_name: str, value: Any, what: str) -> Mapping[str, Any]:
        """Return the undeclared properties of an open type. Raises BadArgument."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise BadArgument(f"{what} must be an object of properties.")
        whole = self._catalog.whole
        if whole is not self._catalog:
            # Roles decide about what is declared: it must not come in by another name, nor rows of other sets with it.
            entry = self._writes.entry(type_name)
            fields = () if entry is None else whole.object(entry.csdl).fields.values()
            declared = {f.source.casefold() for f in fields}
            for name in value:
                if "@" in name or "/" in name or name.casefold() in declared:
                    raise BadArgument(f"{what} cannot set {name}.")
        return value

    def plain(self, of: Field, value: Any, what: str) -> Any:
        """Return the JSON value of a field that is not complex, or null of any. Raises BadArgument."""
        if value is None:
            return self._null(of, what)
        assert of.value is not None
        return self._values(of.value, value, what, is_list=is_collection(of))

    def argument(self, kind: ValueType, value: Any, what: str, *, many: bool) -> Any:
        """Return the JSON value of a key part or of an action's parameter. Raises BadArgument."""
        return None if value is None else self._values(kind, value, what, is_list=many)

    def _null(self, of: Field, what: str) -> Any:
        """Return the JSON value that means null: a date's sentinel, empty text, or null if the product has nulls.

        Raises BadArgument if the product has no such value.
        """
        if is_collection(of):
            raise BadArgument(f"{what} is a list and cannot be null.", hint="Pass [] to empty it.")
        # An unset X++ date is stored as 1900-01-01 and read at noon UTC, as all X++ dates are.
        if of.value is not None and of.value.clean in _DATES:
            return NULL_DATE
        if self._catalog.abilities.has_nulls:
            return None
        # Unset texts are stored as empty ones. Numbers have no such value: 0 is an amount, and not the lack of one.
        if of.value is not None and of.value.scalar == "String":
            return ""
        raise BadArgument(
            f"{what} cannot be null: {self._product} has no empty {of.type_name}.",
            hint="Leave the field out to keep or default its value, or pass a value.",
        )

    def _values(self, kind: ValueType, value: Any, what: str, *, is_list: bool) -> Any:
        if is_list:
            return [self._item(kind, item, f"{what}[{i}]") for i, item in enumerate(value)]
        if kind.scalar == "JSON":
            return value
        return to_json(to_literal(kind, value, what=what).value)

    def _item(self, kind: ValueType, value: Any, what: str) -> Any:
        if kind.scalar == "JSON" and kind.edm.startswith("Edm."):
            return value
        return to_json(to_list_item(kind, value, what=what).value)


def is_collection(of: Field) -> bool:
    """Return whether the property is a collection; the members of a flags enum are one value."""
    return of.prop is not None and of.prop.type.many


def comparable_number(value: Any) -> Any:
    """Return a number in a form that compares by value, as 5 and 5.00 are one amount; other values as they are."""
    return Decimal(str(value)).normalize() if isinstance(value, int | float | Decimal) else value
