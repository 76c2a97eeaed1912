"""Writes the expressions of unified objects for the compiled functions of completion.

For ``{ users { nodes { name department { name } } } }`` the expression of a row is about::

    R0(t if (t := x.a0 or None) is not None else x.a1 or None, None if (y := x.c0) is None else f1(y))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never, cast

from schema.types.parts import ATTRIBUTES

from .shapes import ChildRequirements, ViewShape
from .view_shapes import (
    CollectedRead,
    ColumnRead,
    ConnectionRead,
    ConstantRead,
    DisplayPartRead,
    IdRead,
    ItemRead,
    ListRead,
    ObjectRead,
    PartRead,
    RawRead,
    Read,
    SourcesRead,
    ValueRead,
    Way,
)
from .view_values import form_of

if TYPE_CHECKING:
    from .completion_compiler import Compiler


class ViewCompiler:
    """Writes the expressions of the unified objects of one operation."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def row(self, shape: ViewShape) -> str:
        """Return the expression of the answer for the row ``x``."""
        answer = self._compiler.response([key for key, _ in shape.fields])
        return f"{answer}({', '.join(self._field(read) for _, read in shape.fields)})"

    def function(self, shape: ViewShape) -> str:
        """Return the name of the function that completes a row."""
        return self._compiler.define("x", self.row(shape))

    def _field(self, read: object) -> str:
        if isinstance(read, DisplayPartRead):
            return self._display_part(read)
        return self._read(cast("Read", read))

    def _read(self, read: Read) -> str:
        match read:
            case ValueRead():
                return self._value(read, "x")
            case ConstantRead(value):
                return self._constant(value)
            case IdRead(type_name, level, below):
                written = self._compiler.id_of(type_name, level)
                return f"{written} + {below!r}" if below else written
            case ObjectRead(way, shape):
                return self._at(way, "x", f"{self.function(shape)}({{}})")
            case ListRead():
                return self._list(read)
            case ConnectionRead(child, shape):
                return f"{self._compiler.page(shape)}(x.{child.slot})"
            case CollectedRead():
                return self._collected(read)
            case RawRead(shape):
                return f"{self._compiler.shapes(shape)}(x)"
            case SourcesRead():
                return self._sources(read)
            case _:
                assert_never(read)

    def _constant(self, value: object) -> str:
        is_plain = value is None or isinstance(value, str | int | bool)
        return repr(value) if is_plain else self._compiler.add("K", value)

    def _at(self, way: Way, row: str, expression: str, nothing: str = "None") -> str:
        """Return an expression for the row at the end of a way, which stands for ``{}``; null if there is none."""
        if not way:
            return expression.replace("{}", row)
        name = self._compiler.name("y")
        inner = self._at(way[1:], name, expression, nothing)
        return f"({nothing} if ({name} := {row}.{way[0].slot}) is None else {inner})"

    def _value(self, read: ValueRead, row: str) -> str:
        *others, last = [self._column(read, column, row) for column in read.columns]
        if read.field.minus:
            return f"difference({others[0]}, {last})"
        if read.field.empty is not None:
            others, last = [*others, last], repr(read.field.empty)
        for expression in reversed(others):
            name = self._compiler.name("t")
            last = f"({name} if ({name} := {expression}) is not None else {last})"
        return last

    def _display_part(self, read: DisplayPartRead) -> str:
        """Return the expression of a part of a display value: null or no dimensions if there is none."""
        first = read.columns[0]
        values = ", ".join(f"{{}}.{c.level.attribute(c.field)}" for c in read.columns)
        nothing, part = "None", f"v.{ATTRIBUTES[read.part]}"
        if read.part == "dimensions":
            nothing, part = "[]", self._compiler.dimensions(read.keys)
        divide = self._compiler.divide(read.field)
        expression = f"({nothing} if (v := {divide}({values})) is None else {part})"
        return self._at(first.way, "x", expression, nothing)

    def _column(self, read: ValueRead, column: ColumnRead, row: str) -> str:
        return self._at(column.way, row, self._plain(read, column))

    def _plain(self, read: ValueRead, column: ColumnRead) -> str:
        """Return the expression of the column of the row ``{}``."""
        field, kind = read.field, column.field.value
        assert kind is not None
        raw = f"{{}}.{column.level.attribute(column.field)}"
        if field.table is not None:
            if field.otherwise is None:
                return f"{self._compiler.add('M', field.table)}.get({raw})"
            table = {"": None, **field.table, None: None}
            return f"{self._compiler.add('M', table)}.get({raw}, {field.otherwise!r})"
        form = form_of(kind, field.type_name)
        if form in ("member", "instant"):
            return raw if form == "member" else f"instant_of({raw})"
        scalar = self._compiler.scalar(column.field, raw, column.level)
        if field.convert is not None:
            return f"converted({self._compiler.add('C', field.convert)}, {scalar})"
        match form:
            case "text":
                return f"({scalar} or None)"
            case "day":
                return f"day_of({scalar})"
            case "printed":
                return f"printed({scalar})"
            case _:
                return scalar

    def _list(self, read: ListRead) -> str:
        if isinstance(read.item, ViewShape):
            function = self.function(read.item)
        else:
            function = self._compiler.define("x", self._value(read.item, "x"))
        items = self._rows(read.way, read.child, read.after, f"{function}({{}})")
        return items if isinstance(read.item, ViewShape) else self._values(read.item, items)

    def _rows(self, way: Way, child: ChildRequirements, after: Way, item: str) -> str:
        """Return the expression of a list of items of ``x``, one for each row of a list below it."""
        rows = f"whole(x.{child.slot})"
        if after:
            # One row less if a relation leads nowhere: there is nothing that it could tell.
            step = self._compiler.define("x", self._at(after, "x", "{}"))
            items = f"[{item.format('z')} for r in {rows} if (z := {step}(r)) is not None]"
        else:
            items = f"[{item.format('r')} for r in {rows}]"
        return self._at(way, "x", f"{self._compiler.define('x', items)}({{}})", nothing="[]")

    def _values(self, item: ValueRead, items: str) -> str:
        if item.field.sum:
            return f"sum_of({items})"
        if not item.field.highest:
            return f"[v for v in {items} if v is not None]"
        return f"highest_of({self._compiler.add('H', item.field.highest)}, {items})"

    def _collected(self, read: CollectedRead) -> str:
        names = (read.distinct, *(name for _, name in read.keys))
        items = [self._item(item, names, read.type_name) for item in read.items]
        answer = self._compiler.response([key for key, _ in read.keys])
        # Walrus expressions may not stand in the iterable of a comprehension, so that the items are arguments.
        make = self._compiler.define("i", f"[{answer}(*p[1:]) for p in each_once(i)]")
        return f"{make}(({', '.join(items)},))"

    def _item(self, item: ItemRead, names: Sequence[str], type_name: str) -> str:
        """Return the expression of an item as a tuple of its parts; with a star, of those of the rows of a list."""
        typename = PartRead(ConstantRead(type_name))
        parts = (self._part(item.parts.get(name, typename)) for name in names)
        values = f"({', '.join(parts)},)"
        if item.child is None:
            return values
        make = self._compiler.define("x", values)
        return f"*{self._rows(item.way, item.child, item.after, f'{make}({{}})')}"

    def _part(self, part: PartRead) -> str:
        if isinstance(part.value, ConstantRead):
            return self._constant(part.value.value)
        return self._value(part.value, "x")

    def _sources(self, read: SourcesRead) -> str:
        answer = self._compiler.response([key for key, _ in read.keys])
        items = (
            ", ".join(
                self._constant(_source(source, read.type_name, name)) for _, name in read.keys
            )
            for source in read.sources
        )
        return f"[{', '.join(f'{answer}({values})' for values in items)}]"


def _source(source: Mapping[str, object], type_name: str, name: str) -> object:
    return type_name if name == "__typename" else source[name]
