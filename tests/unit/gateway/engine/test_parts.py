"""Parts of display values over a sandbox: what is read for them, what roles see of them, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.explain.explain import explain
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.runtime.role_views import build_view, row_rules
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.policy import RoleView
from tests.support.cases import builtins_of, engine, requests_of
from tests.support.observers import raise_bugs
from tests.support.roles import SEALER

pytestmark = pytest.mark.anyio
ACCOUNTS = "accountParts { mainAccount account dimensions { name value } }"
LINES = f"{{ ledgerJournalLines(first: 100) {{ nodes {{ accountDisplayValue {ACCOUNTS} }} }} }}"
DEFAULTS = "{ customersV3(first: 2) { nodes { defaultDimensionParts { dimensions { value } } } } }"
FORMATS, PARAMETERS = "DimensionIntegrationFormats", "DimensionParameters"


def masked(mask: str) -> dict[str, Any]:
    return {"sets": {"LedgerJournalLines": {"masks": {"AccountDisplayValue": mask}}}}


ROLES: dict[str, Any] = {
    "plain": {"sets": {"LedgerJournalLines": {"create": True}}},
    "no-account": {"sets": {"LedgerJournalLines": {"deny_columns": ["AccountDisplayValue"]}}},
    "no-type": {"sets": {"LedgerJournalLines": {"deny_columns": ["AccountType"]}}},
    **{mask: masked(mask) for mask in ("null", "hash", "last4")},
}


class Answers(httpx.AsyncBaseTransport):
    """A sandbox that answers some sets otherwise."""

    def __init__(self) -> None:
        self._sandbox = httpx.ASGITransport(create_sandbox(SandboxSettings(seed=1)))
        self.instead: dict[str, httpx.Response] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        instead = self.instead.get(request.url.path.rpartition("/")[2])
        return await self._sandbox.handle_async_request(request) if instead is None else instead


@pytest.fixture(scope="module")
async def over() -> AsyncIterator[tuple[Gateway, Answers]]:
    answers = Answers()
    settings = Settings.model_validate({"language": None, "cache_dir": None, "roles": ROLES})
    async with open_gateway(settings, transport=answers, observe=raise_bugs) as gateway:
        yield gateway, answers


@pytest.fixture
def gateway(over: tuple[Gateway, Answers]) -> Gateway:
    over[1].instead.clear()
    over[0].client.formats.forget()
    return over[0]


async def answer(
    by: Engine, query: str, *, fresh: bool = False, **variables: Any
) -> tuple[dict[str, Any], list[str]]:
    """Return the answer, and the addresses of its requests."""
    request = GraphQLRequest(
        query=query, variables=variables, companies=("usmf",), fresh=fresh, allow_mutation=True
    )
    result = await by.execute(request)
    return builtins_of(result), [line.partition("?")[0] for line in requests_of(result)]


async def test_formats_are_read_once_and_never_without_need(gateway: Gateway) -> None:
    by = engine(gateway)

    _, plain = await answer(by, "{ ledgerJournalLines { nodes { accountDisplayValue } } }")
    _, first = await answer(by, LINES)
    _, second = await answer(by, DEFAULTS)
    _, again = await answer(by, DEFAULTS, fresh=True)

    assert plain == ["LedgerJournalLines"]
    assert sorted(first) == [FORMATS, PARAMETERS, "LedgerJournalLines"]
    assert second == ["CustomersV3"]
    assert sorted(again) == ["CustomersV3", FORMATS, PARAMETERS]


async def test_both_ways_of_completion_divide_alike(gateway: Gateway) -> None:
    fast, _ = await answer(engine(gateway), LINES)
    slow, _ = await answer(engine(gateway, compiled=False), LINES)

    assert fast == slow
    parts = [node["accountParts"] for node in fast["data"]["ledgerJournalLines"]["nodes"]]
    assert {part["mainAccount"] is None for part in parts} == {True, False}
    assert all((part["mainAccount"] is None) is (part["account"] is not None) for part in parts)


async def test_cost_and_explain_know_of_the_formats(gateway: Gateway) -> None:
    by = gateway.engine
    request = GraphQLRequest(query=DEFAULTS, companies=("usmf",))

    before = await explain(gateway, request)
    await answer(by, DEFAULTS)
    after = await explain(gateway, request)

    assert [r.text.partition("?")[0] for r in before.requests[1:]] == [FORMATS, PARAMETERS]
    assert "read once for the environment, and used for 300 s" in before.steps[-1].how
    assert len(after.requests) == 1
    assert "nothing is sent for them" in after.steps[-1].how
    assert before.cost is not None
    assert after.cost is not None
    assert (before.cost.requests, after.cost.requests) == (3, 1)


def rows(*values: Mapping[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"value": list(values)})


def ledger(text: str) -> httpx.Response:
    kind = "DataEntityLedgerDimensionFormat"
    row = {"DimensionFormatType": kind, "FinancialDimensionFormat": text, "IsActive": "Yes"}
    return rows(row)


WRONG: dict[str, tuple[dict[str, httpx.Response], str, str]] = {
    "no format": ({FORMATS: rows()}, "UPSTREAM_MALFORMED", "no active dimension format"),
    "no parameters": ({PARAMETERS: rows()}, "UPSTREAM_MALFORMED", "which delimiter"),
    "another order": (
        {FORMATS: ledger("MainAccount-BusinessUnit")},
        "UPSTREAM_MALFORMED",
        "it has 3 segments, and the active format has 2: MainAccount, BusinessUnit",
    ),
    "no rights": ({FORMATS: httpx.Response(403)}, "UPSTREAM_FORBIDDEN", "could not be read"),
    "no such set": ({PARAMETERS: httpx.Response(404)}, "UPSTREAM_REJECTED", "could not be read"),
    "no rows": (
        {FORMATS: httpx.Response(200, json={"value": 1})},
        "UPSTREAM_MALFORMED",
        "rows of DimensionIntegrationFormats were requested",
    ),
}


@pytest.mark.parametrize(("instead", "code", "message"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_divided_is_an_error_of_its_field(
    over: tuple[Gateway, Answers],
    gateway: Gateway,
    instead: dict[str, httpx.Response],
    code: str,
    message: str,
) -> None:
    over[1].instead.update(instead)
    query = """{ ledgerJournalLines(first: 1, where: {accountType: {eq: LEDGER}}) {
      nodes { accountType accountParts { mainAccount } } } }"""

    result, _ = await answer(engine(gateway), query)

    assert result["data"]["ledgerJournalLines"]["nodes"] == [
        {"accountType": "LEDGER", "accountParts": None}
    ]
    (error,) = result["errors"]
    assert error["path"] == ["ledgerJournalLines", "nodes", 0, "accountParts"]
    assert error["extensions"]["code"] == code
    assert message in error["message"]


async def test_an_underscore_needs_the_names_of_dimensions(
    over: tuple[Gateway, Answers], gateway: Gateway
) -> None:
    over[1].instead[PARAMETERS] = rows({"DimensionSegmentDelimiter": "Underscore"})
    over[1].instead[FORMATS] = ledger("MainAccount_Department")

    result, requests = await answer(engine(gateway), LINES.replace("100", "1"))

    assert min(requests) == "DimensionAttributes"
    (line,) = result["data"]["ledgerJournalLines"]["nodes"]
    assert line["accountParts"]["mainAccount"] == line["accountDisplayValue"]


def view(gateway: Gateway, role: str) -> Engine:
    assert gateway.policy is not None
    return build_view(gateway, RoleView(gateway.policy, [role]), row_rules(gateway), SEALER).engine


@pytest.mark.parametrize("role", ["no-account", "no-type"])
async def test_parts_are_hidden_with_their_columns(gateway: Gateway, role: str) -> None:
    query = "{ ledgerJournalLines(first: 1) { nodes { offsetAccountParts { account } accountParts { account } } } }"

    result, requests = await answer(view(gateway, role), query)

    assert [e["message"].partition(".")[0] for e in result["errors"]] == [
        "Cannot query field 'accountParts' on type 'LedgerJournalLine'"
    ]
    assert requests == []


@pytest.mark.parametrize("role", ["null", "hash", "last4"])
async def test_parts_of_masked_values_are_masked(gateway: Gateway, role: str) -> None:
    result, _ = await answer(view(gateway, role), LINES.replace("100", "5"))

    for line in result["data"]["ledgerJournalLines"]["nodes"]:
        text, parts = line["accountDisplayValue"], line["accountParts"]
        if role == "null":
            assert (text, parts) == (None, None)
        else:
            assert parts == {"mainAccount": None, "dimensions": [], "account": text}


async def test_parts_are_written_by_who_may_write_the_value(gateway: Gateway) -> None:
    mutation = """mutation ($line: LedgerJournalLineCreateInput!) {
      createLedgerJournalLine(input: $line) { ledgerJournalLine { accountDisplayValue } userErrors { message } } }"""
    line = {
        "journalBatchNumber": "00001",
        "lineNumber": "900",
        "accountType": "LEDGER",
        "currencyCode": "USD",
        "accountParts": {"mainAccount": "600150"},
    }

    written, _ = await answer(view(gateway, "plain"), mutation, line=line)
    refused, requests = await answer(view(gateway, "no-type"), mutation, line=line)

    assert written["data"]["createLedgerJournalLine"]["ledgerJournalLine"] == {
        "accountDisplayValue": "600150--"
    }
    assert "errors" in refused
    assert requests == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "both": (
        {"accountParts": {"mainAccount": "6"}, "accountDisplayValue": "6"},
        "input.accountParts and its display value are both set.",
    ),
    "another type": (
        {"accountParts": {"mainAccount": "6"}, "accountType": "VEND"},
        "input.accountParts belongs to another account than one of the ledger",
    ),
    "an unknown dimension": (
        {"defaultDimensionParts": {"dimensions": [{"name": "Region", "value": "1"}]}},
        "input.defaultDimensionParts.dimensions[0]: the environment has no dimension Region",
    ),
}


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED)
async def test_parts_that_make_no_value_are_not_sent(
    gateway: Gateway, values: dict[str, Any], message: str
) -> None:
    mutation = """mutation ($line: LedgerJournalLineCreateInput!) {
      createLedgerJournalLine(input: $line) { userErrors { message } } }"""
    line = {"journalBatchNumber": "00001", "lineNumber": "901", **values}

    result, requests = await answer(engine(gateway), mutation, line=line)

    (error,) = result["errors"]
    assert error["extensions"]["code"] == "BAD_ARGUMENT"
    assert error["message"].startswith(message)
    assert set(requests) <= {FORMATS, PARAMETERS}


async def test_explain_of_a_write_sends_nothing_to_learn_the_order(gateway: Gateway) -> None:
    mutation = """mutation { createLedgerJournalLine(input: {journalBatchNumber: "00001", lineNumber: "902"
      accountParts: {mainAccount: "6"}}) { userErrors { message } } }"""
    request = GraphQLRequest(query=mutation, companies=("usmf",), allow_mutation=True)
    unread = replace(gateway, engine=engine(gateway))

    before = await explain(unread, request)
    await answer(unread.engine, DEFAULTS)
    after = await explain(unread, request)

    assert before.failed
    assert '"AccountDisplayValue":"6--"' in "\n".join(after.requests[0].lines())
