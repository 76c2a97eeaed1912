"""Templates: the JSON of a specimen, in which words and members are replaced by those of a family.

The specimen is a catalogue of one entity with recognisable names, written by the same code as any other. Filling the
words of a family in takes the place of describing its types and fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

from schema.model.records import (
    EntitySet,
    EntityType,
    Model,
    Navigation,
    Property,
    ReferentialConstraint,
    TypeRef,
)

from .member_lists import MemberList, text
from .row_shapes import ENUM, FILTER, TEXT, Alike
from .type_records import Member

MARKS = ("QqTypeqQ", "QqNameqQ", "qqNameqQ", "QqSetqQ", "QqFieldqQ", f'"{TEXT}"', ENUM, FILTER)
"""What is replaced, in the order of ``Words``."""
TYPE, NAME, _, SET, FIELD = MARKS[:5]
SENTINEL = Member("QqMemberqQ", None, "Int")
"""Stands for the members that depend on the family."""
CSDL = f"Specimens.{TYPE}"
SPECIMEN = Model(
    entity_types={
        CSDL: EntityType(
            name=CSDL,
            key=("Key",),
            properties=(
                Property(name="Key", type=TypeRef("Edm.String")),
                Property(name="Parent", type=TypeRef("Edm.String")),
            ),
            navigations=(
                Navigation(
                    name="Parts",
                    target=CSDL,
                    many=True,
                    on=(ReferentialConstraint("Key", "Parent"),),
                ),
            ),
        )
    },
    entity_sets={SET: EntitySet(name=SET, type=CSDL, bindings={"Parts": SET})},
)
_MARK = re.compile("|".join(MARKS).encode())


class Words(NamedTuple):
    """What differs between families: names, and a description as JSON."""

    type: bytes = b""
    """Short CSDL name, escaped as inside JSON strings."""
    name: bytes = b""
    row: bytes = b""
    """Field of payloads."""
    of_set: bytes = b""
    """Escaped likewise."""
    field: bytes = b""
    text: bytes = b""
    enum: bytes = b""
    filter: bytes = b""


Fill = Callable[[Sequence[bytes]], bytes]
"""Returns JSON with ``Words``, of which those that it does not have may be missing at the end."""


def filling(encoded: bytes) -> Fill:
    """Return the function that replaces the marks."""
    places = [MARKS.index(mark.decode()) for mark in _MARK.findall(encoded)]
    template = _MARK.sub(b"%b", encoded.replace(b"%", b"%%"))
    if not places:
        return lambda _: encoded
    if len(places) == 1:
        (place,) = places
        return lambda words: template % words[place]
    chosen = itemgetter(*places)
    return lambda words: template % chosen(words)


class Frame(NamedTuple):
    """What is around a list of members, and how these are written."""

    head: Fill
    tail: Fill
    is_first: bool
    """Whether no other members come before."""
    members: MemberList | None
    """None: the list is not selected, and ``head`` is all."""

    def pieces(self, words: Sequence[bytes], members: Alike) -> list[bytes]:
        """Return the JSON in pieces."""
        head = self.head(words)
        if self.members is None:
            return [head]
        inner = self.members.alike(members)
        if inner and self.is_first:
            inner[0] = inner[0][1:]
        return [head, *inner, self.tail(words)]


def framed(encoded: bytes, lists: Sequence[MemberList]) -> Frame | None:
    """Return what is around ``SENTINEL`` in the JSON of a specimen; None if that is not in one place.

    ``lists``: how its members are written, for each time that they are selected.
    """
    if len(lists) > 1:
        return None
    if not lists:
        return Frame(filling(encoded), filling(b""), True, None)
    parts = encoded.split(lists[0].write(SENTINEL))
    if len(parts) != 2:
        return None
    head, tail = parts
    is_first = not head.endswith(b",")
    return Frame(filling(head if is_first else head[:-1]), filling(tail), is_first, lists[0])


def inner_text(value: str) -> bytes:
    """Return a text escaped as inside JSON strings."""
    return text(value)[1:-1]
