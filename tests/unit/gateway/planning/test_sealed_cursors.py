"""Cursors under roles show nothing, and are of use to nobody else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.identity.caller import Caller
from gateway.odata.dialect import ODATA
from gateway.storage.sealing import Sealer
from schema.policy import Role
from tests.support.memory_odata import Tables
from tests.support.roles import caller, grant, role, ruled_zoo
from tests.support.zoo_model import DECLARED, KEYS, NAVS, Zoo, schema_of

pytestmark = pytest.mark.anyio
SCHEMA = schema_of(ODATA)
CLERK = role("clerk", {"Orders": grant({"area": {"in": "$claims.areas"}})})
WHOLE, OTHER = role("whole", {}), role("other", {})
REFUSED = {
    "message": "after: this cursor is not valid for this list.",
    "code": "INVALID_CURSOR",
}
ORDERS = {
    "by key": "",
    "by text": ", orderBy: [{ text: DESC }]",
    "by enum": ", orderBy: [{ uid: ASC }]",
}


def zoo_of(*roles: Role) -> Zoo:
    zoo = ruled_zoo("odata", *roles, schema=SCHEMA)
    uid = "6f1a4b0e-8d1c-4f0e-9b59-0d4b3c7a2f1"
    rows = {
        "Orders": [
            {"Area": "A1", "OrderId": n, "Text": f"secret {n}", "Uid": f"{uid}{n}"}
            for n in range(5)
        ],
        "Lines": [],
        "Parties": [],
        "Items": [],
    }
    zoo.tables = Tables(rows, KEYS, NAVS, DECLARED)
    return zoo


async def page(zoo: Zoo, asking: Caller, after: str | None = None, order: str = "") -> Any:
    query = (
        f"query($after: String) {{ orders(first: 2, after: $after{order})"
        " { nodes { orderId } pageInfo { endCursor } edges { cursor } } }"
    )
    answer = await zoo.execute(query, {"after": after}, caller=asking)
    return answer.to_builtins()


async def first_cursor(zoo: Zoo, asking: Caller, order: str = "") -> str:
    cursor: str = (await page(zoo, asking, order=order))["data"]["orders"]["pageInfo"]["endCursor"]
    return cursor


def refusal(answer: Any) -> dict[str, str]:
    (error,) = answer["errors"]
    return {"message": error["message"], "code": error["extensions"]["code"]}


@pytest.mark.parametrize("order", ORDERS)
async def test_a_cursor_leads_on_and_shows_nothing(order: str) -> None:
    zoo, asking = zoo_of(CLERK), caller(areas=["A1"])

    cursor = await first_cursor(zoo, asking, ORDERS[order])
    second = await page(zoo, asking, cursor, ORDERS[order])

    assert len(second["data"]["orders"]["nodes"]) == 2
    raw = base64.urlsafe_b64decode(cursor + "==")
    for word in (b"secret", b"A1", b"6f1a"):
        assert word not in raw


async def test_equal_pages_have_equal_cursors_in_every_process() -> None:
    cursors = {await first_cursor(zoo_of(CLERK), caller(areas=["A1"])) for _ in range(2)}

    assert len(cursors) == 1


@pytest.mark.parametrize(
    ("roles", "asking"),
    [
        ((CLERK,), caller(areas=["A1", "B2"])),
        ((CLERK, WHOLE), caller(areas=["A1"])),
        ((OTHER,), caller(areas=["A1"])),
    ],
)
async def test_a_cursor_of_another_scope_or_view_is_refused(
    roles: tuple[Role, ...], asking: Caller
) -> None:
    foreign = await first_cursor(zoo_of(*roles), asking)

    assert refusal(await page(zoo_of(CLERK), caller(areas=["A1"]), foreign)) == REFUSED


async def test_a_cursor_of_another_view_without_rules_is_refused() -> None:
    foreign = await first_cursor(zoo_of(WHOLE), Caller())

    assert "errors" not in await page(zoo_of(WHOLE), Caller(), foreign)
    assert refusal(await page(zoo_of(OTHER), Caller(), foreign)) == REFUSED


async def test_claims_that_no_rule_uses_do_not_bind_a_cursor() -> None:
    cursor = await first_cursor(zoo_of(CLERK), caller(areas=["A1"], nonce=1))

    assert "errors" not in await page(zoo_of(CLERK), caller(areas=["A1"], nonce=2), cursor)


@pytest.mark.parametrize(
    "forged",
    ["", "x", "=", "not base64!", "AAAA", "é", "lAHECAAAAAAAAAAAAKJBMQE", "A" * 5_000],
)
async def test_every_forged_cursor_is_refused_alike(forged: str) -> None:
    assert refusal(await page(zoo_of(CLERK), caller(areas=["A1"]), forged)) == REFUSED


async def test_a_changed_cursor_and_one_of_another_order_are_refused_alike() -> None:
    zoo, asking = zoo_of(CLERK), caller(areas=["A1"])
    cursor = await first_cursor(zoo, asking)

    changed = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
    by_text = ORDERS["by text"]
    assert refusal(await page(zoo, asking, changed)) == REFUSED
    assert refusal(await page(zoo, asking, cursor, by_text)) == REFUSED


async def test_an_old_key_opens_and_a_foreign_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = caller(areas=["A1"])
    cursor = await first_cursor(zoo_of(CLERK), asking)

    monkeypatch.setattr("tests.support.roles.SEALER", Sealer(b"new", [b"a secret of the tests"]))
    assert "errors" not in await page(zoo_of(CLERK), asking, cursor)
    monkeypatch.setattr("tests.support.roles.SEALER", Sealer(b"new"))
    assert refusal(await page(zoo_of(CLERK), asking, cursor)) == REFUSED
