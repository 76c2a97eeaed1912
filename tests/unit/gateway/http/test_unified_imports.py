"""Imports into lists of unified models: their fields, their values, and what is wrong in their words."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.cli.imports import ImportOptions, import_file
from gateway.config.settings import Settings
from gateway.events import Event
from gateway.events.imports import ImportServed
from gateway.sandbox import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from tests.support.app_client import Client, calling, serving
from tests.support.write_kinds import fresh

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
VENDORS = "/import/accounting.vendors?companies=usmf"
ENTRIES = "/import/accounting.journalEntries?companies=usmf"
LINE: Mapping[str, Any] = {
    "accountType": "LEDGER",
    "mainAccount": "605120",
    "netAmount": 1.10,
    "currency": "USD",
    "trackingCategories": [{"name": "CostCenter", "value": "022"}],
}


@pytest.fixture(scope="module")
def upstream() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture(scope="module")
async def app(
    upstream: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(cache_dir=None, data_dir=folder, language="none")
    async with serving(settings, upstream=httpx.ASGITransport(upstream)) as opened:
        yield opened


@pytest.fixture
async def client(app: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app) as client:
        yield client


def cells(*rows: Mapping[str, Any]) -> str:
    """Rows as CSV, with lists as JSON, as an export writes them."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(json.dumps(v) if isinstance(v, list) else v for v in row.values())
    return text.getvalue()


async def send(client: Client, path: str, *rows: Mapping[str, Any], **fields: str) -> Any:
    return await client.http.post(
        path,
        content="".join(f"{json.dumps(row)}\n" for row in rows),
        headers={"content-type": "application/x-ndjson", **fields},
    )


def results(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def amounts(upstream: Starlette, reference: str) -> list[tuple[Any, ...]]:
    store = upstream.state.store
    (header,) = store.rows("LedgerJournalHeaders", IntegrationKey=reference)
    rows = store.rows("LedgerJournalLines", JournalBatchNumber=header["JournalBatchNumber"])
    names = "AccountDisplayValue", "DebitAmount", "CreditAmount", "DefaultDimensionDisplayValue"
    return [tuple(row[name] for name in names) for row in rows]


async def test_objects_are_imported_by_their_names(client: Client) -> None:
    one, two = fresh(), fresh()
    found = results(
        await send(
            client,
            VENDORS,
            {"number": one, "name": "Zoo", "group": "10", "status": "INACTIVE", "creditLimit": 9.5},
            {"number": two, "name": "No such group", "group": "nothing"},
            {"number": two, "VendorOrganizationName": "A name of the rows", "group": "10"},
            {"number": two, "name": "No such status", "group": "10", "status": "No"},
        )
    )
    changed = cells({"number": one, "name": "Zoo", "group": "10", "creditLimit": "10.25"})
    headers = {"content-type": "text/csv"}
    path = f"{VENDORS}&mode=upsert"
    upserted = results(await client.http.post(path, content=changed, headers=headers))
    query = (
        "query Vendor($id: ID!) { accounting { vendor(id: $id) { number status creditLimit } } }"
    )
    body = {"query": query, "variables": {"id": upserted[0]["id"]}}
    vendor = (await client.post(body, accept="application/json")).json()

    assert [r["status"] for r in (*found, *upserted)] == ["created", *["refused"] * 3, "written"]
    group, name, status = (r["errors"][0] for r in found[1:])
    assert (group["field"], group["path"]) == ("group", ["group"])
    assert name["message"].startswith("Objects have no field VendorOrganizationName that can be")
    assert status["message"].startswith("status: Value 'No'")
    assert found[0]["id"] == upserted[0]["id"]
    assert vendor["data"]["accounting"]["vendor"] == {
        "number": one,
        "status": "INACTIVE",
        "creditLimit": "10.25",
    }
    first = next(e for e in client.events if isinstance(e, ImportServed))
    assert (first.set, first.rows, first.refused) == ("accounting.vendors", 4, 3)


async def test_lines_and_dimensions_come_with_their_objects(
    client: Client, upstream: Starlette
) -> None:
    one, two, three = fresh(), fresh(), fresh()
    entry = {"journal": "GenJrn", "lines": [LINE, {**LINE, "netAmount": "-1.10"}]}
    unknown = {**entry, "reference": three, "lines": [{**LINE, "debits": 1}]}
    text = cells(
        {"journal": "GenJrn", "reference": two, "lines": [LINE]},
        {"journal": "GenJrn", "reference": three, "lines": "[{"},
    )
    headers = {"content-type": "text/csv"}

    found = results(await send(client, ENTRIES, {**entry, "reference": one}, unknown))
    by_cells = results(await client.http.post(ENTRIES, content=text, headers=headers))
    path = f"{ENTRIES}&uniqueBy=reference"
    again = results(await send(client, path, {**entry, "reference": one}))

    assert [r["status"] for r in found] == ["created", "refused"]
    assert found[1]["errors"][0]["message"].startswith("Objects have no field lines.debits")
    assert [r["status"] for r in by_cells] == ["created", "refused"]
    assert by_cells[1]["errors"][0]["message"] == "lines is no JSON: lists are written as JSON."
    assert [(r["status"], r["id"]) for r in again] == [("exists", found[0]["id"])]
    debit = ("605120--", Decimal("1.1"), Decimal(0), "-022--")
    assert amounts(upstream, one) == [debit, ("605120--", Decimal(0), Decimal("1.1"), "-022--")]
    assert amounts(upstream, two) == [debit]


async def test_parts_that_were_exported_are_imported(client: Client, upstream: Starlette) -> None:
    """Rows of a set, whose parts are columns of CSV by the names that an export gives them."""
    path = "/export/LedgerJournalLines"
    names = "accountType,currencyCode,accountParts{mainAccount dimensions{name value} account}"
    fields = f"{names},defaultDimensionParts{{dimensions{{name value}}}},debitAmount,creditAmount"
    query = {"format": "csv", "companies": "usmf", "fields": fields}
    exported = list(csv.DictReader(io.StringIO((await client.http.get(path, params=query)).text)))
    others = [row for row in exported if row["accountType"] != "LEDGER"]
    # The small sandbox has few vendors.
    others[0].update({"accountType": "VEND", "accountParts.account": "US-001"})
    exported = [*(row for row in exported if row["accountType"] == "LEDGER"), others[0]][-4:]
    reference = fresh()
    entry = {"journal": "GenJrn", "reference": reference}
    assert results(await send(client, ENTRIES, entry))[0]["status"] == "created"
    (header,) = upstream.state.store.rows("LedgerJournalHeaders", IntegrationKey=reference)
    number = header["JournalBatchNumber"]
    lines = [
        {"journalBatchNumber": number, "lineNumber": line, **row}
        for line, row in enumerate(exported, 1)
    ]

    path = "/import/LedgerJournalLines?companies=usmf"
    headers = {"content-type": "text/csv"}
    found = results(await client.http.post(path, content=cells(*lines), headers=headers))
    wrong = await client.http.post(path, content="accountParts.main\n1\n", headers=headers)

    assert [r for r in found if r["status"] != "created"] == []
    assert wrong.status_code == 400
    query["where"] = f'{{journalBatchNumber:{{eq:"{number}"}}}}'
    again = (await client.http.get("/export/LedgerJournalLines", params=query)).text
    assert list(csv.DictReader(io.StringIO(again))) == exported


async def test_a_job_imports_objects(client: Client) -> None:
    rows = [{"number": fresh(), "name": "Zoo", "group": group} for group in ("10", "nothing")]
    started = await send(client, VENDORS, *rows, prefer="respond-async")
    assert started.status_code == 202, started.text
    async with asyncio.timeout(20):
        while True:
            job = (await client.http.get(started.headers["location"])).json()
            if job["state"] not in {"QUEUED", "RUNNING"}:
                break
            await asyncio.sleep(0.02)
    parts = await client.http.get(f"{started.headers['location']}/parts/1")

    assert (job["state"], job["name"]) == ("SUCCEEDED", "accounting.vendors")
    assert [r["status"] for r in results(parts)] == ["created", "refused"]


def test_the_command_line_imports_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vendors.csv"
    file.write_text(cells({"number": fresh(), "name": "Zoo", "group": "10"}))
    settings = Settings.model_validate({"language": None, "cache_dir": None})

    import_file(settings, "accounting.vendors", file, {"companies": "usmf"}, ImportOptions())

    assert capsys.readouterr() == ("", f"{file}: 1 rows (1 created)\n")
