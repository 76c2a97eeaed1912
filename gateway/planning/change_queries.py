"""Operations that find the changed rows of a set: by a time stamp of the last change, or by the etags of all rows.

    the set has                     a poll reads                               it finds
    ModifiedDateTime or the like    rows with that stamp since the last poll   created and updated rows
    none                            id and etag of every row in ``where``      those, and deleted rows

They are operations of the API itself, so cursors, scopes, filters and errors are those of any list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from gateway.errors import BadArgument, SettingsError, UnsupportedQuery
from schema.catalog import Catalog
from schema.catalog.records import Field, FieldKind, RootField, RootKind, TypeKind
from schema.operators import WhereOperator
from schema.policy.records import Right

WATCH = "Watch"
"""Name of the operations in the log."""
CHANGED_STAMPS = (
    *("ModifiedDateTime", "SysModifiedDateTime", "System_ModifiedDateTime"),
    *("LastModifiedDateTime", "LastModifiedOn", "ModifiedOn", "ModifiedAt", "SystemModifiedAt"),
)
"""Properties with the time of the last change, in any case; the first that a set has is used."""
CREATED_STAMPS = (
    *("CreatedDateTime", "SysCreatedDateTime", "System_CreatedDateTime"),
    *("CreatedOn", "CreatedAt", "SystemCreatedAt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """A watched set, and the operations that find its changes."""

    name: str
    """The root field: ``customersV3``."""
    has_company: bool
    where: str | None
    """Input type of its filter; None if it cannot be filtered."""
    stamp: str | None
    """The field with the time of the last change."""
    rows: str
    """Answers ``rows { nodes { id etag changed created } pageInfo { hasNextPage endCursor } }`` for the variables
    ``first``, ``after`` and, if the set can be filtered, ``where``."""
    entity_set: str = ""
    row_type: str = ""
    """The GraphQL type of its rows."""
    created: str | None = None
    """By stamp: the field with the time of creation."""
    newest: str = ""
    """By stamp: answers ``rows { nodes { id changed } }`` for ``first`` and ``where``, the latest change first."""

    @property
    def filtering(self) -> tuple[str, str]:
        """The variable of the filter, declared and used."""
        return ("", "") if self.where is None else (f", $where: {self.where}!", ", where: $where")


def find_change_query(catalog: Catalog, name: str, stamps: Collection[str] = ()) -> ChangeQuery:
    """Return the change query of a set, by the name of its root field or its own.

    ``stamps`` are ``Set.Property`` of the settings.

    Raises BadArgument if there is no such list, UnsupportedQuery if its rows have no ids.
    """
    root = _list_of(catalog, name)
    assert root.entity_set is not None
    csdl = root.csdl
    if not catalog.is_node(csdl):
        raise UnsupportedQuery(
            f"{root.name} cannot be watched: its rows have no key.",
            hint="Query the list at intervals instead.",
        )
    arguments = {a.name for a in catalog.root_arguments(root)}
    stamp = _stamp(catalog, csdl, _stamps_of(root, stamps))
    # A stamp is of use only if rows can be filtered and ordered by it.
    if stamp is not None and not (
        {"where", "orderBy"} <= arguments and _can_be_queried(catalog, stamp)
    ):
        stamp = None
    created = None if stamp is None else _stamp(catalog, csdl, CREATED_STAMPS)
    query = ChangeQuery(
        name=root.name,
        has_company="companies" in arguments,
        rows="",
        where=catalog.name_of(TypeKind.WHERE, csdl) if "where" in arguments else None,
        stamp=None if stamp is None else stamp.name,
        entity_set=root.entity_set.name,
        row_type=catalog.reference_name(csdl),
        created=None if created is None else created.name,
    )
    return replace(query, rows=_rows(query), newest=_newest(query))


def check_stamps(catalog: Catalog, stamps: Collection[str]) -> None:
    """Raise SettingsError unless each ``Set.Property`` can be used to find changes."""
    for stamp in stamps:
        name = stamp.partition(".")[0]
        try:
            field = find_change_query(catalog, name, (stamp,)).stamp
        except (BadArgument, UnsupportedQuery) as error:
            raise SettingsError(
                f"subscriptions.stamps: {stamp}: {name} is not a list that can be watched.",
                hint=error.hint,
            ) from error
        if field is None:
            raise SettingsError(
                f"subscriptions.stamps: {stamp} is not a date and time to filter and order by.",
                hint="Name a property of the set's rows as the metadata spells it.",
            )


def _stamps_of(root: RootField, stamps: Collection[str]) -> Collection[str]:
    assert root.entity_set is not None
    split = (stamp.partition(".") for stamp in stamps)
    return [name for of, _, name in split if of == root.entity_set.name] or CHANGED_STAMPS


def _rows(of: ChangeQuery) -> str:
    fields, order = "id etag", ""
    if of.stamp is not None:
        fields += f" changed: {of.stamp}" + (
            "" if of.created is None else f" created: {of.created}"
        )
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


def _list_of(catalog: Catalog, name: str) -> RootField:
    root = catalog.roots.get(name)
    if root is None or root.kind is not RootKind.LIST:
        roots = (n for kind, of, n in catalog.set_roots() if kind is RootKind.LIST and of == name)
        by_set = next(roots, None)
        root = None if by_set is None else catalog.roots[by_set]
    of_set = None if root is None else root.entity_set
    if root is None or of_set is None or not catalog.gives(Right.SUBSCRIBE, of_set.name):
        raise no_list(name)
    return root


def no_list(name: str) -> BadArgument:
    """Return the error for a list that is not there, or that the caller may not follow."""
    return BadArgument(
        f"set: there is no list called {name}.",
        hint="Name a list of Query, such as customersV3, its entity set, or a unified list: accounting.vendors.",
    )


def _stamp(catalog: Catalog, csdl: str, names: Collection[str]) -> Field | None:
    """Return the first of the properties that the type has as a date and time; None if it has none."""
    date_times = {
        field.source.lower(): field
        for field in catalog.object(csdl).fields.values()
        if field.kind is FieldKind.VALUE
        and field.value is not None
        and field.value.scalar == "DateTime"
        and not field.many
    }
    return next((date_times[n.lower()] for n in names if n.lower() in date_times), None)


def _can_be_queried(catalog: Catalog, stamp: Field) -> bool:
    """Return whether rows can be filtered and ordered by a time stamp."""
    where = catalog.inputs_of(catalog.name_of(TypeKind.WHERE, stamp.declared_by)).get(stamp.name)
    order = catalog.inputs_of(catalog.name_of(TypeKind.ORDER_BY, stamp.declared_by))
    return (
        where is not None
        and stamp.name in order
        and WhereOperator.GTE in catalog.inputs_of(where.type_name)
    )
