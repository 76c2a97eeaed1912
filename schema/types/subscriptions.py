"""``Subscription`` and the types of its events as Strawberry definitions: one field for all entity sets.

    subscription { entityChanged(set: "customersV3") { kind id node { ... on CustomerV3 { organizationName } } } }

One field per set would add as many types as there are sets, for rows that ``node`` can return as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from strawberry.types.enum import StrawberryEnumDefinition

from schema.catalog import descriptions as describe

from .objects import Wire, enum_of
from .strawberry_definitions import (
    GeneratedArgument,
    GeneratedDefinition,
    GeneratedField,
    Ref,
    TypeTable,
)

ENTITY_CHANGED = "entityChanged"
FIXED_TYPES = ("ChangeKind", "EntityChanged")
SUBSCRIPTION_TYPES = frozenset({"Subscription", *FIXED_TYPES})

KINDS = {
    "CREATED": "A new row.",
    "UPDATED": "A row with other values, or written again with the same.",
    "CHANGED": "Created or updated: nothing tells which.",
    "DELETED": "A row that is gone, or no longer satisfies `where`; `node` is null.",
}
_FIELDS = (
    Wire("kind", Ref("ChangeKind", nullable=False), "What became of the row."),
    Wire("set", Ref("String", nullable=False), "The list that the row is of: `customersV3`."),
    Wire("id", Ref("ID", nullable=False), describe.NODE_ID),
    Wire("etag", Ref("String"), describe.ETAG),
    Wire("node", Ref("Node"), "The row as it is now, or null where it is gone."),
)
_ARGUMENTS = (
    Wire("set", Ref("String", nullable=False), "A list of rows: `customersV3` or `CustomersV3`."),
    Wire("where", Ref("JSON"), "Only rows that satisfy this: what the list takes as `where`."),
)
_COMPANIES = Wire("companies", Ref("String", many=True), describe.COMPANIES)


class SubscriptionTypes:
    """Creates the definitions of ``Subscription`` and of the types of its events, by name."""

    def __init__(self, types: TypeTable, *, companies: bool) -> None:
        """``companies``: whether rows of this product belong to companies."""
        self._types = types
        self._companies = companies

    def root(self) -> GeneratedDefinition:
        """Return the type ``Subscription``."""
        wire = Wire(
            ENTITY_CHANGED,
            Ref("EntityChanged", nullable=False),
            "Rows of a set that change from now on, found by asking again and again.",
        )
        return GeneratedDefinition("Subscription", lambda: {wire.name: wire}, self._field)

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return a type of the events; None for any other name."""
        if name == "ChangeKind":
            return enum_of(name, "What became of a row.", KINDS)
        if name != "EntityChanged":
            return None
        wires: Mapping[str, Wire] = {wire.name: wire for wire in _FIELDS}
        return GeneratedDefinition(name, lambda: wires, self._field, description="A changed row.")

    def _field(self, wire: Wire) -> GeneratedField:
        arguments: tuple[Wire, ...] = ()
        if wire.name == ENTITY_CHANGED:
            first, *others = _ARGUMENTS
            arguments = (first, *((_COMPANIES,) if self._companies else ()), *others)
        return GeneratedField(
            wire.name,
            wire.ref,
            self._types,
            description=wire.description,
            arguments=tuple(
                GeneratedArgument(a.name, a.ref, self._types, a.description) for a in arguments
            ),
        )
