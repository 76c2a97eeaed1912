"""Writes that fail over a socket, and many lines."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.config.write_models import WriteOptions
from gateway.odata.transport import make_transport
from gateway.runtime.assembly import Gateway
from tests.support.faulty_writes import SETTINGS, Faulty, faulty
from tests.support.journal_writes import (
    JOURNAL,
    LINE,
    NUMBERED,
    held,
    journal,
)
from tests.support.write_kinds import (
    KINDS,
    POINTS,
    UNKNOWN,
    fresh,
    prepare,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def port(sandbox: Starlette) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(sandbox, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
async def wired(gateway: Gateway, sandbox: Starlette, port: int) -> AsyncIterator[Faulty]:
    """The same over a socket."""
    transport = make_transport(gateway.settings)
    root = f"http://127.0.0.1:{port}/data"
    async with faulty(gateway, sandbox, transport=transport, root=root) as result:
        yield result


BROKEN = (
    "lost before it was processed",
    "lost after it was processed",
    "lost in the middle of the answer",
)


@pytest.mark.parametrize("point", BROKEN)
@pytest.mark.parametrize("name", ["create", "delete"])
async def test_a_connection_that_breaks_is_told_as_it_is(
    wired: Faulty, name: str, point: str
) -> None:
    kind, breaking = KINDS[name], POINTS[point]
    assert breaking.rule is not None
    key = prepare(wired, name, kind)
    wired.faults(replace(breaking.rule, method=kind.method, path=kind.path))

    errors = (await wired.ask(kind.query, k=key)).of("x")

    # The 204 of a delete has no body: it has arrived when its head has.
    is_whole = name == "delete" and "middle" in point
    assert tuple(errors) == (() if is_whole else UNKNOWN)
    assert kind.is_written(wired, key) is breaking.written
    assert wired.reached(kind.method, kind.path) == 1


@pytest.mark.parametrize(
    "point",
    [
        "header lost after",
        "lines lost before",
        "lines lost between parts",
        "lines lost in mid-answer",
        "deletion lost after",
    ],
)
async def test_a_document_over_a_broken_connection_is_reported(wired: Faulty, point: str) -> None:
    breaking, name = NUMBERED[point], fresh()
    wired.faults(*breaking.rules)

    errors = (await wired.ask(JOURNAL, input=journal(name, bad=breaking.bad))).of("x")

    assert tuple(errors) == breaking.codes
    assert held(wired, name) == breaking.held
    assert wired.reached() == breaking.reached


async def test_where_nobody_listens_nothing_is_written(
    gateway: Gateway, sandbox: Starlette
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    transport, key = make_transport(gateway.settings), fresh()
    root = f"http://127.0.0.1:{free}/data"
    async with faulty(gateway, sandbox, transport=transport, root=root) as over:
        errors = (await over.ask(KINDS["create"].query, k=key)).of("x")

    assert tuple(errors) == ("UPSTREAM_UNAVAILABLE",)
    assert len(over.waits) == gateway.settings.retries


@pytest.mark.heavy
async def test_a_thousand_lines_are_ten_changesets(gateway: Gateway, sandbox: Starlette) -> None:
    settings = SETTINGS.model_copy(update={"writes": WriteOptions()})
    name = fresh()
    async with faulty(replace(gateway, settings=settings), sandbox) as over:
        over.faults()
        await over.ask(JOURNAL, input={"journalBatchNumber": name, "journalName": "GenJrn"})
        lines = [
            {**LINE, "journalBatchNumber": name, "lineNumber": str(n), "debitAmount": "1"}
            for n in range(1, 1_001)
        ]
        errors = await over.ask(
            """mutation ($lines: [LedgerJournalLineCreateInput!]!) {
              x: createLedgerJournalLines(input: $lines) {
                results { ledgerJournalLine { lineNumber } userErrors { code } }
              }
            }""",
            lines=lines,
        )

    results = errors.data["x"]["results"]
    assert [r["userErrors"] for r in results] == [[]] * 1_000
    assert [int(float(r["ledgerJournalLine"]["lineNumber"])) for r in results] == list(
        range(1, 1_001)
    )
    assert over.reached("POST", "/data/$batch") == 10
    assert over.reached() == 11
    assert len(over.rows("LedgerJournalLines", JournalBatchNumber=name)) == 1_000
