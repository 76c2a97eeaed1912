r"""Account numbers without the escapes of display values: ``US-009`` here, ``US\-009`` on the wire, both ways."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.settings import Settings
from gateway.errors import SettingsError, UpstreamMalformed
from gateway.operations.value_conversion import account_number, display_value
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from tests.support.changing_metadata import csdl
from tests.support.pages import page

pytestmark = pytest.mark.anyio
ROOT = "https://x.example/data"
ACCOUNT = "Line.AccountDisplayValue"


@dataclass
class Journal:
    """A service of one line."""

    gateway: Gateway = field(init=False)
    account: Any = "US\\-009"
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        address = unquote(str(request.url)).removeprefix(f"{ROOT}/")
        if address == "$metadata":
            document = csdl("AccountDisplayValue", "DimensionDisplayValue", sets=("Lines",))
            return httpx.Response(200, text=document)
        body = json.loads(request.content or b"{}")
        self.asked.append((request.method, address, body))
        row = {
            "Id": "1",
            "AccountDisplayValue": self.account,
            "DimensionDisplayValue": "a\\-b-c",
        }
        if request.method == "POST":
            self.account = body["AccountDisplayValue"]
            return httpx.Response(201, json={**row, **body})
        is_row = request.url.path.endswith(")")
        return httpx.Response(200, json=row if is_row else {"value": [row]})

    async def ask(self, query: str, **variables: Any) -> Any:
        request = GraphQLRequest(query=query, variables=variables)
        return (await self.gateway.engine.execute(request)).to_builtins()


@asynccontextmanager
async def opened(*accounts: str, dialect: str = "odata") -> AsyncIterator[Journal]:
    found = Journal()
    settings = Settings.model_validate(
        {
            "url": ROOT,
            "auth": "none",
            "dialect": dialect,
            "cache_dir": None,
            "language": "none",
            "account_numbers": accounts,
        }
    )
    transport = httpx.MockTransport(found.answer)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        found.gateway = gateway
        yield found


@pytest.fixture
async def journal() -> AsyncIterator[Journal]:
    async with opened(ACCOUNT) as found:
        yield found


@given(st.text())
def test_every_number_comes_back(number: str) -> None:
    assert account_number(display_value(number)) == number


@given(st.lists(st.text("aB0/\\ .", max_size=5) | st.just("\\-"), max_size=6).map("".join))
def test_every_display_value_of_one_segment_comes_back(raw: str) -> None:
    assert display_value(account_number(raw)) == raw


@given(st.text("a0-\\", max_size=8), st.text("a0-\\", max_size=8))
def test_a_part_of_a_number_is_a_part_of_its_display_value(before: str, part: str) -> None:
    assert display_value(part) in display_value(before + part + before)


@pytest.mark.parametrize("raw", ["605120-001-022", "US\\-009-1", "-"])
def test_a_value_of_several_segments_is_no_number(raw: str) -> None:
    with pytest.raises(UpstreamMalformed, match="several segments"):
        account_number(raw)


QUERY = "{ lines { nodes { accountDisplayValue dimensionDisplayValue } } }"


async def test_without_the_setting_display_values_come_as_they_are() -> None:
    async with opened() as journal:
        answer = await journal.ask(QUERY)

    row = {"accountDisplayValue": "US\\-009", "dimensionDisplayValue": "a\\-b-c"}
    assert answer == {"data": {"lines": {"nodes": [row]}}}


async def test_account_numbers_lose_escapes_and_other_values_do_not(
    journal: Journal,
) -> None:
    row = {"accountDisplayValue": "US-009", "dimensionDisplayValue": "a\\-b-c"}

    assert await journal.ask(QUERY) == {"data": {"lines": {"nodes": [row]}}}


@pytest.mark.parametrize("nothing", [None, ""])
async def test_no_number_stays_none(journal: Journal, nothing: Any) -> None:
    journal.account = nothing

    answer = await journal.ask(QUERY)

    assert answer["data"]["lines"]["nodes"][0]["accountDisplayValue"] == nothing


async def test_a_ledger_account_is_an_error_at_its_field(journal: Journal) -> None:
    journal.account = "605120-001-022"

    answer = await journal.ask(QUERY)

    row = {"accountDisplayValue": None, "dimensionDisplayValue": "a\\-b-c"}
    assert answer["data"] == {"lines": {"nodes": [row]}}
    (error,) = answer["errors"]
    assert error["path"] == ["lines", "nodes", 0, "accountDisplayValue"]
    assert error["extensions"]["code"] == "UPSTREAM_MALFORMED"
    assert "account_numbers" in error["extensions"]["hint"]


@pytest.mark.parametrize(
    ("dialect", "operator", "sent"),
    [
        ("odata", '{ eq: "US-009" }', "AccountDisplayValue eq 'US\\-009'"),
        (
            "odata",
            '{ in: ["US-009", "1"] }',
            "AccountDisplayValue eq 'US\\-009' or AccountDisplayValue eq '1'",
        ),
        ("odata", '{ startsWith: "US-" }', "startswith(AccountDisplayValue,'US\\-')"),
        ("finops", '{ startsWith: "US-" }', "AccountDisplayValue eq 'US\\-*'"),
        ("finops", '{ contains: "-0" }', "AccountDisplayValue eq '*\\-0*'"),
        ("finops", '{ ne: "US-009" }', "AccountDisplayValue ne 'US\\-009'"),
    ],
)
async def test_filters_take_numbers(dialect: str, operator: str, sent: str) -> None:
    async with opened(ACCOUNT, dialect=dialect) as journal:
        query = f"{{ lines(where: {{ accountDisplayValue: {operator} }}) {{ nodes {{ id }} }} }}"
        answer = await journal.ask(query)

    assert "errors" not in answer
    (address,) = (address for _, address, _ in journal.asked if address.startswith("Lines"))
    assert f"$filter={sent}&" in address


async def test_inputs_take_numbers_and_what_comes_back_is_one(journal: Journal) -> None:
    answer = await journal.ask("""mutation { createLine(input: {
      rowId: "2", accountDisplayValue: "US-010", dimensionDisplayValue: "x\\\\-y-z"
    }) { line { accountDisplayValue } } }""")

    assert answer == {"data": {"createLine": {"line": {"accountDisplayValue": "US-010"}}}}
    posted = next(body for method, _, body in journal.asked if method == "POST")
    assert posted == {
        "Id": "2",
        "AccountDisplayValue": "US\\-010",
        "DimensionDisplayValue": "x\\-y-z",
    }


async def test_pages_go_on_where_rows_are_ordered_by_numbers(journal: Journal) -> None:
    query = """query ($after: String) { lines(first: 1, after: $after, orderBy: [{ accountDisplayValue: ASC }]) {
      pageInfo { startCursor } } }"""
    cursor = (await journal.ask(query))["data"]["lines"]["pageInfo"]["startCursor"]

    await journal.ask(query, after=cursor)

    assert "AccountDisplayValue gt 'US\\-009'" in journal.asked[-1][1]


@pytest.mark.parametrize("place", ["Line", "Line.Nothing", "Nothing.AccountDisplayValue", ""])
async def test_a_name_that_is_not_there_stops_the_start(place: str) -> None:
    with pytest.raises(SettingsError, match="account_numbers"):
        async with opened(place):
            pass


async def test_the_documented_example_fits_the_sandbox() -> None:
    (example,) = re.findall(r"`account_numbers = \[\"(.+?)\"\]`", page("querying"))
    settings = Settings(language=None, account_numbers=(example,), companies=("usmf",))
    query = """query ($where: VendorPaymentJournalLineWhere) {
      vendorPaymentJournalLines(first: 1, where: $where) { nodes { accountDisplayValue } }
    }"""

    async with open_gateway(settings, observe=lambda _: None) as gateway:

        async def number(where: dict[str, Any]) -> str:
            request = GraphQLRequest(query=query, variables={"where": where})
            answer = (await gateway.engine.execute(request)).to_builtins()
            (line,) = answer["data"]["vendorPaymentJournalLines"]["nodes"]
            return str(line["accountDisplayValue"])

        first = await number({})
        again = await number({"accountDisplayValue": {"eq": first}})

    assert example == "VendorPaymentJournalLine.AccountDisplayValue"
    assert re.fullmatch(r"US-\d+", first)
    assert again == first
