"""Connections that break at every point of every kind of write: what the caller is told, and what the sandbox holds."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from gateway.assemble import Gateway
from gateway.odata.transport import make_transport
from gateway.sandbox import create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault, SandboxSettings
from gateway.setting_groups import WriteOptions
from tests.support.faulty_writes import SERVICE, SETTINGS, Faulty, assembled_over, faulty

pytestmark = pytest.mark.anyio

ENVELOPE = '{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"Oh.","type":"X"}}}'
REFUSED = Fault(status=500, body=ENVELOPE)
LEAVE = {"LeaveType": "Vacation", "LeaveDate": "2024-07-01T12:00:00Z"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.2))


@pytest.fixture(scope="module")
def gateway(sandbox: Starlette) -> Gateway:
    return asyncio.run(assembled_over(sandbox))


@pytest.fixture
async def over(gateway: Gateway, sandbox: Starlette) -> AsyncIterator[Faulty]:
    async with faulty(gateway, sandbox) as found:
        yield found


def fresh() -> str:
    """Give a key that no row has."""
    return f"F{next(_numbers)}"


# One write at a time


@dataclass(frozen=True)
class Kind:
    """One kind of write: what is sent, and how the sandbox shows that it was done."""

    query: str
    method: str
    path: str
    names: str
    """What the message of a lost answer must name."""
    is_written: Callable[[Faulty, str], bool]
    existing: bool = False
    """Whether the row is there before."""


GROUPS = "/data/CustomerGroups*"


def described(over: Faulty, key: str) -> bool:
    (row,) = over.rows("CustomerGroups", CustomerGroupId=key) or ({},)
    return bool(row.get("Description") == "new")


def is_gone(over: Faulty, key: str) -> bool:
    return not over.rows("CustomerGroups", CustomerGroupId=key)


def is_posted(over: Faulty, key: str) -> bool:
    (row,) = over.rows("LedgerJournalHeaders", JournalBatchNumber=key)
    return bool(row["IsPosted"] == "Yes")


def is_submitted(over: Faulty, key: str) -> bool:
    (row,) = over.rows("MyLeaveRequests", RequestId=key)
    return bool(row["Status"] == "InReview")


KINDS = {
    "create": Kind(
        'mutation ($k: String!) { x: createCustomerGroup(input: {customerGroupId: $k, description: "new"})'
        " { customerGroup { description } userErrors { code message } } }",
        "POST", "/data/CustomerGroups", "CustomerGroups (dataAreaId = usmf, CustomerGroupId = {})", described,
    ),
    "update": Kind(
        'mutation ($k: String!) { x: updateCustomerGroup(key: {customerGroupId: $k}, patch: {description: "new"})'
        " { customerGroup { description } userErrors { code message } } }",
        "PATCH", GROUPS, "CustomerGroups (dataAreaId = usmf, CustomerGroupId = {})", described, existing=True,
    ),
    "upsert of a row that is there": Kind(
        'mutation ($k: String!) { x: upsertCustomerGroup(input: {customerGroupId: $k, description: "new"})'
        " { customerGroup { description } userErrors { code message } } }",
        "PATCH", GROUPS, "CustomerGroups (dataAreaId = usmf, CustomerGroupId = {})", described, existing=True,
    ),
    "upsert of a new row": Kind(
        'mutation ($k: String!) { x: upsertCustomerGroup(input: {customerGroupId: $k, description: "new"})'
        " { customerGroup { description } userErrors { code message } } }",
        "POST", "/data/CustomerGroups", "CustomerGroups (dataAreaId = usmf, CustomerGroupId = {})", described,
    ),
    "delete": Kind(
        "mutation ($k: String!) { x: deleteCustomerGroup(key: {customerGroupId: $k}) { userErrors { code message } } }",
        "DELETE", GROUPS, "CustomerGroups (dataAreaId = usmf, CustomerGroupId = {})", is_gone, existing=True,
    ),
    "action": Kind(
        'mutation ($k: String!) { x: myLeaveRequestSubmit(dataAreaId: "usmf", requestId: $k,'
        ' leaveType: "Vacation", leaveDate: "2024-07-01") { userErrors { code message } } }',
        "POST", "*submit", "RequestId='{}',LeaveType='Vacation',LeaveDate=", is_submitted,
    ),
    "service": Kind(
        'mutation ($k: String!) { x: postLedgerJournal(company: "usmf", journal: $k)'
        " { isPosted userErrors { code message } } }",
        "POST", SERVICE, SERVICE, is_posted,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """Where a write breaks, and what follows from it."""

    codes: tuple[str, ...]
    written: bool
    reached: int
    """How often it comes to the sandbox."""
    rule: FaultRule | None = None
    shut: int = 0


def answer(at: str, fault: Fault, *, times: int = 1) -> FaultRule:
    return FaultRule(at=at, answer=fault, times=times)  # type: ignore[arg-type]


UNKNOWN = ("OUTCOME_UNKNOWN",)
PAGE = Fault.html(200)
SIGN_IN = Fault(status=302, headers={"Location": "https://login.example/oauth2/authorize"})
POINTS = {
    "no connection, twice": Point((), True, 1, shut=2),
    "no connection at all": Point(("UPSTREAM_UNAVAILABLE",), False, 0, shut=99),
    "lost before it was processed": Point(UNKNOWN, False, 1, FaultRule(at="before")),
    "lost after it was processed": Point(UNKNOWN, True, 1, FaultRule(at="after")),
    "lost in the middle of the answer": Point(UNKNOWN, True, 1, FaultRule(at="mid-answer")),
    "too busy, once": Point((), True, 2, answer("before", Fault.throttled(1))),
    "too busy, without a time": Point((), True, 2, answer("before", Fault.throttled())),
    "too busy, always": Point(("UPSTREAM_THROTTLED",), False, 3, answer("before", Fault.throttled(1), times=0)),
    "a page from a load balancer, unprocessed": Point(UNKNOWN, False, 1, answer("before", Fault.html(502))),
    "a page from a load balancer, processed": Point(UNKNOWN, True, 1, answer("after", Fault.html(502))),
    "503, unprocessed": Point(UNKNOWN, False, 1, answer("before", Fault.html(503))),
    "504 with an OData error, processed": Point(UNKNOWN, True, 1, answer("after", replace(REFUSED, status=504))),
    "408, unprocessed": Point(UNKNOWN, False, 1, answer("before", Fault.html(408))),
    "500 with a page, processed": Point(UNKNOWN, True, 1, answer("after", Fault.html(500))),
    "200 with a page, unprocessed": Point(UNKNOWN, False, 1, answer("before", PAGE)),
    "200 with a page, processed": Point(UNKNOWN, True, 1, answer("after", PAGE)),
    "200 with an OData error, processed": Point(UNKNOWN, True, 1, answer("after", Fault.error_in_ok())),
    "500 with an OData error": Point(("INVALID_VALUE",), False, 1, answer("before", REFUSED)),
    "400 with an OData error": Point(("INVALID_VALUE",), False, 1, answer("before", replace(REFUSED, status=400))),
    "401": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", Fault(status=401))),
    "403": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", Fault(status=403))),
    "a redirect to a sign-in page": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", SIGN_IN)),
}  # fmt: skip


def prepare(over: Faulty, name: str, kind: Kind) -> str:
    """Put what a write needs into the sandbox, and give its key."""
    key = fresh()
    store = over.sandbox.state.store
    if kind.existing:
        store.insert(
            "CustomerGroups", [{"dataAreaId": "usmf", "CustomerGroupId": key, "Description": "old"}]
        )
    elif name == "service":
        batch = {"dataAreaId": "usmf", "JournalBatchNumber": key}
        store.insert("LedgerJournalHeaders", [{**batch, "JournalName": "GenJrn", "IsPosted": "No"}])
        line = {
            "LineNumber": 1,
            "AccountDisplayValue": "1",
            "OffsetAccountDisplayValue": "2",
            "Voucher": "V",
        }
        store.insert("LedgerJournalLines", [{**batch, **line}])
    elif name == "action":
        store.insert(
            "MyLeaveRequests",
            [{"dataAreaId": "usmf", "RequestId": key, "Status": "Draft", **LEAVE}],
        )
    return key  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("name", KINDS)
async def test_a_write_that_breaks_is_told_as_it_is(over: Faulty, name: str, point: str) -> None:
    kind, breaking = KINDS[name], POINTS[point]
    key = prepare(over, name, kind)
    over.door.shut, over.door.method, over.door.path = breaking.shut, kind.method, kind.path
    rules = (
        ()
        if breaking.rule is None
        else (replace(breaking.rule, method=kind.method, path=kind.path),)
    )
    over.faults(*rules)

    told = (await over.ask(kind.query, k=key)).of("x")

    assert tuple(told) == breaking.codes
    assert kind.is_written(over, key) is breaking.written
    assert over.reached(kind.method, kind.path) == breaking.reached
    if told.keys() == {"OUTCOME_UNKNOWN"}:
        assert kind.names.format(key) in told["OUTCOME_UNKNOWN"]


class Renewing(httpx.Auth):
    """Asks once more with a new token after a 401, as the gateway's own does."""

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        response = yield request
        if response.status_code == 401:
            yield request


@pytest.mark.parametrize("name", KINDS)
async def test_a_token_that_has_run_out_is_renewed_and_the_write_done_once(
    gateway: Gateway, sandbox: Starlette, name: str
) -> None:
    kind = KINDS[name]
    async with faulty(gateway, sandbox, auth=Renewing()) as over:
        key = prepare(over, name, kind)
        rule = answer("before", Fault(status=401))
        over.faults(replace(rule, method=kind.method, path=kind.path))

        told = (await over.ask(kind.query, k=key)).of("x")

    assert told == {}
    assert kind.is_written(over, key)
    assert over.reached(kind.method, kind.path) == 2


async def test_a_create_after_a_failed_look_by_an_upsert_is_not_sent(over: Faulty) -> None:
    key = fresh()
    over.faults(FaultRule(at="after", method="PATCH"))

    told = (await over.ask(KINDS["upsert of a new row"].query, k=key)).of("x")

    assert tuple(told) == UNKNOWN
    assert over.reached() == 1
    assert over.rows("CustomerGroups", CustomerGroupId=key) == []


@pytest.mark.parametrize(
    "name", ["update", "upsert of a row that is there", "upsert of a new row", "delete"]
)
async def test_a_key_that_no_web_server_lets_through_goes_in_a_batch(
    over: Faulty, name: str
) -> None:
    kind = KINDS[name]
    key = f"{fresh()}/a+b%"
    if kind.existing:
        row = {"dataAreaId": "usmf", "CustomerGroupId": key, "Description": "old"}
        over.sandbox.state.store.insert("CustomerGroups", [row])
    over.faults()

    told = (await over.ask(kind.query, k=key)).of("x")

    assert told == {}
    assert kind.is_written(over, key)
    assert over.reached("POST", "/data/$batch") == 1


@pytest.mark.parametrize("body", ['{"value":5}', '{"val'], ids=["another type", "cut"])
async def test_a_call_whose_result_cannot_be_read_was_done_all_the_same(
    over: Faulty, body: str
) -> None:
    over.faults(answer("after", Fault(status=200, body=body)))

    told = await over.ask(
        "mutation { x: dataManagementEntitiesGetApplicationVersion { result userErrors { code } } }"
    )

    assert told.data == {"x": {"result": None, "userErrors": []}}
    (error,) = told.errors
    assert (error["path"], error["extensions"]["code"]) == (["x", "result"], "UPSTREAM_MALFORMED")
    assert over.reached() == 1


# Lists: five rows in changesets of two, two and one

BATCH = {"method": "POST", "path": "/data/$batch"}
CREATES = """mutation ($rows: [CustomerGroupCreateInput!]!) {
  x: createCustomerGroups(input: $rows) {
    results { customerGroup { customerGroupId } userErrors { code message } } userErrors { code message }
  }
}"""
THROTTLED_PART = FaultRule(
    at="before", answer=Fault.throttled(1), method="POST", path=GROUPS, skip=3, in_batch=True
)
BROKEN_PART = replace(THROTTLED_PART, answer=Fault.html(500))
FORBIDDEN_PART = replace(THROTTLED_PART, answer=Fault(status=403))


def second(at: str, fault: Fault | None = None, *, times: int = 1) -> FaultRule:
    return FaultRule(at=at, answer=fault, skip=1, times=times, **BATCH)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Batches:
    """Where the second of three changesets breaks: codes of rows 3 and 4, those held, and what became of row 5."""

    code: str | None
    written: bool
    reached: int
    """Requests that write."""
    rule: FaultRule | None = None
    shut: int = 0
    goes_on: bool = False


LISTS = {
    "no connection, once": Batches(None, True, 3, shut=1, goes_on=True),
    "no connection at all": Batches("UPSTREAM_UNAVAILABLE", False, 1, shut=99),
    "lost before": Batches("OUTCOME_UNKNOWN", False, 2, second("before")),
    "lost after": Batches("OUTCOME_UNKNOWN", True, 2, second("after")),
    "lost in mid-answer": Batches("OUTCOME_UNKNOWN", True, 2, second("mid-answer")),
    "lost between parts": Batches("OUTCOME_UNKNOWN", True, 2, second("between-parts")),
    "too busy, once": Batches(None, True, 4, second("before", Fault.throttled(1)), goes_on=True),
    "too busy, always": Batches("UPSTREAM_THROTTLED", False, 4, second("before", Fault.throttled(1), times=0)),
    "a part too busy, once": Batches(None, True, 4, THROTTLED_PART, goes_on=True),
    "a part too busy, always": Batches("UPSTREAM_THROTTLED", False, 4, replace(THROTTLED_PART, times=0)),
    "a part without a reason": Batches("OUTCOME_UNKNOWN", False, 2, BROKEN_PART),
    "a part forbidden": Batches("UPSTREAM_FORBIDDEN", False, 2, FORBIDDEN_PART),
    "a page, processed": Batches("OUTCOME_UNKNOWN", True, 2, second("after", Fault.html(502))),
    "a page under 200, processed": Batches("OUTCOME_UNKNOWN", True, 2, second("after", PAGE)),
    "500 with an OData error": Batches("OUTCOME_UNKNOWN", False, 2, second("before", REFUSED)),
    "a batch that is too large": Batches("UPSTREAM_REJECTED", False, 2, second("before", Fault(status=413))),
    "401": Batches("UPSTREAM_FORBIDDEN", False, 2, second("before", Fault(status=401))),
}  # fmt: skip


@pytest.mark.parametrize("point", LISTS)
async def test_a_list_that_breaks_in_the_middle_is_told_row_by_row(
    over: Faulty, point: str
) -> None:
    breaking = LISTS[point]
    keys = [fresh() for _ in range(5)]
    rows = [{"customerGroupId": key, "description": "new"} for key in keys]
    over.door.shut, over.door.skip, over.door.path = breaking.shut, 1, BATCH["path"]
    over.faults(*() if breaking.rule is None else (breaking.rule,))

    told = await over.ask(CREATES, rows=rows)

    last = None if breaking.goes_on else "NOT_SENT"
    codes = [next(iter(row), None) for row in told.rows("x")]
    assert codes == [None, None, breaking.code, breaking.code, last]
    held = [len(over.rows("CustomerGroups", CustomerGroupId=key)) for key in keys]
    assert held == [1, 1, breaking.written, breaking.written, breaking.goes_on]
    assert over.reached() == breaking.reached
    assert tuple(told.of("x")) == (() if breaking.code is None else (breaking.code,))
    if breaking.code == "OUTCOME_UNKNOWN":
        for key, row in zip(keys[2:4], told.rows("x")[2:4], strict=True):
            assert (
                f"CustomerGroups (dataAreaId = usmf, CustomerGroupId = {key})" in row[breaking.code]
            )


async def test_a_list_of_changes_and_deletes_that_is_lost_names_every_row(over: Faulty) -> None:
    keys = [prepare(over, "update", KINDS["update"]) for _ in range(2)]
    over.faults(FaultRule(at="after", **BATCH), FaultRule(at="before", **BATCH))  # type: ignore[arg-type]

    told = await over.ask(
        """mutation ($rows: [CustomerGroupUpdateInput!]!, $gone: [CustomerGroupDeleteInput!]!) {
          x: updateCustomerGroups(input: $rows) { results { userErrors { code message } } }
          y: deleteCustomerGroups(input: $gone) { results { userErrors { code message } } }
        }""",
        rows=[{"key": {"customerGroupId": k}, "patch": {"description": "new"}} for k in keys],
        gone=[{"key": {"customerGroupId": k}} for k in keys],
    )

    assert [described(over, key) for key in keys] == [True, True]
    for key, changed, deleted in zip(keys, told.rows("x"), told.rows("y"), strict=True):
        assert (
            f"CustomerGroupId = {key}) whether the row has the new values"
            in changed["OUTCOME_UNKNOWN"]
        )
        assert f"CustomerGroupId = {key}) whether the row is gone" in deleted["OUTCOME_UNKNOWN"]


async def test_a_failing_look_before_a_list_of_upserts_fails_only_that_mutation(
    over: Faulty,
) -> None:
    one, two, three = fresh(), fresh(), fresh()
    over.faults(FaultRule(at="before", method="GET", answer=Fault(status=403)))

    told = await over.ask(
        """mutation ($one: String!, $two: String!, $three: String!) {
          a: createCustomerGroup(input: {customerGroupId: $one, description: "new"}) { userErrors { code message } }
          b: upsertCustomerGroups(input: [{customerGroupId: $two, description: "new"}])
            { results { userErrors { code message } } userErrors { code message } }
          c: createCustomerGroup(input: {customerGroupId: $three, description: "new"}) { userErrors { code message } }
        }""",
        one=one, two=two, three=three,
    )  # fmt: skip

    assert [tuple(told.of(key)) for key in "abc"] == [(), ("UPSTREAM_FORBIDDEN",), ()]
    assert [described(over, key) for key in (one, three)] == [True, True]
    assert is_gone(over, two)


# A header and its lines

HEADERS = "/data/LedgerJournalHeaders"
JOURNAL = """mutation ($input: LedgerJournalHeaderCreateInput!) {
  x: createLedgerJournalHeader(input: $input) {
    ledgerJournalHeader { journalBatchNumber }
    userErrors { code message path }
  }
}"""
LINE = {
    "accountType": "LEDGER",
    "accountDisplayValue": "140200-001-022",
    "currencyCode": "USD",
    "voucher": "V1",
}
NEW_HEADER = {"method": "POST", "path": HEADERS}
TAKING_BACK = {"method": "DELETE", "path": f"{HEADERS}(*"}


def journal(name: str, *, number: str | None = None, bad: bool = False) -> dict[str, Any]:
    """Give a header with two lines."""
    lines = [{**LINE, "lineNumber": str(n), "debitAmount": "1"} for n in (1, 2)]
    if bad:
        lines[1]["currencyCode"] = "no such currency"
    given = {} if number is None else {"journalBatchNumber": number}
    return {
        **given,
        "journalName": "GenJrn",
        "description": name,
        "ledgerJournalLine": {"create": lines},
    }


def held(over: Faulty, name: str) -> tuple[int, int]:
    """Count the headers with a description, and the lines below them."""
    headers = over.rows("LedgerJournalHeaders", Description=name)
    numbers = [h["JournalBatchNumber"] for h in headers]
    return len(headers), sum(
        len(over.rows("LedgerJournalLines", JournalBatchNumber=n)) for n in numbers
    )


@dataclass(frozen=True)
class Nested:
    """Where a header with two lines breaks; ``held`` is (headers, lines)."""

    codes: tuple[str, ...]
    held: tuple[int, int]
    reached: int
    rules: tuple[FaultRule, ...] = ()
    shut: tuple[str, str] | None = None
    """Method and path without a connection."""
    bad: bool = False
    """Whether the upstream refuses a line."""


def at(point: str, where: dict[str, str], fault: Fault | None = None) -> FaultRule:
    return FaultRule(at=point, answer=fault, **where)  # type: ignore[arg-type]


REFUSED_LINE = "RELATED_RECORD_NOT_FOUND"
PARTLY = ("OUTCOME_UNKNOWN", "PARTLY_WRITTEN")
NUMBERED = {
    "nothing": Nested((), (1, 2), 2),
    "a line refused": Nested((REFUSED_LINE, "ROLLED_BACK"), (0, 0), 3, bad=True),
    "no connection for the header": Nested(("UPSTREAM_UNAVAILABLE",), (0, 0), 0, shut=("POST", HEADERS)),
    "header lost before": Nested(UNKNOWN, (0, 0), 1, (at("before", NEW_HEADER),)),
    "header lost after": Nested(UNKNOWN, (1, 0), 1, (at("after", NEW_HEADER),)),
    "header lost in mid-answer": Nested(UNKNOWN, (1, 0), 1, (at("mid-answer", NEW_HEADER),)),
    "header too busy, once": Nested((), (1, 2), 3, (at("before", NEW_HEADER, Fault.throttled(1)),)),
    "header answered by a page": Nested(UNKNOWN, (1, 0), 1, (at("after", NEW_HEADER, Fault.html(502)),)),
    "header answered without itself": Nested(
        ("PARTLY_WRITTEN",), (1, 0), 1, (at("after", NEW_HEADER, Fault(status=201, body="")),)
    ),
    "header answered with half of itself": Nested(
        ("PARTLY_WRITTEN",), (1, 0), 1, (at("after", NEW_HEADER, Fault(status=201, body='{"Journal')),)
    ),
    "no connection for the lines": Nested(
        ("UPSTREAM_UNAVAILABLE", "ROLLED_BACK"), (0, 0), 2, shut=("POST", "/data/$batch")
    ),
    "lines lost before": Nested(PARTLY, (1, 0), 2, (at("before", BATCH),)),
    "lines lost after": Nested(PARTLY, (1, 2), 2, (at("after", BATCH),)),
    "lines lost between parts": Nested(PARTLY, (1, 2), 2, (at("between-parts", BATCH),)),
    "lines lost in mid-answer": Nested(PARTLY, (1, 2), 2, (at("mid-answer", BATCH),)),
    "lines answered by a page": Nested(PARTLY, (1, 2), 2, (at("after", BATCH, Fault.html(502)),)),
    "lines too busy, once": Nested((), (1, 2), 3, (at("before", BATCH, Fault.throttled(1)),)),
    "lines forbidden": Nested(
        ("UPSTREAM_FORBIDDEN", "ROLLED_BACK"), (0, 0), 3, (at("before", BATCH, Fault(status=403)),)
    ),
    "deletion lost before": Nested(
        (REFUSED_LINE, "PARTLY_WRITTEN"), (1, 0), 3, (at("before", TAKING_BACK),), bad=True
    ),
    "deletion lost after": Nested(
        (REFUSED_LINE, "PARTLY_WRITTEN"), (0, 0), 3, (at("after", TAKING_BACK),), bad=True
    ),
    "deletion lost in mid-answer": Nested(
        (REFUSED_LINE, "PARTLY_WRITTEN"), (0, 0), 3, (at("mid-answer", TAKING_BACK),), bad=True
    ),
    "deletion too busy, once": Nested(
        (REFUSED_LINE, "ROLLED_BACK"), (0, 0), 4, (at("before", TAKING_BACK, Fault.throttled(1)),), bad=True
    ),
    "deletion refused": Nested(
        (REFUSED_LINE, "PARTLY_WRITTEN"), (1, 0), 3, (at("before", TAKING_BACK, REFUSED),), bad=True
    ),
    "no connection for the deletion": Nested(
        (REFUSED_LINE, "PARTLY_WRITTEN"), (1, 0), 2, shut=("DELETE", "*"), bad=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("point", NUMBERED)
async def test_a_header_whose_number_the_upstream_gives_is_never_half_written_in_silence(
    over: Faulty, point: str
) -> None:
    breaking, name = NUMBERED[point], fresh()
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)

    answer = await over.ask(JOURNAL, input=journal(name, bad=breaking.bad))

    told = answer.of("x")
    assert tuple(told) == breaking.codes
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached
    partly = told.get("PARTLY_WRITTEN", "")
    knows = "answered" not in point or "lines" in point
    if partly and knows and breaking.held[0]:
        (header,) = over.rows("LedgerJournalHeaders", Description=name)
        assert f"JournalBatchNumber = {header['JournalBatchNumber']}" in partly
    elif partly:
        assert "LedgerJournalHeaders (" in partly
    elif tuple(told) == UNKNOWN:
        assert f"Description = {name}" in told["OUTCOME_UNKNOWN"]


TOGETHER = {
    "nothing": Nested((), (1, 2), 1),
    "a line refused": Nested((REFUSED_LINE,), (0, 0), 1, bad=True),
    "no connection": Nested(("UPSTREAM_UNAVAILABLE",), (0, 0), 0, shut=("POST", "/data/$batch")),
    "lost before": Nested(UNKNOWN, (0, 0), 1, (at("before", BATCH),)),
    "lost after": Nested(UNKNOWN, (1, 2), 1, (at("after", BATCH),)),
    "lost between parts": Nested(UNKNOWN, (1, 2), 1, (at("between-parts", BATCH),)),
    "lost in mid-answer": Nested(UNKNOWN, (1, 2), 1, (at("mid-answer", BATCH),)),
    "too busy, once": Nested((), (1, 2), 2, (at("before", BATCH, Fault.throttled(1)),)),
    "a line too busy, once": Nested(
        (), (1, 2), 2, (FaultRule(at="before", answer=Fault.throttled(1), path="*Lines*", in_batch=True),)
    ),
    "answered by a page": Nested(UNKNOWN, (1, 2), 1, (at("after", BATCH, Fault.html(502)),)),
}  # fmt: skip


@pytest.mark.parametrize("point", TOGETHER)
async def test_a_header_with_a_number_and_its_lines_are_written_together(
    over: Faulty, point: str
) -> None:
    breaking, name = TOGETHER[point], fresh()
    if breaking.shut is not None:
        over.door.shut, (over.door.method, over.door.path) = 99, breaking.shut
    over.faults(*breaking.rules)

    told = (await over.ask(JOURNAL, input=journal(name, number=name, bad=breaking.bad))).of("x")

    assert tuple(told) == breaking.codes
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached
    if tuple(told) == UNKNOWN:
        assert f"JournalBatchNumber = {name}" in told["OUTCOME_UNKNOWN"]


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

    told = await over.ask(ATOMIC, header=header, lines=lines)

    codes = [tuple(told.of("header")), *map(tuple, told.rows("lines"))]
    expected: list[tuple[str, ...]] = [breaking.codes] * 3
    if breaking.bad:
        expected = [("ROLLED_BACK",), ("ROLLED_BACK",), breaking.codes]
    assert codes == expected
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached


async def test_a_read_after_the_write_that_fails_does_not_hide_that_it_was_written(
    over: Faulty,
) -> None:
    key = prepare(over, "update", KINDS["update"])
    over.faults(FaultRule(at="before", method="GET", times=0))

    told = await over.ask(KINDS["update"].query, k=key)

    assert described(over, key)
    assert told.data == {"x": {"customerGroup": None, "userErrors": []}}
    assert [(e["path"], e["extensions"]["code"]) for e in told.errors] == [
        (["x", "customerGroup"], "UPSTREAM_UNAVAILABLE")
    ]


async def test_a_row_whose_number_did_not_arrive_says_so(over: Faulty) -> None:
    name = fresh()
    over.faults(at("after", NEW_HEADER, Fault(status=201, body="")))
    header = {"journalName": "GenJrn", "description": name}

    told = await over.ask(JOURNAL, input=header)

    assert held(over, name) == (1, 0)
    assert told.of("x") == {}
    assert [e["message"] for e in told.errors] == [
        "The row was written, but the upstream's answer does not tell its key."
    ]


# Whoever waits, or has left


async def test_a_client_that_leaves_does_not_stop_a_write_and_the_connections_wait_for_it(
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
    async with faulty(gateway, sandbox, transport=transport, root=root) as found:
        yield found


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

    told = (await wired.ask(kind.query, k=key)).of("x")

    # The 204 of a delete has no body: it has arrived when its head has.
    is_whole = name == "delete" and "middle" in point
    assert tuple(told) == (() if is_whole else UNKNOWN)
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
async def test_a_document_whose_connection_breaks_is_told_as_it_is(
    wired: Faulty, point: str
) -> None:
    breaking, name = NUMBERED[point], fresh()
    wired.faults(*breaking.rules)

    told = (await wired.ask(JOURNAL, input=journal(name, bad=breaking.bad))).of("x")

    assert tuple(told) == breaking.codes
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
        told = (await over.ask(KINDS["create"].query, k=key)).of("x")

    assert tuple(told) == ("UPSTREAM_UNAVAILABLE",)
    assert len(over.waits) == gateway.settings.retries


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
        told = await over.ask(
            """mutation ($lines: [LedgerJournalLineCreateInput!]!) {
              x: createLedgerJournalLines(input: $lines) {
                results { ledgerJournalLine { lineNumber } userErrors { code } }
              }
            }""",
            lines=lines,
        )

    results = told.data["x"]["results"]
    assert [r["userErrors"] for r in results] == [[]] * 1_000
    assert [int(float(r["ledgerJournalLine"]["lineNumber"])) for r in results] == list(
        range(1, 1_001)
    )
    assert over.reached("POST", "/data/$batch") == 10
    assert over.reached() == 11
    assert len(over.rows("LedgerJournalLines", JournalBatchNumber=name)) == 1_000
