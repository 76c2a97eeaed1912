"""WebSockets and event streams of a profile: its changes and its limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from gateway.config.setting_models import Profile
from gateway.sandbox import create_sandbox
from tests.support.event_stream import asked
from tests.support.manual_clock import until
from tests.support.sockets import PATIENCE
from tests.support.streaming import Served, serving, subscribe

pytestmark = pytest.mark.anyio
PROFILES = {
    "usmf": Profile(
        sets=("CustomersV3", "CustomerGroups"),
        companies=("usmf",),
        read_only=True,
        introspection=False,
        max_depth=4,
        max_aliases=1,
    ),
    "vendors": Profile(sets=("VendorsV2",)),
}
CHANGES = 'subscription { entityChanged(set: "customersV3") { kind node { ... on CustomerV3 { dataAreaId } } } }'
RENAME = """mutation ($company: String!, $account: String!, $alias: String!) {
  updateCustomerV3(key: { dataAreaId: $company, customerAccount: $account }, patch: { nameAlias: $alias }) {
    userErrors { message }
  }
}"""
FIRST = '{ customersV3(first: 1, companies: ["%s"]) { nodes { customerAccount } } }'
DEEP = "{ customersV3(first: 1) { nodes { customerGroup { customerGroupId customers { totalCount } } } } }"
REFUSED = [
    ('subscription { entityChanged(set: "vendorsV2") { id } }', "BAD_ARGUMENT"),
    (
        'subscription { entityChanged(set: "customersV3", where: { vendor: 1 }) { id } }',
        "BAD_USER_INPUT",
    ),
    ('subscription { entityChanged(set: "customersV3") { a: id b: id } }', "BUDGET_EXCEEDED"),
    (DEEP, "BUDGET_EXCEEDED"),
    ("{ a: __typename b: __typename }", "BUDGET_EXCEEDED"),
    ("{ vendorsV2 { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ __schema { queryType { name } } }", "INTROSPECTION_DISABLED"),
    (
        "mutation { updateCustomersV3(input: []) { userErrors { code } } }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
]


@pytest.fixture(scope="module")
async def whole() -> AsyncIterator[Served]:
    """A gateway with profiles, over a sandbox whose rows may be changed."""
    async with serving(create_sandbox(), [], profiles=PROFILES) as served:
        yield served


@pytest.fixture
def served(whole: Served) -> Served:
    return whole.profile("usmf")


async def post(served: Served, query: str, **variables: Any) -> Any:
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        address = f"http://127.0.0.1:{served.port}{served.path}"
        answer = await http.post(address, json={"query": query, "variables": variables})
    return answer.json()


async def rename(whole: Served, company: str, alias: str) -> None:
    """Change a customer by the API of the whole catalogue: the profile may not."""
    rows = (await post(whole, FIRST % company))["data"]["customersV3"]["nodes"]
    account = rows[0]["customerAccount"]
    done = await post(whole, RENAME, company=company, account=account, alias=alias)
    assert done["data"]["updateCustomerV3"]["userErrors"] == []


HEARD = {"kind": "UPDATED", "node": {"dataAreaId": "usmf"}}


async def test_websocket_gets_changes_of_the_profiles_companies(
    whole: Served, served: Served
) -> None:
    async with served.begun() as ws:
        await ws.say(subscribe(CHANGES))
        await served.watched()
        await rename(whole, "demf", "By a socket")
        await rename(whole, "usmf", "By a socket")

        heard = await ws.hear()
        assert heard["payload"] == {"data": {"entityChanged": HEARD}}


async def test_stream_gets_changes_of_the_profiles_companies(whole: Served, served: Served) -> None:
    async with asked(served, CHANGES) as stream:
        await served.watched()
        await rename(whole, "demf", "By a stream")
        await rename(whole, "usmf", "By a stream")

        heard = (await stream.event()).removeprefix("event: next\ndata: ")
        assert json.loads(heard) == {"data": {"entityChanged": HEARD}}


@pytest.mark.parametrize(("query", "code"), REFUSED)
async def test_websocket_has_the_profiles_limits(served: Served, query: str, code: str) -> None:
    async with served.begun() as ws:
        await ws.say(subscribe(query))
        heard = await ws.hear()

    errors = heard["payload"] if heard["type"] == "error" else heard["payload"]["errors"]
    assert [error["extensions"]["code"] for error in errors] == [code]


@pytest.mark.parametrize(("query", "code"), REFUSED)
async def test_event_stream_has_the_profiles_limits(served: Served, query: str, code: str) -> None:
    async with asked(served, query) as stream:
        heard = (await stream.event()).removeprefix("event: next\ndata: ")

    assert [error["extensions"]["code"] for error in json.loads(heard)["errors"]] == [code]


async def test_profiles_poll_for_themselves(whole: Served, served: Served) -> None:
    query = 'subscription { entityChanged(set: "customersV3", companies: ["usmf"]) { id } }'
    async with asked(whole, query), asked(served, query), asked(served, query):
        await until(lambda: whole.hub.watches == 2)


async def test_unknown_profile_has_no_websocket(whole: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with whole.profile("nobody").begun():
            pass

    assert refused.value.response.status_code == 403
