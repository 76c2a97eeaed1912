"""Journals with lines: what is sent, where it breaks, and what is held then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty
from tests.support.write_kinds import (
    BATCH,
    REFUSED,
    UNKNOWN,
)

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
    """Return a header with two lines."""
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
