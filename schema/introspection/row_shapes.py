"""Members that are similar to those of a specimen: of properties and navigations of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from schema.catalog.records import TypeKind

from .type_records import Member

NAME, TEXT, ENUM, FILTER, TARGET = "QqNameqQ", "QqTextqQ", "QqEnumqQ", "QqFilterqQ", "QqTargetqQ"
"""Words of a specimen, replaced in the template: its name and description; an enum type and its filter, or the type of
related rows, with which the names of its companions begin."""
_INPUT = "INPUT_OBJECT"
MARKED_KINDS = {
    ENUM: "ENUM",
    FILTER: _INPUT,
    TARGET: "OBJECT",
    f"{TARGET}Connection": "OBJECT",
    **{f"{TARGET}{end}": _INPUT for end in ("Where", "CollectionWhere", "OrderBy", "NestedCreate")},
}
"""The kinds of the types that specimens refer to."""


class Shape:
    """The members of properties of one kind in the types of their rows, by specimens.

    Compared by identity, so that looking a template up costs little.
    """

    __slots__ = ("marks", "members")

    def __init__(self, members: Mapping[TypeKind, Member], marks: str = "") -> None:
        """``marks``: how descriptions of such properties end."""
        self.members = members
        self.marks = marks


Row = tuple[bytes, bytes, str, str, Shape, bytes, bytes]
"""Name and description of a property as JSON, and both as text; the specimens that its members are similar to; the
enum type and its filter if the specimens are those of any enum, or the type of related rows and nothing."""


class Alike:
    """The members of a type, most of which are similar to specimens."""

    __slots__ = ("after", "before", "kind", "rows")

    def __init__(
        self,
        kind: TypeKind,
        rows: Sequence[Row],
        before: Iterable[Member] = (),
        after: Iterable[Member] = (),
    ) -> None:
        """``rows`` without a specimen of this kind are no members."""
        self.kind = kind
        self.before = before
        self.rows = rows
        self.after = after

    def __iter__(self) -> Iterator[Member]:
        yield from self.before
        for row in self.rows:
            specimen = row[4].members.get(self.kind)
            if specimen is not None:
                yield _member(specimen, row)
        yield from self.after


def _member(specimen: Member, row: Row) -> Member:
    _, _, name, description, _, word, filter_name = row
    is_text = specimen.description == TEXT
    member = specimen._replace(
        name=name, description=description if is_text else specimen.description
    )
    if not word:
        return member

    def use(of: str) -> str:
        for mark, replaced in ((ENUM, word), (FILTER, filter_name), (TARGET, word)):
            of = of.replace(mark, replaced.decode())
        return of

    arguments = tuple(a._replace(type=use(a.type)) for a in member.arguments)
    return member._replace(type=use(member.type), arguments=arguments)
