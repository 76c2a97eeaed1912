"""Headers with lines, and whole operations, that fail halfway."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty, faulty
from tests.support.journal_writes import (
    HEADERS,
    JOURNAL,
    NEW_HEADER,
    NUMBERED,
    TOGETHER,
    at,
    held,
    journal,
)
from tests.support.write_kinds import (
    KINDS,
    UNKNOWN,
    described,
    fresh,
    prepare,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("point", NUMBERED)
async def test_a_numbered_header_is_never_half_written_in_silence(over: Faulty, point: str) -> None:
    breaking, name = NUMBERED[point], fresh()
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)

    answer = await over.ask(JOURNAL, input=journal(name, bad=breaking.bad))

    reported = answer.of("x")
    assert tuple(reported) == breaking.codes
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached
    partly = reported.get("PARTLY_WRITTEN", "")
    knows = "answered" not in point or "lines" in point
    if partly and knows and breaking.held[0]:
        (header,) = over.rows("LedgerJournalHeaders", Description=name)
        assert f"JournalBatchNumber = {header['JournalBatchNumber']}" in partly
    elif partly:
        assert "LedgerJournalHeaders (" in partly
    elif tuple(reported) == UNKNOWN:
        assert f"Description = {name}" in reported["OUTCOME_UNKNOWN"]


@pytest.mark.parametrize("point", TOGETHER)
async def test_a_keyed_header_and_its_lines_are_one_changeset(over: Faulty, point: str) -> None:
    breaking, name = TOGETHER[point], fresh()
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)

    reported = (await over.ask(JOURNAL, input=journal(name, number=name, bad=breaking.bad))).of("x")

    assert tuple(reported) == breaking.codes
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached
    if tuple(reported) == UNKNOWN:
        assert f"JournalBatchNumber = {name}" in reported["OUTCOME_UNKNOWN"]


ATOMIC = """mutation ($header: LedgerJournalHeaderCreateInput!, $lines: [LedgerJournalLineCreateInput!]!) @atomic {
  header: createLedgerJournalHeader(input: $header) { userErrors { code message } }
  lines: createLedgerJournalLines(input: $lines) { results { userErrors { code message } } }
}"""


@pytest.mark.parametrize("point", TOGETHER)
async def test_an_atomic_operation_is_written_whole_or_not_at_all(over: Faulty, point: str) -> None:
    breaking, name = TOGETHER[point], fresh()
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)
    header = journal(name, number=name, bad=breaking.bad)
    lines = [
        {**line, "journalBatchNumber": name} for line in header.pop("ledgerJournalLine")["create"]
    ]

    reported = await over.ask(ATOMIC, header=header, lines=lines)

    codes = [tuple(reported.of("header")), *map(tuple, reported.rows("lines"))]
    expected: list[tuple[str, ...]] = [breaking.codes] * 3
    if breaking.bad:
        expected = [("ROLLED_BACK",), ("ROLLED_BACK",), breaking.codes]
    assert codes == expected
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached


async def test_a_failed_read_does_not_hide_that_a_row_was_written(
    over: Faulty,
) -> None:
    key = prepare(over, "update", KINDS["update"])
    over.faults(FaultRule(at="before", method="GET", times=0))

    reported = await over.ask(KINDS["update"].query, k=key)

    assert described(over, key)
    assert reported.data == {"x": {"customerGroup": None, "userErrors": []}}
    assert [(e["path"], e["extensions"]["code"]) for e in reported.errors] == [
        (["x", "customerGroup"], "UPSTREAM_UNAVAILABLE")
    ]


async def test_a_row_whose_number_did_not_arrive_says_so(over: Faulty) -> None:
    name = fresh()
    over.faults(at("after", NEW_HEADER, Fault(status=201, body="")))
    header = {"journalName": "GenJrn", "description": name}

    reported = await over.ask(JOURNAL, input=header)

    assert held(over, name) == (1, 0)
    assert reported.of("x") == {}
    assert [e["message"] for e in reported.errors] == [
        "The row was written, but the upstream's answer does not tell its key."
    ]


# Whoever waits, or has left


async def test_a_write_outlives_its_client_and_delays_closing(
    gateway: Gateway, sandbox: Starlette
) -> None:
    name, arrived, go_on = fresh(), asyncio.Event(), asyncio.Event()

    class Slow(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/data/$batch":
                arrived.set()
                await go_on.wait()
            return await super().handle_async_request(request)

    async with faulty(gateway, sandbox, transport=Slow(sandbox)) as over:
        over.faults()
        asking = asyncio.ensure_future(over.ask(JOURNAL, input=journal(name, bad=True)))
        await arrived.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert held(over, name) == (1, 0)
        closing = asyncio.ensure_future(over.client.aclose())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        go_on.set()
        await closing

    assert over.reached("DELETE", f"{HEADERS}(*") == 1
    assert held(over, name) == (0, 0)
    assert over.client.unfinished == set()


# Over a socket
