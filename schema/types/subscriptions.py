"""``Subscription`` and the types of its events as Strawberry definitions: one field for all entity sets.

    subscription { entityChanged(set: "customersV3") { kind id node { ... on CustomerV3 { organizationName } } } }

One field per set would add as many types as there are sets, for rows that ``node`` can return as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from strawberry.types.enum import StrawberryEnumDefinition

from schema.catalog import descriptions as describe

from .changes import KINDS, ChangesTypes
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

_FIELDS = (
    Wire("kind", Ref("ChangeKind", nullable=False), "How the row changed."),
    Wire(
        "set",
        Ref("String", nullable=False),
        "The list that the row belongs to, such as `customersV3` or `accounting.vendors`.",
    ),
    Wire("id", Ref("ID", nullable=False), describe.NODE_ID),
    Wire("etag", Ref("String"), describe.ETAG),
    Wire("node", Ref("Node"), "The current row; null if it is gone."),
)
_OBJECT = "The unified object as it is now, if `set` is a list of a unified model; else null."
_ARGUMENTS = (
    Wire(
        "set",
        Ref("String", nullable=False),
        "The list to watch: `customersV3` or `CustomersV3`; or that of a unified model, such as `accounting.vendors`.",
    ),
    Wire(
        "where",
        Ref("JSON"),
        "Only rows that match these conditions, written like the list's `where`.",
    ),
)
_COMPANIES = Wire("companies", Ref("String", many=True), describe.COMPANIES)


class SubscriptionTypes:
    """Creates the definitions of ``Subscription`` and of the types of its events, by name."""

    def __init__(
        self,
        types: TypeTable,
        changes: ChangesTypes | None = None,
        *,
        companies: bool,
        objects: str = "",
    ) -> None:
        """``companies``: whether rows of this product belong to companies.

        ``objects``: the interface of unified objects, if there are any.
        """
        self._objects = objects
        self._types = types
        self._changes = changes
        self._companies = companies

    def root(self) -> GeneratedDefinition:
        """Return the type ``Subscription``."""
        wire = Wire(
            ENTITY_CHANGED,
            Ref("EntityChanged", nullable=False),
            "Changes to rows of a set from now on, detected by polling.",
        )
        fields = {wire.name: wire}
        if self._changes is not None:
            fields = {**fields, self._changes.wire.name: self._changes.wire}
        return GeneratedDefinition("Subscription", lambda: fields, self._field)

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return a type of the events; None for any other name."""
        if name == "ChangeKind":
            return enum_of(name, "How a row changed.", KINDS)
        if name != "EntityChanged":
            return None
        own = (*_FIELDS, Wire("object", Ref(self._objects), _OBJECT)) if self._objects else _FIELDS
        wires: Mapping[str, Wire] = {wire.name: wire for wire in own}
        return GeneratedDefinition(
            name, lambda: wires, self._field, description="A change to a row."
        )

    def _field(self, wire: Wire) -> GeneratedField:
        if self._changes is not None and wire is self._changes.wire:
            return self._changes.field()
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
