"""Rows with natural keys are created once, wherever a write breaks and however often it is sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty, Told, faulty
from tests.support.journal_writes import (
    HEADERS,
    LINE,
    NUMBERED,
    TOGETHER,
    Nested,
    at,
    held,
    journal,
)
from tests.support.write_kinds import POINTS, fresh

pytestmark = pytest.mark.anyio
ONE = """mutation ($input: LedgerJournalHeaderCreateInput!) {
  x: createLedgerJournalHeader(input: $input, uniqueBy: ["integrationKey"]) {
    created ledgerJournalHeader { journalBatchNumber } userErrors { code message path }
  }
}"""
LIST = """mutation ($input: [LedgerJournalHeaderCreateInput!]!) {
  x: createLedgerJournalHeaders(input: $input, uniqueBy: ["integrationKey"]) {
    results { created ledgerJournalHeader { journalBatchNumber } userErrors { code message path } }
    userErrors { code message }
  }
}"""
SLOW = {"504 with an OData error, processed", "408, unprocessed"}
"""Points after which the service may still be at it: nothing is sent again."""
SETTLED = {"OUTCOME_UNKNOWN", "PARTLY_WRITTEN"}


def plain(name: str) -> dict[str, Any]:
    """Return a header without lines that has a natural key."""
    return {"journalName": "GenJrn", "description": name, "integrationKey": f"{name}*"}


def created(answer: Told) -> bool | None:
    value: bool | None = answer.data["x"]["created"]
    return value


async def test_a_header_that_breaks_is_settled_and_never_twice(over: Faulty) -> None:
    for point, breaking in POINTS.items():
        name = fresh()
        over.door.shut, over.door.method, over.door.path = breaking.shut, "POST", HEADERS
        rule = breaking.rule
        over.faults(*([replace(rule, method="POST", path=HEADERS)] if rule else ()))
        first = await over.ask(ONE, input=plain(name))
        over.door.shut = 0
        is_lost = breaking.codes == ("OUTCOME_UNKNOWN",)
        if is_lost and (point not in SLOW or breaking.written):
            assert first.of("x") == {}, point
            assert created(first) is True, point
        else:
            assert tuple(first.of("x")) == breaking.codes, point
        assert len(over.rows("LedgerJournalHeaders", Description=name)) == (first.of("x") == {})
        over.faults()

        second = await over.ask(ONE, input=plain(name))

        assert second.of("x") == {}, point
        assert created(second) is bool(first.of("x")), point
        assert over.reached() == bool(first.of("x")), point
        assert len(over.rows("LedgerJournalHeaders", Description=name)) == 1, point


@pytest.mark.parametrize(
    ("number", "points"), [(None, NUMBERED), ("own", TOGETHER)], ids=["numbered", "together"]
)
async def test_a_journal_that_breaks_is_completed_and_never_twice(
    over: Faulty, number: str | None, points: dict[str, Nested]
) -> None:
    for point, breaking in points.items():
        name = fresh()
        row = journal(name, number=number and name, bad=breaking.bad) | {"integrationKey": name}
        if breaking.shut is not None:
            over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
        over.faults(*breaking.rules)
        first = await over.ask(ONE, input=row)
        over.door.shut = 0
        over.faults()
        if set(breaking.codes) <= SETTLED:
            assert (tuple(first.of("x")), held(over, name)) == ((), (1, 2)), point
        else:
            assert tuple(first.of("x")) == breaking.codes, point

        second = await over.ask(ONE, input=row)

        if breaking.bad:
            assert "RELATED_RECORD_NOT_FOUND" in second.of("x"), point
            # A header that was there is not taken back.
            assert held(over, name) == (breaking.held if breaking.held[0] else (0, 0)), point
        else:
            assert (second.of("x"), held(over, name)) == ({}, (1, 2)), point


async def test_a_list_is_looked_up_by_one_read(over: Faulty) -> None:
    names = [fresh() for _ in range(5)]
    rows = [journal(name) | {"integrationKey": name} for name in names]
    over.faults()
    await over.ask(ONE, input=rows[3])
    over.faults()

    first = await over.ask(LIST, input=rows)

    assert [r["created"] for r in first.data["x"]["results"]] == [True, True, True, False, True]
    reads = [r for r in over.sandbox.state.requests[over.start :] if r.method == "GET"]
    assert [r.path for r in reads[:2]] == [HEADERS, "/data/LedgerJournalLines"]
    over.faults()

    second = await over.ask(LIST, input=rows)

    assert [r["created"] for r in second.data["x"]["results"]] == [False] * 5
    assert second.rows("x") == [{}] * 5
    assert len(over.sandbox.state.requests) - over.start == 3
    assert [held(over, name) for name in names] == [(1, 2)] * 5


async def test_a_lost_list_is_settled_and_goes_on(over: Faulty) -> None:
    for where in ("before", "after", "mid-answer"):
        names = [fresh() for _ in range(5)]
        batch = FaultRule(at=where, method="POST", path="/data/$batch")
        over.faults(batch)

        answer = await over.ask(LIST, input=[plain(name) for name in names])

        assert answer.rows("x") == [{}] * 5, where
        assert answer.of("x") == {}, where
        assert [held(over, name) for name in names] == [(1, 0)] * 5, where


async def test_equal_rows_of_a_list_are_refused(over: Faulty) -> None:
    name = fresh()
    over.faults()

    answer = await over.ask(LIST, input=[plain(name), plain(name) | {"description": "again"}])

    first, second = answer.rows("x")
    assert (first, second) == (
        {},
        {"DUPLICATE_KEY": "Not written: input.0 has the same dataAreaId, integrationKey."},
    )
    assert held(over, name) == (1, 0)


LINES = [{**LINE, "lineNumber": str(n), "debitAmount": str(n)} for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (LINES[:1], LINES, None),
        (LINES[2:], LINES, None),
        (LINES, LINES[:2], "DUPLICATE_KEY"),
        ([LINES[0], {**LINES[1], "debitAmount": "9"}], LINES, "DUPLICATE_KEY"),
        # As many: they are there, whatever was changed in them since.
        ([LINES[0], {**LINES[1], "debitAmount": "9"}, LINES[2]], LINES, None),
    ],
    ids=["the rest is missing", "the first are missing", "more", "another", "as many"],
)
async def test_rows_below_a_row_that_is_there_are_completed(
    over: Faulty, before: list[dict[str, Any]], after: list[dict[str, Any]], code: str | None
) -> None:
    name = fresh()
    over.faults()
    await over.ask(ONE, input=plain(name) | {"ledgerJournalLine": {"create": before}})
    over.faults()

    answer = await over.ask(ONE, input=plain(name) | {"ledgerJournalLine": {"create": after}})

    assert tuple(answer.of("x")) == (() if code is None else (code,))
    assert created(answer) is False
    assert answer.data["x"]["ledgerJournalHeader"] is not None
    assert held(over, name) == (1, max(len(before), len(after)) if code is None else len(before))
    assert over.reached() == (code is None and len(after) > len(before))


async def test_two_rows_with_one_natural_key_are_an_error(over: Faulty) -> None:
    name = fresh()
    over.faults()
    for _ in range(2):
        await over.ask(ONE.replace('["integrationKey"]', "[]"), input=plain(name))

    answer = await over.ask(ONE, input=plain(name))

    message = "2 rows have this dataAreaId, integrationKey: nothing was written."
    assert answer.of("x") == {"DUPLICATE_KEY": message}
    assert held(over, name) == (2, 0)


async def test_equal_creates_at_the_same_time_make_one_row(over: Faulty) -> None:
    name = fresh()
    over.faults()

    answers = await asyncio.gather(*(over.ask(ONE, input=plain(name)) for _ in range(5)))

    assert sorted(map(bool, map(created, answers))) == [False] * 4 + [True]
    assert held(over, name) == (1, 0)


ATOMIC = """mutation ($a: LedgerJournalHeaderCreateInput!, $b: LedgerJournalHeaderCreateInput!) @atomic {
  x: createLedgerJournalHeader(input: $a, uniqueBy: ["integrationKey"]) { created userErrors { code message } }
  y: createLedgerJournalHeader(input: $b, uniqueBy: ["integrationKey"]) { created userErrors { code message } }
}"""


@pytest.mark.parametrize("point", TOGETHER)
async def test_a_changeset_is_written_once_as_a_whole(over: Faulty, point: str) -> None:
    breaking, names = TOGETHER[point], (fresh(), fresh())
    a, b = (journal(n, number=n, bad=breaking.bad) | {"integrationKey": n} for n in names)
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)
    first = await over.ask(ATOMIC, a=a, b=b)
    over.door.shut = 0
    over.faults()
    second = await over.ask(ATOMIC, a=a, b=b)

    if breaking.bad:
        assert {held(over, name) for name in names} == {(0, 0)}
        return
    is_written = breaking.codes in ((), ("OUTCOME_UNKNOWN",))
    assert (first.of("x"), first.of("y")) == ({}, {}) or not is_written
    assert [second.data[key]["created"] for key in "xy"] == [not is_written] * 2
    assert [held(over, name) for name in names] == [(1, 2)] * 2


async def test_a_changeset_of_which_a_part_is_there_is_refused(over: Faulty) -> None:
    a, b = ({**plain(n), "journalBatchNumber": n} for n in (fresh(), fresh()))
    over.faults()
    await over.ask(ONE, input=a)
    over.faults()

    answer = await over.ask(ATOMIC, a=a, b=b)

    assert (tuple(answer.of("x")), tuple(answer.of("y"))) == (("DUPLICATE_KEY",), ("ROLLED_BACK",))
    assert over.reached() == 0


async def test_a_changeset_with_other_writes_takes_no_natural_key(over: Faulty) -> None:
    over.faults()
    query = ATOMIC.replace(
        'y: createLedgerJournalHeader(input: $b, uniqueBy: ["integrationKey"])',
        "y: createLedgerJournalHeader(input: $b)",
    )

    variables = {"a": plain(fresh()), "b": {"journalName": "GenJrn"}}
    request = GraphQLRequest(query=query, variables=variables, companies=("usmf",))
    (error,) = (await over.engine.execute(request)).errors

    assert "all rows need a natural key, or none" in error["message"]
    assert over.reached() == 0


class Late(httpx.ASGITransport):
    """Breaks the connection of the first create, and completes it so many looks later."""

    def __init__(self, sandbox: Starlette, looks: int) -> None:
        super().__init__(sandbox)
        self.looks = looks
        self.late: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and self.looks >= 0 and not self.late:
            await request.aread()
            self.late.append(request)
            raise httpx.ReadError("broken")
        is_due = self.late and request.method in ("GET", "POST") and self.looks >= 0
        if is_due and self.looks == 0:
            self.looks = -1
            late = self.late[0]
            again = httpx.Request(late.method, late.url, headers=late.headers, content=late.content)
            await super().handle_async_request(again)
        elif is_due:
            self.looks -= 1
        return await super().handle_async_request(request)


@pytest.mark.parametrize(
    ("looks", "codes", "rows"),
    [(0, (), 1), (1, (), 1), (2, ("PARTLY_WRITTEN",), 2), (3, ("PARTLY_WRITTEN",), 2)],
    ids=["at once", "within the pause", "while it is sent again", "behind the second create"],
)
async def test_a_create_that_ends_late_is_found_or_reported(
    gateway: Gateway, sandbox: Starlette, looks: int, codes: tuple[str, ...], rows: int
) -> None:
    name = fresh()
    async with faulty(gateway, sandbox, transport=Late(sandbox, looks)) as over:
        over.faults()
        answer = await over.ask(ONE, input=plain(name))

    assert tuple(answer.of("x")) == codes
    assert len(over.rows("LedgerJournalHeaders", Description=name)) == rows
    if codes:
        assert "Two rows have this" in answer.of("x")["PARTLY_WRITTEN"]


async def test_lines_that_timed_out_are_not_sent_again(over: Faulty) -> None:
    name = fresh()
    row = journal(name) | {"integrationKey": name}
    batch = {"method": "POST", "path": "/data/$batch"}
    over.faults(at("before", batch, Fault.html(504)))

    first = await over.ask(ONE, input=row)

    assert "may still be writing them" in first.of("x")["PARTLY_WRITTEN"]
    assert over.reached("POST", "/data/$batch") == 1
    over.faults()
    second = await over.ask(ONE, input=row)
    assert (second.of("x"), held(over, name)) == ({}, (1, 2))


async def test_a_row_that_is_refused_as_taken_is_looked_up(over: Faulty) -> None:
    name = fresh()
    row = {**plain(name), "journalBatchNumber": name}
    stored = {
        "dataAreaId": "usmf",
        "JournalBatchNumber": name,
        "IntegrationKey": f"{name}*",
        "JournalName": "GenJrn",
    }

    class Meanwhile(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                over.sandbox.state.store.insert("LedgerJournalHeaders", [stored])
            return await super().handle_async_request(request)

    over.door.inner = Meanwhile(over.sandbox)
    over.faults()

    answer = await over.ask(ONE, input=row)

    assert answer.of("x") == {}
    assert created(answer) is False
