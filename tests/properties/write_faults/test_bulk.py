"""Lists of headers with lines that fail halfway: three journals, of which two may be refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from starlette.applications import Starlette

from gateway.runtime.assembly import Gateway
from gateway.sandbox import create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault, SandboxSettings
from tests.support.faulty_writes import Faulty, faulty
from tests.support.journal_writes import REFUSED_LINE, held, journal
from tests.support.write_kinds import BATCH, PAGE, REFUSED, fresh

pytestmark = pytest.mark.anyio

JOURNALS = """mutation ($rows: [LedgerJournalHeaderCreateInput!]!) {
  x: createLedgerJournalHeaders(input: $rows) {
    results { ledgerJournalHeader { journalBatchNumber } userErrors { code message } }
    userErrors { code message }
  }
}"""
UNKNOWN = "OUTCOME_UNKNOWN"
BACK = f"{REFUSED_LINE} ROLLED_BACK"
LOST_LINES = "OUTCOME_UNKNOWN PARTLY_WRITTEN"
LEFT = f"{REFUSED_LINE} PARTLY_WRITTEN"
DONE = "1+2 1+2 1+2"
NONE = "0+0 0+0 0+0"
HEADERS = "1+0 1+0 1+0"


@dataclass(frozen=True)
class Break:
    """Where it breaks: codes of each journal, its headers and lines that are there then."""

    codes: str
    """Of the journals, separated by ``|``; one stands for all."""
    held: str
    reached: int
    """Requests that write."""
    rule: FaultRule | None = None
    bad: tuple[int, ...] = ()
    """Journals of which a line is refused."""
    shut: int | None = None
    """From which ``$batch`` on there is no connection."""


def batch(
    number: int,
    at: Literal["before", "after", "mid-answer", "between-parts"],
    answer: Fault | None = None,
    *,
    times: int = 1,
) -> FaultRule:
    return FaultRule(at=at, answer=answer, skip=number - 1, times=times, **BATCH)  # type: ignore[arg-type]


def part(number: int, answer: Fault, *, times: int = 1, of: str = "Headers") -> FaultRule:
    path = f"/data/LedgerJournal{of}*"
    return FaultRule(
        at="before", answer=answer, path=path, skip=number - 1, times=times, in_batch=True
    )


BUSY, FORBIDDEN = Fault.throttled(1), Fault(status=403)
BREAKS = {
    "nothing": Break("", DONE, 2),
    "lines of one refused": Break(f"|{BACK}|", "1+2 0+0 1+2", 3, bad=(1,)),
    "lines of two refused": Break(f"{BACK}||{BACK}", "0+0 1+2 0+0", 3, bad=(0, 2)),
    "no connection for the headers": Break("UPSTREAM_UNAVAILABLE", NONE, 0, shut=1),
    "headers lost before": Break(UNKNOWN, NONE, 1, batch(1, "before")),
    "headers lost after": Break(UNKNOWN, HEADERS, 1, batch(1, "after")),
    "headers lost in mid-answer": Break(UNKNOWN, HEADERS, 1, batch(1, "mid-answer")),
    "headers lost between parts": Break(UNKNOWN, "1+0 0+0 0+0", 1, batch(1, "between-parts")),
    "headers answered by a page": Break(UNKNOWN, HEADERS, 1, batch(1, "after", PAGE)),
    "headers too busy, once": Break("", DONE, 3, batch(1, "before", BUSY)),
    "headers too busy, always": Break("UPSTREAM_THROTTLED", NONE, 3, batch(1, "before", BUSY, times=0)),
    "a header too busy, once": Break("", DONE, 3, part(2, BUSY)),
    "two headers too busy, once": Break("", DONE, 3, part(2, BUSY, times=2)),
    "all headers too busy, once": Break("", DONE, 3, part(1, BUSY, times=3)),
    "a header too busy, always": Break("||UPSTREAM_THROTTLED", "1+2 1+2 0+0", 5, part(3, BUSY, times=0)),
    "a header refused": Break("|INVALID_VALUE|", "1+2 0+0 1+2", 2, part(2, REFUSED)),
    "a header forbidden": Break("|UPSTREAM_FORBIDDEN|", "1+2 0+0 1+2", 2, part(2, FORBIDDEN)),
    "all headers forbidden": Break("UPSTREAM_FORBIDDEN", NONE, 1, part(1, FORBIDDEN, times=3)),
    "a header without a reason": Break(f"|{UNKNOWN}|", "1+2 0+0 1+2", 2, part(2, Fault.html(500))),
    "no connection for the lines": Break("UPSTREAM_UNAVAILABLE PARTLY_WRITTEN", HEADERS, 1, shut=2),
    "lines lost before": Break(LOST_LINES, HEADERS, 2, batch(2, "before")),
    "lines lost after": Break(LOST_LINES, DONE, 2, batch(2, "after")),
    "lines lost between parts": Break(LOST_LINES, "1+2 1+0 1+0", 2, batch(2, "between-parts")),
    "lines forbidden": Break("UPSTREAM_FORBIDDEN ROLLED_BACK", NONE, 3, batch(2, "before", FORBIDDEN)),
    "a line too busy, once": Break("", DONE, 3, part(3, BUSY, of="Lines")),
    "a line without a reason": Break(f"|{LOST_LINES}|", "1+2 1+0 1+2", 2, part(3, Fault.html(500), of="Lines")),
    "deletions lost before": Break(f"{LEFT}||{LEFT}", "1+0 1+2 1+0", 3, batch(3, "before"), (0, 2)),
    "deletions lost after": Break(f"{LEFT}||{LEFT}", "0+0 1+2 0+0", 3, batch(3, "after"), (0, 2)),
    "deletions too busy, once": Break(f"{BACK}||{BACK}", "0+0 1+2 0+0", 4, batch(3, "before", BUSY), (0, 2)),
    "no connection for the deletions": Break(f"{LEFT}||{LEFT}", "1+0 1+2 1+0", 2, bad=(0, 2), shut=3),
}  # fmt: skip


async def written(over: Faulty, breaking: Break) -> tuple[list[str], list[dict[str, str]]]:
    """Write three journals; return the texts in them, and the errors of each."""
    names = [fresh() for _ in range(3)]
    rows = [journal(name, bad=number in breaking.bad) for number, name in enumerate(names)]
    if breaking.shut is not None:
        over.door.shut, over.door.skip = 99, breaking.shut - 1
        over.door.method, over.door.path = BATCH["method"], BATCH["path"]
    over.faults(*() if breaking.rule is None else (breaking.rule,))
    return names, (await over.ask(JOURNALS, rows=rows)).rows("x")


@pytest.mark.parametrize("point", BREAKS)
async def test_a_list_of_headers_is_reported_row_by_row(over: Faulty, point: str) -> None:
    breaking = BREAKS[point]

    names, errors = await written(over, breaking)

    codes = breaking.codes.split("|")
    assert [" ".join(row) for row in errors] == (codes * 3 if len(codes) == 1 else codes)
    assert [held(over, name) for name in names] == [
        tuple(map(int, pair.split("+"))) for pair in breaking.held.split()
    ]
    assert over.reached() == breaking.reached
    for name, row in zip(names, errors, strict=True):
        if tuple(row) == (UNKNOWN,):
            assert f"Description = {name}" in row[UNKNOWN]
        elif "PARTLY_WRITTEN" in row:
            assert "LedgerJournalHeaders (dataAreaId = usmf, Journal" in row["PARTLY_WRITTEN"]


async def test_keyed_headers_with_lines_are_one_request(over: Faulty) -> None:
    names = [fresh() for _ in range(3)]
    over.faults()

    errors = await over.ask(JOURNALS, rows=[
        {**journal(names[0], number=names[0]), "journalName": "no such journal name"},
        journal(names[1], number=names[1], bad=True),
        journal(names[2], number=names[2]),
    ])  # fmt: skip

    assert [" ".join(row) for row in errors.rows("x")] == [REFUSED_LINE, REFUSED_LINE, ""]
    assert [held(over, name) for name in names] == [(0, 0), (0, 0), (1, 2)]
    assert over.reached() == 1


@pytest.mark.heavy
async def test_200_orders_with_600_lines_take_four_requests(
    gateway: Gateway, sandbox: Starlette
) -> None:
    async with faulty(with_writes(gateway, changeset_size=100), sandbox) as over:
        over.faults()
        item = over.rows("ReleasedProductsV2", dataAreaId="usmf")[0]["ItemNumber"]
        errors = await over.ask(
            """mutation ($rows: [SalesOrderHeaderV2CreateInput!]!) {
              x: createSalesOrderHeadersV2(input: $rows) {
                results { salesOrderHeaderV2 { salesOrderNumber } userErrors { code message } }
              }
            }""",
            rows=[
                order("no such item" if number in (17, 130) else item, f"Bulk {number}")
                for number in range(200)
            ],
        )

        written = [o["salesOrderHeaderV2"] for o in errors.data["x"]["results"]]
        assert [n for n, row in enumerate(errors.rows("x")) if row] == [17, 130]
        assert [n for n, row in enumerate(written) if row is None] == [17, 130]
        sent = [r for r in sandbox.state.requests[over.start :] if not r.in_batch]
        # Whether the references are there, the headers, their lines, and the deletion of two headers.
        assert [(r.method, r.path) for r in sent] == [("POST", "/data/$batch")] * 4


async def test_the_rows_of_a_long_list_are_read_in_one_request(
    gateway: Gateway, sandbox: Starlette
) -> None:
    async with faulty(with_writes(gateway, lists="independent"), sandbox) as over:
        over.faults()
        rows = [{"customerGroupId": fresh(), "description": "new"} for _ in range(90)]
        for _ in range(2):
            await over.ask(
                """mutation ($rows: [CustomerGroupCreateInput!]!) {
                  x: upsertCustomerGroups(input: $rows) { results { customerGroup { etag } } }
                }""",
                rows=rows,
            )

        sent = [r for r in sandbox.state.requests[over.start :] if not r.in_batch]
        # Which of them exist, and their creation; then which of them do, their change, and how they are after it.
        assert [(r.method, r.path) for r in sent] == [("POST", "/data/$batch")] * 5


def order(item: str, reference: str) -> dict[str, Any]:
    lines = [{"itemNumber": item, "orderedSalesQuantity": str(n)} for n in (1, 2, 3)]
    return {
        "orderingCustomerAccountNumber": "US-001",
        "invoiceCustomerAccountNumber": "US-001",
        "currencyCode": "USD",
        "customersOrderReference": reference,
        "salesOrderLines": {"create": lines},
    }


def with_writes(gateway: Gateway, **options: Any) -> Gateway:
    """Return a gateway with other settings of writes, over the same schema."""
    settings = gateway.settings
    writes = settings.writes.model_copy(update=options)
    return replace(gateway, settings=settings.model_copy(update={"writes": writes}))


async def test_independent_rows_do_not_cost_each_other(
    gateway: Gateway, sandbox: Starlette
) -> None:
    one, two, three = fresh(), fresh(), fresh()
    rows = [
        {"customerGroupId": one, "description": "first"},
        {"customerGroupId": two, "description": "new", "paymentTermId": "no such terms"},
        {"customerGroupId": three, "description": "new"},
        {"customerGroupId": one, "description": "second"},
    ]
    async with faulty(with_writes(gateway, lists="independent"), sandbox) as over:
        over.faults()
        errors = await over.ask(
            """mutation ($rows: [CustomerGroupCreateInput!]!, $more: [CustomerGroupCreateInput!]!) {
              x: upsertCustomerGroups(input: $rows) { results { userErrors { code message } } }
              y: createCustomerGroups(input: $more) { results { userErrors { code message } } }
            }""",
            rows=rows,
            more=[rows[2], {**rows[2], "customerGroupId": fresh()}],
        )

        assert [list(row) for row in errors.rows("x")] == [[], [REFUSED_LINE], [], []]
        assert [list(row) for row in errors.rows("y")] == [["DUPLICATE_KEY"], []]
        (row,) = over.rows("CustomerGroups", CustomerGroupId=one)
        assert row["Description"] == "second"
        # The second write of a row goes after the batch with the first.
        assert over.reached() == 3


@pytest.mark.parametrize(("stops", "reached"), [("unless-preferred", 3), ("always", 5)])
async def test_a_service_may_stop_at_a_refusal(
    gateway: Gateway, stops: Literal["unless-preferred", "always"], reached: int
) -> None:
    sandbox = create_sandbox(SandboxSettings(scale=0.2, batch_stops=stops))
    breaking = replace(BREAKS["lines of two refused"], rule=part(2, REFUSED), bad=(0,))
    async with faulty(gateway, sandbox) as over:
        names, errors = await written(over, breaking)

        assert [" ".join(row) for row in errors] == [BACK, "INVALID_VALUE", ""]
        assert [held(over, name) for name in names] == [(0, 0), (0, 0), (1, 2)]
        assert over.reached() == reached
