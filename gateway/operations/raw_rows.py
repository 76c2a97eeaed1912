"""Pages whose rows are still JSON text: large pages are decoded and answered slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec
from msgspec import Struct

from .lenient_rows import lenient_row, untyped_json
from .row_types import Count, RowType


class RawPage(Struct, gc=False):
    """A page whose rows are still JSON text."""

    value: list[msgspec.Raw]
    count: Count | None = msgspec.field(default=None, name="@odata.count")
    next: str | None = msgspec.field(default=None, name="@odata.nextLink")


raw_page = msgspec.json.Decoder(RawPage).decode


class RawRows(Sequence[Any]):
    """Rows that are still JSON text: each is decoded whenever it is read.

    Reading raises msgspec.ValidationError if a row does not fit its type, and msgspec.DecodeError if it is not JSON.
    """

    __slots__ = ("raws", "row_type")

    def __init__(self, row_type: RowType, raws: list[msgspec.Raw]) -> None:
        self.row_type = row_type
        self.raws = raws

    def __len__(self) -> int:
        return len(self.raws)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> RawRows: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return RawRows(self.row_type, self.raws[index])
        return self.row_type.single.decode(self.raws[index])

    def __iter__(self) -> Iterator[Any]:
        # Decoded again at each iteration, so that a large page is never in memory as objects.
        return map(self.row_type.single.decode, self.raws)

    def lenient(self) -> Iterator[Any]:
        """Yield the rows as :func:`lenient_row` builds them. Raises msgspec.DecodeError."""
        return (lenient_row(self.row_type, untyped_json(raw)) for raw in self.raws)

    def reverse(self) -> None:
        """Reverse the order, in place."""
        self.raws.reverse()

    def slices(self, size: int) -> Iterator[RawRows]:
        """Yield slices of at least ``size`` bytes of JSON; the last one may be smaller."""
        start = taken = 0
        for end, raw in enumerate(self.raws, 1):
            taken += len(raw)
            if taken >= size:
                yield self[start:end]
                start, taken = end, 0
        if start < len(self):
            yield self[start:]


class DecodedRows(RawRows):
    """Rows of a small page, decoded with it as its answer needs them; their JSON is looked for if anybody needs it."""

    __slots__ = ("_body", "_places", "decoded")

    def __init__(
        self, row_type: RowType, decoded: list[Any], body: bytes, places: range | None = None
    ) -> None:
        """``places``: those of the rows in the page; None: these are all of its rows."""
        self.row_type = row_type
        self.decoded = decoded
        self._body = body
        self._places = range(len(decoded)) if places is None else places

    @property
    def raws(self) -> list[msgspec.Raw]:  # type: ignore[override] # an attribute of the others
        """The JSON of each row."""
        every = raw_page(self._body).value
        return [every[place] for place in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            places = self._places[index]
            return DecodedRows(self.row_type, self.decoded[index], self._body, places)
        return super().__getitem__(index)

    def reverse(self) -> None:
        """Reverse the order, in place."""
        self.decoded.reverse()
        self._places = self._places[::-1]

    def slices(self, size: int) -> Iterator[RawRows]:  # noqa: ARG002 - they are fewer
        """Yield all rows."""
        if self:
            yield self


RowList = list[Any] | RawRows
