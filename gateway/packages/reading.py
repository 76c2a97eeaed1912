"""Reads a list from packages: one execution of its data project for each legal entity, one after the other.

    companies ──▶ execution ──▶ address ──▶ download ──▶ file ──▶ rows that pass the filter ──▶ pages of the list's plan

So the values of an answer (types, names, masks) are those of the list, whichever way its rows have come.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway.engine.given_rows import answer_with
from gateway.errors import UpstreamForbidden, UpstreamRejected, UpstreamUnavailable
from gateway.events.exports import PackageDownloaded
from gateway.export.pages import Rows
from gateway.export.reading import rows_of
from gateway.identity.caller import Caller
from gateway.odata.package_download import (
    AddressExpired,
    DownloadedPackage,
    download,
)
from gateway.odata.rows_of import rows_of as rows_of_set
from gateway.odata.upstream import Upstream
from gateway.planning.local_rules import decide
from gateway.request import Collect
from gateway.runtime.assembly import Gateway

from .archive import opened
from .choice import PackagePlan
from .executions import Executions
from .records import Execution, NoPackage
from .rows import Row, read_rows

_encode = msgspec.json.Encoder(decimal_format="number").encode


class PackagePage(Struct, frozen=True):
    """Rows of a list that came with a package."""

    rows: Rows
    last: int
    """Number of the last row of the file that was read for them."""


class PackageReader:
    """Reads one list for one caller."""

    def __init__(self, gateway: Gateway, plan: PackagePlan, caller: Caller) -> None:
        self.plan = plan
        self._client = gateway.client
        self._settings = gateway.settings
        self._observe = gateway.observe
        self._dialect = gateway.dialect
        self._model = gateway.catalog.model
        self._upstream: Upstream = gateway.engine.reads.upstream_of(caller)[0]
        self.executions = Executions(
            self._upstream, plan.actions, plan.declared.project, gateway.settings.packages
        )

    async def companies(self) -> Sequence[str]:
        """Return the legal entities in which the data project has to run. Raises NoPackage, GatewayError."""
        if self.plan.company_property is None:
            return (self._settings.packages.company,)
        named, lookup = self.plan.companies, self._dialect.account
        if named is not None and len(named) <= 1:
            return sorted(named)
        if lookup is None:
            raise NoPackage("the legal entities cannot be listed")
        of = lookup.companies
        try:
            rows = await rows_of_set(self._upstream, self._dialect, of.entity_set, (of.key,))
        except (UpstreamForbidden, UpstreamRejected) as error:
            raise NoPackage(f"this account cannot read {of.entity_set}") from error
        existing = {str(row[of.key]).casefold() for row in rows}
        return sorted(existing if named is None else existing & named)

    async def fetch(self, execution: Execution, target: Path) -> DownloadedPackage:
        """Download the package of an execution that has succeeded. Raises GatewayError, OSError."""
        with suppress(AddressExpired):
            return await self._download(execution, target)
        try:
            return await self._download(execution, target)
        except AddressExpired:
            raise UpstreamUnavailable(
                "The blob storage refuses the address of the package."
            ) from None

    async def _download(self, execution: Execution, target: Path) -> DownloadedPackage:
        address = await self.executions.address(execution)
        started = time.perf_counter()
        package = await download(address, target, self._settings, self._client.files)
        self._observe(
            PackageDownloaded(
                set=self.plan.entity_set,
                size=package.path.stat().st_size,
                seconds=time.perf_counter() - started,
            )
        )
        return package

    async def pages(
        self, package: Path, company: str, skip: int, collect: Collect
    ) -> AsyncGenerator[PackagePage, None]:
        """Yield the rows of a package after the first ``skip`` ones of its file.

        ``collect`` is that of a writer of this export. Raises NoPackage if it has not what the list needs, or a filter
        cannot be decided; ExportFailed, GatewayError.
        """
        stop = threading.Event()
        chunks = self._chunks(package, company, skip, stop)
        pending: asyncio.Future[tuple[bytes, int] | None] | None = None
        try:
            while True:
                # Not ahead of what is completed: two threads that compute take turns at the interpreter, dearly.
                pending = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
                chunk = await asyncio.shield(pending)
                if chunk is None:
                    return
                rows, last = chunk
                answer = await answer_with(self.plan.engine, self.plan.query, rows, collect)
                yield PackagePage(rows_of(answer), last)
        finally:
            stop.set()
            # The thread may be in the middle of a chunk.
            if pending is not None:
                await asyncio.gather(pending, return_exceptions=True)
            chunks.close()

    def _chunks(
        self, package: Path, company: str, skip: int, stop: threading.Event
    ) -> Generator[tuple[bytes, int], None, None]:
        """Yield the rows of pages as JSON arrays, with the number of the last row of each. Blocks."""
        options, plan = self._settings.packages, self.plan
        with opened(package, plan.declared.file, options.max_file_bytes, stop.is_set) as file:
            chosen, numbers = list[Any](), list[int]()
            read = last = skip
            batches = read_rows(
                file,
                plan,
                self._model,
                company,
                skip=skip,
                has_nulls=self._dialect.has_nulls,
                passes=None if plan.where is None else self._passes,
            )
            for batch in batches:
                chosen += batch.rows
                numbers += batch.numbers
                read = batch.last
                del batch
                while len(chosen) >= plan.page:
                    last, rows = numbers[plan.page - 1], _encode(chosen[: plan.page])
                    del chosen[: plan.page], numbers[: plan.page]
                    yield rows, last
                if stop.is_set():
                    return
            if chosen or read > last:
                yield _encode(chosen), read

    def _passes(self, row: Row) -> bool:
        """Return whether a row passes the filter. Raises NoPackage if that cannot be decided."""
        where = self.plan.where
        assert where is not None
        passes = decide(where, row, self._dialect, self._model)
        if passes is None:
            raise NoPackage("the filter cannot be applied exactly to a row of the package")
        return passes
