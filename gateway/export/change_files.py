"""Files of changes: lines of NDJSON, or rows of Parquet and Arrow with the columns ``kind`` and ``id`` first.

kind     id     customerAccount  creditLimit
UPDATED  k5…    US-009           1000          a row that was created or changed
DELETED  k7…    null             null          a row that is gone; FILTERED: it no longer matches where
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw, Struct, structs

from gateway.errors import BadArgument
from schema.catalog.records import Field, FieldKind, ValueType

from .changes import Changes
from .pages import Rows
from .request import Format
from .selection import Column

_OWN = ("kind", "id")
_encode, _encode_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines


class ChangeWriter(Protocol):
    """Writes a file of changes."""

    def begin(self) -> bytes:
        """Return what comes before the first change."""
        ...

    def write(self, changes: Changes) -> Iterator[bytes]:
        """Yield the changes of an answer. Raises GatewayError for a value that does not fit."""
        ...

    def end(self) -> bytes:
        """Return what comes after the last change. May block for a moment."""
        ...

    def close(self) -> None:
        """Free what the writer holds, whether or not it has come to the end."""
        ...


def change_writer(columns: Sequence[Column], form: Format) -> ChangeWriter:
    """Return what writes changes of rows with these columns.

    Raises BadArgument for a format that cannot have them, and NotInstalled for one that is not installed.
    """
    match form:
        case "ndjson":
            return _Lines()
        case "parquet" | "arrow":
            return _Columns(columns, form)
        case _:
            raise BadArgument(
                f"Changes are not written as {form}.",
                hint="format is ndjson, parquet or arrow.",
            )


class _Gone(Struct):
    """A line about a row that is gone."""

    kind: str
    id: str


class _Lines:
    """A change a line."""

    def begin(self) -> bytes:
        return b""

    def write(self, changes: Changes) -> Iterator[bytes]:
        gone = (_Gone(each.reason, each.id) for each in changes.deletes)
        yield _encode_lines([*changes.upserts, *gone])

    def end(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


class _Columns:
    """A change a row."""

    def __init__(self, columns: Sequence[Column], form: Format) -> None:
        from .arrow import ArrowWriter  # noqa: PLC0415 - it imports an extra

        keys = dict.fromkeys(column.path[0] for column in columns)
        for name in _OWN:
            if name in keys:
                raise BadArgument(
                    f"{name} is a column of changes themselves.",
                    hint=f"Give the field an alias: fields=row_{name}:{name}",
                )
        assert form in ("parquet", "arrow")
        # Rows that are gone have no values.
        own = [structs.replace(column, nullable=True) for column in columns]
        self._writer = ArrowWriter([*map(_own_column, _OWN), *own], form)
        self._nulls = b"".join(b",%b:null" % _encode(key) for key in keys) + b"}"

    def begin(self) -> bytes:
        return self._writer.begin()

    def write(self, changes: Changes) -> Iterator[bytes]:
        rows = [
            *(self._row(each.kind, each.id, each.node) for each in changes.upserts),
            *(self._row(each.reason, each.id, None) for each in changes.deletes),
        ]
        return self._writer.page(Rows(nodes=Raw(b"[%b]" % b",".join(rows))))

    def end(self) -> bytes:
        return self._writer.end()

    def close(self) -> None:
        self._writer.close()

    def _row(self, kind: str, row_id: str, node: Raw | None) -> bytes:
        values = b"null" if node is None else bytes(node).strip()
        rest = self._nulls if values == b"null" else b"," + values[1:]
        return b'{"kind":%b,"id":%b%b' % (_encode(kind), _encode(row_id), rest)


def _own_column(name: str) -> Column:
    value = ValueType("String", "Edm.String", "string")
    field = Field(
        name=name, kind=FieldKind.VALUE, type_name=value.scalar, nullable=False, value=value
    )
    return Column((name,), field, nullable=False)
