"""Exact decimals as text: rows that go straight into an answer need no ``Decimal`` objects.

Making one for each number and printing it again is a third of a large page's time. So the rows of a whole plan are
decoded into a second struct, whose decimals are slices of the JSON (``msgspec.Raw``, its grammar is checked), and the
numbers of many rows become text in one go. The text is what ``str(Decimal(…))`` gives; numbers in other forms than
plain digits go through ``Decimal``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import msgspec
from msgspec import NODEFAULT, Raw, Struct, UnsetType

from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.row_types import RawRows, RowType

Convert = Callable[[Sequence[Any]], None]
_DIGITS = b"0123456789.-,"
_TINY = b"0.000000"
"""``str(Decimal)`` writes what is smaller with an exponent."""
_required = msgspec.json.Decoder(Decimal).decode
_nullable = msgspec.json.Decoder(Decimal | None).decode


class NoNumber(FastPathMiss):
    """A decimal that is not finite: the decoder takes the text "NaN" for one."""


class TextType(Struct, frozen=True):
    """Rows of a row type, with decimals that are yet to become text."""

    struct: type[Struct]
    decode: Callable[[Raw], Any]
    convert: Convert
    """Makes text of the decimals of rows, in place. Raises msgspec.ValidationError or NoNumber."""
    expanded: Mapping[int, TextType]


def text_type(row_type: RowType) -> TextType:
    """Return the second struct of a row type, made when first asked for."""
    found = row_type.text
    if found is None:
        found = row_type.text = _make(row_type)
    return cast("TextType", found)


def read_texts(rows: RawRows) -> list[Any]:
    """Decode rows whose decimals are yet to become text. Raises msgspec.DecodeError."""
    return list(map(text_type(rows.row_type).decode, rows.raws))


def _make(row_type: RowType) -> TextType:
    expanded = {index: text_type(inner) for index, inner in row_type.expanded.items()}
    slots = {f"c{index}": inner.struct for index, inner in expanded.items()}
    lists = {c.slot for c in row_type.level.children.values() if c.connection is not None}
    fields: list[Any] = []
    numbers: dict[bool, list[str]] = {False: [], True: []}
    for found in msgspec.structs.fields(row_type.struct):
        kind = found.type
        if kind == Decimal or kind == Decimal | None:
            numbers[kind != Decimal].append(found.name)
            kind = Raw  # which may be null by itself
        elif found.name in slots:
            inner: Any = slots[found.name]
            kind = list[inner] | UnsetType | None if found.name in lists else inner | None
        default = () if found.default is NODEFAULT else (found.default,)
        fields.append((found.name, kind, *default))
    convert = _converter(numbers[False], numbers[True])
    if not any(numbers.values()) and all(
        inner.struct is row_type.expanded[index].struct for index, inner in expanded.items()
    ):
        return TextType(row_type.struct, row_type.single.decode, convert, expanded)
    names = dict(row_type.wire_names)
    struct = msgspec.defstruct("TextRow", fields, rename=names, gc=False, kw_only=True)
    return TextType(struct, msgspec.json.Decoder(struct).decode, convert, expanded)


def _converter(required: list[str], nullable: list[str]) -> Convert:
    """Compile the conversion of some attributes."""
    if not required and not nullable:
        return _nothing
    lines = ["def convert(rows):", " pass"]
    for attributes, read in ((required, "texts"), (nullable, "texts_or_nulls")):
        if attributes:
            columns = ", ".join(f"*[r.{a} for r in rows]" for a in attributes)
            lines.append(f" found = iter({read}([{columns}]))")
            lines.extend(f" for r, r.{a} in zip(rows, found): pass" for a in attributes)
    made: dict[str, Convert] = {}
    exec(compile("\n".join(lines), "<texts>", "exec"), _SPACE, made)  # noqa: S102 - our own attribute names
    return made["convert"]


def _nothing(rows: Sequence[Any]) -> None:
    """Leave rows without decimals as they are."""


def texts(raws: Sequence[Raw]) -> list[Any]:
    """Return the text of JSON numbers. Raises msgspec.ValidationError or NoNumber for what is none."""
    joined = b",".join(raws)
    if joined.translate(None, _DIGITS) or _TINY in joined:
        return [_text(_required(raw)) for raw in raws]
    return joined.decode("ascii").split(",")


def texts_or_nulls(raws: Sequence[Raw | None]) -> list[Any]:
    """Return the text of JSON numbers and nulls; what is missing is None already."""
    present = [raw for raw in raws if raw is not None]
    joined = b",".join(present)
    if joined.replace(b"null", b"").translate(None, _DIGITS) or _TINY in joined:
        return [None if raw is None else _text(_nullable(raw)) for raw in raws]
    found = (None if text == "null" else text for text in joined.decode("ascii").split(","))
    return [None if raw is None else next(found) for raw in raws]


def _text(value: Decimal | None) -> str | None:
    if value is None:
        return None
    if value.is_finite():
        return str(value)
    raise NoNumber


_SPACE = {"texts": texts, "texts_or_nulls": texts_or_nulls}
"""What compiled conversions call."""
