"""The input types of unified types: which of their fields can be written, as which values of the row, or why not.

A field can be written if it is one column of the row, its value stands for one value of the column, and the row's own
input has it. An amount that is one column less another one is written into the one that its sign decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from schema.catalog.display_values import DIMENSION_INPUT
from schema.catalog.records import InputField, TypeKind, ValueType
from schema.unified.api import UnifiedApi, UnifiedKind
from schema.unified.lookups import MissingError, check_type, operand_of
from schema.unified.views import UnifiedField, UnifiedType, ViewKind

if TYPE_CHECKING:
    from .catalog import Writes

_KINDS = {
    UnifiedKind.CREATE_INPUT: TypeKind.CREATE_INPUT,
    UnifiedKind.PATCH: TypeKind.PATCH,
    UnifiedKind.NESTED_INPUT: TypeKind.NESTED_INPUT,
}
SUFFIXES = {
    UnifiedKind.CREATE_INPUT: "CreateInput",
    UnifiedKind.PATCH: "Patch",
    UnifiedKind.NESTED_INPUT: "NestedInput",
    UnifiedKind.UPDATE_INPUT: "UpdateInput",
    UnifiedKind.DELETE_INPUT: "DeleteInput",
    UnifiedKind.PAYLOAD: "Payload",
    UnifiedKind.PAYLOADS: "Payloads",
}
_NOT_WRITTEN = {
    ViewKind.ID: "the gateway makes it of the key of the row",
    ViewKind.FILE: "it is where the bytes of a column are",
    ViewKind.RAW: "rows are written by their own mutations",
    ViewKind.SOURCES: "it tells of the fields, not of the row",
    ViewKind.CONNECTION: "related objects are written by mutations of their own",
    ViewKind.OBJECT: "related objects are written by mutations of their own",
    ViewKind.COLLECTED: "it is collected from several columns: write those by fields of their own",
    ViewKind.HIGHEST: "it is the highest value of a list",
    ViewKind.PART: "it is a part of a collected item",
}


class UnusableInputError(Exception):
    """Values of unified fields that cannot be those of a row."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class WrittenField(Struct, frozen=True, eq=False):
    """A field of the input of a unified type."""

    name: str
    raw: InputField
    type_name: str
    nullable: bool = True
    less: InputField | None = None
    """For an amount that is a difference: the field of the row that has those below zero."""
    values: Mapping[str, Any] | None = None
    """Unified value → value of the row's field."""
    items: str = ""
    """Short name of the unified type of rows that are created below; empty: it is a value."""
    part: str = ""
    """The part of a display value that it is, among those of ``raw``."""
    whole: InputField | None = None
    """The field of the row with the whole display value, which excludes its parts."""
    description: str = ""

    @property
    def many(self) -> bool:
        """Whether it is a list."""
        return bool(self.items) or self.part == "dimensions"

    @property
    def written(self) -> tuple[InputField, ...]:
        """The fields of the row that it writes."""
        return (self.raw,) if self.less is None else (self.raw, self.less)


class UnifiedInputs:
    """The input types of the unified types of one API, by kind and short name."""

    def __init__(self, api: UnifiedApi, writes: Writes) -> None:
        self._api = api
        self._writes = writes
        self._inputs: dict[tuple[UnifiedKind, str], Mapping[str, WrittenField]] = {}

    def name_of(self, kind: UnifiedKind, short: str) -> str:
        """Return the name of a type for writing."""
        return self._api.binder.type_name(short) + SUFFIXES[kind]

    def fields(self, kind: UnifiedKind, short: str) -> Mapping[str, WrittenField]:
        """Return the fields of an input type by name."""
        known = self._inputs.get((kind, short))
        if known is None:
            made = _Inputs(self, self._api, self._writes, kind, self._api.type(short)).fields()
            known = self._inputs[kind, short] = {f.name: f for f in made}
        return known

    def refusal(self, kind: UnifiedKind, short: str, name: str) -> str | None:
        """Return why an input type lacks a field of its unified type; None if it has it. Raises KeyError."""
        bound = self._api.type(short)
        item = _Inputs(self, self._api, self._writes, kind, bound).field(bound.fields[name])
        return item if isinstance(item, str) else None

    def unset_columns(self, short: str) -> Iterator[str]:
        """Yield the fields of the row that a create must set, and that no field of the type writes."""
        bound, kind = self._api.type(short), UnifiedKind.CREATE_INPUT
        own = {raw.name for f in self.fields(kind, short).values() for raw in f.written}
        own.update(self.constants(kind, short))
        required = self._writes.required_of(self._writes.name_of(TypeKind.CREATE_INPUT, bound.csdl))
        yield from (name for name in required if name not in own)

    # Values

    def row(self, kind: UnifiedKind, short: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input of a unified object as that of its row. Raises UnusableInputError."""
        row: dict[str, Any] = {}
        by: dict[str, str] = {}
        parts: list[WrittenField] = []
        inputs = self.fields(kind, short)
        for name, value in values.items():
            item = inputs.get(name)
            if item is None:  # before it is coerced, anything may be in it
                continue
            if item.part:
                row.setdefault(item.raw.name, {})[item.part] = value
                by.setdefault(item.raw.name, name)
                parts.append(item)
                continue
            for column, own in self._columns(item, value):
                if column in row:
                    raise UnusableInputError(
                        f"{by[column]} and {name} are the same value of the row.",
                        "Set one of them.",
                    )
                row[column], by[column] = own, name
        for item in parts:
            if item.whole is not None and item.whole.name in row:
                raise UnusableInputError(
                    f"{by[item.whole.name]} and {item.name} are the same value of the row.",
                    "Set one of them.",
                )
        if kind is not UnifiedKind.PATCH:
            row = {**self.constants(kind, short), **row}
        return row

    def _columns(self, item: WrittenField, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield the values of the row that a value of a field stands for. Raises UnusableInputError."""
        if item.items:
            if isinstance(value, list):
                below = [self.row(UnifiedKind.NESTED_INPUT, item.items, v) for v in value]
                yield item.raw.name, {"create": below}
        elif item.less is not None:
            yield from _sides(item.raw.name, item.less.name, value)
        else:
            yield item.raw.name, _raw_value(item, value)

    def constants(self, kind: UnifiedKind, short: str) -> dict[str, Any]:
        """Return the values that the mapping sets in every new row."""
        by_source = raw_inputs(self._writes, _KINDS[kind], self._api.type(short).csdl)
        constants: dict[str, Any] = {}
        for source, value in self._api.spec(short).writes.set.items():
            item = by_source(source)
            if item is not None and item.of is not None and item.of.value is not None:
                constants[item.name] = operand_of(item.of.value, value)
        return constants


class _Inputs:
    """The fields of one input type."""

    def __init__(
        self,
        all_: UnifiedInputs,
        api: UnifiedApi,
        writes: Writes,
        kind: UnifiedKind,
        bound: UnifiedType,
    ) -> None:
        self._all = all_
        self._kind = kind
        self._bound = bound
        self._without = api.spec(bound.short).writes.without
        self._by_source = raw_inputs(writes, _KINDS[kind], bound.csdl)
        entry = writes.entry(writes.name_of(_KINDS[kind], bound.csdl)) if bound.csdl else None
        inputs = {} if entry is None else writes.inputs.fields(entry)
        self._by_name: Callable[[str], InputField | None] = inputs.get
        self._required: frozenset[str] = frozenset()
        if kind is UnifiedKind.CREATE_INPUT and bound.csdl:
            name = writes.name_of(TypeKind.CREATE_INPUT, bound.csdl)
            self._required = frozenset(writes.required_of(name) if writes.entry(name) else ())

    def fields(self) -> Iterator[WrittenField]:
        """Yield the fields that can be written."""
        for field in self._bound.fields.values():
            item = self.field(field)
            if not isinstance(item, str):
                yield item

    def field(self, field: UnifiedField) -> WrittenField | str:
        """Return a field of the input, or why it has none."""
        if field.name in self._without:
            return "the mapping leaves it out (writes.without)"
        if field.kind is ViewKind.LIST:
            return self._items(field)
        if field.kind is ViewKind.CONSTANT:
            return "; ".join(field.missing) or "its value is the same for all rows"
        if field.kind is ViewKind.DISPLAY_PART:
            return self._part(field)
        if field.kind is not ViewKind.VALUE:
            return _NOT_WRITTEN[field.kind]
        return _derived(field) or self._value(field)

    def _value(self, field: UnifiedField) -> WrittenField | str:
        column = field.columns[0].field
        raws: list[InputField] = []
        for each in field.columns:
            raw = self._by_source(each.field.source)
            if raw is None or each.field.value is None:
                return f"the mutation of the rows does not take {each.where}"
            raws.append(raw)
        value = column.value
        assert value is not None
        try:
            values = _values(field, value, column.source)
        except MissingError as lack:
            return str(lack)
        return WrittenField(
            field.name,
            raws[0],
            field.type_name,
            # The other one of a difference may be set instead.
            raws[0].name not in self._required or field.minus,
            raws[1] if field.minus else None,
            values,
            description=field.description,
        )

    def _part(self, field: UnifiedField) -> WrittenField | str:
        assert field.parts is not None
        column = field.columns[0]
        if column.steps:
            return f"{column.where} is in a related row"
        raw = self._by_name(field.parts.name)
        if raw is None:
            return f"the mutation of the rows does not take the parts of {column.where}"
        return WrittenField(
            field.name,
            raw,
            DIMENSION_INPUT if field.many else field.type_name,
            part=field.part,
            whole=self._by_source(column.field.source),
            description=field.description,
        )

    def _items(self, field: UnifiedField) -> WrittenField | str:
        if self._kind is not UnifiedKind.CREATE_INPUT:
            return "its rows are created together with a new object, or by mutations of their own"
        if len(field.steps) != 1 or field.steps[0].where:
            return "its rows are not those of one relation"
        raw = self._by_source(field.steps[0].field.source)
        if raw is None:
            return "the mutation of the rows creates none below them by this relation"
        if not self._all.fields(UnifiedKind.NESTED_INPUT, field.of):
            return f"no field of {field.of} can be set"
        name = self._all.name_of(UnifiedKind.NESTED_INPUT, field.of)
        return WrittenField(field.name, raw, name, items=field.of, description=field.description)


def raw_inputs(writes: Writes, kind: TypeKind, csdl: str) -> Callable[[str], InputField | None]:
    """Return a function from columns and navigations to the fields of the input of rows."""
    entry = writes.entry(writes.name_of(kind, csdl)) if csdl else None
    if entry is None:
        return lambda _: None
    info, inputs = writes.catalog.object(csdl), writes.inputs.fields(entry)

    def of_source(source: str) -> InputField | None:
        try:
            return inputs[info.by_source(source).name]
        except KeyError:
            return None

    return of_source


def _derived(field: UnifiedField) -> str:
    """Return why the value of a field does not decide the values of its columns; empty if it does."""
    if field.convert is not None:
        return "its text is converted, which cannot be undone"
    if field.empty is not None:
        return "its value may stand for no value of the column"
    if field.many or field.sum:
        return "it is made of the rows of a list"
    if len(field.columns) > 1 and not field.minus:
        return "the first of several columns that has a value counts"
    if any(column.steps for column in field.columns):
        return f"{field.columns[0].where} is in a related row"
    return ""


def _values(field: UnifiedField, value: ValueType, source: str) -> Mapping[str, Any] | None:
    """Return unified value → value of the row's field; None if they are the same. Raises MissingError."""
    if field.table is not None or field.otherwise is not None:
        return _inverse(field, value)
    if check_type(value, field.type_name, source):
        return None
    if field.type_name == "String" and value.enum is not None:
        # It is shown as the service names its members.
        return dict(value.enum.to_graphql)
    raise MissingError(f"{source} is {value.scalar}, and the field {field.type_name}")


def _inverse(field: UnifiedField, value: ValueType) -> Mapping[str, Any]:
    """Return unified value → value of the row's field: the first one of the table that stands for it."""
    values: dict[str, Any] = {}
    for wire, unified in (field.table or {}).items():
        if unified is None or unified in values:
            continue
        try:
            values[unified] = operand_of(value, wire)
        except MissingError:
            continue
    return values


def _raw_value(item: WrittenField, value: Any) -> Any:
    if item.values is None or value is None:
        return value
    try:
        return item.values[value]
    except (KeyError, TypeError):
        raise _unknown(item.name, value, item.values) from None


def _unknown(name: str, value: object, known: Iterable[str]) -> UnusableInputError:
    hint = f"Use one of {', '.join(list(known)[:10])}."
    return UnusableInputError(f"{name}: there is no value {value}.", hint)


def _sides(own: str, less: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the two columns of a difference: the one that the sign of the amount decides has it, the other one is 0."""
    try:
        amount = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):  # null, or before it is coerced
        yield own, value
        return
    zero = Decimal()
    yield own, max(amount, zero)
    yield less, max(-amount, zero)
