"""Export jobs: a list as parts, which begin at rows that are found first, and are read side by side.

Where parts begin, and how one is read: ``gateway.export.parts``. A list that cannot be skipped through, or has no order
that a cursor can hold, is cut one part after the other instead: the next one begins where the last one has ended.

A part is written again from its start if its process was killed. Over unchanged data it has the same bytes then, and
with them the same name; no other part is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct, structs

from gateway.admission.work import Lane, Work, working
from gateway.errors import Forbidden, UpstreamMalformed
from gateway.export.parts import Indivisible, ListPart, next_place, part_reads, whole_pages
from gateway.export.reading import read_rows
from gateway.export.request import Export, ExportRequest
from gateway.export.serving import ReadyExport, prepare_for
from gateway.packages.choice import choose_source, no_package_error
from gateway.packages.completeness import check_rows
from gateway.packages.records import NoPackage, Source, SourceChoice
from gateway.request import GraphQLRequest, PageEnd
from gateway.runtime.served_api import ServedApi

from .package_exporting import PackageRun
from .part_file import PartFile
from .records import Part, Progress
from .running import RunningJob


class ExportJob(Struct, frozen=True, kw_only=True):
    """The request of an export job."""

    set: str
    export: ExportRequest
    companies: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    """Those that it has if ``fields`` names none: all that its caller saw when it was started."""
    source: SourceChoice = "auto"


class _State(Struct, frozen=True, kw_only=True):
    """Where an export goes on."""

    places: tuple[str, ...] = ()
    """Cursors of the first rows of the parts after the first one."""
    is_cut: bool = False
    """Whether all places are known."""
    is_chain: bool = False
    """Whether parts follow one after the other, as rows cannot be skipped."""


class ExportKind:
    """Runs export jobs."""

    name = "export"

    def __init__(self, part_rows: int, parallel: int) -> None:
        self._part_rows = part_rows
        self._parallel = parallel
        self._turns: dict[str, asyncio.Lock] = {}
        """Service root → whose data project runs there: one at a time."""

    async def require_rights(self, api: ServedApi, request: bytes) -> None:
        """Raise Forbidden, UnknownSet or BadArgument if a caller may no longer export what a job has exported."""
        of = msgspec.json.decode(request, type=ExportJob)
        ready = await prepare_for(api, of.set, of.export)
        if not {column.name for column in ready.export.columns}.issuperset(of.columns):
            raise Forbidden("The file has columns that you may not see.")

    async def run(self, job: RunningJob) -> None:
        """Write all parts that are missing."""
        request = msgspec.json.decode(job.request, type=ExportJob)
        ready = await prepare_for(job.api, request.set, request.export)
        reads = GraphQLRequest(query="", companies=request.companies, caller=job.caller)
        if not await self._from_packages(job, ready, reads, request.source):
            await _ExportRun(job, ready, reads, self._part_rows, self._parallel).run()

    async def _from_packages(
        self, job: RunningJob, ready: ReadyExport, reads: GraphQLRequest, choice: SourceChoice
    ) -> bool:
        """Write all parts that are missing from data packages; return False if they are read as OData instead.

        Raises BadArgument if a package was requested, and there is none.
        """
        before = job.source
        if before is None and job.has_begun:
            return False  # by a gateway that knew no packages
        try:
            # What was chosen before holds: its parts are there.
            chosen = choice if before is None else before.name
            source, plan = await choose_source(
                ready.live.gateway, ready.export, ready.read, reads, chosen
            )
            if before is None:
                job.decide_source(source)
            if plan is None:
                return False
            root = ready.live.gateway.client.root
            turn = self._turns.setdefault(root, asyncio.Lock())
            with working(Work(lane=Lane.EXPORT, caller=job.caller.log_id)):
                await PackageRun(job, ready, plan, self._part_rows, turn).run()
            rows = sum(part.rows for part in job.parts)
            await check_rows(ready.read, ready.export, reads, rows, plan.declared.project)
        except NoPackage as error:
            if choice == "package":
                raise no_package_error(error) from error
            job.decide_source(Source("odata", error.reason))
            await job.checkpoint(None, Progress(), ())
            return False
        return True


class _ExportRun:
    """One run of an export job."""

    def __init__(
        self,
        job: RunningJob,
        ready: ReadyExport,
        reads: GraphQLRequest,
        part_rows: int,
        parallel: int,
    ) -> None:
        self._job = job
        self._ready = ready
        self._export: Export = ready.export
        self._first = ready.export.first(reads)
        page: int = self._first.variables["first"]
        self._part_rows = whole_pages(part_rows, page)
        self._page = page
        self._parallel = parallel
        self._state = job.state(_State, _State())
        self._parts = {part.number: part for part in job.parts}
        self._saving = asyncio.Lock()
        self._found = asyncio.Condition()
        self._taken: set[int] = set()

    async def run(self) -> None:
        """Write all parts that are missing."""
        if not self._state.is_chain:
            try:
                await _all_of(self._find_places(), *(self._work() for _ in range(self._parallel)))
            except Indivisible:
                # With what was written by places that mean nothing.
                self._parts.clear()
                self._state = _State(is_chain=True)
                await self._save()
        if self._state.is_chain:
            await self._chain()

    async def _find_places(self) -> None:
        """Find where parts begin, and note each place durably before a part depends on it. Raises Indivisible."""
        while not self._state.is_cut:
            places = self._state.places
            last = places[-1] if places else None
            place = await next_place(self._ready, self._first, last, self._part_rows)
            # Of a service that ignores $skip.
            if place is not None and place in places:
                raise Indivisible
            if place is None:
                self._state = structs.replace(self._state, is_cut=True)
            else:
                self._state = structs.replace(self._state, places=(*places, place))
            await self._save()
            async with self._found:
                self._found.notify_all()

    async def _work(self) -> None:
        """Write one part after the other, each as soon as its ends are known."""
        while (number := await self._next()) is not None:
            places = self._state.places
            part = ListPart(
                start=places[number - 2] if number > 1 else None,
                end=places[number - 1] if number <= len(places) else None,
            )
            await self._write(number, *part_reads(self._export, self._first, part))

    async def _next(self) -> int | None:
        """Return a part that nobody writes, once its ends are known; None if there is none left."""
        async with self._found:
            while True:
                state = self._state
                ready = len(state.places) + state.is_cut
                for number in range(1, ready + 1):
                    if number not in self._parts and number not in self._taken:
                        self._taken.add(number)
                        return number
                if state.is_cut:
                    return None
                await self._found.wait()

    async def _chain(self) -> None:
        """Write parts one after the other."""
        while not self._state.is_cut:
            number = len(self._parts) + 1
            variables = dict(self._first.variables)
            if number > 1:
                variables["after"] = self._parts[number - 1].last
            pages = max(self._part_rows // self._page, 1)
            is_end = False

            def goes_on(end: PageEnd) -> bool:
                nonlocal pages, is_end
                pages -= 1
                is_end = not end.has_next
                return pages > 0 and not is_end

            part = await self._written(number, self._page_request(variables), goes_on)
            if not is_end and part.last in (None, variables.get("after")):
                # The next part would begin here again, and so on for ever.
                raise UpstreamMalformed("The upstream sent the same page twice.")
            # Together: a part that is the last one must not be followed by an empty one.
            self._state = structs.replace(self._state, is_cut=is_end)
            self._parts[number] = part
            await self._save()

    def _page_request(self, variables: Mapping[str, Any]) -> GraphQLRequest:
        document = self._export.documents.bounded_page
        return structs.replace(self._first, query=document, variables=variables)

    async def _write(
        self, number: int, first: GraphQLRequest, goes_on: Callable[[PageEnd], bool]
    ) -> None:
        self._parts[number] = await self._written(number, first, goes_on)
        await self._save()

    async def _written(
        self, number: int, first: GraphQLRequest, goes_on: Callable[[PageEnd], bool]
    ) -> Part:
        """Write a part, and return it."""
        writer = self._export.writer()
        start: str | None = None
        end: str | None = None
        try:
            with self._job.folder() as folder:
                with PartFile(folder / "part") as file:
                    head = writer.begin()
                    # Parts of CSV are one file in a row.
                    if number == 1 or self._export.request.format != "csv":
                        file.write(head)
                    pages = read_rows(self._ready.read, first, goes_on, writer.collect)
                    async with aclosing(pages):
                        async for page in pages:
                            start = start or page.page_info.start_cursor
                            end = page.page_info.end_cursor or end
                            for piece in writer.page(page):
                                file.write(piece)
                                await asyncio.sleep(0)
                    file.write(await asyncio.to_thread(writer.end))
                await self._job.put(file.path, file.sha256)
        finally:
            writer.close()
        return Part(
            number=number,
            rows=writer.rows,
            bytes=file.size,
            sha256=file.sha256,
            first=start,
            last=end,
        )

    async def _save(self) -> None:
        async with self._saving:
            parts = tuple(self._parts.values())
            progress = Progress(
                rows=sum(part.rows for part in parts),
                parts=len(parts),
                of_parts=self._all_parts(len(parts)),
                bytes=sum(part.bytes for part in parts),
            )
            await self._job.checkpoint(self._state, progress, parts)

    def _all_parts(self, complete: int) -> int | None:
        if not self._state.is_cut:
            return None
        return complete if self._state.is_chain else len(self._state.places) + 1


async def _all_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run works side by side; the first error ends all of them, and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
