"""What is asked to find the changed rows of a set: by a stamp of the last change, or by the etags of all rows.

    the set has                       a poll reads                               it finds
    ModifiedDateTime or its like      rows with that stamp since the last poll   rows that were created or updated
    none                              key and etag of every row in ``where``     those, and rows that are gone

The texts are operations of the API, so cursors, scopes, filters and errors are those of any list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from gateway.errors import BadArgument, SettingsError, UnsupportedQuery
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootField, RootKind, TypeKind
from schema.operators import WhereOperator

WATCH = "Watch"
"""Name of the operations, for the log."""
CHANGED_STAMPS = (
    *("ModifiedDateTime", "SysModifiedDateTime", "System_ModifiedDateTime"),
    *("LastModifiedDateTime", "LastModifiedOn", "ModifiedOn", "ModifiedAt", "SystemModifiedAt"),
)
"""Properties that tell when a row was changed last, whatever their case; the first that there is counts."""
CREATED_STAMPS = (
    *("CreatedDateTime", "SysCreatedDateTime", "System_CreatedDateTime"),
    *("CreatedOn", "CreatedAt", "SystemCreatedAt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """A set that is watched, and the operations that find its changes."""

    name: str
    """The list: ``customersV3``."""
    has_company: bool
    where: str | None
    """The input type of its filters; None where it cannot be filtered."""
    stamp: str | None
    """The field that tells when a row was changed last."""
    rows: str
    """Gives ``rows { nodes { id etag changed created } pageInfo { hasNextPage endCursor } }`` for the variables
    ``first``, ``after`` and, where it can be filtered, ``where``."""
    newest: str = ""
    """By stamp: gives ``rows { nodes { id changed } }`` for ``first`` and ``where``, the row first that was changed
    last."""

    @property
    def filtering(self) -> tuple[str, str]:
        """The variable of the filter, declared and used."""
        return ("", "") if self.where is None else (f", $where: {self.where}!", ", where: $where")


def find_change_query(catalog: Catalog, given: str, stamps: Collection[str] = ()) -> ChangeQuery:
    """Find a set by the name of its list or its own. ``stamps``: ``Set.Property`` of settings.

    Raises BadArgument where there is none, UnsupportedQuery where its rows have no ids.
    """
    root = _list_of(catalog, given)
    assert root.entity_set is not None
    csdl = root.csdl
    if not catalog.is_node(csdl):
        raise UnsupportedQuery(
            f"{root.name} cannot be watched: its rows have no key.",
            hint="Ask for the list again from time to time.",
        )
    argued = {a.name for a in catalog.root_arguments(root)}
    stamp = _stamp(catalog, csdl, _stamps_of(root, stamps))
    if stamp is not None and not ({"where", "orderBy"} <= argued and _is_asked(catalog, stamp)):
        stamp = None
    made = ChangeQuery(
        name=root.name,
        has_company="companies" in argued,
        rows="",
        where=catalog.name_of(TypeKind.WHERE, csdl) if "where" in argued else None,
        stamp=None if stamp is None else stamp.name,
    )
    created = None if stamp is None else _stamp(catalog, csdl, CREATED_STAMPS)
    return replace(
        made,
        rows=_rows(made, None if created is None else created.name),
        newest=_newest(made),
    )


def check_stamps(catalog: Catalog, stamps: Collection[str]) -> None:
    """See that each of ``Set.Property`` can tell what has changed. Raises SettingsError."""
    for stamp in stamps:
        name = stamp.partition(".")[0]
        try:
            found = find_change_query(catalog, name, (stamp,)).stamp
        except (BadArgument, UnsupportedQuery) as error:
            raise SettingsError(
                f"subscriptions.stamps: {stamp}: there is no list of {name} that can be watched.",
                hint=error.hint,
            ) from error
        if found is None:
            raise SettingsError(
                f"subscriptions.stamps: {stamp} is no date and time that can be filtered and ordered by.",
                hint="Name a property of the set's rows, as the metadata write it.",
            )


def _stamps_of(root: RootField, stamps: Collection[str]) -> Collection[str]:
    assert root.entity_set is not None
    split = (stamp.partition(".") for stamp in stamps)
    return [name for of, _, name in split if of == root.entity_set.name] or CHANGED_STAMPS


def _rows(of: ChangeQuery, created: str | None) -> str:
    fields, order = "id etag", ""
    if of.stamp is not None:
        fields += f" changed: {of.stamp}" + ("" if created is None else f" created: {created}")
        order = f", orderBy: [{{ {of.stamp}: ASC }}]"
    declared, used = of.filtering
    return (
        f"query {WATCH}($first: Int!, $after: String{declared})"
        f" {{ rows: {of.name}(first: $first, after: $after{used}{order})"
        f" {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    )


def _newest(of: ChangeQuery) -> str:
    if of.stamp is None:
        return ""
    declared, used = of.filtering
    return (
        f"query {WATCH}($first: Int!{declared})"
        f" {{ rows: {of.name}(first: $first{used}, orderBy: [{{ {of.stamp}: DESC }}])"
        f" {{ nodes {{ id changed: {of.stamp} }} }} }}"
    )


def _list_of(catalog: Catalog, given: str) -> RootField:
    found = catalog.roots.get(given)
    if found is None or found.kind is not RootKind.LIST:
        names = (n for kind, of, n in catalog.set_roots() if kind is RootKind.LIST and of == given)
        name = next(names, None)
        found = None if name is None else catalog.roots[name]
    if found is None:
        raise BadArgument(
            f"set: there is no list called {given}.",
            hint="Name a list of Query, such as customersV3, or its entity set.",
        )
    return found


def _stamp(catalog: Catalog, csdl: str, names: Collection[str]) -> Field | None:
    """Return the first of the properties that there is and holds a moment."""
    moments = {
        field.source.lower(): field
        for field in catalog.object(csdl).fields.values()
        if field.kind is FieldKind.VALUE
        and field.value is not None
        and field.value.scalar == "DateTime"
        and not field.many
    }
    return next((moments[n.lower()] for n in names if n.lower() in moments), None)


def _is_asked(catalog: Catalog, stamp: Field) -> bool:
    """Return whether rows can be filtered by a moment, and put in its order."""
    where = catalog.inputs_of(catalog.name_of(TypeKind.WHERE, stamp.declared_by)).get(stamp.name)
    order = catalog.inputs_of(catalog.name_of(TypeKind.ORDER_BY, stamp.declared_by))
    return (
        where is not None
        and stamp.name in order
        and WhereOperator.GTE in catalog.inputs_of(where.type_name)
    )
