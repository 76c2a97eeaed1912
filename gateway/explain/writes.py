"""Explains mutations: an upstream that accepts every write, and descriptions of what each mutation does.

The upstream answers like a service that refuses nothing: a new row comes back with all its properties, with
``{Property}`` for values that only the service knows, the parts of keys from number sequences.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.cost.write_price import BatchSizes
from gateway.errors import UpstreamNotFound
from gateway.odata.batch import BATCH_URL
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, whole_response
from gateway.operations.lenient_rows import untyped_json
from gateway.shutdown import Shutdown
from gateway.writes.plan import CallMutation, Mutation, RowsMutation, RowWrite
from gateway.writes.values import encode_body
from schema.catalog import Catalog
from schema.catalog.records import FieldKind, Verb

from .empty_service import PARTS, empty_answer

_BOUNDARY = "answer_to_explain"
_HEAD = b"Content-Type: application/http\r\n\r\n"
_CHANGESET = b"Content-Type: multipart/mixed; boundary=changeset_"
_GROUPS = re.compile(rb"--batch_gateway\d*\r\n(.*?)(?=\r\n--batch_gateway)", re.DOTALL)
"""The parts of a batch: writes by themselves, and changesets."""


@dataclass
class AcceptingUpstream:
    """An upstream without rows that accepts every write; ``placeholders`` are the properties with unknown values."""

    catalog: Catalog
    root: str = "http://explain.invalid"
    placeholders: set[str] = field(default_factory=set)
    unfinished: set[asyncio.Task[Any]] = field(default_factory=set)
    shutdown: Shutdown = field(default_factory=Shutdown)

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:  # noqa: ARG002 - Writer has it
        """Return no rows."""
        answer = empty_answer(request, 0)
        if answer.status == 404:
            raise UpstreamNotFound("There is no such row.", upstream_status=404)
        return answer

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,  # noqa: ARG002 - Writer has it
        begins: Callable[[], None] | None = None,  # noqa: ARG002 - Writer has it
    ) -> Response:
        """Accept a write, or all of a changeset."""
        if request.url != BATCH_URL:
            row = self._row(request.method, request.url, request.body or b"")
            return Response(204 if row is None else 201, {}, row or b"", request.url)
        parts = b"".join(map(self._answer, _GROUPS.findall(request.body or b"")))
        headers = {"content-type": f"multipart/mixed; boundary={_BOUNDARY}"}
        return Response(200, headers, parts + f"--{_BOUNDARY}--\r\n".encode(), request.url)

    def _answer(self, group: bytes) -> bytes:
        """Return the part that answers a write by itself, or a changeset."""
        parts = [_HEAD + self._part(write) for write in PARTS.finditer(group)]
        if _CHANGESET not in group:
            return f"--{_BOUNDARY}\r\n".encode() + b"".join(parts)
        inner = b"".join(f"--{_BOUNDARY}_group\r\n".encode() + part for part in parts)
        head = f"--{_BOUNDARY}\r\nContent-Type: multipart/mixed; boundary={_BOUNDARY}_group\r\n\r\n"
        return head.encode() + inner + f"--{_BOUNDARY}_group--\r\n".encode()

    def _part(self, write: re.Match[bytes]) -> bytes:
        row = self._row(write["method"].decode(), write["url"].decode(), write["body"])
        status = "204 No Content" if row is None else "201 Created"
        return f"HTTP/1.1 {status}\r\n\r\n".encode() + (row or b"") + b"\r\n"

    def _row(self, method: str, url: str, body: bytes) -> bytes | None:
        """Return the new row of a POST to an entity set; None for any other write."""
        entity_set = self.catalog.model.entity_sets.get(url.partition("?")[0])
        if method != "POST" or entity_set is None:
            return None
        info = self.catalog.object(entity_set.type)
        row: dict[str, Any] = {
            f.source: None for f in info.fields.values() if f.kind is FieldKind.VALUE
        }
        row["@odata.etag"] = None
        values = untyped_json(body)
        row.update(values if isinstance(values, dict) else {})
        for part in info.key:
            # Number sequences generate texts.
            is_text = part.value is not None and part.value.scalar == "String"
            if row.get(part.source) is None and is_text:
                row[part.source] = f"{{{part.source}}}"
                self.placeholders.add(part.source)
        return encode_body(row)


def describe_mutation(
    mutation: Mutation, *, is_atomic: bool, sizes: BatchSizes
) -> tuple[str, tuple[str, ...]]:
    """Return what a mutation does, and notes."""
    if isinstance(mutation, CallMutation):
        done = None if mutation.call.done is None else mutation.call.done.check
        shown = f"not called if {done.flag.name} of the row shows that it was done" if done else ""
        return _call(mutation), (shown,) if shown else ()
    how, notes = _describe_rows(mutation, is_atomic=is_atomic, sizes=sizes)
    key = mutation.natural_key
    if key is None or all(key.values(write) is None for write in mutation.writes):
        return how, notes
    look = f"looked up by {key.describe()} first; rows that are there are not created; shown as if there were none"
    return how, (*notes, look)


def _describe_rows(
    mutation: RowsMutation, *, is_atomic: bool, sizes: BatchSizes
) -> tuple[str, tuple[str, ...]]:
    size = sizes.changeset
    if is_atomic:
        return f"{_rows(mutation)}{_below(mutation)}, in the operation's changeset", ()
    if mutation.field.many and _goes_in_batches(mutation, sizes):
        return _batched(mutation, size)
    if mutation.field.many:
        return f"{_rows(mutation)}{_below(mutation)}{_grouped(mutation, size)}", tuple(
            _notes_of_list(mutation, size)
        )
    return _single(mutation, size)


def _call(mutation: CallMutation) -> str:
    of = mutation.field
    if of.service is not None:
        return f"calls the custom service {of.service.path}"
    assert of.operation is not None
    bound = of.operation.bound_to
    if bound is None or of.entity_set is None:
        return f"calls the action {of.operation.name}"
    return f"calls the action {of.operation.name} of {'' if bound.many else '1 row of '}{of.entity_set.name}"


_VERBS = {
    Verb.CREATE: "creates",
    Verb.UPDATE: "changes",
    Verb.UPSERT: "changes or creates",
    Verb.DELETE: "deletes",
}


def _rows(mutation: RowsMutation) -> str:
    return f"{_VERBS[mutation.field.verb]} {_counted(len(mutation.writes))} of {_set(mutation)}"


def _set(mutation: RowsMutation) -> str:
    assert mutation.field.entity_set is not None
    return mutation.field.entity_set.name


def _counted(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def _children(mutation: RowsMutation) -> dict[str, int]:
    """Count the rows below, by entity set."""
    counts: dict[str, int] = {}
    for below in (row for w in mutation.writes for c in w.children for row in c.rows):
        counts[below.entity_set] = counts.get(below.entity_set, 0) + 1
    return counts


def _below(mutation: RowsMutation, joint: str = " with") -> str:
    counted = " and ".join(f"{_counted(n)} of {s}" for s, n in _children(mutation).items())
    return f"{joint} {counted}" if counted else ""


def _grouped(mutation: RowsMutation, size: int) -> str:
    number = len(mutation.writes)
    if _children(mutation):
        return ", each row that has rows below it by itself"
    if number <= 1:
        return ""
    requests = -(-number // size)
    return ", in one changeset" if requests == 1 else f", in {requests} requests of at most {size}"


def _goes_in_batches(mutation: RowsMutation, sizes: BatchSizes) -> bool:
    """Return whether the rows of a list are written independently of each other."""
    has_rows_below = bool(_children(mutation))
    return len(mutation.writes) > 1 and sizes.batch > 1 and (has_rows_below or sizes.is_independent)


def _batched(mutation: RowsMutation, size: int) -> tuple[str, tuple[str, ...]]:
    """Return what a list of rows does that do not depend on each other."""
    how = f"{_rows(mutation)}{_below(mutation)}"
    notes = ["a row that is refused does not stop the others"]
    below = [w for w in mutation.writes if w.has_rows_below]
    if not below:
        return f"{how}, each by itself, in a $batch", tuple(notes)
    if all(write.key is not None for write in below):
        how = f"{how}, each with the rows below it in a changeset, all in a $batch"
    else:
        how = f"{how}: the rows in a $batch, then a $batch with a changeset of rows below each"
        notes.append("a row whose rows below are refused is deleted again")
    if any(sum(len(c.rows) for c in write.children) > size for write in below):
        notes.append(f"a row with more than {size} rows below it goes by itself, after the others")
    return how, tuple(notes)


def _notes_of_list(mutation: RowsMutation, size: int) -> Iterator[str]:
    if len(mutation.writes) > size:
        yield (
            "a request is one changeset: all of its rows are written, or none;"
            " one that is refused does not stop the next"
        )
    if mutation.field.verb is Verb.UPSERT:
        yield "existing rows are changed (PATCH); shown as if there were none"


def _single(mutation: RowsMutation, size: int) -> tuple[str, tuple[str, ...]]:
    (write,) = mutation.writes
    how = _rows(mutation)
    if write.verb is Verb.UPDATE:
        how = f"changes {', '.join(write.body)} of 1 row of {_set(mutation)}"
    if write.if_match is not None:
        how = f"{how}, if it still has the etag of ifMatch"
    if write.verb is Verb.UPSERT:
        return how, ("if there is no such row, the PATCH is refused and a POST creates it",)
    return _with_rows_below(mutation, write, how, size)


def _with_rows_below(
    mutation: RowsMutation, write: RowWrite, how: str, size: int
) -> tuple[str, tuple[str, ...]]:
    rows = sum(_children(mutation).values())
    if not rows:
        return how, ()
    number = -(-rows // size)
    if write.key is not None and number == 1:
        return f"{how}{_below(mutation)}, in one changeset", ()
    way = "in one changeset" if number == 1 else f"in {number} changesets of at most {size}"
    why = "its key comes from a number sequence; " if write.key is None else ""
    undo = "it is deleted again" if number == 1 else "everything that was written is deleted again"
    note = f"{why}if the rows below it are refused, {undo}"
    return f"{how}{_below(mutation, ', then')} {way}", (note,)
