"""Finds what a filter means by attributes that are no columns: the object ids of users, the members of groups.

    externalId eq "…" ──▶ rows of the worker ──▶ … ──▶ users, read again for what they show ──▶ userId in […]
    members eq "…"    ──▶ the user's roles and groups                                       ──▶ roleId in […]

The environment cannot compare across these sets, so their rows are read first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import structs
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, Not, ValuePath

from gateway.unified.lists import ListQuery, UnifiedListFailed, UnifiedLists
from schema.catalog import Catalog
from schema.catalog.records import RootKind, TypeKind
from schema.unified.lookups import MissingError, column_of, where_input
from schema.unified.records import JoinSpec, TypeSpec

from .filters import is_of, refused, value_test
from .objects import USER, GroupKind, decode_id

MOST_VALUES = 20
"""Values of an attribute that one filter may look up: each is worth several requests."""
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
Keys: TypeAlias = Mapping[str, Collection[str]]
"""The keys of the rows that a value means."""


def compared(node: FilterNode, attribute: str) -> Sequence[str]:
    """Return the texts that a filter compares with an attribute. Raises InvalidFilterException if they are many."""
    found = {str(each.value) for each in _comparisons(node) if is_of(each, attribute)}
    if len(found) > MOST_VALUES:
        raise refused(f"it compares {attribute} with more than {MOST_VALUES} values")
    return sorted(found)


def _comparisons(node: FilterNode) -> Iterator[Comparison]:
    match node:
        case Comparison(op=CompareOperator.eq):
            yield node
        case Not():
            yield from _comparisons(node.expr)
        case LogicalExpr():
            for term in node.terms:
                yield from _comparisons(term)
        case ValuePath():
            yield from _comparisons(value_test(node))
        case _:
            pass


async def users_of(lists: UnifiedLists, field: str, values: Sequence[str]) -> Keys | None:
    """Return the keys of the users who show a value in a field from another set; None if that cannot be found.

    Raises UnifiedListFailed.
    """
    way = _way_back(lists.schema.unified.spec("User"), field)
    if way is None or not lists.can_filter("users", "userId"):
        return None
    keys: Collection[str] = values
    for set_name, compared_column, column in way:
        try:
            keys = await _column(lists, set_name, compared_column, keys, column)
        except MissingError:
            return None
    found: dict[str, set[str]] = {value: set() for value in values}
    # A user may have several workers, and shows the id of one of them.
    query = ListQuery(select=f"userId value: {field}", where={"userId": {"in": sorted(keys)}})
    for node in await _all(lists, "users", query) if keys else ():
        found.get(str(node["value"]), set()).add(node["userId"])
    return found


async def groups_of(lists: UnifiedLists, kind: GroupKind, users: Sequence[str]) -> Keys:
    """Return the keys of the groups of a kind that users belong to, by the users' ids. Raises UnifiedListFailed."""
    ids = {decode_id(USER, id_): id_ for id_ in users}
    keys = sorted(key for key in ids if key is not None)
    query = ListQuery(select=f"userId {kind.list} {{ {kind.key} }}", where={"userId": {"in": keys}})
    nodes = await _all(lists, "users", query) if keys else ()
    # The environment compares without regard to case, and ids are exact.
    return {
        ids[node["userId"]]: [group[kind.key] for group in node[kind.list] or ()]
        for node in nodes
        if node["userId"] in ids
    }


def _way_back(spec: TypeSpec, field: str) -> Sequence[tuple[str, str, str]] | None:
    """Return the sets between a value of a field and the keys of the rows, each with the column compared and the next.

    None if the field is made of several columns, or joined by more than one column or a condition.
    """
    shown = spec.fields.get(field)
    if shown is None or len(shown.paths) != 1 or shown.values or shown.convert:
        return None
    name, _, column = shown.paths[0].rpartition(".")
    way: list[tuple[str, str, str]] = []
    while name:
        join: JoinSpec = spec.joins[name]
        if join.where or len(join.on) != 1:
            return None
        ((near, far),) = join.on
        way.append((join.set, column, far))
        name, column = join.after, near
    key = spec.fields.get("userId")
    return way if way and key is not None and key.paths == (column,) else None


async def _column(
    lists: UnifiedLists, set_name: str, compared_column: str, values: Collection[str], column: str
) -> Collection[str]:
    """Return a column of the rows of a set with one of these values. Raises MissingError, UnifiedListFailed."""
    catalog = lists.schema.catalog
    entity_set = catalog.model.entity_sets.get(set_name)
    root = list_of(catalog, set_name)
    if entity_set is None or root is None:
        raise MissingError(f"there is no {set_name}")
    field = column_of(catalog, entity_set.type, compared_column)
    test = where_input(catalog, entity_set.type, field)
    if test is None:
        raise MissingError(f"{set_name} cannot be filtered by {compared_column}")
    shown = column_of(catalog, entity_set.type, column).name
    where_type = catalog.name_of(TypeKind.WHERE, entity_set.type)
    query = (
        f"query Unified($where: {where_type}, $after: String) {{ rows: {root}(where: $where, after: $after)"
        f" {{ nodes {{ value: {shown} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    )
    found: set[str] = set()
    if field.value is not None and field.value.scalar == "UUID":
        values = [value for value in values if _UUID.fullmatch(value)]
    variables: dict[str, Any] = {"where": {test[0]: {"in": sorted(values)}}, "after": None}
    has_next = bool(values)
    while has_next:
        answer = await lists.read(structs.replace(lists.request, query=query, variables=variables))
        body = answer.to_builtins()
        if body.get("errors"):
            raise UnifiedListFailed(answer)
        page = body["data"]["rows"]
        found.update(str(node["value"]) for node in page["nodes"] if node["value"])
        has_next, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        variables = {**variables, "after": after}
    return found


async def _all(lists: UnifiedLists, name: str, query: ListQuery) -> Sequence[Mapping[str, Any]]:
    nodes: list[Mapping[str, Any]] = []
    has_next = True
    while has_next:
        page = await lists.page(name, query)
        nodes += page.nodes
        has_next, query = page.has_next, structs.replace(query, after=page.end_cursor)
    return nodes


def list_of(catalog: Catalog, set_name: str) -> str | None:
    """Return the root field that lists a set; None if the caller has none."""
    roots = (n for k, s, n in catalog.set_roots() if (k, s) == (RootKind.LIST, set_name))
    return next(roots, None)
