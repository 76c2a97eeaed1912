"""``company_limit`` everywhere else: representations, services, nested rows, ``@valueFrom``, subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.setting_models import FederationOptions
from gateway.config.settings import Settings
from gateway.planning.change_queries import WATCH, find_change_query
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox

pytestmark = pytest.mark.anyio
ERRORS = "userErrors { code }"


@pytest.fixture(scope="module")
def own_sandbox() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture
async def bounded(own_sandbox: Starlette) -> AsyncIterator[Gateway]:
    """A gateway that may do everything but leave one company."""
    settings = Settings(
        cache_dir=None,
        language="none",
        company_limit=("usmf",),
        federation=FederationOptions(enabled=True),
    )
    transport = httpx.ASGITransport(own_sandbox)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as opened:
        yield opened


async def ask(gateway: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    request = GraphQLRequest(query=query, variables=variables, companies=("demf",))
    answer: dict[str, Any] = (await gateway.engine.execute(request)).to_builtins()
    return answer


async def test_representations_outside_the_limit_are_null(bounded: Gateway) -> None:
    query = """query($all: [_Any!]!) {
      _entities(representations: $all) { ... on CustomerV3 { dataAreaId } }
    }"""
    rows = [("demf", "DE-001"), ("usmf", "US-001")]
    all_of = [
        {"__typename": "CustomerV3", "dataAreaId": company, "customerAccount": account}
        for company, account in rows
    ]

    assert await ask(bounded, query, all=all_of) == {
        "data": {"_entities": [None, {"dataAreaId": "usmf"}]}
    }


async def test_a_service_of_another_company_is_not_called(
    bounded: Gateway, own_sandbox: Starlette
) -> None:
    sent = len(own_sandbox.state.requests)
    call = f'mutation {{ a: postLedgerJournal(company: "demf", journalBatchNumber: "1") {{ {ERRORS} }} }}'

    answer = await ask(bounded, call)

    assert [e["extensions"]["code"] for e in answer["errors"]] == ["FORBIDDEN"]
    assert len(own_sandbox.state.requests) == sent
    inside = await ask(bounded, call.replace("demf", "usmf"))
    assert "FORBIDDEN" not in str(inside)
    assert len(own_sandbox.state.requests) > sent


@pytest.mark.parametrize("key", ["", 'journalBatchNumber: "L1", '])
async def test_rows_below_a_row_outside_are_not_written(
    bounded: Gateway, own_sandbox: Starlette, key: str
) -> None:
    """With the header's key in one changeset, without it one after the other."""
    before = own_sandbox.state.store.rows("LedgerJournalHeaders", dataAreaId="demf")
    create = f"""mutation {{
      a: createLedgerJournalHeader(input: {{
        {key}journalName: "GenJrn",
        ledgerJournalLine: {{ create: [{{ lineNumber: "1", accountType: LEDGER, currencyCode: "USD" }}] }}
      }}) {{ {ERRORS} }}
    }}"""

    answer = await ask(bounded, create)

    assert "errors" not in answer, answer
    assert {e["code"] for e in answer["data"]["a"]["userErrors"]} == {"FORBIDDEN"}
    assert own_sandbox.state.store.rows("LedgerJournalHeaders", dataAreaId="demf") == before


async def test_value_of_an_earlier_row_cannot_reach_outside(
    bounded: Gateway, own_sandbox: Starlette
) -> None:
    """The account of a first row, inside, may name a company; what it names is judged when it is known."""
    text = f"""mutation($company: String! @valueFrom(path: "a.customerGroupId")) {{
      a: createCustomerGroup(input: {{
        dataAreaId: "usmf", customerGroupId: "demf", description: "x"
      }}) {{ customerGroup {{ customerGroupId }} {ERRORS} }}
      b: createCustomerGroup(input: {{
        dataAreaId: $company, customerGroupId: "V2", description: "x"
      }}) {{ {ERRORS} }}
    }}"""

    answer = await ask(bounded, text)

    assert answer["data"]["a"]["userErrors"] == [], answer
    assert [e["code"] for e in answer["data"]["b"]["userErrors"]] == ["FORBIDDEN"]
    assert own_sandbox.state.store.rows("CustomerGroups", CustomerGroupId="V2") == []


@pytest.mark.parametrize(("header", "sees"), [("demf", False), ("usmf", True)])
async def test_watch_polls_inside_the_limit(bounded: Gateway, header: str, sees: bool) -> None:
    of = find_change_query(bounded.catalog, "customersV3")
    request = GraphQLRequest(
        query=of.rows,
        variables={"first": 5, "where": {}},
        companies=(header,),
        operation_name=WATCH,
    )

    answer = (await bounded.engine.execute(request)).to_builtins()

    assert bool(answer["data"]["rows"]["nodes"]) is sees
