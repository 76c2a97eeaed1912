"""Every kind of write of one row, every point at which it can break, and how the sandbox shows what it did."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import SERVICE, Faulty
from tests.support.sandbox_answers import ERROR_IN_OK

ENVELOPE = '{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"Oh.","type":"X"}}}'
REFUSED = Fault(status=500, body=ENVELOPE)
LEAVE = {"LeaveType": "Vacation", "LeaveDate": "2024-07-01T12:00:00Z"}
_numbers = itertools.count(1)


def fresh() -> str:
    """Return a key that no row has."""
    return f"F{next(_numbers)}"


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
    "200 with an OData error, processed": Point(UNKNOWN, True, 1, answer("after", ERROR_IN_OK)),
    "500 with an OData error": Point(("INVALID_VALUE",), False, 1, answer("before", REFUSED)),
    "400 with an OData error": Point(("INVALID_VALUE",), False, 1, answer("before", replace(REFUSED, status=400))),
    "401": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", Fault(status=401))),
    "403": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", Fault(status=403))),
    "404 with a page": Point(UNKNOWN, False, 1, answer("before", Fault.html(404))),
    "200 with nothing, processed": Point(UNKNOWN, True, 1, answer("after", Fault(status=200))),
    "304": Point(UNKNOWN, False, 1, answer("before", Fault(status=304))),
    "403 with a page": Point(("UPSTREAM_FORBIDDEN",), False, 1, answer("before", Fault.html(403))),
    "a redirect to a sign-in page": Point(UNKNOWN, False, 1, answer("before", SIGN_IN)),
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


BATCH = {"method": "POST", "path": "/data/$batch"}


def second(at: str, fault: Fault | None = None, *, times: int = 1) -> FaultRule:
    return FaultRule(at=at, answer=fault, skip=1, times=times, **BATCH)  # type: ignore[arg-type]
