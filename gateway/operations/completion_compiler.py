"""Completion: generated functions that turn rows into response objects, one per selection set.

For ``{ orders { nodes { orderId text } } }`` the source of a function is about::

    def f0(p, rows, start):
        return ([R0(x.a0, x.a1) for x in rows],)

They know good values only. Anything else raises, and the caller completes the same rows through graphql-core
(``fallback_resolvers``), which words the errors. Response objects are msgspec structs, so the answer is encoded once,
in C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import count
from types import CodeType
from typing import Any

import msgspec
from msgspec import Struct

from gateway.dimensions.formats import EnvironmentFormats
from schema.catalog.display_values import DIMENSION, PARTS
from schema.catalog.records import Clean, Field, FieldKind, ValueType
from schema.types.parts import ATTRIBUTES

from .custom_columns import Columns
from .global_ids import node_ids
from .pages import Page
from .part_columns import PartsShape, divider
from .shapes import (
    ConnectionShape,
    ObjectShape,
    RowRequirements,
    RowShape,
    ShapeByType,
    ShapeField,
    ViewShape,
)
from .value_conversion import INSTANT, NO_FLAG, account_number, in_utc
from .view_compiler import ViewCompiler
from .view_values import VIEW_FUNCTIONS

Complete = Callable[[Any], Any]
LISTS = frozenset({"nodes", "edges"})
"""Fields of a connection with an item for each row."""
SOURCE = "<completion>"
"""File name of the compiled functions, in tracebacks."""
_NO_YES: Mapping[object, bool] = {"No": False, "Yes": True}


class FastPathMiss(Exception):
    """A value that the generated functions do not complete."""


def _required(value: object) -> object:
    if value is None or value is msgspec.UNSET:
        raise FastPathMiss
    return value


def _whole(page: Page) -> Sequence[Any]:
    """Return all rows of a list. Raises FastPathMiss if there are more than were read."""
    if page.has_next:
        raise FastPathMiss
    return page.rows


def _not_finite() -> object:
    """Raise FastPathMiss: the decoder reads the text "NaN" as a decimal."""
    raise FastPathMiss


_FUNCTIONS: Mapping[str, Any] = {
    "FastPathMiss": FastPathMiss,
    "required": _required,
    "not_finite": _not_finite,
    "in_utc": in_utc,
    "account_number": account_number,
    "whole": _whole,
    **VIEW_FUNCTIONS,
}
"""What compiled functions may call."""


def response_attribute(number: int) -> str:
    """Return the attribute of response objects in which they have the value of a field, which are in their order."""
    return f"r{number}"


def _make_answer_class(keys: tuple[str, ...]) -> type:
    """Return a struct class with these response keys. It takes some 2 KB, and only the garbage collector frees it."""
    fields = [(response_attribute(i), Any) for i in range(len(keys))]
    rename = {response_attribute(i): key for i, key in enumerate(keys)}
    return msgspec.defstruct("Answer", fields, rename=rename, gc=False)


@lru_cache(maxsize=300)
def _code_of(source: str) -> CodeType:
    """Return compiled source. Operations with the same types of values in the same order differ in names only."""
    return compile(source, SOURCE, "exec")


_shared_answer_class = lru_cache(maxsize=1_000)(_make_answer_class)
_SHARED_KEYS = 30
"""Response keys of a class that is shared with other operations; longer lists are rarely the same."""


class ConnectionCompletion(Struct, frozen=True):
    """Completes a page, as a whole or in slices."""

    lists: Callable[[Page, Sequence[Any], int], tuple[list[Any], ...]]
    """(page, some of its rows, index of the first of them) → items for each list of the answer."""
    head: Callable[..., Any]
    """(page, *its lists) → response object."""

    def __call__(self, page: Page) -> Any:
        """Return the answer of a whole page."""
        return self.head(page, *self.lists(page, page.rows, 0))


class RootCompletion:
    """The completions of a connection at the root, compiled when first used."""

    def __init__(self, compiler: Compiler, shape: ConnectionShape) -> None:
        self._compiler = compiler
        self.shape = shape
        self.node_id = compiler.node_id
        self.interpreter: object = None
        """What completes its first pages, made and used by ``execution.single_read``."""
        self._compiled: dict[bool, ConnectionCompletion] = {}

    def of(self, *, texts: bool) -> ConnectionCompletion:
        """Return the completion of rows with decimals as numbers, or as text (``texts``)."""
        completion = self._compiled.get(texts)
        if completion is None:
            completion = self._compiler.compile_connection(self.shape, texts=texts)
            self._compiled[texts] = completion
        return completion

    def __call__(self, page: Page) -> Any:
        """Return the answer of a whole page of decoded rows."""
        return self.of(texts=False)(page)


class Compiler:
    """Writes and compiles the functions of one operation."""

    def __init__(self, tag: str = "", formats: EnvironmentFormats | None = None) -> None:
        """``tag``: that of the environment, which ids hold; ``formats``: those of its display values."""
        self._formats = formats or EnvironmentFormats()
        self.node_id = node_ids(tag)
        self._numbers = count()
        self._texts = False
        """Whether decimals of the rows are text already."""
        self._sources: list[str] = []
        self._enums: dict[tuple[str, bool], str] = {}
        self._answers: dict[tuple[str, ...], str] = {}
        self._functions: dict[tuple[str, str], str] = {}
        self._written: dict[tuple[int, bool], tuple[ShapeByType | ConnectionShape, str]] = {}
        """id of a shape, and whether decimals are text → the shape, which keeps the id in use, and its function."""
        self._views = ViewCompiler(self)

    @cached_property
    def _namespace(self) -> dict[str, Any]:
        return {**_FUNCTIONS, "node_id": self.node_id}

    def rows(self, shapes: RowShape) -> Complete:
        """Return the compiled completion of one row."""
        if isinstance(shapes, ViewShape):
            return self._link(self._views.function(shapes))
        return self._link(self.shapes(shapes))

    def connection(self, shape: ConnectionShape) -> RootCompletion:
        """Return the completion of a page at the root."""
        return RootCompletion(self, shape)

    def compile_connection(self, shape: ConnectionShape, *, texts: bool) -> ConnectionCompletion:
        """Return the compiled completion of a page; ``texts``: decimals of its rows are text."""
        self._texts = texts
        lists: list[str] = []
        values: list[str] = []
        for _, name, below in shape.fields:
            value = self._connection_value(shape, name, below, "rows", "start")
            if name in LISTS:
                lists.append(value)
                # Lists are made slice by slice, and handed to the rest of the connection.
                value = f"l{len(lists)}"
            values.append(value)
        self._texts = False
        answer = self.response([key for key, _, _ in shape.fields])
        parameters = ", ".join(["p", *(f"l{i + 1}" for i in range(len(lists)))])
        head = self.define(parameters, f"{answer}({', '.join(values)})")
        items = self.define("p, rows, start", f"({''.join(f'{text}, ' for text in lists)})")
        return ConnectionCompletion(self._link(items), self._link(head))

    def _link(self, name: str) -> Callable[..., Any]:
        """Compile what has been written so far, and return one function of it."""
        exec(_code_of("".join(self._sources)), self._namespace)  # noqa: S102 - the source is written by this class
        self._sources.clear()
        function: Callable[..., Any] = self._namespace[name]
        return function

    def name(self, prefix: str) -> str:
        """Return a name that the functions do not use yet."""
        return f"{prefix}{next(self._numbers)}"

    def add(self, prefix: str, value: object) -> str:
        """Add a value to the namespace of the functions, and return its name."""
        name = self.name(prefix)
        self._namespace[name] = value
        return name

    def response(self, keys: list[str]) -> str:
        """Return the name of the answer class with these response keys."""
        name = self._answers.get(tuple(keys))
        if name is None:
            # Classes are shared because only the garbage collector frees them.
            make = _shared_answer_class if len(keys) <= _SHARED_KEYS else _make_answer_class
            name = self._answers[tuple(keys)] = self.add("R", make(tuple(keys)))
        return name

    def define(self, parameter: str, expression: str) -> str:
        """Return the name of a function; equal ones are written once."""
        # Aliases and derived types often have the same source.
        name = self._functions.get((parameter, expression))
        if name is None:
            name = self._functions[parameter, expression] = self.name("f")
            self._sources.append(f"def {name}({parameter}):\n return {expression}\n")
        return name

    def shapes(self, shapes: ShapeByType) -> str:
        """Return the name of the function that completes a row."""
        written = self._written.get((id(shapes), self._texts))
        if written is None:
            written = (shapes, self._write_shapes(shapes))
            self._written[id(shapes), self._texts] = written
        return written[1]

    def _write_shapes(self, shapes: ShapeByType) -> str:
        functions = {t: self._object(shape, shapes.level) for t, shape in shapes.by_type.items()}
        if not shapes.level.needs_type:
            return next(iter(functions.values()))
        table: dict[str | None, str] = {f"#{csdl}": name for csdl, name in functions.items()}
        declared = functions.get(shapes.level.info.csdl)
        if declared is not None:
            table[None] = declared  # a row that names no type is of the declared one
        entries = ", ".join(f"{type_name!r}: {name}" for type_name, name in table.items())
        # One look-up by the name of the type that each row brings.
        types = self.name("T")
        self._sources.append(f"{types} = {{{entries}}}\n")
        return self.define("x", f"{types}[x.t](x)")

    def _object(self, shape: ObjectShape, level: RowRequirements) -> str:
        return self.define("x", self._row(shape, level))

    def _row(self, shape: ObjectShape, level: RowRequirements) -> str:
        """Return the expression of the answer for the row ``x``."""
        answer = self.response([f.key for f in shape.fields])
        values = (self._value(f, shape, level) for f in shape.fields)
        return f"{answer}({', '.join(values)})"

    def _each(self, shapes: RowShape) -> str:
        """Return the expression for the row ``x`` of a list; in place, to save a call, if all rows are of one type."""
        if isinstance(shapes, ViewShape):
            return self._views.row(shapes)
        if shapes.level.needs_type:
            return f"{self.shapes(shapes)}(x)"
        (shape,) = shapes.by_type.values()
        return self._row(shape, shapes.level)

    def _value(self, item: ShapeField, shape: ObjectShape, level: RowRequirements) -> str:
        declared = item.field
        if declared is None:
            return repr(shape.type_name)
        match declared.kind:
            case FieldKind.ID:
                return self.id_of(shape.type_name, level)
            case FieldKind.REST:
                return "x.rest"
            case FieldKind.CUSTOM:
                return self._custom(item.columns, level)
            case FieldKind.PARTS:
                assert isinstance(item.below, PartsShape)
                return self._parts(declared, item.below, level)
            case FieldKind.VALUE | FieldKind.ETAG:
                return self.scalar(declared, f"x.{level.attribute(declared)}", level)
            case FieldKind.COMPLEX:
                return self._complex(item, f"x.{level.attribute(declared)}")
            case FieldKind.TO_ONE:
                assert item.child is not None
                assert isinstance(item.below, ShapeByType)
                function = self.shapes(item.below)
                value = f"x.{item.child.slot}"
                return f"(None if {value} is None else {function}({value}))"
            case FieldKind.TO_MANY:
                assert item.child is not None
                assert isinstance(item.below, ConnectionShape)
                return f"{self.page(item.below)}(x.{item.child.slot})"

    def _custom(self, columns: Columns, level: RowRequirements) -> str:
        """Return the expression of columns as JSON, converted as their own fields are."""
        pairs = (
            f"{name!r}: None"
            if column is None
            else f"{name!r}: {self.scalar(column, f'x.{level.attribute(column)}', level)}"
            for name, column in columns
        )
        return f"{{{', '.join(pairs)}}}"

    def _parts(self, declared: Field, shape: PartsShape, level: RowRequirements) -> str:
        """Return the expression of the parts of a display value."""
        columns = ", ".join(f"x.{level.attribute(c)}" for c in shape.columns)
        return f"(None if (v := {self.divide(declared)}({columns})) is None else {self.of_parts(shape)})"

    def divide(self, declared: Field) -> str:
        """Return the name of the function that divides the values of a display value's columns."""
        return self.add("P", divider(declared, self._formats))

    def of_parts(self, shape: PartsShape) -> str:
        """Return the expression of the answer for the parts ``v``."""
        answer = self.response([key for key, _, _ in shape.fields])
        values = (
            self._part(name, "v", PARTS) if below is None else self.dimensions(below)
            for _, name, below in shape.fields
        )
        return f"{answer}({', '.join(values)})"

    def dimensions(self, fields: tuple[tuple[str, str], ...]) -> str:
        """Return the expression of the dimensions of the parts ``v``."""
        answer = self.response([key for key, _ in fields])
        values = ", ".join(self._part(name, "d", DIMENSION) for _, name in fields)
        return f"[{answer}({values}) for d in v.dimensions]"

    def _part(self, name: str, parts: str, type_name: str) -> str:
        return repr(type_name) if name == "__typename" else f"{parts}.{ATTRIBUTES[name]}"

    def id_of(self, type_name: str, level: RowRequirements) -> str:
        """Return the expression of the global id of the row ``x``."""
        parts = "".join(f", {self._key_part(k, level)}" for k in level.info.key)
        return f"node_id({type_name!r}{parts})"

    def _key_part(self, key: Field, level: RowRequirements) -> str:
        value = f"x.{level.attribute(key)}"
        assert key.prop is not None
        return f"required({value})" if key.prop.nullable else value

    def _complex(self, item: ShapeField, value: str) -> str:
        assert item.field is not None
        if item.below is None:
            return self._json(item.field, value)
        assert isinstance(item.below, ShapeByType)
        texts, self._texts = self._texts, False  # decimals inside complex values are always numbers
        function = self.shapes(item.below)
        self._texts = texts
        completed = f"[{function}(i) for i in v]" if item.field.many else f"{function}(v)"
        expression = f"(None if (v := {value}) is None else {completed})"
        return expression if item.field.nullable else f"required({expression})"

    def _json(self, declared: Field, value: str) -> str:
        """Return the expression of plain JSON, which the decoder accepts in any form, null included."""
        if declared.many:
            value = f"(None if (v := {value}) is None else [required(i) for i in v])"
        return value if declared.nullable else f"required({value})"

    def scalar(self, declared: Field, value: str, level: RowRequirements) -> str:
        """Return the expression of a value as the answer has it."""
        kind, prop = declared.value, declared.prop
        assert kind is not None
        assert prop is not None
        if kind.scalar == "JSON":
            return self._json(declared, value)
        # Rows of other types lack what a derived type declares, so it is decoded as optional. A role may not see it.
        may_be_none = prop.nullable or declared.nullable or declared.declared_by not in level.bases
        if prop.type.many:
            item = self._converted(kind, "i", nullable=False)
            items = (
                value
                if item == "i"
                else f"(None if (v := {value}) is None else [{item} for i in v])"
            )
            return items if declared.nullable else f"required({items})"
        if self._texts and kind.scalar == "Decimal":
            converted = value
        else:
            converted = self._converted(kind, value, nullable=may_be_none)
        is_missed = may_be_none and not declared.nullable
        return f"required({converted})" if is_missed else converted

    def _converted(self, kind: ValueType, value: str, *, nullable: bool) -> str:
        if kind.enum is not None:
            return self._enum(kind, value, nullable=nullable)
        if kind.scalar in ("Long", "Decimal"):
            text = f"str({value})"
            if kind.scalar == "Decimal":
                text = f"{value} if {value}.is_finite() else not_finite()"
            return f"(None if {value} is None else {text})" if nullable else f"({text})"
        if kind.clean is Clean.ACCOUNT:
            number = f"account_number({value})"
            return f"(None if {value} is None else {number})" if nullable else number
        return self._instant(kind, value, nullable=nullable) if kind.edm == INSTANT else value

    def _instant(self, kind: ValueType, value: str, *, nullable: bool) -> str:
        """Return the expression of a date and time, which the upstream nearly always sends in UTC."""
        text = f"(v := {value})"
        none = f"None if {text} is None else " if nullable else ""
        first = "v" if nullable else text
        utc = f"(v if {first}[-1:] == 'Z' else (v := in_utc(v)))"
        match kind.clean:
            case Clean.NONE:
                return f"({none}{utc})"
            case Clean.KEY_DATE:
                return f"({none}{utc}[:10])"
            case Clean.DATE:
                return f"({none}None if (d := {utc}[:10]) == '1900-01-01' else d)"
            case _:
                return f"({none}None if {utc}[:10] == '1900-01-01' else v)"

    def _enum(self, kind: ValueType, value: str, *, nullable: bool) -> str:
        assert kind.enum is not None
        if kind.enum.flags:
            table = self._table(kind, nullable=False)
            flags = f"[] if v == {NO_FLAG!r} else [{table}[m.strip()] for m in v.split(',')]"
            return f"(None if (v := {value}) is None else {flags})"
        return f"{self._table(kind, nullable=nullable)}[{value}]"

    def _table(self, kind: ValueType, *, nullable: bool) -> str:
        assert kind.enum is not None
        key = (f"{kind.scalar} {kind.enum.csdl}", nullable)
        name = self._enums.get(key)
        if name is None:
            is_no_yes = kind.clean is Clean.NO_YES
            members: Mapping[Any, object] = _NO_YES if is_no_yes else kind.enum.to_graphql
            table = dict(members)
            if nullable:
                table[None] = None
            name = self._enums[key] = self.add("E", table)
        return name

    def page(self, shape: ConnectionShape) -> str:
        """Return the name of the function that completes a page below a row."""
        written = self._written.get((id(shape), self._texts))
        if written is None:
            written = (shape, self._write_connection(shape))
            self._written[id(shape), self._texts] = written
        return written[1]

    def _write_connection(self, shape: ConnectionShape) -> str:
        answer = self.response([key for key, _, _ in shape.fields])
        values = (
            self._connection_value(shape, name, below, "p.rows", 0)
            for _, name, below in shape.fields
        )
        return self.define("p", f"{answer}({', '.join(values)})")

    def _connection_value(
        self,
        shape: ConnectionShape,
        name: str,
        below: RowShape | ConnectionShape | None,
        rows: str,
        start: object,
    ) -> str:
        if isinstance(below, RowShape):
            return f"[{self._each(below)} for x in {rows}]"
        if below is None:
            return repr(shape.type_name) if name == "__typename" else "required(p.total)"
        if name == "edges":
            return self._edges(below, f"enumerate({rows}, {start})")
        return self._page_info(below)

    def _edges(self, shape: ConnectionShape, numbered: str) -> str:
        answer = self.response([key for key, _, _ in shape.fields])
        values: list[str] = []
        for _, name, below in shape.fields:
            if isinstance(below, RowShape):
                values.append(self._each(below))
            else:
                values.append("p.cursor(x, n)" if name == "cursor" else repr(shape.type_name))
        return f"[{answer}({', '.join(values)}) for n, x in {numbered}]"

    def _page_info(self, shape: ConnectionShape) -> str:
        answer = self.response([key for key, _, _ in shape.fields])
        expressions = {
            "hasNextPage": "p.has_next",
            "hasPreviousPage": "p.has_previous",
            "startCursor": "p.cursor_at(0)",
            "endCursor": "p.cursor_at(-1)",
            "__typename": "'PageInfo'",
        }
        return f"{answer}({', '.join(expressions[name] for _, name, _ in shape.fields)})"
