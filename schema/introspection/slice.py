"""A slice of a schema for tools: the requested root fields and types, with the types they refer to, as introspection.

A whole catalogue is too large for an editor (131 MB of JSON for Finance & Operations). A slice is a complete schema for
graphql-js's ``buildClientSchema``. It describes the types of the requested rows in full, and so their neighbours over
``steps`` relations. Types beyond are *partial*, with a few of their fields; tools request them when they are opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import orjson
from graphql import GraphQLObjectType
from msgspec.structs import replace

from schema.catalog.records import TypeEntry, TypeKind
from schema.types.build import ODataSchema

from .member_lists import Write, json_list, text
from .selection import Selected
from .type_records import DescribedType, Member, input_member
from .types import Types
from .writers import Writers

FIELDS_OF_PARTIAL = 3
"""Maximum fields of a partial type."""
_ALWAYS = ("node", "nodes")
"""Fields of ``Query`` that are in every slice."""
_THIN = frozenset({TypeKind.CONNECTION, TypeKind.EDGE})
"""Kinds of types that are never partial, because they only lead to the next type."""
_NAME = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRequest:
    """The contents of a slice. Names that the schema does not have are ignored."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """``query``, ``mutation``, ``subscription`` → fields of that root type."""
    types: Sequence[str] = ()
    steps: int = 0
    """Number of relations over which the types of other rows are still described in full."""


def write_slice(schema: ODataSchema, request: SliceRequest) -> bytes:
    """Return the JSON ``{"__schema": …, "partial": [names]}``.

    ``schema`` must be one over a ``fresh_copy`` of the catalogue, because it keeps the records read for the slice.
    """
    return _Slice(Types(schema), request).write()


class _Slice:
    def __init__(self, types: Types, request: SliceRequest) -> None:
        self._types = types
        self._request = request
        self._described: dict[str, DescribedType] = {}
        self._partial: list[str] = []

    def write(self) -> bytes:
        roots = dict(self._roots())
        self._reach(roots)
        types = [self._with_possible(shown) for shown in self._described.values()]
        writers = Writers(self._types, _all_fields)
        write = writers.type(_TYPE)
        directives = map(writers.directive(_DIRECTIVE), self._types.core.directives)
        schema = {
            **{name: _named(roots, name) for name in ("query", "mutation", "subscription")},
            "types": json_list(map(write, types)),
            "directives": json_list(directives),
        }
        keys = {name: name if name in ("types", "directives") else f"{name}Type" for name in schema}
        inner = b",".join(text(keys[name]) + b":" + piece for name, piece in schema.items())
        return b'{"__schema":{%b},"partial":%b}' % (inner, orjson.dumps(self._partial))

    # Root types

    def _roots(self) -> Iterator[tuple[str, DescribedType]]:
        core, types = self._types.core, self._types
        root_types = {
            "query": core.query_type,
            "mutation": core.mutation_type,
            "subscription": core.subscription_type,
        }
        for root, root_type in root_types.items():
            if root_type is not None:
                names = self._chosen(root, root_type)
                yield root, _root(root_type, [types.root_member(root_type, name) for name in names])

    def _chosen(self, root: str, root_type: GraphQLObjectType) -> list[str]:
        """Return the requested fields of a root type, and at least one."""
        names = (*self._request.fields.get(root, ()), *(_ALWAYS if root == "query" else ()))
        chosen = [name for name in dict.fromkeys(names) if name in root_type.fields]
        return chosen or [next(iter(root_type.fields))]

    # Referenced types

    def _reach(self, roots: Mapping[str, DescribedType]) -> None:
        """Describe the types, the nearest first."""
        requested = {name for names in self._request.fields.values() for name in names}
        level: dict[str, str] = dict.fromkeys(self._request.types, "")
        border: dict[str, str] = {}
        for shown in roots.values():
            self._described[shown.name] = shown
            for member in shown.fields() if shown.fields is not None else ():
                names = dict.fromkeys(_of_member(member), "")
                (level if member.name in requested else border).update(names)
        # Always described, because the directives refer to some of them.
        for name in _BUILT_IN:
            level.setdefault(name, "")
        for _ in range(self._request.steps + 1):
            level = self._describe(level)
        self._describe_partially({**level, **border})

    def _describe(self, names: dict[str, str]) -> dict[str, str]:
        """Describe these types and those of the same rows in full; return the names one relation further."""
        further: dict[str, str] = {}
        waiting = list(names.items())
        for name, family in waiting:  # grows while it is walked
            shown = None if name in self._described else self._types.find(name)
            if shown is None:
                continue
            self._described[name] = shown
            own = self._family(name) or family
            for other in _leads_to(shown):
                if self._family(other) in ("", own):
                    waiting.append((other, own))
                else:
                    further[other] = own
        return further

    def _describe_partially(self, names: Iterable[str]) -> None:
        waiting = list(names)
        for name in waiting:  # grows while it is walked
            shown = None if name in self._described else self._types.find(name)
            if shown is None:
                continue
            entry = self._types.schema.entry(name)
            if entry is not None and entry.kind not in _THIN and self._is_row(entry):
                shown = self._partially(self._lazily(shown, entry))
                self._partial.append(name)
            self._described[name] = shown
            waiting.extend(_leads_to(shown))

    def _family(self, name: str) -> str:
        """Return the CSDL type of the rows that a type belongs to; empty for types shared by all rows."""
        entry = self._types.schema.entry(name)
        return entry.csdl if entry is not None and self._is_row(entry) else ""

    def _is_row(self, entry: TypeEntry) -> bool:
        return entry.csdl in self._types.schema.catalog.model.entity_types

    def _lazily(self, shown: DescribedType, entry: TypeEntry) -> DescribedType:
        """Return the type with lazily described fields, so that the first few do not cost all of them."""
        types, catalog = self._types, self._types.schema.catalog
        if entry.kind in (TypeKind.OBJECT, TypeKind.INTERFACE):
            return replace(
                shown, fields=lambda: map(types.row_member, catalog.each_field(entry.csdl))
            )
        if entry.kind in (TypeKind.WHERE, TypeKind.ORDER_BY):
            first = catalog.first_inputs(entry.name, FIELDS_OF_PARTIAL)
            return replace(shown, inputs=lambda: map(input_member, first))
        return shown

    def _with_possible(self, shown: DescribedType) -> DescribedType:
        """Return an abstract type with only those possible types that are in the slice."""
        possible = shown.possible
        if possible is None:
            return shown
        if shown.kind == "UNION":
            return replace(shown, possible=lambda: (n for n in possible() if n in self._described))
        return replace(shown, possible=lambda: self._implementers(shown.name))

    def _implementers(self, interface: str) -> Iterator[str]:
        for other in self._described.values():
            is_object = other.kind == "OBJECT" and other.interfaces is not None
            if is_object and other.interfaces is not None and interface in other.interfaces():
                yield other.name

    def _partially(self, shown: DescribedType) -> DescribedType:
        """Return the type with a few fields only, which refer to no further types."""
        fields = None if shown.fields is None else self._first_near(shown.name, shown.fields())
        inputs = None if shown.inputs is None else self._first_near(shown.name, shown.inputs())
        has_id = fields is not None and any(member.name == "id" for member in fields)
        has_node = has_id and shown.interfaces is not None and "Node" in shown.interfaces()
        return replace(
            shown,
            fields=None if fields is None else lambda: fields,
            inputs=None if inputs is None else lambda: inputs,
            interfaces=None if shown.interfaces is None else lambda: ("Node",) * has_node,
        )

    def _first_near(self, name: str, members: Iterable[Member]) -> list[Member]:
        """Return the first fields that are leaves or of the type itself; if there are none, the very first field."""
        some = iter(members)
        first = list(islice(some, 1))
        near = (member for member in chain(first, some) if self._is_near(name, member))
        return list(islice(near, FIELDS_OF_PARTIAL)) or first

    def _is_near(self, name: str, member: Member) -> bool:
        used = _base(member.type)
        is_leaf = used == name or self._types.kind(used) in ("SCALAR", "ENUM")
        return is_leaf and not member.arguments


_BUILT_IN = ("String", "Boolean", "Int", "Float", "ID")


def _root(root_type: GraphQLObjectType, members: Sequence[Member]) -> DescribedType:
    return DescribedType(
        name=root_type.name,
        kind="OBJECT",
        description=root_type.description,
        fields=lambda: members,
        interfaces=tuple,
    )


def _base(use: str) -> str:
    """``[Order!]!`` → ``Order``."""
    name = _NAME.search(use)
    assert name is not None
    return name[0]


def _of_member(member: Member) -> Iterator[str]:
    yield _base(member.type)
    for argument in member.arguments:
        yield _base(argument.type)


def _leads_to(shown: DescribedType) -> Iterator[str]:
    """Yield the names of the types that this one refers to."""
    for members in (shown.fields, shown.inputs):
        for member in members() if members is not None else ():
            yield from _of_member(member)
    if shown.interfaces is not None:
        yield from shown.interfaces()
    if shown.possible is not None and shown.kind == "UNION":
        # The members may be the whole catalogue; one is enough, and requested types are added anyway.
        yield from list(shown.possible())[:1]


def _named(roots: Mapping[str, DescribedType], name: str) -> bytes:
    return orjson.dumps({"name": roots[name].name}) if name in roots else b"null"


def _all_fields(_: Selected, write: Write[Member]) -> Write[DescribedType]:
    return lambda shown: json_list(map(write, shown.fields() if shown.fields is not None else ()))


# The selection of graphql-js's getIntrospectionQuery, without fields that would always be null


def _selected(*names: str | Selected) -> tuple[Selected, ...]:
    return tuple(n if isinstance(n, Selected) else Selected(n, n) for n in names)


def _below(name: str, *names: str | Selected) -> Selected:
    return Selected(name, name, _selected(*names), include_deprecated=True)


_INNER = _selected("kind", "name", "ofType")
for _ in range(3):  # the wrappers of [T!]!
    _INNER = _selected("kind", "name", _below("ofType", *_INNER))
_USE = _below("type", *_INNER)
_INPUT = _selected("name", "description", _USE, "defaultValue", "isDeprecated", "deprecationReason")
_TYPE = _selected(
    *("kind", "name", "description", "specifiedByURL", "isOneOf"),
    _below(
        "fields",
        *("name", "description", "isDeprecated", "deprecationReason"),
        _below("args", *_INPUT),
        _USE,
    ),
    _below("inputFields", *_INPUT),
    _below("interfaces", "kind", "name", "ofType"),
    _below("enumValues", "name", "description", "isDeprecated", "deprecationReason"),
    _below("possibleTypes", "kind", "name", "ofType"),
)
_DIRECTIVE = _selected(
    *("name", "description", "isRepeatable", "locations"), _below("args", *_INPUT)
)
