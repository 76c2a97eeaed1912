"""What all tests of a process share because it is always the same: certificates, the sandbox's metadata and rows.

``tests/conftest.py`` calls ``share``; no test does anything for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import httpx
import httpx._transports.default as transports

import gateway.sandbox.app
import gateway.sandbox.store
import schema.csdl.parse
from gateway.sandbox.catalogue import built_in
from gateway.sandbox.edmx import write_edmx
from gateway.sandbox.external_metadata import read_document
from gateway.sandbox.store import Row, Storage
from schema.model.records import Model

BUILT_IN = built_in().model


def share() -> None:
    """Make once what tests would make hundreds of times."""
    # A client of httpx reads the machine's certificates, 30 ms of computing, also for plain HTTP.
    made = cache(httpx.create_ssl_context)
    vars(transports)["create_ssl_context"] = made
    vars(gateway.sandbox.app)["write_edmx"] = _written_once(write_edmx)
    vars(gateway.sandbox.app)["read_document"] = _read_once(read_document)
    vars(gateway.sandbox.store)["_cells_of"] = _converted_once(gateway.sandbox.store._cells_of)
    vars(schema.csdl.parse)["parse_csdl"] = _parsed_once(schema.csdl.parse.parse_csdl)


def _written_once(write: Callable[[Model], bytes]) -> Callable[[Model], bytes]:
    """Wrap the writer of metadata: the sandbox's own document is written once."""
    whole = cache(lambda: write(BUILT_IN))
    return lambda model: whole() if model is BUILT_IN else write(model)


def _parsed_once(parse: Callable[..., Model]) -> Callable[..., Model]:
    """Wrap the parser: what a sandbox in this process serves, to hundreds of gateways, is read once."""
    read = lru_cache(maxsize=2)(lambda content, name: parse((content,), name=name))

    def parse_csdl(source: Any, *, name: str = "$metadata", progress: Any = None) -> Model:
        if not name.startswith("http://sandbox.invalid/") or progress is not None:
            return parse(source, name=name, progress=progress)
        return read(source if isinstance(source, bytes) else b"".join(source), name)

    return parse_csdl


Document = tuple[Model, bytes]


def _read_once(read: Callable[[Path], Document]) -> Callable[[Path], Document]:
    """Wrap the reader of other documents: none is parsed again as long as its file stays the same."""
    last = lru_cache(maxsize=32)(lambda path, _version: read(path))

    def read_document(path: Path) -> Document:
        status = path.stat()
        return last(path, (status.st_mtime_ns, status.st_size))

    return read_document


Cells = list[tuple[Any, ...]]


def _converted_once(convert: Callable[..., Cells]) -> Callable[..., Cells]:
    """Wrap what makes cells of rows: sandboxes with the same rows (of ``seed.make``) get the same cells.

    Of a table's first rows only, which are two thirds of what a sandbox of one's own costs.
    """
    cells_of: dict[tuple[str, int], tuple[object, Cells]] = {}

    def cells(storage: Storage, rows: Iterable[Row], first: int, tags: Any) -> Cells:
        if tags.recversion or not isinstance(rows, list):
            return convert(storage, rows, first, tags)
        key = (storage.name, id(rows))
        if key not in cells_of:
            # The rows stay with their cells: no others can have their id.
            cells_of[key] = (rows, convert(storage, rows, first, tags))
        return cells_of[key][1]

    return cells
