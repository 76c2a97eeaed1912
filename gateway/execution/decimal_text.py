"""Turns exact decimals into text without ``Decimal`` objects, for rows that go straight into an answer.

To make one for each number and print it again takes a third of a large page's time. So the rows of a whole plan are
decoded into a second struct, whose decimals are slices of the JSON (``msgspec.Raw``, whose grammar is checked), and the
numbers of many rows become text in one call. The text is that of ``str(Decimal(…))``; numbers in other forms than plain
digits go through ``Decimal``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct, UnsetType

from gateway.operations.completion_compiler import FastPathMiss
from gateway.operations.raw_rows import DecodedRows, RawRows, raw_page
from gateway.operations.row_types import Count, RowType, nullable

Convert = Callable[[Sequence[Any]], None]
_DIGITS = b"0123456789.-,"
_TINY = b"0.000000"
"""``str(Decimal)`` writes what is smaller with an exponent."""
_ONE_USE, _COMPILED_AT = 100, 350
"""An operation's decimals are converted by a compiled function from its fourth page, or that with many values."""
_NULLABLE_DECIMAL = nullable(Decimal)
_required = msgspec.json.Decoder(Decimal).decode
_nullable = msgspec.json.Decoder(Decimal | None).decode


class NotFinite(FastPathMiss):
    """A decimal is not a finite number: the decoder accepts the text "NaN" as one."""


class TextType(Struct):
    """The second struct of a row type, and how to use it."""

    struct: type[Struct]
    decode: Callable[[Raw], Any]
    convert: Convert
    """Replaces the decimals of rows by text, in place. Raises msgspec.ValidationError or NotFinite."""
    expanded: Mapping[int, TextType]
    pages: int = 0
    """Small pages so far."""
    decode_page: Callable[[bytes], Any] | None = None
    """Made for the second page: an operation that never comes again should not pay for it."""


def text_type(row_type: RowType) -> TextType:
    """Return the second struct of a row type, which is made at its first use."""
    result = row_type.text
    if result is None:
        result = row_type.text = _make(row_type)
    return cast("TextType", result)


def decode_with_texts(rows: RawRows) -> list[Any]:
    """Return rows decoded but for their decimals, which are still JSON. Raises msgspec.DecodeError."""
    if isinstance(rows, DecodedRows):
        return rows.decoded
    return list(map(text_type(rows.row_type).decode, rows.raws))


def decode_small_page(row_type: RowType, body: bytes) -> Any:
    """Return a page whose rows are decoded in this way, too; None if it is to be read in another way.

    One pass over the JSON instead of two, from the second page. What is wrong with a page is found by the other way.
    """
    known = text_type(row_type)
    decode = known.decode_page
    if decode is None:
        known.pages += 1
        decode = partial(_page_of, known.decode)
        if known.pages > 1:
            decode = known.decode_page = _page_decoder(known.struct)
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _page_of(decode: Callable[[Raw], Any], body: bytes) -> Any:
    page: Any = raw_page(body)
    page.value = list(map(decode, page.value))
    return page


def _page_decoder(struct: type[Struct]) -> Callable[[bytes], Any]:
    fields: list[Any] = [
        ("value", list[struct]),  # type: ignore[valid-type] # made at run time
        ("count", Count | None, msgspec.field(default=None, name="@odata.count")),
        ("next", str | None, msgspec.field(default=None, name="@odata.nextLink")),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("TextPage", fields, gc=False)).decode


def _make(row_type: RowType) -> TextType:
    expanded = {index: text_type(inner) for index, inner in row_type.expanded.items()}
    slots = {f"c{index}": inner.struct for index, inner in expanded.items()}
    lists = {c.slot for c in row_type.level.children.values() if c.connection is not None}
    fields: list[Any] = []
    numbers: dict[bool, list[str]] = {False: [], True: []}
    for name, declared, *default in row_type.layout.fields:
        kind = declared
        if kind is Decimal or kind is _NULLABLE_DECIMAL:
            numbers[kind is not Decimal].append(name)
            # Raw holds null as well, so it needs no union.
            kind = Raw
        elif name in slots:
            inner: Any = slots[name]
            kind = list[inner] | UnsetType | None if name in lists else inner | None
        fields.append((name, kind, *default))
    convert = _Converter(numbers[False], numbers[True]) if any(numbers.values()) else _nothing
    if not any(numbers.values()) and all(
        inner.struct is row_type.expanded[index].struct for index, inner in expanded.items()
    ):
        return TextType(row_type.struct, row_type.single.decode, convert, expanded)
    names = dict(row_type.layout.wire_names)
    struct = msgspec.defstruct("TextRow", fields, rename=names, gc=False, kw_only=True)
    return TextType(struct, msgspec.json.Decoder(struct).decode, convert, expanded)


class _Converter:
    """Replaces the decimals in some attributes of rows by text: by a compiled function once that has paid off."""

    __slots__ = ("_attributes", "_compiled", "_values")

    def __init__(self, required: list[str], nullable: list[str]) -> None:
        self._attributes = ((required, texts), (nullable, texts_or_nulls))
        self._values = 0
        self._compiled: Convert | None = None

    def __call__(self, rows: Sequence[Any]) -> None:
        if self._compiled is not None:
            self._compiled(rows)
            return
        # It takes as long to compile the function as to convert some 500 values without it.
        self._values += _ONE_USE + len(rows) * sum(len(names) for names, _ in self._attributes)
        if self._values > _COMPILED_AT:
            self._compiled = _compiled(*(names for names, _ in self._attributes))
            self._compiled(rows)
            return
        for names, read in self._attributes:
            if names:
                values = iter(read([getattr(row, name) for name in names for row in rows]))
                for name in names:
                    for row in rows:
                        setattr(row, name, next(values))


def _compiled(required: list[str], nullable: list[str]) -> Convert:
    """Return a compiled function that replaces the decimals in these attributes of rows by text."""
    lines = ["def convert(rows):", " pass"]
    for attributes, read in ((required, "texts"), (nullable, "texts_or_nulls")):
        if attributes:
            columns = ", ".join(f"*[r.{a} for r in rows]" for a in attributes)
            lines.append(f" values = iter({read}([{columns}]))")
            lines.extend(f" for r, r.{a} in zip(rows, values): pass" for a in attributes)
    namespace: dict[str, Convert] = {}
    exec(compile("\n".join(lines), "<texts>", "exec"), _GLOBALS, namespace)  # noqa: S102 - our own attribute names
    return namespace["convert"]


def _nothing(rows: Sequence[Any]) -> None:
    """Leave rows without decimals as they are."""


def texts(raws: Sequence[Raw]) -> list[Any]:
    """Return the text of JSON numbers. Raises msgspec.ValidationError or NotFinite for other values."""
    joined = b",".join(raws)
    # Exponents, tiny numbers, and what is no number at all: hardly a page has any, so one look at all of them decides.
    if joined.translate(None, _DIGITS) or _TINY in joined:
        return [_text(_required(raw)) for raw in raws]
    return joined.decode("ascii").split(",")


def texts_or_nulls(raws: Sequence[Raw | None]) -> list[Any]:
    """Return the text of JSON numbers, None for null and for None."""
    present = [raw for raw in raws if raw is not None]
    joined = b",".join(present)
    if joined.replace(b"null", b"").translate(None, _DIGITS) or _TINY in joined:
        return [None if raw is None else _text(_nullable(raw)) for raw in raws]
    values = (None if text == "null" else text for text in joined.decode("ascii").split(","))
    return [None if raw is None else next(values) for raw in raws]


def _text(value: Decimal | None) -> str | None:
    if value is None:
        return None
    if value.is_finite():
        return str(value)
    raise NotFinite


_GLOBALS = {"texts": texts, "texts_or_nulls": texts_or_nulls}
"""What compiled conversions may call."""
