"""Writes the fields of root types that read and write rows, from templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import structs

from schema.catalog.records import Argument, TypeKind

from .family_templates import specimen_of
from .member_lists import MemberList, Write, text
from .row_shapes import TEXT, Alike
from .selection import Selected
from .templates import FIELD, NAME, SENTINEL, SET, Fill, Frame, Words, filling, framed, inner_text
from .type_records import Member
from .types import RowRoot, Types, aggregate_member, list_member, mutation_member
from .writers import Writers

_KINDS = {"where": TypeKind.WHERE, "orderBy": TypeKind.ORDER_BY}
"""Arguments whose types depend on the family."""


class RootPlace(NamedTuple):
    """A selection of the fields of root types."""

    part: Selected
    write: Write[Member]
    """Writes a field; empty if it is deprecated and such are not selected."""


class RootTemplates:
    """Writes fields of root types from the words of their families, for each place where they are selected."""

    def __init__(self, types: Types, writers: Writers, places: Sequence[RootPlace]) -> None:
        self._types = types
        self._catalog = types.schema.catalog
        self._places = places
        self._specimen, writes = specimen_of(types)
        self._fills: dict[tuple[object, ...], list[Fill]] = {}
        """What decides over arguments and result → the templates."""
        self._base: tuple[str, tuple[bytes, ...]] = ("", ())
        """The last entity set, and the words that its fields share."""
        self._last = "", (False, False, False)
        """The type whose ``_options`` were computed last."""
        self._keys: list[Frame | None] | None = None
        """Of fields that return a row by its key."""
        self._arguments: list[Sequence[MemberList]] = [
            writers.lists(place.part.below, "args", "__InputValue") for place in places
        ]
        if writes is not None:
            for field in writes.values():
                member = mutation_member(field, writes)._replace(name=FIELD)
                self._fills[field.verb, field.many] = self._made(member)

    def _made(self, member: Member) -> list[Fill]:
        return [filling(place.write(member)) for place in self._places]

    def pieces(self, root: RowRoot, csdl: str, words: Words) -> list[bytes] | None:
        """Return the JSON of a field for each place, or None if no template fits."""
        if self._base[0] != (of_set := root.of_set):
            self._base = of_set, (*words[:3], inner_text(of_set))
        known = (*self._base[1], root.name.encode())
        if root.verb is not None:
            fills = self._fills.get((root.verb, root.many))
        elif root.aggregates:
            fills = self._aggregate(root, csdl)
        elif root.many:
            fills = self._list(root, csdl)
            known = (*known, self._description(root))
        else:
            return self._one(root, csdl, known)
        return None if fills is None else [fill(known) for fill in fills]

    def _description(self, root: RowRoot) -> bytes:
        catalog = self._catalog
        return text(catalog.root_description(catalog.roots[root.name]) or None)

    def _options(self, csdl: str) -> tuple[bool, bool, bool]:
        """Return whether lists of such rows can be filtered, sorted, and read from several companies."""
        if self._last[0] != csdl:
            catalog = self._catalog
            company = catalog.abilities.company_property
            has_company = any(p.name == company for p in catalog.properties_of(csdl))
            self._last = csdl, (catalog.can_filter(csdl), catalog.can_order(csdl), has_company)
        return self._last[1]

    def _aggregate(self, root: RowRoot, csdl: str) -> list[Fill]:
        key = ("aggregate", *self._options(csdl))
        fills = self._fills.get(key)
        if fills is None:
            arguments = self._catalog.root_arguments(self._catalog.aggregates[root.name])
            member = aggregate_member(FIELD, SET, self._marked(arguments))
            fills = self._fills[key] = self._made(member)
        return fills

    def _list(self, root: RowRoot, csdl: str) -> list[Fill]:
        key = ("list", *self._options(csdl))
        fills = self._fills.get(key)
        if fills is None:
            of_rows = self._catalog.root_arguments(self._catalog.roots[root.name])
            connection = self._name(TypeKind.CONNECTION)
            member = list_member(FIELD, TEXT, connection, self._marked(of_rows))
            fills = self._fills[key] = self._made(member)
        return fills

    def _name(self, kind: TypeKind) -> str:
        return self._specimen.name_of(kind, next(iter(self._specimen.model.entity_types)))

    def _marked(self, arguments: Iterable[Argument]) -> Iterator[Argument]:
        for argument in arguments:
            kind = _KINDS.get(argument.name)
            if kind is None:
                yield argument
            else:
                yield structs.replace(argument, type_name=self._name(kind))

    def _one(self, root: RowRoot, csdl: str, known: tuple[bytes, ...]) -> list[bytes] | None:
        key = self._types.rows.key_rows(csdl)
        if key is None:
            return None
        words = (*known, self._description(root))
        if self._keys is None:
            member = Member(FIELD, TEXT, NAME, (SENTINEL,))
            pairs = zip(self._places, self._arguments, strict=True)
            self._keys = [framed(place.write(member), lists) for place, lists in pairs]
        members = Alike(TypeKind.KEY, key)
        pieces = []
        for frame in self._keys:
            if frame is None:
                return None
            pieces.append(b"".join(frame.pieces(words, members)))
        return pieces
