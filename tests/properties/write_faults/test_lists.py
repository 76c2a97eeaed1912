"""Lists that fail halfway: five rows in changesets of two, two and one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault
from tests.support.faulty_writes import Faulty
from tests.support.write_kinds import (
    BATCH,
    GROUPS,
    KINDS,
    PAGE,
    REFUSED,
    described,
    fresh,
    is_gone,
    prepare,
    second,
)

pytestmark = pytest.mark.anyio

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


@dataclass(frozen=True)
class Break:
    """Where the second of three changesets breaks: codes of rows 3 and 4, those held, and what became of row 5."""

    code: str | None
    written: bool
    reached: int
    """Requests that write."""
    rule: FaultRule | None = None
    shut: int = 0
    goes_on: bool = False


LISTS = {
    "no connection, once": Break(None, True, 3, shut=1, goes_on=True),
    "no connection at all": Break("UPSTREAM_UNAVAILABLE", False, 1, shut=99),
    "lost before": Break("OUTCOME_UNKNOWN", False, 2, second("before")),
    "lost after": Break("OUTCOME_UNKNOWN", True, 2, second("after")),
    "lost in mid-answer": Break("OUTCOME_UNKNOWN", True, 2, second("mid-answer")),
    "lost between parts": Break("OUTCOME_UNKNOWN", True, 2, second("between-parts")),
    "too busy, once": Break(None, True, 4, second("before", Fault.throttled(1)), goes_on=True),
    "too busy, always": Break("UPSTREAM_THROTTLED", False, 4, second("before", Fault.throttled(1), times=0)),
    "a part too busy, once": Break(None, True, 4, THROTTLED_PART, goes_on=True),
    "a part too busy, always": Break("UPSTREAM_THROTTLED", False, 4, replace(THROTTLED_PART, times=0)),
    "a part without a reason": Break("OUTCOME_UNKNOWN", False, 2, BROKEN_PART),
    "a part forbidden": Break("UPSTREAM_FORBIDDEN", False, 2, FORBIDDEN_PART),
    "a page, processed": Break("OUTCOME_UNKNOWN", True, 2, second("after", Fault.html(502))),
    "a page under 200, processed": Break("OUTCOME_UNKNOWN", True, 2, second("after", PAGE)),
    "500 with an OData error": Break("OUTCOME_UNKNOWN", False, 2, second("before", REFUSED)),
    "a batch that is too large": Break("UPSTREAM_REJECTED", False, 2, second("before", Fault(status=413))),
    "401": Break("UPSTREAM_FORBIDDEN", False, 2, second("before", Fault(status=401))),
}  # fmt: skip


@pytest.mark.parametrize("point", LISTS)
async def test_a_list_that_breaks_is_reported_row_by_row(over: Faulty, point: str) -> None:
    breaking = LISTS[point]
    keys = [fresh() for _ in range(5)]
    rows = [{"customerGroupId": key, "description": "new"} for key in keys]
    over.door.shut, over.door.skip, over.door.path = breaking.shut, 1, BATCH["path"]
    over.faults(*() if breaking.rule is None else (breaking.rule,))

    errors = await over.ask(CREATES, rows=rows)

    last = None if breaking.goes_on else "NOT_SENT"
    codes = [next(iter(row), None) for row in errors.rows("x")]
    assert codes == [None, None, breaking.code, breaking.code, last]
    held = [len(over.rows("CustomerGroups", CustomerGroupId=key)) for key in keys]
    assert held == [1, 1, breaking.written, breaking.written, breaking.goes_on]
    assert over.reached() == breaking.reached
    assert tuple(errors.of("x")) == (() if breaking.code is None else (breaking.code,))
    if breaking.code == "OUTCOME_UNKNOWN":
        for key, row in zip(keys[2:4], errors.rows("x")[2:4], strict=True):
            assert (
                f"CustomerGroups (dataAreaId = usmf, CustomerGroupId = {key})" in row[breaking.code]
            )


async def test_a_lost_list_of_updates_and_deletes_names_every_row(over: Faulty) -> None:
    keys = [prepare(over, "update", KINDS["update"]) for _ in range(2)]
    over.faults(FaultRule(at="after", **BATCH), FaultRule(at="before", **BATCH))  # type: ignore[arg-type]

    errors = await over.ask(
        """mutation ($rows: [CustomerGroupUpdateInput!]!, $gone: [CustomerGroupDeleteInput!]!) {
          x: updateCustomerGroups(input: $rows) { results { userErrors { code message } } }
          y: deleteCustomerGroups(input: $gone) { results { userErrors { code message } } }
        }""",
        rows=[{"key": {"customerGroupId": k}, "patch": {"description": "new"}} for k in keys],
        gone=[{"key": {"customerGroupId": k}} for k in keys],
    )

    assert [described(over, key) for key in keys] == [True, True]
    for key, changed, deleted in zip(keys, errors.rows("x"), errors.rows("y"), strict=True):
        assert (
            f"CustomerGroupId = {key}) whether the row has the new values"
            in changed["OUTCOME_UNKNOWN"]
        )
        assert f"CustomerGroupId = {key}) whether the row is gone" in deleted["OUTCOME_UNKNOWN"]


async def test_a_failed_read_before_upserts_fails_that_mutation_only(
    over: Faulty,
) -> None:
    one, two, three = fresh(), fresh(), fresh()
    over.faults(FaultRule(at="before", method="GET", answer=Fault(status=403)))

    errors = await over.ask(
        """mutation ($one: String!, $two: String!, $three: String!) {
          a: createCustomerGroup(input: {customerGroupId: $one, description: "new"}) { userErrors { code message } }
          b: upsertCustomerGroups(input: [{customerGroupId: $two, description: "new"}])
            { results { userErrors { code message } } userErrors { code message } }
          c: createCustomerGroup(input: {customerGroupId: $three, description: "new"}) { userErrors { code message } }
        }""",
        one=one, two=two, three=three,
    )  # fmt: skip

    assert [tuple(errors.of(key)) for key in "abc"] == [(), ("UPSTREAM_FORBIDDEN",), ()]
    assert [described(over, key) for key in (one, three)] == [True, True]
    assert is_gone(over, two)
