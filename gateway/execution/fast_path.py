"""Fast path: decodes, completes and encodes pages in slices (64 KiB), yielding to the event loop.

Only one slice's objects are alive at a time, which keeps the memory of many answers low and the objects in the
processor's caches. The functions that complete are compiled for the operation (``completion_compiler``).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.odata.dialect import Dialect
from gateway.operations.completion_compiler import (
    SOURCE,
    ConnectionCompletion,
    FastPathMiss,
    RootCompletion,
)
from gateway.operations.pages import Page
from gateway.operations.prepared_operation import Prepared
from gateway.operations.raw_rows import RawRows, RowList
from gateway.operations.shapes import TYPENAME
from gateway.planning.plan import KeysRoot, ListRoot
from schema.catalog.records import RootKind

from .answer_checks import DistinctKeys
from .decimal_text import decode_with_texts
from .expanded_children import Place, placer
from .plan_runner import Loaded

_ENCODER = msgspec.json.Encoder(decimal_format="string")
encode, encode_lines = _ENCODER.encode, _ENCODER.encode_lines
_NODES_A_TURN = 1_000
"""Rows of any type after which other tasks have a turn: some 5 ms."""


class Slicing(Struct, frozen=True, kw_only=True):
    """How large the slices of a list are."""

    size: int = 64 * 1024
    """Bytes of JSON in a slice: what fits in a cache beside the objects made of it."""
    rows: int = 50
    """Rows in a slice, if they are decoded already."""
    turn: int = 8
    """Slices after which other tasks have a turn: some 5 ms."""
    interpreted: int = 2_000
    """Values of an operation's lists that are completed before what completes them is compiled."""


class Collector(Struct):
    """Takes the completed rows of a list, slice by slice, so that they are not part of the answer."""

    collect: Callable[[list[Any]], Any]
    slices: list[Any] | None = None
    """What ``collect`` made of them; None as long as there was no list."""

    def take(self, items: list[Any]) -> None:
        """Take some rows: nothing stands for them in the answer."""
        if self.slices is None:
            self.slices = []
        self.slices.append(self.collect(items))


class NotCompiled(FastPathMiss):
    """A root field has a plain value, which no compiled function completes: graphql-core does."""


def is_miss(error: Exception) -> bool:
    """Return whether an error of :func:`complete_roots` is about what the upstream sent; any other is our own bug."""
    # Rows that are still JSON text are decoded here: msgspec raises UnicodeDecodeError for text that is not UTF-8.
    if isinstance(error, FastPathMiss | GatewayError | msgspec.DecodeError | UnicodeDecodeError):
        return True
    # Compiled tables hold the enum members and types of the metadata; a row may hold others.
    return isinstance(error, KeyError) and origin_of(error).startswith(SOURCE)


def origin_of(error: BaseException) -> str:
    """Return where an error was raised, as ``file.py:line``: it discloses nothing of the data."""
    frame = traceback.extract_tb(error.__traceback__, limit=-1)[0]
    return f"{PurePath(frame.filename).name}:{frame.lineno}"


async def complete_roots(
    prepared: Prepared,
    loaded: Sequence[Loaded],
    dialect: Dialect,
    slicing: Slicing,
    collector: Collector | None = None,
) -> dict[str, Any]:
    """Return all root fields completed, by response key; ``collector`` takes the rows of their lists.

    Raises FastPathMiss, or another error of :func:`is_miss`, for rows that the compiled functions cannot complete.
    """
    values = {item.bound.shape.key: item for item in loaded}
    data: dict[str, Any] = {}
    for key, name in prepared.order:
        model = prepared.models.get(key)
        if name == TYPENAME:
            data[key] = "Query"
        elif model is None:
            data[key] = await _root(prepared, values[key], dialect, slicing, collector)
        else:
            data[key] = {
                own: model.type_name
                if root == TYPENAME
                else await _root(prepared, values[root], dialect, slicing, collector)
                for own, root in model.order
            }
    return data


async def _root(
    prepared: Prepared,
    item: Loaded,
    dialect: Dialect,
    slicing: Slicing,
    collector: Collector | None = None,
) -> Any:
    shape, value, bound = item.bound.shape, item.value, item.bound
    if isinstance(bound, KeysRoot) and shape.root.kind is not RootKind.BY_KEY:
        return await _nodes(prepared, bound, item)
    if value is None:
        return None
    if shape.complete is None:
        raise NotCompiled
    if isinstance(value, list):
        return [shape.complete(row) for row in value]
    if isinstance(bound, ListRoot) and isinstance(shape.complete, RootCompletion):
        texts = isinstance(value.rows, RawRows)
        place = None
        if item.raw:
            place = placer(bound.plan, dialect, texts=texts, learns=item.learns)
        complete = shape.complete.of(texts=texts)
        return await complete_page(value, complete, place, slicing, collector)
    return shape.complete(value)


async def _nodes(prepared: Prepared, bound: KeysRoot, item: Loaded) -> Any:
    values = item.value if bound.many else [item.value]
    nodes: list[Any] = []
    for number, (plan, value) in enumerate(zip(item.row_plans, values, strict=True), 1):
        if number % _NODES_A_TURN == 0:
            await asyncio.sleep(0)
        if plan is None or value is None:
            nodes.append(None)
            continue
        # Unified objects are of one type, whose completion is that of the field.
        complete = bound.shape.complete if bound.shape.view is not None else None
        if complete is None:
            complete = prepared.node_shape(bound.shape, plan.level.info.csdl).complete
        nodes.append(complete(value))
    return nodes if bound.many else nodes[0]


async def complete_page(
    page: Page,
    complete: ConnectionCompletion,
    place: Place | None,
    slicing: Slicing,
    collector: Collector | None = None,
) -> Any:
    """Return a page completed, as an object that can be encoded. Raises as :func:`complete_roots` does.

    ``place`` puts the children into their slots, if that is still to be done. ``collector`` takes the rows.
    """
    slices = list(_slices(page.rows, slicing)) if len(page.rows) > 1 else ()
    distinct = DistinctKeys(page.rows.row_type) if isinstance(page.rows, RawRows) else None
    if len(slices) < 2:
        rows = _placed(page.rows, place, distinct)
        if distinct is not None:
            distinct.check()
        lists: Sequence[Any] = complete.lists(page, rows, 0)
        return complete.head(page, *(lists if collector is None else map(collector.take, lists)))
    take: Callable[[list[Any]], Any] = _items if collector is None else collector.take
    texts: list[list[Any]] = []
    start = 0
    for number, part in enumerate(slices, 1):
        rows = _placed(part, place, distinct)
        lists = complete.lists(page, rows, start)
        texts.append(list(map(take, lists)))
        start += len(rows)
        if number % slicing.turn == 0:
            await asyncio.sleep(0)
    if len(slices) > slicing.turn:
        await asyncio.sleep(0)
    if distinct is not None:
        distinct.check()
    return complete.head(page, *zip(*texts, strict=True))


def _slices(rows: RowList, slicing: Slicing) -> Iterator[RowList]:
    if isinstance(rows, RawRows):
        return rows.slices(slicing.size)
    return (rows[i : i + slicing.rows] for i in range(0, len(rows), slicing.rows))


def _placed(rows: RowList, place: Place | None, distinct: DistinctKeys | None) -> list[Any]:
    decoded = decode_with_texts(rows) if isinstance(rows, RawRows) else rows
    if place is not None:
        place(decoded)
    if distinct is not None:
        distinct.add(decoded)
    return decoded


def _items(items: list[Any]) -> msgspec.Raw:
    """Return the JSON of an array without its brackets: a tuple of such texts is encoded as one array."""
    return msgspec.Raw(memoryview(encode(items))[1:-1])
