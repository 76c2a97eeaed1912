"""The slow path: how graphql-core reads values that are already loaded.

Used where an operation has hand-written fields or introspection beside generated ones, and where the compiled
completion met a surprise. Everything is in memory by then: a failure that was put in a slot is raised at its
place, so the error gets its path and null goes up as the specification says (section 6.4.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from graphql import GraphQLResolveInfo
from msgspec import UNSET

from schema.catalog import Catalog
from schema.fields import Field, FieldKind, RootField, RootKind

from .errors import UpstreamMalformed
from .ids import node_id
from .pages import Edge, Failure, Page
from .rows import Row
from .run import Loaded
from .values import from_upstream

Info = GraphQLResolveInfo[Any]


class LoadedRoots(Protocol):
    """What is needed of the operation's context."""

    loaded: Mapping[str, Loaded]


_CONNECTION: Mapping[str, Callable[[Any], object]] = {
    "nodes": lambda page: page.rows,
    "edges": lambda page: [Edge(page, i) for i in range(len(page.rows))],
    "pageInfo": lambda page: page,
    "totalCount": lambda page: page.total,
    "hasNextPage": lambda page: page.has_next,
    "hasPreviousPage": lambda page: page.has_previous,
    "startCursor": lambda page: page.cursor_at(0),
    "endCursor": lambda page: page.cursor_at(-1),
    "cursor": lambda edge: edge.page.cursor_at(edge.index),
    "node": lambda edge: edge.page.rows[edge.index],
}


class LoadedResolvers:
    """Implements ``schema.resolvers.Resolvers`` over loaded rows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def root(self, field: RootField, info: Info) -> object:
        """Give what was loaded under the field's response key."""
        value = info.context.loaded[info.path.key].value
        if isinstance(value, Failure):
            raise value.error
        if field.kind is RootKind.FUNCTION and not field.csdl:
            return self._plain(field, value)
        return value

    def _plain(self, field: RootField, value: object) -> object:
        assert field.operation is not None
        assert field.operation.returns is not None
        kind = self._catalog.value_of(field.operation.returns)
        if isinstance(value, list):
            return [from_upstream(kind, item) for item in value]
        return from_upstream(kind, value)

    def field(self, field: Field, source: object, info: Info) -> object:
        """Give a field of a row or complex value."""
        if not isinstance(source, Row):
            raise UpstreamMalformed(
                f"The upstream sent something that is no {info.parent_type.name}."
            )
        row_type = type(source).row_type
        match field.kind:
            case FieldKind.ID:
                return self._id(source, info.parent_type.name)
            case FieldKind.REST:
                return getattr(source, "rest", None)
            case FieldKind.VALUE:
                raw = getattr(source, row_type.attribute(field))
                return _value(field, raw)
            case FieldKind.COMPLEX:
                return _present(field, getattr(source, row_type.attribute(field)))
            case _:
                child = row_type.level.by_node[id(info.field_nodes[0])]
                value = getattr(source, child.slot)
                if isinstance(value, Failure):
                    raise value.error
                return _present(field, value)

    def _id(self, row: Row, type_name: str) -> str:
        row_type = type(row).row_type
        key = row_type.level.info.key
        return node_id(type_name, *(_present(k, getattr(row, row_type.attribute(k))) for k in key))

    def connection(self, name: str, source: object, info: Info) -> object:  # noqa: ARG002 - the protocol's
        """Give a field of a connection, edge or PageInfo."""
        if not isinstance(source, Page | Edge):
            raise UpstreamMalformed("The upstream sent something that is no list.")
        return _CONNECTION[name](source)

    def type_name(self, value: object) -> str:
        """Give the object type of a row of an interface. Raises UpstreamMalformed for a type that is not served."""
        csdl = type(value).row_type.csdl_of(value) if isinstance(value, Row) else ""
        name = self._catalog.concrete_name(csdl) if csdl else None
        if name is None:
            raise UpstreamMalformed(
                "The upstream sent a row of a type that the metadata does not list.", detail=csdl
            )
        return name


def _present(field: Field, raw: object) -> object:
    if raw is UNSET:
        raise UpstreamMalformed(f"The upstream did not send {field.source}.")
    return raw


def _value(field: Field, raw: object) -> object:
    value, prop = field.value, field.prop
    assert value is not None
    assert prop is not None
    _present(field, raw)
    if not prop.type.many or raw is None:
        return from_upstream(value, raw)
    if not isinstance(raw, list):
        raise UpstreamMalformed(f"The upstream sent something that is no list for {field.source}.")
    return [from_upstream(value, item) for item in raw]
