"""``changes`` by stamps and twins over the sandbox: pages, rounds, cursors, and what they cost upstream."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from gateway.changes.cursors import FeedCursor, SweepPlace, cursor_text
from gateway.changes.describe import describe_changes
from gateway.config.change_models import ChangeOptions
from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from tests.support.followed import Follower, followed

pytestmark = pytest.mark.anyio
TABLE: dict[str, Any] = {
    "set": "custTableBiEntities",
    "row": "... on CustTableBiEntity { accountNum creditMax }",
}


@pytest.fixture(scope="module")
def changing() -> Starlette:
    return create_sandbox(SandboxSettings())


@pytest.fixture(scope="module")
async def gateway(changing: Starlette) -> AsyncIterator[Gateway]:
    async with followed(changing) as gateway:
        yield gateway


async def write(gateway: Gateway, mutation: str) -> None:
    answer = await gateway.engine.execute(GraphQLRequest(query=f"mutation {{ {mutation} }}"))
    body = answer.to_builtins()
    assert "errors" not in body, body


def limit(account: str, value: int) -> str:
    key = f'key: {{ dataAreaId: "usmf", customerAccount: "{account}" }}'
    return f'updateCustomerV3({key}, patch: {{ creditLimit: "{value}" }}) {{ userErrors {{ message }} }}'


async def test_the_whole_list_comes_page_by_page(gateway: Gateway) -> None:
    client = Follower(gateway, **TABLE, first=100)
    answers = await client.catch_up()

    total = await gateway.engine.execute(
        GraphQLRequest(query='{ custTableBiEntities(companies: ["usmf"]) { totalCount } }')
    )
    assert len(client.rows) == total.to_builtins()["data"]["custTableBiEntities"]["totalCount"]
    assert {row["kind"] for answer in answers for row in answer["upserts"]} == {"CHANGED"}
    assert all(len(answer["upserts"]) <= 100 for answer in answers)
    assert [answer["lag"] for answer in answers[:-1]] == [None] * (len(answers) - 1)
    assert (answers[-1]["hasMore"], answers[-1]["lag"]) == (False, 0.0)


async def test_a_stamp_of_its_own_finds_changes_in_one_request(gateway: Gateway) -> None:
    client = Follower(gateway, **TABLE)
    first = await client.take("now")
    await write(gateway, limit("US-007", 700))

    answer = await client.take()

    assert first["upserts"] == []
    assert [row["node"] for row in answer["upserts"]] == [
        {"accountNum": "US-007", "creditMax": "700"}
    ]
    assert len(client.requests) == 1
    assert (answer["source"], answer["guarantee"], answer["deletesWithin"]) == (
        "STAMP",
        "NONE",
        None,
    )
    assert (await client.take())["upserts"] == []


async def test_a_twin_finds_changed_customers(gateway: Gateway) -> None:
    client = Follower(gateway)
    await client.take("now")
    await write(gateway, limit("US-008", 800))

    answer = await client.take()

    assert (answer["source"], [row["node"] for row in answer["upserts"]]) == (
        "TWIN",
        [{"customerAccount": "US-008", "creditLimit": "800"}],
    )
    assert answer["upserts"][0]["etag"].startswith("W/")
    assert len(client.requests) == 2


async def test_a_hundred_changes_by_a_twin_take_three_requests(gateway: Gateway) -> None:
    client = Follower(gateway)
    filtered = Follower(gateway, where={"creditLimit": {"gt": "1050"}})
    await client.take("now")
    await filtered.take("now")
    for number in range(1, 101):
        await write(gateway, limit(f"US-{number:03}", 1000 + number))

    answer, narrowed = await client.take(), await filtered.take()

    assert len(answer["upserts"]) == 100
    assert len(client.requests) <= 3
    assert len(narrowed["upserts"]) == 50
    assert len(filtered.requests) <= 3


async def test_many_changes_come_in_several_answers(gateway: Gateway) -> None:
    client = Follower(gateway, first=4)
    await client.take("now")
    for number in range(1, 11):
        await write(gateway, limit(f"US-{number:03}", 2000 + number))

    answers = await client.catch_up()

    assert max(len(answer["upserts"]) for answer in answers) == 4
    assert {row["customerAccount"] for row in client.rows.values()} >= {
        f"US-{number:03}" for number in range(1, 11)
    }
    assert answers[0]["lag"] >= 0


async def test_a_cursor_is_for_its_set_filter_and_companies(gateway: Gateway) -> None:
    client = Follower(gateway)
    await client.take("now")
    others = [
        Follower(gateway, **TABLE),
        Follower(gateway, where={"creditLimit": {"gt": "1"}}),
        Follower(gateway, companies=["demf"]),
        Follower(gateway, companies=None),
    ]

    for other in others:
        assert await other.ask(client.cursor) == {}
        assert other.code() == "INVALID_CURSOR"
    for text in ("x", "%", client.cursor[:-6] if client.cursor else "", "a" * 70_000):
        assert await client.ask(text) == {}
        assert client.code() == "INVALID_CURSOR"


@pytest.mark.parametrize(
    "places",
    [
        {"stamp": None},
        {"stamp": None, "sweep": SweepPlace(1)},
        {"sweep": SweepPlace(1 << 60)},
        {"sweep": SweepPlace(1, 2, -1)},
    ],
)
async def test_a_cursor_that_no_feed_has_made_is_refused(
    gateway: Gateway, places: dict[str, Any]
) -> None:
    client = Follower(gateway)
    await client.take("now")
    assert client.cursor is not None
    packed = base64.urlsafe_b64decode(client.cursor + "===")
    forged = replace(msgspec.msgpack.decode(packed, type=FeedCursor), **places)

    assert await client.ask(cursor_text(forged)) == {}
    assert client.code() == "INVALID_CURSOR"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"set": "nothing"}, "BAD_ARGUMENT"),
        ({"first": 0}, "BAD_ARGUMENT"),
        ({"first": 5_000}, "PAGE_LIMIT_EXCEEDED"),
        ({"where": {"nothing": 1}}, "BAD_USER_INPUT"),
        ({"where": {"creditLimit": {"gt": "x"}}}, "BAD_USER_INPUT"),
    ],
)
async def test_wrong_arguments_are_refused(
    gateway: Gateway, change: dict[str, Any], code: str
) -> None:
    client = Follower(gateway, **change)

    assert await client.ask() == {}
    assert (client.code(), client.errors[0]["path"]) == (code, ["changes"])
    assert "$" not in client.errors[0]["message"]


async def test_other_fields_aliases_and_fragments_of_the_operation_hold(gateway: Gateway) -> None:
    query = """query($n: Int, $with: Boolean!) {
      __typename
      a: changes(set: "CustomersV3", first: $n, companies: ["usmf"]) {
        __typename rows: upserts { __typename key: id one: node { ...Customer ... on VendorV3 { id } }
          two: node { __typename id @include(if: $with) ... on VendorV3 { currencyCode } } } source
      }
      customersV3(first: 1, companies: ["usmf"]) { nodes { customerAccount } }
      b: changes(set: "custTableBiEntities", since: "now") @include(if: $with) { hasMore }
    }
    fragment Customer on CustomerV3 { customerAccount group: customerGroup { description } }"""
    request = GraphQLRequest(query=query, variables={"n": 1, "with": False}, cost="include")

    answer = await gateway.engine.execute(request)

    body = answer.to_builtins()
    assert list(body["data"]) == ["__typename", "a", "customersV3"]
    (row,) = body["data"]["a"]["rows"]
    assert (row["one"]["customerAccount"][:3], set(row["two"])) == ("US-", {"__typename"})
    assert row["one"]["group"]["description"]
    assert body["data"]["a"]["__typename"] == "Changes"
    assert body["extensions"]["cost"]["actual"]["requests"] == len(answer.requests)


async def test_an_error_below_a_row_is_at_its_place(gateway: Gateway) -> None:
    query = """{ changes(set: "CustomersV3", first: 2, companies: ["usmf"]) { upserts {
      node { ... on CustomerV3 { salesOrders(first: 5000) { nodes { id } } } } } } }"""

    body = (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()

    assert body["data"] is None or body["errors"][0]["path"][:3] == ["changes", "upserts", 0]
    assert body["errors"][0]["extensions"]["code"] == "PAGE_LIMIT_EXCEEDED"


async def test_an_estimate_sends_nothing(gateway: Gateway) -> None:
    query = '{ changes(set: "CustomersV3") { cursor } }'

    answer = await gateway.engine.execute(GraphQLRequest(query=query, cost="estimate"))

    assert answer.requests == ()
    assert answer.extensions["cost"]["estimated"]["requests"] >= 2


async def test_explain_tells_the_source_and_the_first_requests(gateway: Gateway) -> None:
    query = '{ changes(set: "CustomersV3", since: "now", companies: ["usmf"]) { cursor } }'

    explanation = await explain(gateway, GraphQLRequest(query=query))

    (step,) = explanation.steps
    assert step.how == "customersV3, by sysModifiedDateTime of custTableBiEntities"
    assert step.notes[0] == "source TWIN, guarantee NONE"
    assert [request.text.partition("?")[0] for request in explanation.requests] == [
        "CustTableBiEntities",
        "CustTableBiEntities",
    ]
    wrong = await explain(gateway, GraphQLRequest(query='{ changes(set: "x") { cursor } }'))
    assert wrong.errors[0]["extensions"]["code"] == "BAD_ARGUMENT"


@pytest.mark.parametrize(
    ("name", "options", "described"),
    [
        ("customersV3", {}, "by sysModifiedDateTime of CustTableBiEntities, guarantee NONE"),
        ("CustTableBiEntities", {}, "by sysModifiedDateTime, guarantee NONE"),
        ("vendorsV3", {"swept": ["V*"]}, "of VendTableBiEntities, guarantee DELETES_WITHIN 300 s"),
        ("customerGroups", {}, "by sweeps over etags, guarantee DELETES_WITHIN 300 s"),
        ("customerGroups", {"by_values": ["CustomerGroups"]}, "by sweeps over values"),
    ],
)
def test_why_tells_the_guarantee(
    gateway: Gateway, name: str, options: dict[str, Any], described: str
) -> None:
    settings = Settings(changes=ChangeOptions(**options))

    text = describe_changes(gateway.catalog, settings, gateway.dialect, name)

    assert text is not None
    assert described in text
    closed = Settings(changes=ChangeOptions(enabled=False))
    assert describe_changes(gateway.catalog, closed, gateway.dialect, name) is None
    assert describe_changes(gateway.catalog, settings, gateway.dialect, "customerV3") is None
