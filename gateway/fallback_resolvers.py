"""The slow path: resolvers by which graphql-core reads rows that are already loaded.

Used if an operation has hand-written fields or introspection beside generated ones, and if the compiled completion
cannot answer a value. Everything is in memory by then: a failure in a slot is raised at its place, so the error gets
its path, and null propagates as the specification says (section 6.4.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from graphql import GraphQLResolveInfo
from msgspec import UNSET

from gateway.dimensions.formats import EnvironmentFormats
from gateway.documents.collect_fields import custom_names
from gateway.execution.plan_runner import Loaded
from gateway.operations.custom_columns import custom_columns
from gateway.operations.global_ids import node_ids
from gateway.operations.pages import Edge, Failure, Page
from gateway.operations.part_columns import divider, parts_columns
from gateway.operations.row_types import Row, row_type_of
from gateway.operations.shapes import view_place
from gateway.operations.value_conversion import each_from_upstream, from_untyped, from_upstream
from gateway.writes.payload import Payload, read_field
from schema.catalog import Catalog
from schema.catalog.records import (
    Field,
    FieldKind,
    MutationField,
    PayloadField,
    PayloadRole,
    RootField,
    RootKind,
)

from .errors import GatewayError, UpstreamMalformed
from .view_resolvers import ViewResolvers


class LoadedRoots(Protocol):
    """The part of ``info.context`` that these resolvers need."""

    loaded: Mapping[str | int, Loaded]
    """Response key of a root field → its value. (Keys of paths may be numbers as well.)"""
    compiled_nodes: Mapping[int, int]
    """id of a field node of the document → id of the compiled node that it shares."""
    payloads: Mapping[str | int, Payload | GatewayError]
    """Response key of a mutation → its result."""
    subgraph: Callable[[], Awaitable[str]]
    """Returns the SDL of the API as a subgraph."""
    formats: EnvironmentFormats
    """Those of the environment's display values."""


Info = GraphQLResolveInfo[LoadedRoots]

_ROWS_A_TURN = 50
"""Rows that graphql-core completes before other tasks get their turn: about 10 ms."""


def _in_turns(items: list[object]) -> list[object] | AsyncIterator[object]:
    """Return a list; a long one as an iterator that yields to the event loop now and then."""
    return items if len(items) <= _ROWS_A_TURN else _pieces(items)


async def _pieces(items: list[object]) -> AsyncIterator[object]:
    for number, item in enumerate(items):
        if number % _ROWS_A_TURN == 0:
            await asyncio.sleep(0)
        yield item


_CONNECTION: Mapping[str, Callable[[Any], object]] = {
    "nodes": lambda page: _in_turns([_object(row) for row in page.rows]),
    "edges": lambda page: _in_turns([Edge(page, i) for i in range(len(page.rows))]),
    "pageInfo": lambda page: page,
    "totalCount": lambda page: page.total,
    "hasNextPage": lambda page: page.has_next,
    "hasPreviousPage": lambda page: page.has_previous,
    "startCursor": lambda page: page.cursor_at(0),
    "endCursor": lambda page: page.cursor_at(-1),
    "cursor": lambda edge: edge.page.cursor_at(edge.index),
    "node": lambda edge: _object(edge.page.rows[edge.index]),
}


class LoadedResolvers:
    """Implements ``schema.types.resolvers.Resolvers`` over loaded rows."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._node_id = node_ids(catalog.tag)
        self._views = ViewResolvers(self._id)

    def root(self, field: RootField, info: Info) -> object:
        """Return what was loaded under the field's response key."""
        return self._root(field, info.context.loaded[info.path.key].value)

    def unified_root(self, info: Info) -> object:
        """Return what was loaded under the response keys of a model's root field and of a field below it."""
        above = info.path.prev
        assert above is not None
        loaded = info.context.loaded[f"{above.key}.{info.path.key}"]
        return self._root(loaded.bound.shape.root, loaded.value)

    def unified(self, source: object, info: Info) -> object:
        """Return a field of a unified object."""
        node = info.field_nodes[0]
        place = view_place(node, info.parent_type.name, info.context.compiled_nodes)
        return self._views.field(source, info.field_name, place, info.context.formats)

    def _root(self, field: RootField, value: Any) -> object:
        # A function that returns a plain value has no row type.
        if field.kind is RootKind.FUNCTION and not field.csdl:
            return self._plain(field, value)
        if isinstance(value, list):
            return _in_turns([_object(item) for item in value])
        return value if isinstance(value, dict) else _object(value)

    async def subgraph(self, info: Info) -> str:
        """Return the SDL of the API as a subgraph."""
        sdl: str = await info.context.subgraph()
        return sdl

    def _plain(self, field: RootField, value: object) -> object:
        assert field.operation is not None
        assert field.operation.returns is not None
        if isinstance(value, Failure):
            raise value.error
        returns = field.operation.returns
        return from_untyped(self._catalog.value_of(returns), value, is_list=returns.many)

    def field(self, field: Field, source: object, info: Info) -> object:
        """Return a field of a row or complex value."""
        if not isinstance(source, Row):
            raise UpstreamMalformed(
                f"The upstream sent something that is not of type {info.parent_type.name}."
            )
        row_type = row_type_of(source)
        match field.kind:
            case FieldKind.ID:
                return self._id(source, info.parent_type.name)
            case FieldKind.REST:
                return getattr(source, "rest", None)
            case FieldKind.CUSTOM:
                return self._custom(source, info)
            case FieldKind.PARTS:
                return self._parts(field, source, info.context.formats)
            case FieldKind.VALUE | FieldKind.ETAG:
                raw = getattr(source, row_type.attribute(field))
                return _value(field, raw)
            case FieldKind.COMPLEX:
                return self._complex(field, getattr(source, row_type.attribute(field)))
            case _:
                # Documents that differ in literals only share what is compiled, so each has its own nodes.
                node = info.context.compiled_nodes[id(info.field_nodes[0])]
                child = row_type.level.by_node[node]
                return _object(_present(field, getattr(source, child.slot)))

    def _custom(self, row: Row, info: Info) -> dict[str, object]:
        """Return the columns that the field's argument names, with decimals and long integers as text."""
        row_type = row_type_of(row)
        of_type = self._catalog.object(row_type.csdl_of(row) or row_type.level.info.csdl)
        names = custom_names(info.field_nodes[0], info.variable_values.coerced)
        return {
            name: None
            if column is None
            else _in_json(column, _value(column, getattr(row, row_type.attribute(column))))
            for name, column in custom_columns(of_type, names)
        }

    def _parts(self, field: Field, row: Row, formats: EnvironmentFormats) -> object:
        """Return the parts of a display value. Raises GatewayError."""
        row_type = row_type_of(row)
        of_type = self._catalog.object(row_type.csdl_of(row) or row_type.level.info.csdl)
        columns = parts_columns(field, of_type)
        values = (_present(c, getattr(row, row_type.attribute(c))) for c in columns)
        return divider(field, formats)(*values)

    def _complex(self, field: Field, raw: object) -> object:
        _present(field, raw)
        if raw is None or not self._catalog.is_served(field.target):
            return raw
        return [_object(item) for item in _listed(raw)] if field.many else _object(raw)

    def _id(self, row: Row, type_name: str) -> str:
        row_type = row_type_of(row)
        key = row_type.level.info.key
        parts = (_key_part(k, getattr(row, row_type.attribute(k))) for k in key)
        return self._node_id(type_name, *parts)

    def connection(self, name: str, source: object, info: Info) -> object:  # noqa: ARG002 - Resolvers has it
        """Return a field of a connection, edge or PageInfo."""
        if not isinstance(source, Page | Edge):
            raise UpstreamMalformed("The upstream sent something that is not a list.")
        if name == "totalCount" and isinstance(source, Page) and source.total is None:
            raise UpstreamMalformed("The upstream did not tell how many rows there are.")
        return _CONNECTION[name](source)

    def aggregate(self, source: object, info: Info) -> object:
        """Return a field of an aggregate, which is there as it is answered."""
        assert isinstance(source, dict)
        value = source[info.path.key]
        return _in_turns(value) if isinstance(value, list) else value

    def mutation(self, field: MutationField, info: Info) -> object:  # noqa: ARG002 - Resolvers has it
        """Return the payload of a mutation, or raise the error that kept it from being sent."""
        payload: object = info.context.payloads[info.path.key]
        if isinstance(payload, GatewayError):
            raise payload
        return payload

    def payload(self, field: PayloadField, source: object, info: Info) -> object:  # noqa: ARG002 - Resolvers has it
        """Return a field of a payload."""
        assert isinstance(source, Payload)
        value = read_field(field, source)
        if field.role is PayloadRole.ROW or isinstance(value, Row):
            return _object(value)
        return value

    def type_name(self, value: object) -> str:
        """Return the object type of a row of an interface or union.

        Raises UpstreamMalformed for a type that is not served.
        """
        assert isinstance(value, Row)
        row_type = row_type_of(value)
        csdl = row_type.csdl_of(value)
        name = self._catalog.concrete_name(csdl) if csdl in row_type.level.possible else None
        if name is None:
            raise UpstreamMalformed(
                "The upstream sent a row of a type that the metadata does not list here.",
                detail=csdl,
            )
        return name


def _present(field: Field, raw: object) -> object:
    if raw is UNSET:
        raise UpstreamMalformed(f"The upstream did not send {field.source}.")
    return raw


def _key_part(field: Field, raw: object) -> object:
    """Return a part of a row's key as the upstream sent it. Raises UpstreamMalformed if it is not of its type."""
    assert field.value is not None
    if _present(field, raw) is None:
        raise UpstreamMalformed(
            f"The upstream sent a row without {field.source}, a part of its key."
        )
    from_upstream(field.value, raw)
    return raw


def _object(value: object) -> object:
    """Return a row, page or null; anything else as an error, which graphql-core raises at its place."""
    if isinstance(value, Failure):
        return value.error
    if value is None or isinstance(value, Row | Page | Exception):
        return value
    return UpstreamMalformed("The upstream sent something that is not an object.")


def _listed(raw: object) -> list[object]:
    if not isinstance(raw, list):
        raise UpstreamMalformed("The upstream sent something that is not a list.")
    return raw


def _value(field: Field, raw: object) -> object:
    assert field.value is not None
    assert field.prop is not None
    present = _present(field, raw)
    if field.prop.type.many and present is not None:
        return each_from_upstream(field.value, present)
    return from_upstream(field.value, present)


def _in_json(column: Field, value: object) -> object:
    """Return a value as the scalar of its column is written, inside of JSON. Raises its error."""
    assert column.value is not None
    if isinstance(value, list):
        return [_in_json(column, item) for item in value]
    if isinstance(value, Exception):
        raise value
    is_text = value is not None and column.value.scalar in ("Long", "Decimal")
    return str(value) if is_text else value
