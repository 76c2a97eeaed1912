"""The types of parts of display values as Strawberry definitions: the same for all columns of all sets."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

from schema.catalog import descriptions as describe
from schema.catalog.display_values import DIMENSION, DIMENSION_INPUT, PARTS, PARTS_INPUT

from .objects import Wire
from .strawberry_definitions import (
    GeneratedDefinition,
    GeneratedField,
    GeneratedInput,
    Ref,
    ResolveInfo,
    TypeTable,
)

ATTRIBUTES: Mapping[str, str] = {
    "mainAccount": "main_account",
    "dimensions": "dimensions",
    "account": "account",
    "name": "name",
    "value": "value",
}
"""Field → attribute of the parts that a resolver has returned."""
_OBJECTS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    PARTS: (
        describe.PARTS,
        (
            Wire("mainAccount", Ref("String"), describe.MAIN_ACCOUNT),
            Wire("dimensions", Ref(DIMENSION, nullable=False, many=True), describe.DIMENSIONS),
            Wire("account", Ref("String"), describe.WHOLE_ACCOUNT),
        ),
    ),
    DIMENSION: (
        describe.DIMENSION_PART,
        (
            Wire("name", Ref("String", nullable=False), describe.DIMENSION_NAME),
            Wire("value", Ref("String", nullable=False), describe.DIMENSION_VALUE),
        ),
    ),
}
_INPUTS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    PARTS_INPUT: (
        describe.PARTS_INPUT,
        (
            Wire("mainAccount", Ref("String"), describe.MAIN_ACCOUNT_INPUT),
            Wire("dimensions", Ref(DIMENSION_INPUT, many=True), describe.DIMENSIONS_INPUT),
            Wire("account", Ref("String"), describe.WHOLE_ACCOUNT_INPUT),
        ),
    ),
    DIMENSION_INPUT: _OBJECTS[DIMENSION],
}


class PartsTypes:
    """Creates the definitions of the types of parts, by name."""

    def __init__(self, types: TypeTable) -> None:
        self._types = types

    def fixed(self, name: str) -> GeneratedDefinition | None:
        """Return a type of parts; None for any other name."""
        if name in _INPUTS:
            description, wires = _INPUTS[name]
            by_name = {wire.name: wire for wire in wires}
            required = [wire.name for wire in wires if not wire.ref.nullable]
            return GeneratedInput(
                name,
                lambda: by_name,
                self._input,
                description=description,
                required=lambda: required,
            )
        if name not in _OBJECTS:
            return None
        description, wires = _OBJECTS[name]
        by_name = {wire.name: wire for wire in wires}
        return GeneratedDefinition(name, lambda: by_name, self._field, description=description)

    def _input(self, wire: Wire) -> GeneratedField:
        return GeneratedField(wire.name, wire.ref, self._types, description=wire.description)

    def _field(self, wire: Wire) -> GeneratedField:
        read = attrgetter(ATTRIBUTES[wire.name])

        def resolve(source: object, _info: ResolveInfo, **_arguments: object) -> object:
            return read(source)

        return GeneratedField(
            wire.name, wire.ref, self._types, description=wire.description, resolve=resolve
        )
