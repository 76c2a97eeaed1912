"""The header `Idempotency-Key`: a mutation that is sent again is not run again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.held import Held
from tests.support.stores import spoil_store

pytestmark = pytest.mark.anyio
CREATE = """mutation ($name: String!) {
  createLedgerJournalHeader(input: {journalName: "GenJrn", description: $name, dataAreaId: "usmf"}) {
    ledgerJournalHeader { journalBatchNumber description }
    userErrors { code }
  }
}"""
COUNT = """query ($name: String!) {
  ledgerJournalHeaders(where: {description: {eq: $name}}, companies: ["usmf"]) { totalCount }
}"""


def settings(data_dir: Path, **values: Any) -> Settings:
    return Settings.model_validate({"cache_dir": None, "data_dir": data_dir, **values})


@asynccontextmanager
async def client_of(
    data_dir: Path, upstream: httpx.AsyncBaseTransport | None = None, **values: Any
) -> AsyncIterator[Client]:
    async with (
        serving(settings(data_dir, **values), upstream=upstream) as (app, events),
        calling(app, events) as client,
    ):
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with client_of(tmp_path) as client:
        yield client


async def create(client: Client, name: str, key: str, accept: str = GRAPHQL) -> httpx.Response:
    body = {"query": CREATE, "variables": {"name": name}}
    return await client.post(body, accept=accept, Idempotency_Key=key)


async def count(client: Client, name: str) -> int:
    answer = await client.post({"query": COUNT, "variables": {"name": name}})
    return int(answer.json()["data"]["ledgerJournalHeaders"]["totalCount"])


async def test_the_first_answer_is_given_again(client: Client) -> None:
    first = await create(client, "once", "k-1")
    body = {"query": f"# another layout\n{CREATE}", "variables": {"name": "once"}}
    second = await client.post(body, Idempotency_Key='"k-1"')
    other = await create(client, "once", "k-2")

    assert first.json()["data"]["createLedgerJournalHeader"]["userErrors"] == []
    assert "idempotent-replayed" not in first.headers
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["idempotent-replayed"] == "true"
    assert other.json() != first.json()
    assert await count(client, "once") == 2


@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
async def test_another_input_is_refused(client: Client, accept: str) -> None:
    await create(client, "a", "k")
    refused = await create(client, "b", "k", accept)
    company = await client.post(
        {"query": CREATE, "variables": {"name": "a"}}, Idempotency_Key="k", X_D365_Company="demf"
    )

    assert (refused.status_code, code_of(refused)) == (422, "IDEMPOTENCY_MISMATCH")
    assert (company.status_code, code_of(company)) == (422, "IDEMPOTENCY_MISMATCH")
    assert await count(client, "b") == 0


@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
async def test_one_that_runs_is_not_run_beside(tmp_path: Path, accept: str) -> None:
    upstream = Held(holds=lambda request: request.method != "GET")
    async with client_of(tmp_path, upstream) as client:
        first = asyncio.create_task(create(client, "race", "k", accept))
        await upstream.holding.wait()
        refused = await asyncio.gather(*(create(client, "race", "k", accept) for _ in range(3)))
        upstream.let_go.set()
        written = await first

        assert written.status_code == 200
        assert await count(client, "race") == 1
    for answer in refused:
        assert (answer.status_code, code_of(answer)) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert answer.headers["retry-after"] == "1"


async def test_a_refusal_before_anything_was_sent_frees_the_key(client: Client) -> None:
    refused, answer = [
        await client.post({"query": text, "variables": {"name": "free"}}, Idempotency_Key="k")
        for text in (CREATE.replace(', dataAreaId: "usmf"', ""), CREATE)
    ]

    assert refused.json()["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"
    assert answer.json()["data"]["createLedgerJournalHeader"]["userErrors"] == []
    assert await count(client, "free") == 1


async def test_a_refusal_of_the_service_is_an_answer(client: Client) -> None:
    query = CREATE.replace("GenJrn", "no such journal")
    answers = [
        await client.post({"query": query, "variables": {"name": "bad"}}, Idempotency_Key="k")
        for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["data"]["createLedgerJournalHeader"]["userErrors"]
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None, "true"]


async def test_nothing_is_written_while_the_store_is_away(client: Client, tmp_path: Path) -> None:
    spoil_store(tmp_path)
    refused = await create(client, "away", "k")

    assert (refused.status_code, code_of(refused)) == (503, "STORE_UNAVAILABLE")
    assert refused.headers["retry-after"] == "5"
    assert str(tmp_path) not in refused.text
    assert await count(client, "away") == 0


async def test_without_a_store_a_key_is_refused(tmp_path: Path) -> None:
    async with client_of(tmp_path, store="none") as client:
        refused = await create(client, "none", "k")

        assert (refused.status_code, code_of(refused)) == (400, "UNSUPPORTED_QUERY")
        assert await count(client, "none") == 0


@pytest.mark.parametrize("key", ["", '""', "two words", "a,\tb", "x" * 256, 'half"'])
async def test_what_is_no_key_is_refused(client: Client, key: str) -> None:
    refused = await create(client, "no key", key)

    assert (refused.status_code, code_of(refused)) == (400, "BAD_REQUEST")
    assert await count(client, "no key") == 0


async def test_a_run_that_was_killed_is_not_repeated(client: Client, tmp_path: Path) -> None:
    await create(client, "killed", "k")
    with closing(sqlite3.connect(tmp_path / "store" / "gateway.db")) as store, store:
        store.execute("UPDATE idempotency_keys SET sealed = NULL, leased_until = 0")
    refused = await create(client, "killed", "k")

    assert (refused.status_code, code_of(refused)) == (400, "OUTCOME_UNKNOWN")
    assert await count(client, "killed") == 1


UNIQUE = CREATE.replace(
    'dataAreaId: "usmf"}', 'dataAreaId: "usmf", integrationKey: $name}, uniqueBy: "integrationKey"'
)


@pytest.mark.parametrize("by", ["header", "argument"])
async def test_a_killed_run_with_natural_keys_runs_again(
    client: Client, tmp_path: Path, by: str
) -> None:
    name = f"unique {by}"
    query = UNIQUE if by == "header" else UNIQUE.replace("uniqueBy", 'idempotencyKey: "k" uniqueBy')
    header = {"Idempotency_Key": "k"} if by == "header" else {}
    body = {"query": query, "variables": {"name": name}}
    first = await client.post(body, **header)
    with closing(sqlite3.connect(tmp_path / "store" / "gateway.db")) as store, store:
        store.execute("UPDATE idempotency_keys SET sealed = NULL, leased_until = 0")
    second = await client.post(body, **header)

    assert first.json()["data"]["createLedgerJournalHeader"]["userErrors"] == []
    assert second.json() == first.json()
    assert "idempotent-replayed" not in second.headers
    assert await count(client, name) == 1


async def test_queries_ignore_the_key(client: Client, tmp_path: Path) -> None:
    for name in ("a", "b"):
        body = {"query": COUNT, "variables": {"name": name}}
        assert (await client.post(body, Idempotency_Key="k")).status_code == 200

    assert not (tmp_path / "store").exists()


JOURNAL = """mutation ($name: String!, $journal: String! @valueFrom(path: "ALIAS.journalBatchNumber")) {
  ALIAS: createLedgerJournalHeader(
    idempotencyKey: "header"
    input: {journalName: "GenJrn", description: $name, dataAreaId: "usmf"}
  ) { ledgerJournalHeader { journalBatchNumber } userErrors { code } }
  line: createLedgerJournalLine(idempotencyKey: KEY, input: {
    dataAreaId: "usmf", journalBatchNumber: $journal, lineNumber: "1", accountType: LEDGER, currencyCode: "USD"
    accountDisplayValue: "605120-001-022", debitAmount: "1", voucher: "V1"
  }) { ledgerJournalLine { journalBatchNumber lineNumber } userErrors { code } }
}"""


async def journal(client: Client, name: str, alias: str, key: str) -> httpx.Response:
    query = JOURNAL.replace("ALIAS", alias).replace("KEY", key)
    return await client.post({"query": query, "variables": {"name": name}})


async def test_single_mutations_have_keys_of_their_own(client: Client) -> None:
    first = (await journal(client, "single", "a", '"line"')).json()
    second = await journal(client, "single", "b", '"line"')
    third = await journal(client, "single", "b", "null")

    answer = second.json()["data"]
    assert answer == {"b": first["data"]["a"], "line": first["data"]["line"]}
    assert first["data"]["line"]["userErrors"] == []
    assert second.headers["idempotent-replayed"] == "true"
    # Its number comes from the ledger, so the line is that of a row which exists by now.
    assert third.json()["data"]["b"] == first["data"]["a"]
    assert [e["code"] for e in third.json()["data"]["line"]["userErrors"]] == ["DUPLICATE_KEY"]
    assert "idempotent-replayed" not in third.headers
    assert await count(client, "single") == 1


async def test_a_key_of_another_mutation_is_an_error_of_its_field(client: Client) -> None:
    await journal(client, "one", "a", '"line"')
    answer = (await journal(client, "two", "a", '"line"')).json()

    assert answer["data"]["a"] is None
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["a"], "IDEMPOTENCY_MISMATCH")
    ]
    assert [e["code"] for e in answer["data"]["line"]["userErrors"]] == ["NOT_SENT"]
    assert await count(client, "two") == 0


@pytest.mark.parametrize(
    ("text", "name"), [("mutation", ""), ("mutation @atomic", "x")], ids=["empty", "atomic"]
)
async def test_keys_that_cannot_be_used_are_refused(client: Client, text: str, name: str) -> None:
    row = '{customerGroupId: "q", description: "q"}'
    call = f'createCustomerGroup(idempotencyKey: "{name}", input: {row})'
    query = f"{text} {{ x: {call} {{ userErrors {{ code }} }} }}"
    answer = await client.post({"query": query}, X_D365_Company="usmf")

    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_ARGUMENT"
