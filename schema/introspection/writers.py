"""Compiles selections of introspection types into functions that return JSON.

A writer is a template of the response keys with one expression per value, so that each of a catalogue's hundreds of
thousands of fields costs a few calls; references to types are written once and cached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson
from graphql import GraphQLDirective

from .row_templates import NAME, TEXT, Alike, Specimen
from .selection import Selected
from .type_records import KINDS, DescribedType, Member, Value, members_of
from .types import Types

_Shown = TypeVar("_Shown")
Write = Callable[[_Shown], bytes]
RootFields = Callable[[Selected, Write[Member]], Write[DescribedType]]
"""Returns the way to write the fields of a root type, of which there may be tens of thousands."""

MOST_USES = 1_500
"""Maximum references to types that are cached."""
MOST_MEMBERS = 1_500
"""Maximum fields, arguments or input fields that are cached: several types of a family share them."""
MOST_TEMPLATES = 4_000
"""Maximum member templates that are cached: there are some thousands, however large the catalogue is."""
_FALSE, _TRUE, _NULL = b"false", b"true", b"null"
_KINDS = {kind: orjson.dumps(kind) for kind in KINDS}
_BY_NAME = frozenset({"kind", "name", "ofType", "__typename"})
"""Fields of ``__Type`` that need nothing but its name."""
_SHALLOW = _BY_NAME | {"specifiedByURL", "isOneOf"}
"""Fields of ``__Type`` whose values are short enough to be cached for each type."""


def text(value: str | None) -> bytes:
    """Return the JSON of a value: a string, a boolean or null."""
    return orjson.dumps(value)


def json_list(items: Iterable[bytes]) -> bytes:
    """Return a JSON list of items that are JSON already."""
    return b"[%b]" % b",".join(items)


class Once(dict[_Shown, bytes]):
    """Caches the JSON of equal items: most references are to a few scalars, or within one family."""

    def __init__(self, write: Write[_Shown], most: int) -> None:
        super().__init__()
        self._write = write
        self._most = most

    def __missing__(self, shown: _Shown) -> bytes:
        if len(self) >= self._most:
            self.clear()
        encoded = self[shown] = self._write(shown)
        return encoded


Uses = Once[str]

WritePieces = Callable[[DescribedType], list[bytes]]


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


_WORDS = (text(NAME), text(TEXT))
_WORD = re.compile(b"|".join(_WORDS))
_IN_ORDER = [0, 1]


def _of(parts: Iterable[Selected], writer: Callable[[Selected], Part]) -> Write[Any]:
    return _object((part.key, writer(part)) for part in parts)


def _kept(items: Iterable[_Shown], include_deprecated: bool) -> Iterable[_Shown]:
    if include_deprecated:
        return items
    return (item for item in items if item.deprecation is None)  # type: ignore[attr-defined]


class Writers:
    """Compiles selections for the types of one schema."""

    def __init__(self, types: Types, root_fields: RootFields) -> None:
        self._types = types
        self._root_fields = root_fields
        self._uses: dict[tuple[Selected, ...], Uses | Write[str]] = {}

    @property
    def is_by_name(self) -> bool:
        """Whether the selections compiled so far need only names and kinds of referenced types."""
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
        write = Once(self.member(part.below, "__InputValue"), MOST_MEMBERS).__getitem__
        every = part.include_deprecated
        return lambda holder: (
            json_list(map(write, _kept(holder.arguments, every))) if holder.arguments else b"[]"
        )

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
            write = self.member(part.below, "__InputValue")
            return _members_listed(write, "inputs", every)
        return self._fields(part)

    def _fields(self, part: Selected) -> Long:
        member = self.member(part.below, "__Field")
        ordinary = _members_listed(member, "fields", part.include_deprecated).write
        of_root = self._root_fields(part, member)
        roots = self._types.roots
        return Long(lambda shown: [of_root(shown)] if shown.name in roots else ordinary(shown))

    # Directives

    def directive(self, below: Iterable[Selected]) -> Write[GraphQLDirective]:
        """Compile a selection of ``__Directive``."""

        def writer(part: Selected) -> Part:
            if part.name == "args":
                write, every = self.member(part.below, "__InputValue"), part.include_deprecated
                return lambda made: json_list(map(write, _kept(members_of(made.args), every)))
            return _OF_DIRECTIVE[part.name]

        return _of(below, writer)


def _all(below: Iterable[Selected]) -> Iterable[Selected]:
    for part in below:
        yield part
        yield from _all(part.below)


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
        return _NULL if items is None else json_list(map(write, _kept(items(), include_deprecated)))

    return write_list


def _members_listed(write: Write[Member], attribute: str, include_deprecated: bool) -> Long:
    once = Once(write, MOST_MEMBERS).__getitem__
    alike = _AlikeWriter(write)

    def write_list(shown: DescribedType) -> list[bytes]:
        items = getattr(shown, attribute)
        if items is None:
            return [_NULL]
        members = items()
        if not isinstance(members, Alike):
            return [json_list(map(once, _kept(members, include_deprecated)))]
        # None of the similar members is deprecated.
        pieces = [b"[", b",".join(map(once, members.before))]
        alike(members, pieces)
        for member in members.after:
            pieces += (b",", once(member))
        if not pieces[1] and len(pieces) > 2:
            pieces[2] = pieces[2][1:]
        pieces.append(b"]")
        return pieces

    return Long(write_list)


def joined(write: WritePieces) -> Write[DescribedType]:
    """Return a function whose result is one text."""
    return lambda shown: b"".join(write(shown))


class _AlikeWriter:
    """Writes members by the templates of their specimens."""

    def __init__(self, write: Write[Member]) -> None:
        self._write = write
        self._templates: dict[Specimen, tuple[bytes, ...]] = {}
        """Specimen → what is around name and description in its JSON, after a comma."""
        self._places: list[int] = []
        """Order of name and description in a template; the selection decides it, so all specimens share it."""

    def _template(self, specimen: Specimen) -> tuple[bytes, ...]:
        if len(self._templates) >= MOST_TEMPLATES:
            self._templates.clear()
        encoded = b"," + self._write(specimen.member)
        self._places = [_WORDS.index(word) for word in _WORD.findall(encoded)]
        template = self._templates[specimen] = tuple(_WORD.split(encoded))
        return template

    def __call__(self, members: Alike, pieces: list[bytes]) -> None:
        """Add pieces of JSON, with a comma before each member."""
        known, kind = self._templates, members.kind
        for row in members.rows:
            specimen = row[4].get(kind)
            if specimen is None:
                continue
            template = known.get(specimen) or self._template(specimen)
            if len(template) == 3 and self._places == _IN_ORDER:
                pieces += (template[0], row[0], template[1], row[1], template[2])
                continue
            pieces.append(template[0])
            words = row[:2]
            for place, rest in zip(self._places, template[1:], strict=True):
                pieces += (words[place], rest)


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
