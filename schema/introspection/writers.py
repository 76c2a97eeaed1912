"""Compiles selections of introspection types into functions that return JSON.

A writer is a template of the response keys with one expression per value, so that each of a catalogue's hundreds of
thousands of fields costs a few calls; references to types are written once and cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from graphql import GraphQLDirective

from .member_lists import MemberList, Once, Write, WritePieces, json_list, kept, text
from .selection import Selected
from .type_records import KINDS, DescribedType, Member, Value, members_of
from .types import Types

RootFields = Callable[[Selected, Write[Member]], Write[DescribedType]]
"""Returns the way to write the fields of a root type, of which there may be tens of thousands."""

MOST_USES = 1_500
"""Maximum references to types that are cached."""
_FALSE, _TRUE, _NULL = b"false", b"true", b"null"
_KINDS = {kind: orjson.dumps(kind) for kind in KINDS}
_BY_NAME = frozenset({"kind", "name", "ofType", "__typename"})
"""Fields of ``__Type`` that need nothing but its name."""
_SHALLOW = _BY_NAME | {"specifiedByURL", "isOneOf"}
"""Fields of ``__Type`` whose values are short enough to be cached for each type."""


Uses = Once[str]


class Long(NamedTuple):
    """How a long value is written: in pieces, which are joined only when they are stored."""

    write: WritePieces


Part = bytes | str | Uses | Long | Write[Any]
"""How a value is written: a constant; an expression over ``x`` and ``_NAMES``; the cached type of ``x``; pieces; a
function of ``x``."""
_NAMES: dict[str, Any] = {"text": orjson.dumps, "true": _TRUE, "false": _FALSE, "null": _NULL}


def _expression(part: Part, names: dict[str, Any]) -> str:
    """Return an expression for a value that is not constant; the names that it needs are added."""
    if isinstance(part, str):
        return part
    name = f"write_{len(names)}"
    names[name] = part.write if isinstance(part, Long) else part
    if isinstance(part, Long):
        return f"*{name}(x)"
    return f"{name}[x.type]" if isinstance(part, Once) else f"{name}(x)"


def _object(parts: Iterable[tuple[str, Part]]) -> Write[Any]:
    """Return one function for all keys of an object, which saves a call per expression."""
    pieces: list[bytes] = []
    values: list[str] = []
    names = dict(_NAMES)
    for key, part in parts:
        head = orjson.dumps(key) + b":"
        if isinstance(part, bytes):
            pieces.append(head + part)
        else:
            pieces.append(head + b"%b")
            values.append(_expression(part, names))
    names["template"] = b"{%b}" % b",".join(pieces)
    # The evaluated text consists of this module's expressions only; response keys are in the template.
    write: Write[Any] = eval(f"lambda x: template % ({''.join(f'{v}, ' for v in values)})", names)  # noqa: S307
    return write


def _object_in_pieces(parts: Iterable[tuple[str, Part]]) -> WritePieces:
    """Return a function as ``_object`` does, whose result need not be copied to become part of a longer text."""
    values: list[str] = []
    names = dict(_NAMES)
    constant = b"{"
    for number, (key, part) in enumerate(parts):
        constant += (b"," if number else b"") + orjson.dumps(key) + b":"
        if isinstance(part, bytes):
            constant += part
            continue
        names[f"constant_{number}"] = constant
        values += (f"constant_{number}", _expression(part, names))
        constant = b""
    names["end"] = constant + b"}"
    # As above.
    write: WritePieces = eval(f"lambda x: [{', '.join((*values, 'end'))}]", names)  # noqa: S307
    return write


def _of(parts: Iterable[Selected], writer: Callable[[Selected], Part]) -> Write[Any]:
    return _object((part.key, writer(part)) for part in parts)


class Writers:
    """Compiles selections for the types of one schema."""

    def __init__(self, types: Types, root_fields: RootFields) -> None:
        self._types = types
        self._root_fields = root_fields
        self._uses: dict[tuple[Selected, ...], Uses | Write[str]] = {}
        self._lists: dict[tuple[Selected, str], MemberList] = {}

    def is_by_name(self) -> bool:
        """Return whether the selections compiled so far need only names and kinds of referenced types."""
        return all(part.name in _BY_NAME for below in self._uses for part in _all(below))

    # Values and members

    def value(self, below: Iterable[Selected]) -> Write[Value]:
        """Compile a selection of ``__EnumValue``."""
        return _of(below, lambda part: _named("__EnumValue", part.name))

    def member(self, below: Iterable[Selected], typename: str) -> Write[Member]:
        """Compile a selection of ``__Field`` or ``__InputValue``."""

        def writer(part: Selected) -> Part:
            if part.name == "type":
                use = self.use(part.below)
                return use if isinstance(use, Once) else lambda member: use(member.type)
            if part.name == "args":
                return self._arguments(part)
            if part.name == "defaultValue":
                return "null if x.default is None else text(x.default)"
            return _named(typename, part.name)

        return _of(below, writer)

    def _arguments(self, part: Selected) -> Write[Any]:
        listed = self.members(part, "__InputValue").joined
        return lambda holder: listed(holder.arguments) if holder.arguments else b"[]"

    def members(self, part: Selected, typename: str) -> MemberList:
        """Compile a selection of fields, arguments or input fields; equal ones share templates and a cache."""
        known = self._lists.get((part, typename))
        if known is None:
            write = self.member(part.below, typename)
            known = MemberList(write, part.include_deprecated, by_name=_refers_by_name(part.below))
            self._lists[part, typename] = known
        return known

    def lists(self, below: Iterable[Selected], name: str, typename: str) -> tuple[MemberList, ...]:
        """Return how members are written, for each time that they are selected."""
        return tuple(self.members(part, typename) for part in below if part.name == name)

    # Types

    def use(self, below: tuple[Selected, ...]) -> Uses | Write[str]:
        """Compile a selection of ``__Type`` for references to types; equal selections share a cache."""
        writer = self._uses.get(below)
        if writer is None:
            write = self._use(below)
            is_shallow = all(part.name in _SHALLOW for part in _all(below))
            writer = self._uses[below] = Once(write, MOST_USES) if is_shallow else write
        return writer

    def _use(self, below: Sequence[Selected]) -> Write[str]:
        named = self.named(below)
        inner = {part.below: self._use(part.below) for part in below if part.name == "ofType"}
        required, many = _wrapped(below, "NON_NULL", inner), _wrapped(below, "LIST", inner)

        def write(use: str) -> bytes:
            last = use[-1]
            if last == "!":
                return required(use[:-1])
            return many(use[1:-1]) if last == "]" else named(use)

        return write

    def named(self, below: Sequence[Selected]) -> Write[str]:
        """Compile a selection of ``__Type`` for types by name."""
        types = self._types
        if all(part.name in _BY_NAME for part in below):
            return _of(below, self._name_only)
        write = self.type(below)

        def write_named(name: str) -> bytes:
            described = types.find(name)
            assert described is not None
            return write(described)

        return write_named

    def _name_only(self, part: Selected) -> Part:
        kind = self._types.kind
        if part.name == "kind":
            return lambda name: _KINDS[kind(name)]
        if part.name == "name":
            return text
        return text("__Type") if part.name == "__typename" else _NULL

    def type(self, below: Sequence[Selected]) -> Write[DescribedType]:
        """Compile a selection of ``__Type``."""
        return joined(self.type_in_pieces(below))

    def type_in_pieces(self, below: Sequence[Selected]) -> WritePieces:
        """Compile a selection of ``__Type`` for types that are part of a long text."""

        def writer(part: Selected) -> Part:
            constant = _OF_TYPE.get(part.name)
            return self._list(part) if constant is None else constant

        return _object_in_pieces((part.key, writer(part)) for part in below)

    def _list(self, part: Selected) -> Part:
        every = part.include_deprecated
        write: Write[Any]
        if part.name in ("interfaces", "possibleTypes"):
            write = self.named(part.below)
            return _listed(write, "interfaces" if part.name == "interfaces" else "possible", True)
        if part.name == "enumValues":
            return _listed(self.value(part.below), "values", every)
        if part.name == "inputFields":
            return _members_listed(self.members(part, "__InputValue"), "inputs")
        return self._fields(part)

    def _fields(self, part: Selected) -> Long:
        members = self.members(part, "__Field")
        ordinary = _members_listed(members, "fields").write
        of_root = self._root_fields(part, members.write)
        roots = self._types.roots
        return Long(lambda shown: [of_root(shown)] if shown.name in roots else ordinary(shown))

    # Directives

    def directive(self, below: Iterable[Selected]) -> Write[GraphQLDirective]:
        """Compile a selection of ``__Directive``."""

        def writer(part: Selected) -> Part:
            if part.name == "args":
                write, every = self.member(part.below, "__InputValue"), part.include_deprecated
                return lambda made: json_list(map(write, kept(members_of(made.args), every)))
            return _OF_DIRECTIVE[part.name]

        return _of(below, writer)


def _all(below: Iterable[Selected]) -> Iterable[Selected]:
    for part in below:
        yield part
        yield from _all(part.below)


def _refers_by_name(below: Iterable[Selected]) -> bool:
    """Return whether a selection of members needs only the names and kinds of the types they refer to."""
    return all(
        all(inner.name in _BY_NAME for inner in _all(part.below))
        if part.name == "type"
        else _refers_by_name(part.below)
        for part in below
    )


def _wrapped(
    below: Iterable[Selected], kind: str, inner: Mapping[tuple[Selected, ...], Write[str]]
) -> Write[str]:
    """Compile a selection of ``__Type`` for a non-null or list type."""

    def writer(part: Selected) -> Part:
        if part.name == "ofType":
            return inner[part.below]
        if part.name == "kind":
            return text(kind)
        return text("__Type") if part.name == "__typename" else _NULL

    return _of(below, writer)


def _listed(write: Write[Any], attribute: str, include_deprecated: bool) -> Write[DescribedType]:
    def write_list(shown: DescribedType) -> bytes:
        items = getattr(shown, attribute)
        return _NULL if items is None else json_list(map(write, kept(items(), include_deprecated)))

    return write_list


def _members_listed(members_list: MemberList, attribute: str) -> Long:
    def write_list(shown: DescribedType) -> list[bytes]:
        items = getattr(shown, attribute)
        return [_NULL] if items is None else members_list.pieces(items())

    return Long(write_list)


def joined(write: WritePieces) -> Write[DescribedType]:
    """Return a function whose result is one text."""
    return lambda shown: b"".join(write(shown))


def _named(typename: str, name: str) -> Part:
    return text(typename) if name == "__typename" else _OF_NAMED[name]


_OF_NAMED: dict[str, Part] = {
    "name": "text(x.name)",
    "description": "text(x.description)",
    "isDeprecated": "false if x.deprecation is None else true",
    "deprecationReason": "null if x.deprecation is None else text(x.deprecation)",
}
_OF_TYPE: dict[str, Part] = {
    "__typename": text("__Type"),
    "kind": lambda shown: _KINDS[shown.kind],
    "name": "text(x.name)",
    "description": "text(x.description)",
    "specifiedByURL": "text(x.specified_by)",
    "isOneOf": "text(x.one_of)",
    "ofType": _NULL,
}
_OF_DIRECTIVE: dict[str, Part] = {
    "__typename": text("__Directive"),
    "name": "text(x.name)",
    "description": "text(x.description)",
    "isRepeatable": "text(x.is_repeatable)",
    "locations": "text([location.name for location in x.locations])",
    "isDeprecated": "text(x.deprecation_reason is not None)",
    "deprecationReason": "text(x.deprecation_reason)",
}
