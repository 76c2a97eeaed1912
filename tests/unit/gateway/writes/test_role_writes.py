"""What callers with roles may write: roles, operations, rows inside and outside, fields, and all that is sent."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.odata.dialect import ODATA
from tests.support.role_writes import RoleWrites, role, writing

pytestmark = pytest.mark.anyio
LINE: dict[str, Any] = {"Area": "A1", "OrderId": 1, "Price": 1, "Note": "n", "Colour": "Red"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "Lines": [
        {**LINE, "LineNo": 1, "Article": "i1"},
        {**LINE, "LineNo": 2, "Article": "i2"},
    ],
    "Orders": [{"Area": "A1", "OrderId": 1, "Text": "a", "Number": 1}],
    "Parties": [{"Area": "A1", "PartyId": "p1", "Name": "Ann"}],
}
INSIDE, OUTSIDE, ABSENT = "1", "2", "7"
ERRORS = "userErrors { code field path message }"
BEFORE = (
    "Lines?$select=Area,OrderId,LineNo,Article"
    "&$filter=Article eq 'i1' and Area eq 'A1' and OrderId eq 1 and LineNo eq {}&cross-company=true"
)
AT = "Lines(Area='A1',OrderId=1,LineNo={})"
I1, NOTE = 'article: "i1"', 'note: "x"'
CLERK = role("clerk", {"Lines": writing({"article": {"eq": "i1"}})})


def key(line: str) -> str:
    return f'{{ area: "A1", orderId: 1, lineNo: "{line}" }}'


def update(line: str, patch: str, more: str = "") -> str:
    return f"updateLine(key: {key(line)}, patch: {{ {patch} }}{more}) {{ {ERRORS} }}"


def delete(line: str) -> str:
    return f"deleteLine(key: {key(line)}) {{ {ERRORS} }}"


def create(line: str, fields: str, verb: str = "create") -> str:
    values = f'area: "A1", orderId: 1, lineNo: "{line}", price: "1"'
    return f"{verb}Line(input: {{ {values}, {fields} }}) {{ {ERRORS} }}"


def upsert(line: str, fields: str) -> str:
    return create(line, fields, "upsert")


def created(line: str, fields: str) -> str:
    return f'POST Lines {{"Area":"A1","OrderId":1,"LineNo":{line},{fields}}}'


def said(answer: dict[str, Any], name: str = "x") -> list[tuple[str, str | None]]:
    """Return (code, field) of each user error."""
    return [(e["code"], e["field"]) for e in answer["data"][name]["userErrors"]]


NOT_FOUND = [("NOT_FOUND", None)]
FORBIDDEN = [("FORBIDDEN", "article")]
CASES: dict[str, tuple[str, list[Any], list[str], list[str]]] = {
    "update inside": (
        update(INSIDE, 'note: "x"'),
        [],
        [BEFORE.format(1)],
        [f'PATCH {AT.format(1)} {{"Note":"x"}} If-Match'],
    ),
    "update outside": (update(OUTSIDE, 'note: "x"'), NOT_FOUND, [BEFORE.format(2)], []),
    "update of no row": (update(ABSENT, 'note: "x"'), NOT_FOUND, [BEFORE.format(7)], []),
    "update that moves the row out": (
        update(INSIDE, 'note: "x", article: "i2"'),
        FORBIDDEN,
        [BEFORE.format(1)],
        [],
    ),
    "update of the rule's column within the rule": (
        update(INSIDE, 'article: "I1"'),
        [],
        [BEFORE.format(1)],
        [f'PATCH {AT.format(1)} {{"Article":"I1"}} If-Match'],
    ),
    "update with a text that collations may ignore": (
        update(INSIDE, 'article: "i1\\u200b"'),
        FORBIDDEN,
        [BEFORE.format(1)],
        [],
    ),
    "delete inside": (
        delete(INSIDE),
        [],
        [BEFORE.format(1)],
        [f"DELETE {AT.format(1)} If-Match"],
    ),
    "delete outside": (delete(OUTSIDE), NOT_FOUND, [BEFORE.format(2)], []),
    "delete of no row": (delete(ABSENT), NOT_FOUND, [BEFORE.format(7)], []),
    "create inside": (
        create("5", 'article: "i1"'),
        [],
        [],
        [created("5", '"Article":"i1","Price":1')],
    ),
    "create outside": (create("5", 'article: "i2"'), FORBIDDEN, [], []),
    "create without the rule's column": (create("5", 'note: "x"'), FORBIDDEN, [], []),
    "upsert inside": (
        upsert(INSIDE, 'article: "i1", note: "x"'),
        [],
        [BEFORE.format(1)],
        [f'PATCH {AT.format(1)} {{"Article":"i1","Price":1,"Note":"x"}} If-Match'],
    ),
    "upsert of no row": (
        upsert("5", 'article: "i1"'),
        [],
        [BEFORE.format(5)],
        [created("5", '"Article":"i1","Price":1')],
    ),
    "upsert of no row outside": (
        upsert("5", 'article: "i2"'),
        FORBIDDEN,
        [BEFORE.format(5)],
        [],
    ),
}


@pytest.mark.parametrize("can_expand", [True, False], ids=["expand", "no expand"])
@pytest.mark.parametrize("case", CASES)
async def test_a_write_is_bounded_by_the_rule(case: str, *, can_expand: bool) -> None:
    query, errors, reads, writes = CASES[case]
    api = RoleWrites(ROWS, CLERK, can_expand=can_expand)

    answer = await api.ask(f"mutation {{ x: {query} }}")

    assert said(answer) == errors
    assert api.tables.requests == reads
    assert api.tables.writes == writes


@pytest.mark.parametrize("write", [lambda n: update(n, 'note: "x"'), delete])
async def test_a_row_outside_is_as_one_that_is_not_there(write: Any) -> None:
    api = RoleWrites(ROWS, CLERK)

    outside = await api.ask(f"mutation {{ x: {write(OUTSIDE)} }}")

    assert outside == await api.ask(f"mutation {{ x: {write(ABSENT)} }}")
    assert api.rows("Lines") == ROWS["Lines"]


async def test_a_taken_key_of_a_row_outside_is_forbidden_and_no_more() -> None:
    api = RoleWrites(ROWS, CLERK)

    for write in (create, upsert):
        answer = await api.ask(f"mutation {{ x: {write(OUTSIDE, I1)} }}")
        assert said(answer) == [("FORBIDDEN", None)]
    readable = await api.ask(f"mutation {{ x: {create(INSIDE, I1)} }}")

    assert said(readable) == [("DUPLICATE_KEY", None)]
    assert api.rows("Lines") == ROWS["Lines"]


async def test_without_rules_nothing_is_read() -> None:
    everything = role("clerk", {"Lines": writing()})
    operation = (
        f"mutation {{ a: {update(INSIDE, NOTE)} b: {create('5', NOTE)}"
        f" c: {upsert('6', NOTE)} d: {delete(OUTSIDE)} }}"
    )
    free, bounded = RoleWrites(ROWS), RoleWrites(ROWS, everything)

    answers = [await api.ask(operation) for api in (free, bounded)]

    assert answers[0] == answers[1]
    assert (free.tables.requests, free.tables.writes) == (
        bounded.tables.requests,
        bounded.tables.writes,
    )
    assert bounded.tables.requests == []


async def test_an_upsert_by_a_patch_that_may_create_reads_first() -> None:
    api = RoleWrites(ROWS, role("clerk", {"Lines": writing()}), dialect=ODATA)

    await api.ask(f"mutation {{ x: {upsert('6', NOTE)} }}")

    assert api.tables.writes == [created("6", '"Price":1,"Note":"x"')]


async def test_a_row_that_changes_meanwhile_is_not_written() -> None:
    api = RoleWrites(ROWS, CLERK)

    def move() -> None:
        api.tables.rows["Lines"][0].update({"Article": "i2", "@odata.etag": 'W/"99"'})

    api.after_reads = move
    answer = await api.ask(f"mutation {{ x: {update(INSIDE, NOTE)} }}")

    assert said(answer) == [("CONFLICT", None)]
    assert api.rows("Lines")[0]["Note"] == "n"
