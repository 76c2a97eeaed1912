"""Explain of subscriptions shows the requests of a poll and how changed rows are read, and sends nothing."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.odata.render import readable_url
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.subscriptions.start import ActiveSubscription, start_subscription
from tests.support.stamped_service import guides

pytestmark = pytest.mark.anyio
FILTER = re.compile(r"&\$filter=[^&]*")
MOMENT = re.compile(r"(?<=SysModifiedDateTime ge )[\d:.TZ-]+")
CUSTOMERS = """subscription ($group: String, $first: Int) {
  entityChanged(set: "CustomersV3", where: { customerGroupId: { eq: $group } }) {
    kind
    node {
      ... on CustomerV3 {
        customerAccount
        salesOrders(first: $first) { nodes { salesOrderNumber } }
      }
    }
  }
}"""
GUIDES = 'subscription { entityChanged(set: "guides", where: { title: { ne: "x" } }) { id } }'


def asked(query: str, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(query=query, variables=variables, companies=("usmf",))


def begin(gateway: Gateway, request: GraphQLRequest) -> ActiveSubscription:
    return start_subscription(gateway, gateway.engine.read(request), gateway.settings.subscriptions)


async def looks(gateway: Gateway, request: GraphQLRequest, times: int) -> list[list[str]]:
    """Poll what a subscription watches; return what each poll sent."""
    sent: list[list[str]] = []

    async def ask(own: GraphQLRequest) -> Answer:
        answer = await gateway.engine.execute_unlogged(own)
        sent[-1] += map(readable_url, answer.requests)
        return answer

    poll = begin(gateway, request).poll(
        gateway.settings.subscriptions, ask, time.time, lambda _: None
    )
    for _ in range(times):
        sent.append([])
        await poll.changes()
    return sent


async def test_requests_are_those_of_a_poll_by_etag(sandboxed: Gateway) -> None:
    request = asked(CUSTOMERS, group="10", first=2)

    explanation = await explain(sandboxed, request)
    sent = await looks(sandboxed, request, 1)

    assert [[r.text for r in explanation.requests]] == sent
    assert "CustomerGroupId eq '10'" in sent[0][0]
    assert "etags of all rows, 1,000 a request, at most 5,000" in explanation.text()


async def test_requests_are_those_of_a_further_poll_by_stamp(tmp_path: Path) -> None:
    async with guides(tmp_path, lambda _: None) as gateway:
        explanation = await explain(gateway, asked(GUIDES))
        first, further = await looks(gateway, asked(GUIDES), 2)

    (request,) = explanation.requests
    assert [MOMENT.sub("…", request.text)] == [MOMENT.sub("…", text) for text in further]
    assert MOMENT.search(request.text)
    assert len(first) == 2
    assert (
        "whose sysModifiedDateTime is at least that of the newest change minus 30 s"
        in explanation.text()
    )
    assert "changed rows are not read" in explanation.text()


async def test_changed_rows_are_read_as_shown_for_one(sandboxed: Gateway) -> None:
    request = asked(CUSTOMERS, group="10", first=2)
    query = "{ customersV3(first: 2) { nodes { id } } }"
    rows = (await sandboxed.engine.execute_unlogged(asked(query))).to_builtins()["data"][
        "customersV3"
    ]
    changed = begin(sandboxed, request).rows([row["id"] for row in rows["nodes"]])

    (step,) = (await explain(sandboxed, request)).steps
    answer = await sandboxed.engine.execute_unlogged(changed)

    (node,) = step.below
    (orders,) = node.below
    assert (step.field, node.field, orders.field) == ("entityChanged", "node", "salesOrders")
    assert node.how.startswith("CustomersV3 by key, up to 500 changed rows at once")
    assert "dataAreaId eq {dataAreaId} and CustomerAccount eq {CustomerAccount}" in (
        node.request or ""
    )
    # But for the filter, it is what is sent for all changed rows.
    shown = [FILTER.sub("", below.request or "") for below in (node, orders)]
    assert shown == [FILTER.sub("", readable_url(sent)) for sent in answer.requests]


ACCOUNTS = ", ".join(f'"{number:06}"' for number in range(2_500))
LONG = f"""subscription {{
  entityChanged(set: "customersV3", where: {{ customerAccount: {{ nin: [{ACCOUNTS}] }} }}) {{ id }}
}}"""
REFUSED = [
    ('subscription { entityChanged(set: "no") { id } }', {}, "BAD_ARGUMENT"),
    ('subscription { entityChanged(set: "node") { id } }', {}, "BAD_ARGUMENT"),
    ('subscription { entityChanged(set: "customersV3") { no } }', {}, "GRAPHQL_VALIDATION_FAILED"),
    (CUSTOMERS, {"group": 5}, "BAD_USER_INPUT"),
    (
        'subscription { entityChanged(set: "customersV3", where: { no: 1 }) { id } }',
        {},
        "BAD_USER_INPUT",
    ),
    (LONG, {}, "BAD_ARGUMENT"),
]


@pytest.mark.parametrize(("query", "variables", "code"), REFUSED)
async def test_subscription_that_cannot_begin_has_errors(
    sandboxed: Gateway, query: str, variables: dict[str, Any], code: str
) -> None:
    explanation = await explain(sandboxed, asked(query, **variables))

    assert [error["extensions"]["code"] for error in explanation.errors] == [code]
    assert explanation.text().startswith("error: ")


async def test_rows_that_cannot_be_read_are_shown(sandboxed: Gateway) -> None:
    explanation = await explain(sandboxed, asked(CUSTOMERS, group="10", first=5_000))

    assert explanation.failed
    assert explanation.steps[0].below[0].how.startswith("fails: PAGE_LIMIT_EXCEEDED")


FAMILY = """<?xml version="1.0"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Animal" Abstract="true">
    <Key><PropertyRef Name="No"/></Key><Property Name="No" Type="Edm.Guid" Nullable="false"/>
  </EntityType>
  <EntityType Name="Cat" BaseType="N.Animal"><Property Name="Lives" Type="Edm.Int32"/></EntityType>
  <EntityType Name="Dog" BaseType="N.Animal"><Property Name="Tricks" Type="Edm.Int32"/></EntityType>
  <EntityContainer Name="C"><EntitySet Name="Animals" EntityType="N.Animal"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>
"""


@pytest.fixture
async def untouchable(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway over another service, which fails the test when it is asked anything."""

    def touched(request: httpx.Request) -> httpx.Response:
        pytest.fail(f"explain sent {request.url}")

    document = tmp_path / "metadata.xml"
    document.write_text(FAMILY, "utf-8")
    settings = Settings(url="https://v4.example/odata", metadata=str(document), dialect="odata")
    transport = httpx.MockTransport(touched)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as opened:
        yield opened


async def test_rows_of_several_types_are_shown_for_each(
    untouchable: Gateway,
) -> None:
    query = """subscription {
      entityChanged(set: "animals") { row: node { ... on Cat { lives } ... on Dog { tricks } } }
    }"""
    explanation = await explain(untouchable, GraphQLRequest(query=query))

    (step,) = explanation.steps
    assert [(below.field, below.request) for below in step.below] == [
        ("row on Cat", "Animals?$select=N.Cat/Lives,No&$filter=No eq {No}"),
        ("row on Dog", "Animals?$select=N.Dog/Tricks,No&$filter=No eq {No}"),
    ]
    assert [request.text.partition("&$orderby")[0] for request in explanation.requests] == [
        "Animals?$select=No"
    ]
