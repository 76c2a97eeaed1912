"""``changes`` by sweeps over the sandbox: what they find, what they cost, and what is no deletion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.followed import Follower, followed, set_clock, store_of

pytestmark = pytest.mark.anyio
GROUPS: dict[str, Any] = {
    "set": "CustomerGroups",
    "row": "... on CustomerGroup { customerGroupId description }",
}


@pytest.fixture(scope="module")
def changing() -> Starlette:
    return create_sandbox(SandboxSettings())


@pytest.fixture(scope="module")
async def gateway(
    changing: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("data")
    async with followed(
        changing,
        data_dir=folder,
        changes={"swept": ["CustomersV3"], "by_values": ["PaymentTerms"], "sweep_interval": 60},
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def clock(gateway: Gateway) -> list[float]:
    now = [2_000_000_000.0]
    set_clock(gateway, now)
    return now


def group(name: str, description: str = "a group") -> dict[str, Any]:
    return {"dataAreaId": "usmf", "CustomerGroupId": name, "Description": description}


async def test_sweeps_find_created_changed_and_deleted_rows(
    gateway: Gateway, changing: Starlette, clock: list[float]
) -> None:
    store = store_of(changing)
    client = Follower(gateway, **GROUPS)
    (first,) = await client.catch_up()
    store.insert("CustomerGroups", [group("S1"), group("S2"), group("S3")])
    assert (await client.take())["upserts"] == []
    clock[0] += 61

    found = await client.take()
    store.delete("CustomerGroups", dataAreaId="usmf", CustomerGroupId="S2")
    clock[0] += 61
    gone = await client.take()

    assert (first["source"], first["guarantee"], first["deletesWithin"]) == (
        "ETAGS",
        "DELETES_WITHIN",
        60,
    )
    assert {(row["kind"], row["node"]["customerGroupId"]) for row in found["upserts"]} == {
        ("CREATED", "S1"),
        ("CREATED", "S2"),
        ("CREATED", "S3"),
    }
    assert [row["reason"] for row in gone["deletes"]] == ["DELETED"]
    assert {row["customerGroupId"] for row in client.rows.values()} >= {"S1", "S3"}
    assert "S2" not in {row["customerGroupId"] for row in client.rows.values()}
    for name in ("S1", "S3"):
        store.delete("CustomerGroups", dataAreaId="usmf", CustomerGroupId=name)


async def test_a_changed_row_has_its_new_values(gateway: Gateway, clock: list[float]) -> None:
    client = Follower(gateway, **GROUPS)
    clock[0] += 61
    await client.take("now")
    mutation = """mutation { updateCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "10" },
      patch: { description: "Changed" }) { userErrors { message } } }"""
    await gateway.engine.execute(GraphQLRequest(query=mutation))
    clock[0] += 61

    answer = await client.take()

    assert [(r["kind"], r["node"]["description"]) for r in answer["upserts"]] == [
        ("UPDATED", "Changed")
    ]
    assert answer["lag"] == 0.0


async def test_those_who_follow_the_same_share_a_sweep(
    gateway: Gateway, clock: list[float]
) -> None:
    one, other = Follower(gateway, **GROUPS, first=2), Follower(gateway, **GROUPS)
    clock[0] += 61
    await one.take("now")
    sweeping = len(one.requests)
    await other.take("now")

    assert (sweeping, len(other.requests)) == (1, 0)


async def test_a_row_that_leaves_the_filter_is_not_deleted(
    gateway: Gateway, clock: list[float]
) -> None:
    client = Follower(gateway, **GROUPS, where={"description": {"eq": "Kept"}})
    mutation = """mutation($to: String) { updateCustomerGroup(
      key: { dataAreaId: "usmf", customerGroupId: "20" }, patch: { description: $to }) {
      userErrors { message } } }"""

    async def describe(text: str) -> None:
        variables = {"to": text}
        await gateway.engine.execute(GraphQLRequest(query=mutation, variables=variables))
        clock[0] += 61

    await describe("Kept")
    other = await Follower(gateway, **GROUPS).ask("now")
    assert other["resyncRequired"] is False
    await client.catch_up()
    # Else the last row of a company would leave, which may be another thing.
    mutation = mutation.replace("20", "30")
    await describe("Kept")
    assert len((await client.take())["upserts"]) == 1
    await describe("Other")

    answer = await client.take()

    assert [row["reason"] for row in answer["deletes"]] == ["FILTERED"]


async def test_values_are_compared_where_etags_do_not_tell(
    gateway: Gateway, changing: Starlette, clock: list[float]
) -> None:
    client = Follower(gateway, set="PaymentTerms", row="... on PaymentTerm { name description }")
    await client.catch_up()
    name = next(iter(client.rows.values()))["name"]
    mutation = f"""mutation {{ updatePaymentTerm(key: {{ dataAreaId: "usmf", name: "{name}" }},
      patch: {{ description: "Later" }}) {{ userErrors {{ message }} }} }}"""
    await gateway.engine.execute(GraphQLRequest(query=mutation))
    clock[0] += 61

    answer = await client.take()

    assert (answer["source"], [row["node"]["description"] for row in answer["upserts"]]) == (
        "VALUES",
        ["Later"],
    )


async def test_a_company_that_is_gone_is_no_deletion(
    gateway: Gateway, changing: Starlette, clock: list[float]
) -> None:
    store = store_of(changing)
    client = Follower(gateway, **GROUPS, companies=["usmf", "demf"], first=3)
    await client.catch_up()
    rows = store.rows("CustomerGroups", dataAreaId="demf")
    store.delete("CustomerGroups", dataAreaId="demf")
    clock[0] += 61

    answer = await client.take()
    await client.catch_up()
    store.insert("CustomerGroups", rows)

    assert (answer["resyncRequired"], answer["deletes"], answer["hasMore"]) == (True, [], True)
    assert len(client.rows) == len(store.rows("CustomerGroups", dataAreaId="usmf"))


async def test_a_list_with_stamps_can_be_swept_for_deletions(
    gateway: Gateway, changing: Starlette, clock: list[float]
) -> None:
    store = store_of(changing)
    client = Follower(gateway)
    first = (await client.catch_up())[0]
    (row,) = store.rows("CustomersV3", dataAreaId="usmf", CustomerAccount="US-004")
    (table,) = store.rows("CustTableBiEntities", dataAreaId="usmf", AccountNum="US-004")
    store.delete("CustomersV3", dataAreaId="usmf", CustomerAccount="US-004")
    store.delete("CustTableBiEntities", dataAreaId="usmf", AccountNum="US-004")
    clock[0] += 61

    answer = await client.take()
    store.insert("CustomersV3", [row])
    store.insert("CustTableBiEntities", [table])

    assert (first["source"], first["guarantee"]) == ("TWIN", "DELETES_WITHIN")
    assert [row["reason"] for row in answer["deletes"]] == ["DELETED"]


async def test_a_restart_continues_with_the_stored_sweeps(
    changing: Starlette, tmp_path: Path
) -> None:
    store = store_of(changing)
    settings: dict[str, Any] = {"data_dir": tmp_path, "changes": {"sweep_interval": 0}}
    async with followed(changing, **settings) as before:
        client = Follower(before, **GROUPS)
        await client.catch_up()
    store.insert("CustomerGroups", [group("R1")])

    async with followed(changing, **settings) as after:
        client.gateway = after
        answer = await client.take()
    store.delete("CustomerGroups", dataAreaId="usmf", CustomerGroupId="R1")

    assert [row["node"]["customerGroupId"] for row in answer["upserts"]] == ["R1"]
    async with followed(changing, changes={"sweep_interval": 0}) as elsewhere:
        client.gateway = elsewhere
        assert (await client.take())["resyncRequired"]


async def test_a_list_that_is_too_long_is_refused(changing: Starlette) -> None:
    async with followed(changing, changes={"max_swept_rows": 2}) as gateway:
        client = Follower(gateway, **GROUPS)
        assert await client.ask() == {}
        assert client.code() == "BUDGET_EXCEEDED"
