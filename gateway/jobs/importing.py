"""Import jobs: the rows of a file that was sent before, with their results as parts of the job.

A row is written once, whatever process writes it: under an idempotency key that is made of the job and its number, or
by its natural key, if the import names one. A process that is killed leaves rows of which nobody knows whether they
were written; they are ``unknown`` a minute later, and what comes after them is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from gateway.errors import BadArgument, IdempotencyInProgress
from gateway.export.reading import ExportFailed
from gateway.imports.request import ImportRequest
from gateway.imports.results import Counts, RowResult, lines
from gateway.imports.rows import SourceRow
from gateway.imports.running import ImportRun
from gateway.imports.serving import prepare_for
from gateway.imports.writing import ImportStopped, ImportWriter
from gateway.request import GraphQLRequest
from gateway.runtime.served_api import ServedApi
from gateway.storage.content_coding import stream_decompressor

from .part_file import PartFile
from .records import Part, Progress
from .running import RunningJob

PART_ROWS = 1_000
"""Results of one part, at least."""
PAUSE = 5.0
"""Seconds between two looks whether the rows of a killed process are settled."""


class ImportJob(Struct, frozen=True, kw_only=True):
    """The request of an import job."""

    set: str
    options: ImportRequest
    companies: tuple[str, ...] | None = None
    key: str | None = None
    """The idempotency key of the client."""
    client: str | None = None
    """Address of the client, for the audit log."""
    request_id: str | None = None
    """The client's id of the request, likewise."""
    sha256: str
    """Of the file with the rows, in its coding."""
    coding: str


class _State(Struct, frozen=True, kw_only=True):
    """Where an import goes on."""

    rows: int = 0
    """Rows with a result."""
    counts: Mapping[str, int] = {}


class ImportKind:
    """Runs import jobs."""

    name = "import"

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Raise Forbidden or UnknownSet if a caller may no longer write the rows of which a job has results."""
        of = msgspec.json.decode(request, type=ImportJob)
        prepare_for(api, of.set, of.options)

    async def run(self, job: RunningJob) -> None:
        """Write all rows that have no result."""
        of = msgspec.json.decode(job.request, type=ImportJob)
        ready = prepare_for(job.api, of.set, of.options)
        key = of.key
        # An empty ``uniqueBy`` looks nothing up.
        if key is None and not of.options.unique_by:
            # No header can be equal to it: keys of headers have no spaces.
            key = f"job {job.id}"
        first = ready.plan.first(
            GraphQLRequest(
                query="",
                companies=of.companies,
                caller=job.caller,
                idempotency_key=key,
                client=of.client,
                request_id=of.request_id,
            )
        )
        writer = ImportWriter(ready.plan, first, ready)
        state = job.state(_State, _State())
        run = ImportRun(ready.plan, writer, Counts(state.counts))
        await _JobRun(job, of, run, state.rows).run()


class _JobRun:
    """One run of an import job."""

    def __init__(self, job: RunningJob, of: ImportJob, run: ImportRun, rows: int) -> None:
        self._job = job
        self._of = of
        self._run = run
        self._rows = rows
        self._parts = list(job.parts)
        self._results: list[RowResult] = []

    async def run(self) -> None:
        """Write all rows. Raises ExportFailed if that ends early."""
        try:
            async for rows in self._run.chunks(self._pieces()):
                rest = [row for row in rows if row.number > self._rows]
                if rest:
                    self._add(await self._write(rest))
                    if len(self._results) >= PART_ROWS:
                        await self._save()
                    self._run.require_few_errors()
        except ImportStopped as stopped:
            self._keep(stopped.results)
            await self._save()
            raise ExportFailed(stopped.answer) from None
        await self._save()

    async def _write(self, rows: Sequence[SourceRow]) -> list[RowResult]:
        """Write rows, once it is known what became of those that another process has begun. Raises ImportStopped."""
        while True:
            writing = asyncio.ensure_future(self._run.writer.write(rows))
            try:
                return await asyncio.shield(writing)
            except asyncio.CancelledError:
                # What has begun comes to its end, so that another process knows what became of it.
                await asyncio.gather(writing, return_exceptions=True)
                raise
            except ImportStopped as stopped:
                if not stopped.answer.has_error(IdempotencyInProgress.code):
                    raise
            await asyncio.sleep(PAUSE)

    def _keep(self, results: Sequence[RowResult]) -> None:
        """Keep the results of rows up to the first that can be sent again when the job goes on."""
        for result in results:
            if result.status == "not_sent" or result.row != self._rows + 1:
                return
            self._add([result])

    def _add(self, results: Sequence[RowResult]) -> None:
        """Add the results of the next rows."""
        self._results += results
        self._run.counts.add(results)
        self._rows = results[-1].row

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield the file with the rows. Raises ImportStopped."""
        decompressor = stream_decompressor(self._of.coding)
        assert decompressor is not None
        packed = self._job.read(self._of.sha256)
        try:
            while piece := await asyncio.to_thread(next, packed, b""):
                for plain in decompressor.pieces(piece):
                    yield plain
            decompressor.end()
        except ValueError as error:
            text = "The body is not compressed as Content-Encoding said, or lacks its end."
            raise BadArgument(text) from error

    async def _save(self) -> None:
        """Make the results so far a part, durably."""
        if self._results:
            with self._job.folder() as folder:
                with PartFile(folder / "part") as file:
                    file.write(lines(self._results))
                await self._job.put(file.path, file.sha256)
            self._parts.append(
                Part(
                    number=len(self._parts) + 1,
                    rows=len(self._results),
                    bytes=file.size,
                    sha256=file.sha256,
                )
            )
        self._results = []
        progress = Progress(
            rows=self._rows,
            parts=len(self._parts),
            bytes=sum(part.bytes for part in self._parts),
        )
        state = _State(rows=self._rows, counts=dict(self._run.counts.by_status))
        await self._job.checkpoint(state, progress, self._parts)
