"""Writes lists of members (fields, arguments, input fields), most of them by the templates of similar ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import orjson

from schema.catalog.records import TypeKind

from .row_shapes import ENUM, FILTER, NAME, TARGET, TEXT, Alike, Row, Shape
from .type_records import DescribedType, Member

_Shown = TypeVar("_Shown")
Write = Callable[[_Shown], bytes]
WritePieces = Callable[[DescribedType], list[bytes]]

MOST_MEMBERS = 1_500
"""Maximum fields, arguments or input fields that are cached: several types of a family share them."""
MOST_TEMPLATES = 4_000
"""Maximum member templates that are cached: there are some hundreds, however large the catalogue is."""
_WORDS = {
    f'"{NAME}"'.encode(): 0,
    f'"{TEXT}"'.encode(): 1,
    ENUM.encode(): 5,
    FILTER.encode(): 6,
    TARGET.encode(): 5,
}
"""What templates leave out, and the columns of ``Row`` that have it."""
_WORD = re.compile(b"|".join(_WORDS))

Template = tuple[tuple[bytes, ...], tuple[int, ...] | None]
"""The JSON of a member after a comma, without the words of its row; and the columns of ``Row`` between, None for name
and description."""


def text(value: str | None) -> bytes:
    """Return the JSON of a value: a string, a boolean or null."""
    return orjson.dumps(value)


def json_list(items: Iterable[bytes]) -> bytes:
    """Return a JSON list of items that are JSON already."""
    return b"[%b]" % b",".join(items)


def kept(items: Iterable[_Shown], include_deprecated: bool) -> Iterable[_Shown]:
    """Return the items that are selected: all, or those that are not deprecated."""
    if include_deprecated:
        return items
    return (item for item in items if item.deprecation is None)  # type: ignore[attr-defined]


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


class _Templates(dict[Shape, Template | None]):
    """The templates of properties in the types of one kind; None for those that they do not have."""

    def __init__(self, kind: TypeKind, write: Write[Member]) -> None:
        super().__init__()
        self._kind = kind
        self._write = write

    def __missing__(self, shape: Shape) -> Template | None:
        if len(self) >= MOST_TEMPLATES:
            self.clear()
        member = shape.members.get(self._kind)
        template = None
        if member is not None:
            encoded = b"," + self._write(member)
            places = tuple(_WORDS[word] for word in _WORD.findall(encoded))
            parts = tuple(_WORD.split(encoded))
            template = (parts, None if places == _PLAIN else places)
        self[shape] = template
        return template


_PLAIN = (0, 1)


class MemberList:
    """Writes members as a selection has them."""

    def __init__(self, write: Write[Member], include_deprecated: bool, *, by_name: bool) -> None:
        """``by_name``: whether references to types need only their names and kinds."""
        self.write = write
        self.once = Once(write, MOST_MEMBERS).__getitem__
        self._every = include_deprecated
        self._by_name = by_name
        self._templates: dict[TypeKind, _Templates] = {}

    def joined(self, members: Iterable[Member]) -> bytes:
        """Return the JSON of a list of members."""
        return json_list(map(self.once, kept(members, self._every)))

    def pieces(self, members: Iterable[Member]) -> list[bytes]:
        """Return the JSON of a list of members in pieces."""
        if not isinstance(members, Alike):
            return [self.joined(members)]
        pieces = self.alike(members)
        if pieces:
            pieces[0] = pieces[0][1:]
        return [b"[", *pieces, b"]"]

    def alike(self, members: Alike) -> list[bytes]:
        """Return the JSON of members, each after a comma; none of the similar ones is deprecated."""
        pieces = self.items(members.before) if members.before else []
        self.similar(members.kind, members.rows, pieces)
        if members.after:
            pieces += self.items(members.after)
        return pieces

    def items(self, members: Iterable[Member]) -> list[bytes]:
        """Return the JSON of members that are not deprecated, each after a comma."""
        pieces: list[bytes] = []
        for member in members:
            pieces += (b",", self.once(member))
        return pieces

    def similar(self, kind: TypeKind, rows: Sequence[Row], pieces: list[bytes]) -> None:
        """Add the JSON of the members that properties have in a type, each after a comma."""
        templates = self._templates.get(kind)
        if templates is None:
            templates = self._templates[kind] = _Templates(kind, self.write)
        if not self._by_name:
            pieces += self.items(Alike(kind, rows))
            return
        for row in rows:
            template = templates[row[4]]
            if template is None:
                continue
            parts, places = template
            if places is None:
                pieces += (parts[0], row[0], parts[1], row[1], parts[2])
            else:
                _fill(row, parts, places, pieces)


def _fill(row: Row, parts: tuple[bytes, ...], places: tuple[int, ...], pieces: list[bytes]) -> None:
    words: tuple[Any, ...] = row
    pieces.append(parts[0])
    for place, part in zip(places, parts[1:], strict=True):
        pieces += (words[place], part)
