"""Jobs of changes: what has changed of a list since a cursor, in parts, and the cursor to go on from.

    {"kind": "UPDATED", "id": …, "node": {…}, "etag": …}        a row that was created or changed
    {"kind": "DELETED", "id": …}                                a row that is gone; FILTERED: it no longer matches where

Parts follow one after the other, as cursors do. A part whose process was killed is read again from its cursor: what has
changed meanwhile is in it as well. If it is not known what has changed since a cursor, the whole list comes, and what
was written before does not count (``resyncRequired``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import Forbidden
from gateway.export.change_files import change_writer
from gateway.export.changes import ChangeReader, Changes, change_reader
from gateway.export.request import ExportRequest
from gateway.export.serving import ReadyExport, prepare_for
from gateway.request import GraphQLRequest
from gateway.runtime.served_api import ServedApi

from .part_file import PartFile
from .records import Job, Part, Progress
from .running import RunningJob

CHANGES = "changes"


class ChangesJob(Struct, frozen=True, kw_only=True):
    """The request of a job of changes."""

    set: str
    export: ExportRequest
    since: str | None
    companies: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    """As of an export job."""


class _State(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a job has come."""

    cursor: str | None
    """Behind what was written; None: nothing was."""
    is_complete: bool = False
    resync_required: bool = False
    upserts: int = 0
    deletes: int = 0
    source: str | None = None
    guarantee: str | None = None


class ChangesKind:
    """Runs jobs of changes."""

    name = CHANGES

    def __init__(self, part_rows: int) -> None:
        self._part_rows = part_rows

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Raise Forbidden, UnknownSet or BadArgument if a caller may no longer read what a job has written."""
        of = msgspec.json.decode(request, type=ChangesJob)
        ready = await prepare_for(api, of.set, of.export)
        change_reader(ready, GraphQLRequest(query="", companies=of.companies))
        if not {column.name for column in ready.export.columns}.issuperset(of.columns):
            raise Forbidden("The file has columns that you may not see.")

    async def run(self, job: RunningJob) -> None:
        """Write all parts that are missing."""
        of = msgspec.json.decode(job.request, type=ChangesJob)
        ready: ReadyExport = await prepare_for(job.api, of.set, of.export)
        reads = GraphQLRequest(query="", companies=of.companies, caller=job.caller)
        reader = change_reader(ready, reads)
        state, parts = job.state(_State, _State(cursor=of.since)), list(job.parts)
        while not state.is_complete:
            state, part = await self._written(job, reader, state, len(parts) + 1)
            if part is None and not state.is_complete:
                parts.clear()
            elif part is not None:
                parts.append(part)
            progress = Progress(
                rows=sum(each.rows for each in parts),
                parts=len(parts),
                of_parts=len(parts) if state.is_complete else None,
                bytes=sum(each.bytes for each in parts),
            )
            await job.checkpoint(state, progress, parts)

    async def _written(
        self, job: RunningJob, reader: ChangeReader, state: _State, number: int
    ) -> tuple[_State, Part | None]:
        """Write the next part; return what comes after it. None: there is none, or the whole list comes instead."""
        rows, export = 0, reader.ready.export
        writer = change_writer(export.columns, export.request.format)
        try:
            with job.folder() as folder:
                with PartFile(folder / "part") as file:
                    file.write(writer.begin())
                    while rows < self._part_rows and not state.is_complete:
                        changes = await reader.read(state.cursor, None)
                        if changes.resync_required:
                            return _State(cursor=changes.cursor, resync_required=True), None
                        rows += len(changes.upserts) + len(changes.deletes)
                        state = _after(state, changes)
                        for piece in writer.write(changes):
                            file.write(piece)
                            await asyncio.sleep(0)
                    file.write(await asyncio.to_thread(writer.end))
                if not rows:
                    return state, None
                await job.put(file.path, file.sha256)
        finally:
            writer.close()
        return state, Part(number=number, rows=rows, bytes=file.size, sha256=file.sha256)


def changes_json(job: Job) -> Mapping[str, Any]:
    """Return what the manifest of a job of changes has besides; the cursor once it is complete."""
    raw = bytes(job.checkpoint.state)
    state = _State(cursor=None) if raw == b"null" else msgspec.json.decode(raw, type=_State)
    facts: dict[str, Any] = msgspec.to_builtins(state)
    is_complete = facts.pop("isComplete")
    return {**facts, "cursor": state.cursor if is_complete else None}


def _after(state: _State, changes: Changes) -> _State:
    return replace(
        state,
        cursor=changes.cursor,
        is_complete=not changes.has_more,
        upserts=state.upserts + len(changes.upserts),
        deletes=state.deletes + len(changes.deletes),
        source=changes.source,
        guarantee=changes.guarantee,
    )
