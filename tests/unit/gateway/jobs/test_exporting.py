"""Exports of lists whose rows cannot be skipped: parts that follow each other come to an end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from gateway.errors import UpstreamMalformed
from gateway.export.reading import Documents
from gateway.export.request import Export, ExportRequest
from gateway.export.serving import ReadyExport
from gateway.export.sources import ListSource
from gateway.identity.caller import Caller
from gateway.jobs.exporting import _ExportRun, _State
from gateway.jobs.part_store import FolderParts
from gateway.jobs.records import Checkpoint, Progress
from gateway.jobs.running import RunningJob
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.served_api import ServedApi
from schema.catalog.records import RootField, RootKind

pytestmark = pytest.mark.anyio
CALLER = Caller(kind="token", issuer="i", subject="ann")
EXPORT = Export(
    source=ListSource("Rows", RootField(name="rows", kind=RootKind.LIST, csdl="N.Row")),
    request=ExportRequest(),
    columns=(),
    selected="id",
    documents=Documents(page="page", bounded_page="part", place="place", count="count"),
    variables={"first": 2},
)


@pytest.mark.parametrize("cursor", [None, "c"])
async def test_parts_that_do_not_go_on_are_an_error(tmp_path: Path, cursor: str | None) -> None:
    reads: list[Any] = []

    class Service(ReadyExport, frozen=True):
        async def read(self, request: GraphQLRequest) -> Answer:
            reads.append(request.variables.get("after"))
            assert len(reads) < 5, reads
            info = {"hasNextPage": True, "startCursor": cursor, "endCursor": cursor}
            return Answer({"rows": {"nodes": [], "pageInfo": info}})

    saved: list[Checkpoint] = []

    async def save(checkpoint: Checkpoint, _progress: Progress) -> None:
        saved.append(checkpoint)

    job = SimpleNamespace(id="0" * 32, request=b"", checkpoint=Checkpoint())
    running = RunningJob(
        cast("Any", job), CALLER, cast("ServedApi", None), FolderParts(tmp_path), save
    )
    run = _ExportRun(running, Service(EXPORT, cast("Any", None)), GraphQLRequest(query=""), 2, 1)
    run._state = replace(_State(), is_chain=True)

    with pytest.raises(UpstreamMalformed):
        await run.run()
    assert reads == [None] if cursor is None else [None, cursor]
