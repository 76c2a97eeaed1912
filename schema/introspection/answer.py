"""Streams the response of an introspection operation.

The parts that grow with the catalogue (the list of all types, the fields of root types) are first replaced by marks and
written when the stream reaches them. Types are written family by family, together with the root fields of their rows:
both come from the same records, which are then dropped. A spool keeps the texts until their turn in the schema's order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from graphql import GraphQLObjectType

from schema.types.build import ODataSchema
from schema.types.federation import SERVICE, SERVICE_TYPE

from .compressed_store import Spool
from .family_writer import FORGET_AFTER, FamilyTexts, FamilyWriter
from .member_lists import Write, WritePieces, text
from .root_templates import RootPlace
from .selection import Selected
from .subgraph import print_subgraph
from .type_records import DescribedType, Member
from .types import Types
from .writers import Writers, joined

_MARK = re.compile(rb"\x00(\d+)\x00")
"""JSON never contains this byte (RFC 8259 section 7)."""

_TOGETHER = 1 << 18
"""Bytes of a list that are passed on together: as many as are compressed at a time."""

Pieces = Callable[[], Iterator[bytes]]


def introspect(schema: ODataSchema, selection: Iterable[Selected]) -> Iterator[bytes]:
    """Yield the JSON of the response (``{"data": …}``) in pieces; ``selection`` is the operation's.

    Answers that grow with the catalogue (``is_whole``) need a schema of their own, over a ``fresh_copy`` of the
    catalogue, because records are dropped on the way.
    """
    return _Answer(Types(schema)).written(selection)


class _Answer:
    def __init__(self, types: Types) -> None:
        self._types = types
        self._core = types.core
        self._writers = Writers(types, self._root_fields)
        self._late: list[Pieces] = []
        self._root_places: list[RootPlace] = []
        """Where fields of root types are selected."""
        self._spools: dict[tuple[int, str], Spool] = {}
        """(Place, root type) → the fields written so far, by name."""

    def written(self, selection: Iterable[Selected]) -> Iterator[bytes]:
        parts = b",".join(text(part.key) + b":" + self._root(part) for part in selection)
        return self._expanded(b'{"data":{%b}}' % parts)

    def _root(self, part: Selected) -> bytes:
        if part.name == "__typename":
            return text("Query")
        if part.name == SERVICE:
            return self._service(part)
        if part.name == "__type":
            shown = self._types.find(part.type_name)
            return b"null" if shown is None else self._writers.type(part.below)(shown)
        inner = (text(field.key) + b":" + self._of_schema(field) for field in part.below)
        return b"{%b}" % b",".join(inner)

    def _service(self, part: Selected) -> bytes:
        inner = (
            text(field.key)
            + b":"
            + (text(SERVICE_TYPE) if field.name == "__typename" else self._mark(self._sdl))
            for field in part.below
        )
        return b"{%b}" % b",".join(inner)

    def _sdl(self) -> Iterator[bytes]:
        yield b'"'
        for piece in print_subgraph(self._types.schema):
            yield text(piece)[1:-1]
        yield b'"'

    def _of_schema(self, part: Selected) -> bytes:
        core, writers = self._core, self._writers
        if part.name == "types":
            return self._mark(lambda: self._all_types(part.below))
        if part.name == "directives":
            write = writers.directive(part.below)
            shown = (
                d
                for d in core.directives
                if part.include_deprecated or d.deprecation_reason is None
            )
            return b"[%b]" % b",".join(map(write, shown))
        if part.name == "description":
            return text(core.description)
        if part.name == "__typename":
            return text("__Schema")
        root_type = {
            "queryType": core.query_type,
            "mutationType": core.mutation_type,
            "subscriptionType": core.subscription_type,
        }[part.name]
        return b"null" if root_type is None else writers.named(part.below)(root_type.name)

    # Parts that are written when the stream reaches them

    def _mark(self, pieces: Pieces) -> bytes:
        self._late.append(pieces)
        return b"\x00%d\x00" % (len(self._late) - 1)

    def _expanded(self, written: bytes) -> Iterator[bytes]:
        for place, piece in enumerate(_MARK.split(written)):
            # ``split`` with one group alternates between text and the numbers of marks.
            if place % 2 == 0:
                yield piece
            else:
                for inner in self._late[int(piece)]():
                    yield from self._expanded(inner) if b"\x00" in inner else (inner,)

    # Fields of root types

    def _root_fields(self, part: Selected, write: Write[Member]) -> Write[DescribedType]:
        number = len(self._root_places)

        def write_field(member: Member) -> bytes:
            shown = part.include_deprecated or member.deprecation is None
            return write(member) if shown else b""

        def pieces(root_type: GraphQLObjectType) -> Iterator[bytes]:
            spool = self._spools.get((number, root_type.name))
            for place, name in enumerate(root_type.fields):
                piece = None if spool is None else spool.take(name)
                if piece is None:
                    piece = write_field(self._types.root_member(root_type, name))
                    # Reading all root fields must not fill the catalogue's tables.
                    if place % FORGET_AFTER == 0:
                        self._types.forget()
                if piece:
                    yield piece

        self._root_places.append(RootPlace(part, write_field))
        roots = self._types.roots
        return lambda shown: self._mark(lambda: _listed(pieces(roots[shown.name])))

    # All types

    def _all_types(self, below: Sequence[Selected]) -> Iterator[bytes]:
        first = len(self._root_places)
        in_pieces = self._writers.type_in_pieces(below)
        write = joined(in_pieces)
        # Without members nothing is shared between types of a family, so they are written in order at once.
        if all(part.name == "ofType" or not part.below for part in below):
            return _listed(map(write, self._described(self._types.names())))
        texts = self._family_texts(below, in_pieces, range(first, len(self._root_places)))
        return _listed(
            chain(
                map(write, self._described(self._types.first_names())),
                texts.reading.texts(),
                texts.writing.texts(self._types.write_owners()),
            )
        )

    def _described(self, names: Iterable[str]) -> Iterator[DescribedType]:
        for name in names:
            shown = self._types.find(name)
            assert shown is not None
            yield shown

    def _family_texts(
        self, below: Sequence[Selected], write: WritePieces, places: Sequence[int]
    ) -> FamilyTexts:
        """Write the generated types and the root fields that belong to them."""
        root_places = [self._root_places[place] for place in places]
        texts = FamilyWriter(self._types, self._writers, below, write, root_places).write()
        for root, fields in texts.roots.items():
            self._spools.update(((p, root), f) for p, f in zip(places, fields, strict=True))
        return texts


def _listed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the JSON of a list: several of its items at a time, because each piece passes through many hands."""
    waiting: list[bytes] = []
    size, separator = 0, b"["
    for piece in pieces:
        waiting += (separator, piece)
        separator = b","
        size += len(piece)
        if size >= _TOGETHER:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join((*waiting, b"]" if separator == b"," else b"[]"))
