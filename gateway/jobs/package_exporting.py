"""Export jobs whose rows come with data packages: parts one after the other, each of rows of one legal entity.

    state: executions with their ids, the one whose rows are next, the row of its file

A process that is killed leaves all of that: the next one polls the same execution, downloads the same package, passes
over the rows that are in parts, and writes the next part.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from msgspec.structs import replace

from gateway.errors import UpstreamRejected
from gateway.export.formats import RowWriter
from gateway.export.serving import ReadyExport
from gateway.odata.packages import ExecutionStatus
from gateway.packages.choice import PackagePlan
from gateway.packages.executions import ExecutionFailed
from gateway.packages.reading import PackagePage, PackageReader
from gateway.packages.records import Execution, PackageState

from .part_file import PartFile
from .records import Part, Progress
from .running import RunningJob

_PACKAGE = "package.zip"


class PackageRun:
    """One run of an export job."""

    def __init__(
        self,
        job: RunningJob,
        ready: ReadyExport,
        plan: PackagePlan,
        part_rows: int,
        turn: asyncio.Lock,
    ) -> None:
        """``turn``: one execution at a time runs in an environment."""
        self._job = job
        self._export = ready.export
        self._reader = PackageReader(ready.live.gateway, plan, job.caller)
        self._project = plan.declared.project
        writer = ready.export.writer()
        writer.close()
        # Of any writer of an export: it depends on the columns only.
        self._collect = writer.collect
        self._pages = max(part_rows // plan.page, 1)
        self._turn = turn
        self._state = job.state(PackageState, PackageState())
        self._parts = list(job.parts)

    async def run(self) -> None:
        """Write all parts that are missing. Raises NoPackage, ExportFailed, GatewayError."""
        is_new = not self._state.executions
        if is_new:
            companies = await self._reader.companies()
            await self._begin(companies)
        first = self._state.at
        for index in range(first, len(self._state.executions)):
            # Whoever was killed may have started the one that was next, and no other.
            execution = await self._executed(index, may_exist=not is_new and index == first)
            with self._job.folder() as folder:
                await self._convert(index, execution, folder)
        if not self._parts:
            # Of a list without rows: the head of the file.
            await self._save(
                replace(self._state, at=len(self._state.executions)), await self._no_rows()
            )

    async def _begin(self, companies: Sequence[str]) -> None:
        """Store the ids of executions, before the first of them is started."""
        attempt = self._state.attempt
        executions = tuple(
            Execution(id=f"gateway-{self._job.id}-{company}-{attempt}", company=company)
            for company in companies
        )
        await self._save(PackageState(executions=executions, attempt=attempt))

    async def _executed(self, index: int, *, may_exist: bool) -> Execution:
        """Return an execution that has succeeded. Raises UpstreamRejected if it has not."""
        runs = self._reader.executions
        execution = self._state.executions[index]
        async with self._turn:
            if not execution.is_started:
                execution = await runs.started(execution, may_exist=may_exist)
                await self._note(index, execution)
            try:
                await runs.ended(execution)
            except ExecutionFailed as failed:
                await self._give_up(failed.status)
        return execution

    async def _give_up(self, status: ExecutionStatus) -> None:
        """Raise UpstreamRejected; a job that is resumed begins anew, with other executions."""
        self._parts.clear()
        await self._save(PackageState(attempt=self._state.attempt + 1))
        raise UpstreamRejected(
            f"The data project {self._project} has ended as {status.value}.",
            hint="Its job history in the environment says why. POST /jobs/{id}/resume runs it again.",
        )

    async def _convert(self, index: int, execution: Execution, folder: Path) -> None:
        """Write the rows of a package to parts."""
        package = await self._reader.fetch(execution, folder / _PACKAGE)
        if execution.sha256 not in (None, package.sha256):
            raise UpstreamRejected(
                "The data package is another one than before.",
                hint="Start the export anew.",
            )
        if execution.sha256 is None:
            await self._note(index, replace(execution, sha256=package.sha256))
        collect = self._collect
        pages = self._reader.pages(package.path, execution.company, self._state.rows, collect)
        async with aclosing(pages):
            while True:
                part, last = await self._part(pages, folder)
                if last is None:
                    break
                state = replace(self._state, rows=last)
                await self._save(state, part)
        await self._save(replace(self._state, at=index + 1, rows=0))

    async def _part(
        self, pages: AsyncGenerator[PackagePage, None], folder: Path
    ) -> tuple[Part | None, int | None]:
        """Write the next part, and return it with the number of its last row; (None, None) after the last one."""
        writer = self._export.writer()
        last = None
        try:
            with PartFile(folder / "part") as file:
                self._write_head(file, writer)
                for _ in range(self._pages):
                    page = await anext(pages, None)
                    if page is None:
                        break
                    last = page.last
                    for piece in writer.page(page.rows):
                        file.write(piece)
                        await asyncio.sleep(0)
                if not writer.rows:
                    return None, last
                file.write(await asyncio.to_thread(writer.end))
            return await self._stored(file, writer), last
        finally:
            writer.close()

    async def _no_rows(self) -> Part:
        writer = self._export.writer()
        try:
            with self._job.folder() as folder:
                with PartFile(folder / "part") as file:
                    self._write_head(file, writer)
                    file.write(await asyncio.to_thread(writer.end))
                return await self._stored(file, writer)
        finally:
            writer.close()

    def _write_head(self, file: PartFile, writer: RowWriter) -> None:
        head = writer.begin()
        # Parts of CSV are one file in a row.
        if not self._parts or self._export.request.format != "csv":
            file.write(head)

    async def _stored(self, file: PartFile, writer: RowWriter) -> Part:
        await self._job.put(file.path, file.sha256)
        return Part(
            number=len(self._parts) + 1, rows=writer.rows, bytes=file.size, sha256=file.sha256
        )

    async def _note(self, index: int, execution: Execution) -> None:
        executions = list(self._state.executions)
        executions[index] = execution
        await self._save(replace(self._state, executions=tuple(executions)))

    async def _save(self, state: PackageState, part: Part | None = None) -> None:
        """Store where the job goes on, with a new part."""
        parts = self._parts if part is None else [*self._parts, part]
        # Without executions, the head of the file is all that there is.
        is_complete = state.at == len(state.executions) and bool(state.executions or part)
        progress = Progress(
            rows=sum(part.rows for part in parts),
            parts=len(parts),
            of_parts=len(parts) if is_complete else None,
            bytes=sum(part.bytes for part in parts),
        )
        await self._job.checkpoint(state, progress, parts)
        self._state, self._parts = state, parts
