"""Stores a model as bytes that open in milliseconds: an index of names, and records that are decoded one at a time.

    magic | record record record … | index | size of the index | fingerprint | SHA-256 of all before

Reading 41 MB of CSDL takes seconds and most of its records are never asked for. Here the index is decoded at once and
a record when it is first looked up, so a whole catalogue costs as much as the entities that operations touch. The
index also holds what is asked of all types together (``Model.derived``, ``Model.sets_of_type``) and ``notes``:
whatever the caller has decided from the model and would otherwise decide again.

Everything is MessagePack of the model's own records: bytes from anywhere can at worst be a wrong model, never
code. The fingerprint says from what the model was made; with another one, and with any bit that is not as it was
written, there is no model and the caller makes it anew.
"""

from __future__ import annotations

import copy
import hashlib
import mmap
import struct
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from .records import (
    ComplexType,
    EntitySet,
    EntityType,
    EnumType,
    Model,
    Operation,
    OperationImport,
    Singleton,
    TypeDefinition,
)

FORMAT: Final = 2
"""Increase it with every change of the layout or of the records of ``schema.model.records``."""

_MAGIC: Final = b"D365SNP%d\n" % FORMAT
_TABLES: Final[Mapping[str, type]] = {
    "entity_types": EntityType,
    "complex_types": ComplexType,
    "enum_types": EnumType,
    "type_definitions": TypeDefinition,
    "entity_sets": EntitySet,
    "singletons": Singleton,
    "imports": OperationImport,
}
"""The mappings of ``Model``; their records are stored in this order."""
_STEP: Final = 1 << 20
_DIGEST: Final = hashlib.sha256().digest_size
_END: Final = struct.Struct(f"<Q{_DIGEST}s")
_SMALLEST: Final = len(_MAGIC) + _END.size + _DIGEST

Record = TypeVar("Record")


class _Index(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    namespace: str
    names: list[list[str]]
    """Of each table, in the order of ``_TABLES``."""
    sizes: list[list[int]]
    """Bytes of each record, likewise."""
    operations: tuple[Operation, ...]
    findings: tuple[str, ...]
    derived: dict[str, tuple[str, ...]]
    sets_of_type: dict[str, tuple[str, ...]]
    notes: memoryview


class Unpacked(Struct, frozen=True):
    """The contents of a snapshot."""

    model: Model
    notes: memoryview
    _content: bytes | memoryview | mmap.mmap

    def release(self) -> None:
        """Release mapped pages from memory until they are read again; call it once the notes are read."""
        _release(self._content)


class Records(Mapping[str, Record]):
    """Records by name in document order, decoded on first lookup and then kept."""

    __slots__ = ("_ends", "_made", "_places", "decode", "view")

    def __init__(
        self,
        names: Sequence[str],
        sizes: Sequence[int],
        view: memoryview,
        decode: Callable[[memoryview], Record],
    ) -> None:
        self._places: Mapping[str, int] = {name: place for place, name in enumerate(names)}
        self._ends = array("Q", (0, *accumulate(sizes)))
        self.view = view
        self.decode = decode
        self._made: dict[str, Record] = {}

    @property
    def decoded(self) -> int:
        """The number of records decoded so far."""
        return len(self._made)

    def __getitem__(self, name: str) -> Record:
        record = self._made.get(name)
        if record is None:
            record = self._made[name] = self.decode(self.piece(name))
        return record

    def piece(self, name: str) -> memoryview:
        """Return the bytes of a record. Raises KeyError."""
        place = self._places[name]
        return self.view[self._ends[place] : self._ends[place + 1]]

    def size(self, name: str) -> int:
        """Return the number of bytes of a record; -1 if there is none."""
        place = self._places.get(name, -1)
        return -1 if place < 0 else self._ends[place + 1] - self._ends[place]

    @property
    def places(self) -> Mapping[str, int]:
        """The names, each with its place among the bytes."""
        return self._places

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def fresh_copy(self) -> Records[Record]:
        """Return the same records with none decoded."""
        result = copy.copy(self)
        result.forget()
        return result

    def forget(self) -> None:
        """Drop the decoded records."""
        self._made = {}

    @property
    def contents(self) -> tuple[Any, ...]:
        """The snapshots from which records are decoded."""
        return (self.view.obj,)

    @property
    def table(self) -> dict[str, Record]:
        """The decoded records."""
        return self._made

    def __repr__(self) -> str:
        return f"<{len(self)} records, {self.decoded} of them decoded>"


def pack(model: Model, *, fingerprint: bytes, notes: bytes = b"") -> Iterator[bytes]:
    """Yield the bytes of a snapshot; ``fingerprint`` identifies everything that the model depends on.

    Raises OverflowError or ValueError for values that only hand-made models or hostile documents contain: numbers
    beyond 64 bits, unpaired surrogates.
    """
    checksum = hashlib.sha256()
    for piece in _pieces(model, fingerprint, notes):
        checksum.update(piece)
        yield piece
    yield checksum.digest()


def _pieces(model: Model, fingerprint: bytes, notes: bytes) -> Iterator[bytes]:
    encode = msgspec.msgpack.Encoder().encode
    yield _MAGIC
    sizes = []
    for table in _TABLES:
        of_table = []
        for record in getattr(model, table).values():
            piece = encode(record)
            of_table.append(len(piece))
            yield piece
        sizes.append(of_table)
    index = encode(
        _Index(
            namespace=model.namespace,
            names=[list(getattr(model, table)) for table in _TABLES],
            sizes=sizes,
            operations=model.operations,
            findings=model.findings,
            derived=dict(model.derived),
            sets_of_type=dict(model.sets_of_type),
            notes=memoryview(notes),
        )
    )
    yield index
    yield _END.pack(len(index), _stamp(fingerprint))


def _stamp(fingerprint: bytes) -> bytes:
    return hashlib.sha256(fingerprint).digest()


def unpack(content: bytes | memoryview | mmap.mmap, *, fingerprint: bytes) -> Unpacked | None:
    """Return the contents of a snapshot; None if it is damaged or has another format or fingerprint.

    ``content`` must not change while the model is in use: the records are read from it.
    """
    view = memoryview(content)
    if len(view) < _SMALLEST or view[: len(_MAGIC)] != _MAGIC:
        return None
    size, stamp = _END.unpack_from(view, len(view) - _DIGEST - _END.size)
    if stamp != _stamp(fingerprint) or _checksum(content) != view[-_DIGEST:]:
        return None
    end = len(view) - _DIGEST - _END.size
    index = msgspec.msgpack.decode(view[end - size : end], type=_Index)
    unpacked = Unpacked(_model(index, view[len(_MAGIC) : end - size]), index.notes, content)
    unpacked.release()
    return unpacked


def _checksum(content: bytes | memoryview | mmap.mmap) -> bytes:
    """Return the checksum of all but the checksum itself, releasing mapped pages on the way."""
    view = memoryview(content)[:-_DIGEST]
    checksum = hashlib.sha256()
    for at in range(0, len(view), _STEP):
        checksum.update(view[at : at + _STEP])
        _release(content, at, len(view[at : at + _STEP]))
    return checksum.digest()


def _release(
    content: bytes | memoryview | mmap.mmap, start: int = 0, length: int | None = None
) -> None:
    """Release mapped pages from memory until they are read again."""
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED, start, len(content) if length is None else length)


def _model(index: _Index, records: memoryview) -> Model:
    tables: dict[str, Any] = {}
    start = 0
    for (table, record), names, sizes in zip(
        _TABLES.items(), index.names, index.sizes, strict=True
    ):
        end = start + sum(sizes)
        tables[table] = Records(
            names, sizes, records[start:end], msgspec.msgpack.Decoder(record).decode
        )
        start = end
    model = Model(
        namespace=index.namespace,
        operations=index.operations,
        findings=index.findings,
        **tables,
    )
    # where functools.cached_property keeps its answers: these two would decode every record
    vars(model).update(derived=index.derived, sets_of_type=index.sets_of_type)
    return model


def reopen(model: Model) -> Model:
    """Return the same model with no record of its snapshot decoded; a model without a snapshot is returned as it is."""
    copied = copy.copy(model)
    for table, records in tables_by_name(model):
        vars(copied)[table] = records.fresh_copy()
    return copied


def forget_records(model: Model) -> None:
    """Drop the records decoded from the model's snapshot; they are decoded again on demand."""
    for _, records in tables_by_name(model):
        records.forget()
    release_pages(model)


def release_pages(model: Model) -> None:
    """Release the pages of the model's snapshots from memory until they are read again."""
    contents = {id(c): c for _, records in tables_by_name(model) for c in records.contents}
    for content in contents.values():
        _release(content)


def tables_of(model: Model) -> Iterator[dict[str, Any]]:
    """Yield the tables of the records decoded from the model's snapshot."""
    return (records.table for _, records in tables_by_name(model))


def tables_by_name(model: Model) -> Iterator[tuple[str, Records[Any]]]:
    """Yield the tables whose records are decoded from a snapshot."""
    for table in _TABLES:
        records = getattr(model, table)
        if isinstance(records, Records):
            yield table, records
