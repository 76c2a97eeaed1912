"""What several roles give together, presets, groups of writes, and what refusals tell."""

from __future__ import annotations

from typing import Any

import pytest

from schema.policy import Mask, Right, SetGrant
from tests.support.role_writes import RoleWrites, role, writing
from tests.support.roles import caller
from tests.unit.gateway.writes.test_role_writes import (
    AT,
    CLERK,
    I1,
    INSIDE,
    NOTE,
    OUTSIDE,
    ROWS,
    create,
    created,
    delete,
    said,
    update,
    upsert,
)

pytestmark = pytest.mark.anyio
CREATE, UPDATE, DELETE = Right.CREATE, Right.UPDATE, Right.DELETE
IS_I1 = {"article": {"eq": "i1"}}
IS_I2 = {"article": {"eq": "i2"}}
BLUE = "colour: BLUE"
PRESET = role(
    "clerk", {"Lines": writing(presets={"Note": "$claims.note", "Colour": "BLUE", "Area": "A1"})}
)


def codes(answer: dict[str, Any], name: str) -> list[str]:
    return [e["code"] for e in answer["data"][name]["userErrors"]]


# Presets


async def test_presets_are_written_with_every_row() -> None:
    api = RoleWrites(ROWS, PRESET)
    new = 'createLine(input: { orderId: 1, lineNo: "5", price: "1" }) { userErrors { code } }'

    await api.ask(f"mutation {{ a: {new} b: {update(INSIDE, I1)} }}", by=caller(note="mine"))

    assert api.tables.writes == [
        'POST Lines {"OrderId":1,"LineNo":5,"Price":1,"Area":"A1","Note":"mine","Colour":"Blue"}',
        f'PATCH {AT.format(1)} {{"Article":"i1","Note":"mine","Colour":"Blue"}}',
    ]


async def test_a_preset_without_a_value_refuses_the_write() -> None:
    api = RoleWrites(ROWS, PRESET)

    answer = await api.ask(f"mutation {{ a: {update(INSIDE, I1)} }}", by=caller(note=5))

    assert codes(answer, "a") == ["FORBIDDEN"]
    assert codes(await api.ask(f"mutation {{ a: {update(INSIDE, I1)} }}"), "a") == ["FORBIDDEN"]
    assert api.rows("Lines") == ROWS["Lines"]


async def test_a_preset_makes_a_row_pass_the_rule() -> None:
    api = RoleWrites(ROWS, role("clerk", {"Lines": writing(IS_I1, presets={"Article": "i1"})}))

    answer = await api.ask(f"mutation {{ x: {create('5', NOTE)} y: {update(INSIDE, NOTE)} }}")

    assert said(answer) == []
    assert api.tables.writes == [
        created("5", '"Price":1,"Note":"x","Article":"i1"'),
        f'PATCH {AT.format(1)} {{"Note":"x","Article":"i1"}} If-Match',
    ]


@pytest.mark.parametrize(
    ("fields", "note"), [(NOTE, "x"), ('note: "A"', "A"), (I1, "A")], ids=["own", "same", "none"]
)
async def test_roles_whose_presets_replace_a_value_come_last(fields: str, note: str) -> None:
    presetting = role("a", {"Lines": writing(presets={"Note": "A"})})
    api = RoleWrites(ROWS, presetting, role("b", {"Lines": writing()}))

    await api.ask(f"mutation {{ x: {create('5', fields)} y: {update(INSIDE, fields)} }}")

    assert [row["Note"] for row in api.rows("Lines")] == [note, "n", note]


# Several roles

ROLES_BY_CELL = (
    role("a", {"Lines": writing(columns=("Note", "Price"))}),
    role("b", {"Lines": writing(IS_I1, columns=("Colour", "Article", "Price"))}),
)


@pytest.mark.parametrize(
    ("line", "patch", "error"),
    [
        (INSIDE, f"{NOTE}, {BLUE}", []),
        (INSIDE, NOTE, []),
        (OUTSIDE, NOTE, []),
        (OUTSIDE, BLUE, [("FORBIDDEN", "colour")]),
        (OUTSIDE, f"{NOTE}, {BLUE}", [("FORBIDDEN", "colour")]),
        (INSIDE, 'article: "i2"', [("FORBIDDEN", "article")]),
        (INSIDE, f'{NOTE}, article: "i2"', [("FORBIDDEN", "article")]),
        ("7", BLUE, [("NOT_FOUND", None)]),
    ],
)
async def test_a_cell_is_changed_if_one_role_gives_row_and_column(
    line: str, patch: str, error: list[Any]
) -> None:
    api = RoleWrites(ROWS, *ROLES_BY_CELL)

    answer = await api.ask(f"mutation {{ x: {update(line, patch)} }}")

    assert said(answer) == error
    assert len(api.tables.writes) == (not error)


async def test_a_new_row_needs_one_role_for_all_of_it() -> None:
    api = RoleWrites(ROWS, *ROLES_BY_CELL)

    answer = await api.ask(f"mutation {{ x: {create('5', f'{NOTE}, {I1}')} }}")

    assert said(answer) == [("FORBIDDEN", "article")]
    assert api.tables.writes == []


async def test_only_roles_with_the_right_count() -> None:
    updating = role("a", {"Lines": writing(IS_I1, UPDATE)})
    api = RoleWrites(ROWS, updating, role("b", {"Lines": writing(IS_I2, DELETE)}))

    answer = await api.ask(
        f"mutation {{ a: {update(INSIDE, NOTE)} b: {update(OUTSIDE, NOTE)}"
        f" c: {delete(INSIDE)} d: {delete(OUTSIDE)} }}"
    )

    assert [codes(answer, n) for n in "abcd"] == [[], ["NOT_FOUND"], ["NOT_FOUND"], []]


async def test_a_role_that_reads_less_takes_no_right_away() -> None:
    reading = role("a", {"Lines": SetGrant(columns=writing(deny=("Note",)).columns)})
    masking = role("c", {"Lines": SetGrant(masks={"Note": Mask.NULL})})
    api = RoleWrites(ROWS, reading, role("b", {"Lines": writing(IS_I1)}), masking)

    answer = await api.ask(
        f"mutation {{ x: {update(INSIDE, NOTE)} y: {update(OUTSIDE, NOTE)}"
        f" z: {create('5', f'{NOTE}, {I1}')} }}"
    )

    assert [codes(answer, n) for n in "xyz"] == [[], ["NOT_FOUND"], []]


@pytest.mark.parametrize(("text", "error"), [("a", []), ("b", ["NOT_FOUND"])])
async def test_rules_over_relations_are_decided_by_the_upstream(
    text: str, error: list[str]
) -> None:
    related = role("a", {"Lines": writing({"order": {"text": {"eq": text}}})})
    api = RoleWrites(ROWS, related, role("b", {"Lines": writing(IS_I2)}))

    answer = await api.ask(f"mutation {{ x: {update(INSIDE, NOTE)} }}")

    assert codes(answer, "x") == error
    assert len(api.tables.requests) == (1 if error else 2)


async def test_a_new_row_cannot_pass_a_rule_over_relations() -> None:
    api = RoleWrites(ROWS, role("a", {"Lines": writing({"order": {"text": {"eq": "a"}}})}))

    answer = await api.ask(f"mutation {{ x: {create('5', NOTE)} }}")

    assert said(answer) == [("FORBIDDEN", None)]


# Versions


@pytest.mark.parametrize(
    ("if_match", "error"), [('W/\\"1\\"', []), ("*", []), ('W/\\"0\\"', [("CONFLICT", None)])]
)
async def test_the_version_of_the_caller_is_that_of_the_row(if_match: str, error: Any) -> None:
    api = RoleWrites({"Lines": ROWS["Lines"]}, CLERK)

    answer = await api.ask(
        f"""mutation {{ x: {update(INSIDE, NOTE, f', ifMatch: "{if_match}"')} }}"""
    )

    assert said(answer) == error
    assert api.tables.writes == ([] if error else [f'PATCH {AT.format(1)} {{"Note":"x"}} If-Match'])


async def test_a_service_without_versions_is_read_first_all_the_same() -> None:
    api = RoleWrites(ROWS, CLERK, versions=False)

    answer = await api.ask(f"mutation {{ x: {update(INSIDE, NOTE)} y: {update(OUTSIDE, NOTE)} }}")

    assert [codes(answer, n) for n in "xy"] == [[], ["NOT_FOUND"]]


@pytest.mark.parametrize(
    ("line", "error", "requests"), [("1", [], 0), ("2", ["NOT_FOUND"], 0), ("3", ["NOT_FOUND"], 0)]
)
async def test_a_key_that_decides_the_rule_is_not_read(
    line: str, error: list[str], requests: int
) -> None:
    api = RoleWrites(ROWS, role("a", {"Lines": writing({"lineNo": {"in": ["1", "3"]}})}))

    answer = await api.ask(f"mutation {{ x: {update(line, NOTE)} }}")

    assert codes(answer, "x") == error
    assert len(api.tables.requests) == requests
    assert len(api.tables.writes) == (line != "2")


# Groups of writes


@pytest.mark.parametrize(
    "second", [update(OUTSIDE, NOTE), delete("7"), create("5", NOTE), upsert("5", 'article: "i2"')]
)
async def test_a_refused_row_refuses_its_changeset_unsent(second: str) -> None:
    api = RoleWrites(ROWS, CLERK)

    answer = await api.ask(f"mutation @atomic {{ a: {update(INSIDE, NOTE)} b: {second} }}")

    assert codes(answer, "a") == ["ROLLED_BACK"]
    assert codes(answer, "b") in (["NOT_FOUND"], ["FORBIDDEN"])
    assert api.tables.writes == []


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ((update(INSIDE, NOTE), update(INSIDE, BLUE)), [[], []]),
        ((update(INSIDE, NOTE), delete(INSIDE)), [[], []]),
        ((create("5", I1), update("5", NOTE)), [[], []]),
        ((create("5", I1), update("5", 'article: "i2"')), [["ROLLED_BACK"], ["FORBIDDEN"]]),
        ((delete(INSIDE), update(INSIDE, NOTE)), [["ROLLED_BACK"], ["NOT_FOUND"]]),
        ((delete(INSIDE), create(INSIDE, I1)), [[], []]),
        ((upsert("5", I1), upsert("5", f"{I1}, {NOTE}")), [[], []]),
    ],
)
async def test_rows_of_a_changeset_are_checked_in_their_order(
    writes: tuple[str, str], expected: list[list[str]]
) -> None:
    api = RoleWrites(ROWS, CLERK)

    answer = await api.ask(f"mutation @atomic {{ a: {writes[0]} b: {writes[1]} }}")

    assert [codes(answer, n) for n in "ab"] == expected
    assert len(api.tables.writes) == (2 if expected == [[], []] else 0)
    # The version is that before the changeset: its first write of a row names it.
    assert all("If-Match" not in write for write in api.tables.writes[1:])


async def test_a_refused_row_refuses_the_rows_written_with_it() -> None:
    api = RoleWrites(ROWS, CLERK)
    rows = [
        {"area": "A1", "orderId": 1, "lineNo": n, "price": "1", "article": a}
        for n, a in (("5", "i1"), ("6", "i2"))
    ]
    query = """mutation ($rows: [LineCreateInput!]!) {
      createLines(input: $rows) { results { userErrors { code path } } }
      upsertLines(input: $rows) { results { userErrors { code path } } } }"""

    answer = await api.ask(query, {"rows": rows})

    for name in ("createLines", "upsertLines"):
        results = [r["userErrors"] for r in answer["data"][name]["results"]]
        assert results == [
            [{"code": "ROLLED_BACK", "path": ["input", "1", "article"]}],
            [{"code": "FORBIDDEN", "path": ["input", "1", "article"]}],
        ]
    assert api.tables.writes == []


ORDER = """mutation {{ x: createOrder(input: {{ area: "A1", orderId: {number}, text: "a",
  lines: {{ create: [
    {{ lineNo: "1", price: "1", article: "i1" }}, {{ lineNo: "2", price: "1", article: "{article}" }}] }}
}}) {{ userErrors {{ code path }} }} }}"""
ORDERS = {"Lines": writing(IS_I1, CREATE), "Orders": writing({"text": {"eq": "a"}}, CREATE)}


@pytest.mark.parametrize("size", [100, 1], ids=["changeset", "header first"])
async def test_rows_below_a_new_row_pass_their_own_rule(size: int) -> None:
    api = RoleWrites(ROWS, role("clerk", ORDERS), changeset_size=size)

    refused = await api.ask(ORDER.format(number=5, article="i2"))
    assert refused["data"]["x"]["userErrors"] == [
        {"code": "FORBIDDEN", "path": ["input", "lines", "create", "1", "article"]}
    ]
    assert api.tables.writes == []
    answer = await api.ask(ORDER.format(number=5, article="i1"))

    assert answer == {"data": {"x": {"userErrors": []}}}
    assert len(api.tables.writes) == 3


async def test_what_was_created_is_taken_back_without_the_right_to_delete() -> None:
    api = RoleWrites(ROWS, role("clerk", ORDERS), changeset_size=1)
    api.tables.refusing["Lines"] = "The line is wrong."

    answer = await api.ask(ORDER.format(number=5, article="i1"))

    assert codes(answer, "x") == ["BUSINESS_RULE", "ROLLED_BACK"]
    assert api.rows("Orders") == ROWS["Orders"]


async def test_rows_below_do_not_exist_without_the_right() -> None:
    api = RoleWrites(ROWS, role("clerk", {"Orders": writing()}))

    answer = await api.ask(ORDER.format(number=5, article="i1"))

    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


# What refusals tell


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("The note is too long.", True),
        ("Field 'Colour' must be filled in.", False),
        ("The COLOUR Red is not allowed.", False),
        ("The colours are fine.", True),
    ],
)
async def test_texts_about_hidden_columns_are_replaced(text: str, *, shows: bool) -> None:
    api = RoleWrites(ROWS, role("clerk", {"Lines": writing(deny=("Colour",))}))
    api.tables.refusing["Lines"] = text

    for operation in ("mutation", "mutation @atomic"):
        answer = await api.ask(f"{operation} {{ x: {update(INSIDE, NOTE)} }}")
        (error,) = answer["data"]["x"]["userErrors"]
        assert (error["message"] == text) is shows
        assert shows or "colour" not in str(answer).casefold()


async def test_a_hidden_column_of_the_rule_is_not_named() -> None:
    api = RoleWrites(ROWS, role("clerk", {"Lines": writing(IS_I1, deny=("Article",))}))

    answer = await api.ask(f"mutation {{ x: {create('5', NOTE)} }}")

    assert said(answer) == [("FORBIDDEN", None)]
    assert "rticle" not in str(answer)


async def test_a_row_that_leaves_the_rule_upstream_is_written_and_not_shown() -> None:
    api = RoleWrites(ROWS, CLERK)
    query = f"mutation {{ x: {update(INSIDE, NOTE)} }}".replace(
        "userErrors", "line { note } etag userErrors"
    )

    def leave() -> None:
        api.tables.rows["Lines"][0]["Article"] = "i2"

    api.after_writes = leave
    answer = await api.ask(query)

    assert answer["data"]["x"] == {"line": None, "etag": None, "userErrors": []}


async def test_undeclared_properties_stay_undeclared() -> None:
    api = RoleWrites({"Items": []}, role("clerk", {"Items": writing()}))
    query = """mutation ($rest: JSON) {
      x: createItem(input: { itemId: "a", additionalProperties: $rest }) { userErrors { code } } }"""

    rest: dict[str, Any]
    for rest in ({"weight": 1}, {"Lines@odata.bind": []}, {"Weight": 2}):
        answer = await api.ask(query, {"rest": rest})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"
    await api.ask(query, {"rest": {"More": 1}})

    assert api.rows("Items") == [{"ItemId": "a", "More": 1}]


async def test_a_list_tells_no_more_of_rows_outside() -> None:
    api = RoleWrites(ROWS, CLERK)
    rows = [{"area": "A1", "orderId": 1, "lineNo": n, "price": "1", "article": "i1"} for n in "125"]
    query = """mutation ($rows: [LineCreateInput!]!) {
      upsertLines(input: $rows) { results { userErrors { code message } } } }"""

    answer = await api.ask(query, {"rows": rows})

    results = [r["userErrors"] for r in answer["data"]["upsertLines"]["results"]]
    codes_of_rows = [[e["code"] for e in errors] for errors in results]
    assert sorted(codes_of_rows) == [["FORBIDDEN"], ["ROLLED_BACK"], ["ROLLED_BACK"]]
    assert "exists" not in str(answer)
    assert [write.split(" ")[0] for write in api.tables.writes] == ["PATCH", "POST"]
    assert api.rows("Lines") == ROWS["Lines"]


async def test_a_text_about_another_row_of_the_changeset_is_replaced() -> None:
    hiding = {"Lines": writing(deny=("Colour",)), "Orders": writing()}
    api = RoleWrites(ROWS, role("clerk", hiding))
    api.tables.refusing["Orders"] = "Field 'Colour' must be filled in."
    order = 'updateOrder(key: { area: "A1", orderId: 1 }, patch: { number: 5 }) { userErrors { message } }'

    answer = await api.ask(f"mutation @atomic {{ a: {update(INSIDE, NOTE)} b: {order} }}")

    assert "Colour" not in str(answer)
    assert len(api.tables.writes) == 2
