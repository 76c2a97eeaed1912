"""``Query.changes`` and its types as Strawberry definitions: one field, and one shape, for all entity sets.

    changes(set: "customersV3", since: "…") {
      upserts { kind id node { ... on CustomerV3 { organizationName } } } deletes { id } cursor hasMore
    }

Rows are of any type, as those of ``node``: a field and a payload for each set would add three types for each.
``Subscription.changes`` has the same arguments and the same results.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any, cast

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

CHANGES = "changes"
_TYPES = ("Changes", "ChangedRow", "RemovedRow", "RemovalReason", "ChangeSource", "ChangeGuarantee")
CHANGES_TYPES = frozenset(_TYPES)
KINDS = {
    "CREATED": "A new row.",
    "UPDATED": "The row has new values, or was written again with the same values.",
    "CHANGED": "Created or updated; the upstream service does not say which.",
    "DELETED": "The row was deleted, or no longer matches `where`; `node` is null.",
}
_ENUMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "RemovalReason": (
        "Why a row is no longer part of the list.",
        {
            "DELETED": "The row was deleted.",
            "FILTERED": "The row exists, and no longer matches `where`.",
        },
    ),
    "ChangeSource": (
        "By what changed rows are found.",
        {
            "DELTA": "The service tracks changes itself, deleted rows included.",
            "STAMP": "A property of the rows has the time of their last change.",
            "TWIN": "Another entity set over the same table has that time.",
            "ETAGS": "The etags of all rows are compared with those of the time before.",
            "VALUES": "The values of all rows are compared, because their etags do not tell changes.",
        },
    ),
    "ChangeGuarantee": (
        "What is known of deleted rows.",
        {
            "EXACT_DELETES": "Every deleted row is in `deletes`, with the next answer.",
            "DELETES_WITHIN": "Deleted rows are in `deletes`, at most `deletesWithin` seconds later.",
            "NONE": "Deleted rows are not noticed.",
        },
    ),
}
_UPSERTS = "Rows that were created or updated, the oldest change first."
_FIELDS: Mapping[str, tuple[str, tuple[Wire, ...]]] = {
    "Changes": (
        "What has changed in a list since a cursor.",
        (
            Wire("upserts", Ref("ChangedRow", nullable=False, many=True), _UPSERTS),
            Wire(
                "deletes",
                Ref("RemovedRow", nullable=False, many=True),
                "Rows that are no longer part of the list.",
            ),
            Wire(
                "cursor",
                Ref("String", nullable=False),
                "Pass it as `since` for what comes next. It is valid for the same set, where and companies only.",
            ),
            Wire(
                "hasMore",
                Ref("Boolean", nullable=False),
                "Whether more is there already: continue at once.",
            ),
            Wire(
                "lag",
                Ref("Float"),
                "Seconds by which the answer may be behind; null while the whole set is read.",
            ),
            Wire("source", Ref("ChangeSource", nullable=False), "By what changed rows are found."),
            Wire(
                "guarantee",
                Ref("ChangeGuarantee", nullable=False),
                "What is known of deleted rows.",
            ),
            Wire("deletesWithin", Ref("Float"), "Seconds, if `guarantee` is `DELETES_WITHIN`."),
            Wire(
                "resyncRequired",
                Ref("Boolean", nullable=False),
                "The changes since the cursor are not known any more, for example because the caller may see other"
                " rows now. Continue with `cursor`: the whole set comes again. Rows that do not come again are gone.",
            ),
        ),
    ),
    "ChangedRow": (
        "A row that was created or updated.",
        (
            Wire("kind", Ref("ChangeKind", nullable=False), "How the row changed."),
            Wire("id", Ref("ID", nullable=False), describe.NODE_ID),
            Wire("etag", Ref("String"), describe.ETAG),
            Wire("node", Ref("Node"), "The row as it is now."),
        ),
    ),
    "RemovedRow": (
        "A row that is no longer part of a list.",
        (
            Wire("id", Ref("ID", nullable=False), describe.NODE_ID),
            Wire("reason", Ref("RemovalReason", nullable=False), "Why it is not."),
        ),
    ),
}
_OBJECT = "The unified object as it is now, if `set` is a list of a unified model; else null."
_SET = Wire(
    "set",
    Ref("String", nullable=False),
    "The list to follow: `customersV3` or `CustomersV3`; or a list of a unified model, such as `accounting.vendors`.",
)
_COMPANIES = Wire("companies", Ref("String", many=True), describe.COMPANIES)
_ARGUMENTS = (
    Wire(
        "where",
        Ref("JSON"),
        "Only rows that match these conditions, written like the list's `where`.",
    ),
    Wire(
        "since",
        Ref("String"),
        'The cursor of the answer before. Without it the whole set comes first; with `"now"` only what changes from now'
        " on.",
    ),
    Wire("first", Ref("Int"), "Maximum rows in an answer; by default the largest page."),
)


class ChangesTypes:
    """Creates the definitions of ``changes`` and of its types, by name."""

    def __init__(
        self,
        types: TypeTable,
        description: str,
        *,
        companies: bool,
        streams: bool,
        objects: str = "",
    ) -> None:
        """``companies``: whether rows belong to companies. ``streams``: whether subscriptions bring ``ChangeKind``.

        ``objects``: the interface of unified objects, if there are any.
        """
        self._types = types
        self._objects = objects
        self._companies = companies
        self.wire = Wire(CHANGES, Ref("Changes", nullable=False), description)
        self.names = _TYPES if streams else ("ChangeKind", *_TYPES)

    def fields(self, others: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the root fields with ``changes``, without a copy."""
        own: dict[str, Any] = {CHANGES: self.wire}
        return ChainMap(own, cast("dict[str, Any]", others))

    def field(self) -> GeneratedField:
        """Return the field. The engine answers it before anything is resolved."""
        companies = (_COMPANIES,) if self._companies else ()
        return GeneratedField(
            CHANGES,
            self.wire.ref,
            self._types,
            description=self.wire.description,
            arguments=tuple(
                GeneratedArgument(a.name, a.ref, self._types, a.description)
                for a in (_SET, *companies, *_ARGUMENTS)
            ),
        )

    def fixed(self, name: str) -> GeneratedDefinition | StrawberryEnumDefinition | None:
        """Return one of the types; None for any other name."""
        if name == "ChangeKind":
            return enum_of(name, "How a row changed.", KINDS)
        if name in _ENUMS:
            return enum_of(name, *_ENUMS[name])
        if name not in _FIELDS:
            return None
        description, fields = _FIELDS[name]
        wires = {wire.name: wire for wire in fields}
        if name == "ChangedRow" and self._objects:
            wires["object"] = Wire("object", Ref(self._objects), _OBJECT)
        return GeneratedDefinition(name, lambda: wires, self._plain, description=description)

    def _plain(self, wire: Wire) -> GeneratedField:
        return GeneratedField(wire.name, wire.ref, self._types, description=wire.description)
