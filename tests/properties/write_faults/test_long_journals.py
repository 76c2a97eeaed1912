"""Headers with more rows below them than one changeset takes: all written, none, or a report of what remains."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty
from tests.support.journal_writes import HEADERS, JOURNAL, LINE, NEW_HEADER, REFUSED_LINE, held
from tests.support.write_kinds import fresh

pytestmark = pytest.mark.anyio
ROWS = 5
"""Lines; a changeset takes two."""


@dataclass(frozen=True)
class Long:
    """Where it breaks; ``held`` is (headers, lines), ``reached`` counts requests that write."""

    codes: tuple[str, ...]
    held: tuple[int, int]
    reached: int
    rules: tuple[FaultRule, ...] = ()
    bad: int | None = None
    """Number of the line that is refused."""
    says: str = ""


def batch(number: int, point: str, fault: Fault | None = None) -> FaultRule:
    """Break the changeset with this number, from 1."""
    return FaultRule(at=point, answer=fault, method="POST", path="/data/$batch", skip=number - 1)  # type: ignore[arg-type]


UNKNOWN = ("OUTCOME_UNKNOWN", "PARTLY_WRITTEN")
BACK = (REFUSED_LINE, "ROLLED_BACK")
STUCK = (REFUSED_LINE, "PARTLY_WRITTEN")
POINTS = {
    "nothing": Long((), (1, 5), 4),
    "the first changeset is refused": Long(BACK, (0, 0), 3, bad=1),
    "the second is refused": Long(BACK, (0, 0), 5, bad=3),
    "the last is refused": Long(BACK, (0, 0), 7, bad=5),
    "the first is lost": Long(
        UNKNOWN, (1, 2), 2, (batch(1, "after"),), says="0 were written, of 2 it is not known, and 3 were not sent"
    ),
    "the second is lost, unprocessed": Long(
        UNKNOWN, (1, 2), 3, (batch(2, "before"),), says="2 were written, of 2 it is not known, and 1 were not sent"
    ),
    "the last is lost, processed": Long(
        UNKNOWN, (1, 5), 4, (batch(3, "after"),), says="4 were written, of 1 it is not known, and 0 were not sent"
    ),
    "the second is forbidden": Long(
        ("UPSTREAM_FORBIDDEN", "ROLLED_BACK"), (0, 0), 5, (batch(2, "before", Fault(status=403)),)
    ),
    "the second is too busy, once": Long((), (1, 5), 5, (batch(2, "before", Fault.throttled(1)),)),
    "taking back is refused": Long(
        STUCK, (1, 2), 4, (batch(3, "before", Fault(status=403)),), bad=3,
        says="it with 2 of its rows could not be deleted again",
    ),
    "the header's deletion is lost": Long(
        STUCK,
        (0, 0),
        5,
        (FaultRule(at="after", method="DELETE", path=f"{HEADERS}(*"),),
        bad=4,
        says="it is not known whether it was deleted again",
    ),
    "taking back is lost": Long(
        STUCK, (1, 0), 6, (batch(5, "after"),), bad=5,
        says="it was not deleted again, and 2 of its rows may be there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_numbered", [False, True], ids=["numbered by the service", "key given"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_long_journal_is_never_half_written_in_silence(
    over: Faulty, point: str, is_numbered: bool
) -> None:
    breaking, name = POINTS[point], fresh()
    lines = [{**LINE, "lineNumber": str(n), "debitAmount": "1"} for n in range(1, ROWS + 1)]
    if breaking.bad is not None:
        lines[breaking.bad - 1]["currencyCode"] = "no such currency"
    key = {"journalBatchNumber": name} if is_numbered else {}
    over.faults(*breaking.rules)

    answer = await over.ask(
        JOURNAL,
        input={**key, "journalName": "GenJrn", "description": name, "ledgerJournalLine": {"create": lines}},
    )  # fmt: skip

    errors = answer.of("x")
    assert tuple(errors) == breaking.codes
    assert held(over, name) == breaking.held
    assert over.reached() == breaking.reached
    assert over.reached(**NEW_HEADER) == 1
    partly = errors.get("PARTLY_WRITTEN", "")
    assert breaking.says in partly
    if partly:
        assert "LedgerJournalHeaders (dataAreaId = usmf, JournalBatchNumber = " in partly


async def test_written_rows_are_deleted_and_the_header_last(
    over: Faulty,
) -> None:
    name = fresh()
    lines = [{**LINE, "lineNumber": str(n), "debitAmount": "1"} for n in range(1, ROWS + 1)]
    lines[-1]["currencyCode"] = "no such currency"
    over.faults()

    await over.ask(
        JOURNAL,
        input={
            "journalName": "GenJrn",
            "description": name,
            "ledgerJournalLine": {"create": lines},
        },
    )

    deleted = [r.decoded for r in over.sandbox.state.requests if r.method == "DELETE"]
    numbers = [path.partition("LineNumber=")[2][:1] for path in deleted[-5:]]
    assert numbers == ["4", "3", "2", "1", ""]
    assert deleted[-1].startswith(f"{HEADERS}(")
