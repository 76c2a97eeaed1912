"""Exports over HTTP: whole lists, in each format, with the caller's rights; or an error that no client overlooks."""

from __future__ import annotations

import asyncio
import base64
import csv
import gzip
import io
import json
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gateway.config.setting_models import Profile
from gateway.events import Event, RequestSent
from gateway.events.exports import ExportServed
from tests.support.app_client import Client, calling, code_of
from tests.support.app_client import serving as serving_app
from tests.support.manual_clock import until
from tests.support.role_doors import bearer, settings
from tests.support.streaming import Served, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SMALL = {"small": Profile(default_page_size=10, max_page_size=100)}
ROLES: dict[str, Any] = {
    "reader": {"sets": {"CustomersV3": {"export": False}, "VendorsV2": {}}},
    "exporter": {
        "sets": {
            "CustomersV3": {
                "export": True,
                "where": {"dataAreaId": {"eq": "usmf"}},
                "deny_columns": ["*Credit*"],
                "masks": {"OrganizationName": "null"},
            },
            "CustomerGroups": {"export": False},
            "PaymentTerms": {"export": False},
        }
    },
}


@pytest.fixture(scope="module")
async def served(sandbox: Starlette) -> AsyncIterator[Served]:
    async with serving(sandbox, [], profiles=SMALL) as opened:
        yield opened


@pytest.fixture(scope="module")
async def app_with_roles() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    roles = {n: {**r, "sets": dict(r["sets"])} for n, r in ROLES.items()}
    async with serving_app(settings(roles=roles, profiles={})) as opened:
        yield opened


@pytest.fixture
async def client(app_with_roles: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app_with_roles) as client:
        yield client


async def get(served: Served, path: str, **fields: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        return await http.get(path, headers={"accept-encoding": "identity", **names})


async def test_the_rows_are_those_of_the_list(served: Served) -> None:
    response = await get(served, "/export/small/CustomersV3?fields=id,creditLimit")
    query = "{ customersV3(first: 1000) { nodes { id creditLimit } } }"
    listed = await get(served, f"/graphql?query={query}", accept="application/json")

    assert response.headers["content-type"] == "application/x-ndjson; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="CustomersV3.ndjson"'
    assert response.headers["cache-control"] == "no-store"
    rows = [json.loads(line) for line in response.text.splitlines()]
    assert rows == listed.json()["data"]["customersV3"]["nodes"]
    assert len(rows) > 200


async def test_pages_are_read_by_keyset_and_logged_as_one_export(served: Served) -> None:
    served.events.clear()
    response = await get(served, "/export/small/CustomersV3?fields=customerAccount")
    await until(lambda: any(isinstance(e, ExportServed) for e in served.events))

    rows = len(response.text.splitlines())
    sent = [str(e.url) for e in served.events if isinstance(e, RequestSent)]
    assert len(sent) == -(-rows // 100) > 2
    assert ["$filter" in url for url in sent] == [False, *[True] * (len(sent) - 1)]
    assert not any("$skip" in url for url in sent)
    (export,) = [e for e in served.events if isinstance(e, ExportServed)]
    assert (export.set, export.format, export.rows) == ("CustomersV3", "ndjson", rows)
    assert (export.size, export.error) == (len(response.content), None)


async def test_csv_has_relations_filters_and_companies(served: Served) -> None:
    path = (
        "/export/customersV3?format=csv&companies=usmf&fields=customerAccount,customerGroup{description}"
        '&where={customerAccount:{in:["US-001","US-002","DE-001"]}}'
    )
    response = await get(served, path)

    header, *rows = csv.reader(io.StringIO(response.text))
    assert header == ["customerAccount", "customerGroup.description"]
    assert [row[0] for row in rows] == ["US-001", "US-002"]
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"


async def test_parquet_has_typed_columns(served: Served) -> None:
    path = "/export/small/CustomersV3?format=parquet&fields=customerAccount,creditLimit"
    response = await get(served, path, accept_encoding="gzip")
    lines = await get(served, path.replace("parquet", "ndjson"))

    rows = [json.loads(line) for line in lines.text.splitlines()]
    table = pyarrow.parquet.read_table(io.BytesIO(response.content))
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    assert "content-encoding" not in response.headers
    assert [str(field.type) for field in table.schema] == ["string", "decimal128(38, 16)"]
    assert table.to_pylist() == [
        {**row, "creditLimit": Decimal(row["creditLimit"])} for row in rows
    ]


async def test_unified_lists_have_the_names_values_and_types_of_the_model(served: Served) -> None:
    fields = "fields=number,status,creditLimit,updatedAt"
    path = f'/export/small/accounting.vendors?{fields}&where={{companyCode:{{eq:"usmf"}}}}'
    lines = await get(served, path)
    file = await get(served, f"{path}&format=parquet")
    described = await get(served, f"/export/small/accounting.vendors?describe=columns&{fields}")

    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert {row["status"] for row in rows} == {"ACTIVE", "INACTIVE"}
    assert 'filename="accounting.vendors.ndjson"' in lines.headers["content-disposition"]
    table = pyarrow.parquet.read_table(io.BytesIO(file.content))
    types = ["string", "string", "decimal128(38, 16)", "timestamp[us, tz=UTC]"]
    assert [str(field.type) for field in table.schema] == types
    assert [row["number"] for row in table.to_pylist()] == [row["number"] for row in rows]
    about = {column.pop("name"): column for column in described.json()["columns"]}
    assert described.json()["type"] == "UnifiedVendor"
    assert about["status"]["values"] == ["ACTIVE", "INACTIVE"]
    assert about["status"]["operators"] == ["eq", "ne", "in", "nin"]
    assert "where" not in about["updatedAt"]


async def test_lists_of_unified_objects_are_json(served: Served) -> None:
    response = await get(served, "/export/directory.users?format=csv&fields=userId,emails{value}")

    header, *rows = csv.reader(io.StringIO(response.text))
    assert header == ["userId", "emails"]
    assert json.loads(dict(rows)["user01"])[0].keys() == {"value"}


async def test_parts_of_display_values_are_columns(served: Served) -> None:
    parts = "p:accountParts{mainAccount dimensions{name value} whole:account}"
    path = f"/export/LedgerJournalLines?fields=accountDisplayValue,{parts}"
    lines = [json.loads(line) for line in (await get(served, path)).text.splitlines()]
    header, *cells = csv.reader(io.StringIO((await get(served, f"{path}&format=csv")).text))
    table = pyarrow.parquet.read_table(
        io.BytesIO((await get(served, f"{path}&format=parquet")).content)
    )
    described = (await get(served, f"{path}&describe=columns")).json()

    dimensions = [{"name": "BusinessUnit", "value": "001"}, {"name": "Department", "value": "022"}]
    first = {"mainAccount": "401100", "dimensions": dimensions, "whole": None}
    assert lines[0] == {"accountDisplayValue": "401100-001-022", "p": first}
    names = ["accountDisplayValue", "p.mainAccount", "p.dimensions", "p.whole"]
    assert header == table.schema.names == [c["name"] for c in described["columns"]] == names
    assert [c["type"] for c in described["columns"]] == ["String", "String", "JSON", "String"]
    columns = {f"p.{name}": [(row["p"] or {}).get(name) for row in lines] for name in first}
    columns["p.dimensions"] = [
        None if cell is None else json.dumps(cell, separators=(",", ":"))
        for cell in columns["p.dimensions"]
    ]
    for number, name in enumerate(names[1:], 1):
        assert table[name].to_pylist() == columns[name]
        assert [row[number] for row in cells] == [cell or "" for cell in columns[name]]


async def test_parts_of_unified_objects_are_columns(served: Served) -> None:
    fields = "mainAccount,trackingCategories{name value},entry{number}"
    path = f"/export/accounting.journalLines?format=csv&fields={fields}"
    header, *rows = csv.reader(io.StringIO((await get(served, path)).text))
    path = "/export/accounting.journalEntries?fields=number,lines{mainAccount trackingCategories{value}}"
    entry = json.loads((await get(served, path)).text.splitlines()[0])

    values = {"BusinessUnit": "008", "CostCenter": "003", "Department": "023"}
    assert header == ["mainAccount", "trackingCategories", "entry.number"]
    assert (rows[0][0], rows[0][2]) == ("401100", "00001")
    assert {part["name"]: part["value"] for part in json.loads(rows[0][1])} == values
    categories = [{"value": value} for value in values.values()]
    assert entry["lines"][0] == {"mainAccount": "401100", "trackingCategories": categories}


async def test_files_are_read_in_small_pages(served: Served) -> None:
    served.events.clear()
    response = await get(served, "/export/accounting.attachments?fields=fileName,content")
    sent = [str(e.url) for e in served.events if isinstance(e, RequestSent)]
    rows = [json.loads(line) for line in response.text.splitlines()]

    assert base64.b64decode(rows[0]["content"]).startswith(b"%PDF")
    assert len(sent) == -(-len(rows) // 10) > 1


async def test_a_unified_list_is_exported_whole_by_default(served: Served) -> None:
    response = await get(served, "/export/directory.users")

    row = json.loads(response.text.splitlines()[1])
    assert {"id", "name", "emails", "licenses", "lastLoginAt"} <= row.keys()
    assert row.keys().isdisjoint({"roles", "department", "raw", "sources"})


async def test_a_format_that_is_not_installed_is_501(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "arro3.io", None)

    response = await get(served, "/export/CustomersV3?format=arrow")

    assert (response.status_code, code_of(response)) == (501, "NOT_INSTALLED")


@pytest.mark.parametrize("where", ['{"nameAlias":{"eq":"none"}}', '{nameAlias:{eq:"none"}}'])
async def test_an_empty_list_is_a_whole_file(served: Served, where: str) -> None:
    response = await get(served, f"/export/CustomersV3?trailer=true&where={where}")

    assert (response.status_code, response.text) == (200, '{"end":{"rows":0}}\n')


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
async def test_the_stream_is_compressed(served: Served, coding: str) -> None:
    path = "/export/small/CustomersV3?fields=id"
    plain = await get(served, path)
    address = f"http://127.0.0.1:{served.port}"
    async with (
        httpx.AsyncClient(base_url=address) as http,
        http.stream("GET", path, headers={"accept-encoding": coding}) as response,
    ):
        raw = b"".join([piece async for piece in response.aiter_raw()])

    assert response.headers["content-encoding"] == coding
    assert len(raw) < len(plain.content)
    if coding == "gzip":
        assert gzip.decompress(raw) == plain.content


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/export/Nothing", 404, "UNKNOWN_SET"),
        ("/export/customerV3", 404, "UNKNOWN_SET"),
        ("/export/CustomersV3?format=xls", 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?first=5", 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?where={", 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?where={x:1}", 400, "BAD_USER_INPUT"),
        ("/export/CustomersV3?formulas=neutralize", 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?format=csv&trailer=true", 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?fields=salesOrders{nodes{id}}", 400, "BAD_ARGUMENT"),
        ("/export/LedgerJournalLines?fields=accountParts", 400, "BAD_ARGUMENT"),
        ("/export/LedgerJournalLines?fields=accountParts{main}", 400, "BAD_ARGUMENT"),
        ("/export/LedgerJournalLines?fields=accountParts{dimensions}", 400, "BAD_ARGUMENT"),
        ("/export/LedgerJournalLines?fields=accountParts{account account}", 400, "BAD_ARGUMENT"),
        ("/export/LedgerJournalLines?fields=accountParts{dimensions{x:name}}", 400, "BAD_ARGUMENT"),
        ("/export/accounting.journalLines?fields=dimensions", 400, "BAD_ARGUMENT"),
        ("/export/accounting.journalLines?fields=mainAccount{name}", 400, "BAD_ARGUMENT"),
        ("/export/accounting.nothing", 404, "UNKNOWN_SET"),
        ("/export/accounting.vendors?fields=dataAreaId", 400, "BAD_ARGUMENT"),
        ("/export/accounting.vendors?fields=paymentTerms", 400, "BAD_ARGUMENT"),
        ("/export/accounting.vendors?fields=name{x}", 400, "BAD_ARGUMENT"),
        ("/export/accounting.vendors?fields=sources{field}", 400, "BAD_ARGUMENT"),
        ("/export/accounting.vendors?where={dataAreaId:{eq:1}}", 400, "BAD_USER_INPUT"),
        (
            "/export/accounting.bills?fields=lines{number},vendor{paymentTerms{name}}",
            400,
            "BAD_ARGUMENT",
        ),
        ("/export/directory.groups?fields=members{nodes{userId}}", 400, "BAD_ARGUMENT"),
    ],
)
async def test_what_cannot_run_has_a_status(
    served: Served, path: str, status: int, code: str
) -> None:
    response = await get(served, path)

    assert (response.status_code, code_of(response)) == (status, code)


async def test_other_methods_are_refused(served: Served) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        posted = await http.post("/export/CustomersV3")
        options = await http.options("/export/CustomersV3")
        head = await http.head("/export/CustomersV3?format=csv")

    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (200, "GET, HEAD, OPTIONS")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/csv")


async def test_a_page_of_another_site_is_refused(served: Served) -> None:
    response = await get(served, "/export/CustomersV3", sec_fetch_site="cross-site")

    assert (response.status_code, code_of(response)) == (403, "CROSS_SITE_REQUEST")


class Failing:
    """The sandbox, which refuses the third request for rows."""

    def __init__(self, sandbox: Starlette) -> None:
        self._sandbox = sandbox
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/CustomersV3"):
            self.requests += 1
            if self.requests == 3:
                await send({"type": "http.response.start", "status": 400, "headers": []})
                await send({"type": "http.response.body", "body": b"{}"})
                return
        await self._sandbox(scope, receive, send)


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet", "arrow"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_export_that_fails_midway_is_broken_off(
    sandbox: Starlette, form: str, coding: str
) -> None:
    events: list[Event] = []
    failing: Any = Failing(sandbox)
    path = f"/export/small/CustomersV3?fields=customerAccount&format={form}"
    received = bytearray()

    async def read(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", path, headers={"accept-encoding": coding}) as answer:
            async for piece in answer.aiter_bytes():
                received.extend(piece)

    async with serving(failing, events, profiles=SMALL) as served:
        address = f"http://127.0.0.1:{served.port}"
        async with httpx.AsyncClient(base_url=address) as http:
            with pytest.raises(httpx.RemoteProtocolError):
                await read(http)
        await until(lambda: any(isinstance(e, ExportServed) for e in events))

    (export,) = [e for e in events if isinstance(e, ExportServed)]
    assert (export.rows, export.error) == (200, "UPSTREAM_REJECTED")
    if form == "ndjson":
        lines = received.splitlines()
        error = json.loads(lines[-1])["error"]
        assert error["extensions"]["code"] == "UPSTREAM_REJECTED"
        assert len(lines) == 201


async def test_a_client_that_leaves_ends_the_reads(sandbox: Starlette) -> None:
    held = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/CustomersV3") and b"gt" in scope["query_string"]:
            held.set()
            await asyncio.Event().wait()
        await sandbox(scope, receive, send)

    events: list[Event] = []
    upstream: Any = slow
    async with serving(upstream, events, profiles=SMALL) as served:
        address = f"http://127.0.0.1:{served.port}"
        async with (
            httpx.AsyncClient(base_url=address) as http,
            http.stream("GET", "/export/small/CustomersV3") as answer,
        ):
            await anext(answer.aiter_bytes())
            await asyncio.wait_for(held.wait(), 60)
        await until(lambda: any(isinstance(e, ExportServed) for e in events))

    (export,) = [e for e in events if isinstance(e, ExportServed)]
    assert export.error == "CLIENT_LEFT"


@pytest.mark.parametrize(
    ("path", "roles", "status", "code"),
    [
        ("/export/CustomersV3", ("reader",), 403, "FORBIDDEN"),
        ("/export/CustomerGroups", ("exporter",), 403, "FORBIDDEN"),
        ("/export/VendorsV2", ("exporter",), 404, "UNKNOWN_SET"),
        ("/export/CustomersV3?fields=creditLimit", ("exporter",), 400, "BAD_ARGUMENT"),
        ("/export/CustomersV3?fields=creditLimit", ("exporter", "reader"), 400, "BAD_ARGUMENT"),
        (
            "/export/CustomersV3?where={creditLimit:{gt:1}}",
            ("exporter", "reader"),
            *(400, "BAD_USER_INPUT"),
        ),
        ("/export/CustomersV3?fields=customerGroup{description}", ("exporter",), 403, "FORBIDDEN"),
        ("/export/accounting.paymentTerms", ("exporter",), 403, "FORBIDDEN"),
        ("/export/accounting.customers?fields=paymentTerms{days}", ("exporter",), 403, "FORBIDDEN"),
    ],
)
async def test_roles_decide_what_is_exported(
    client: Client, path: str, roles: tuple[str, ...], status: int, code: str
) -> None:
    response = await client.http.get(path, headers=bearer(*roles))

    assert (response.status_code, code_of(response)) == (status, code)


async def test_roles_decide_what_is_described_and_divided(client: Client) -> None:
    headers = bearer("exporter")
    path = "/export/CustomersV3?describe=parts&parts=1"
    described = (await client.http.get(path, headers=headers)).json()
    columns = {column["name"]: column for column in described["columns"]}
    part = await client.http.get("/export/CustomersV3?part=.&fields=dataAreaId", headers=headers)

    assert "creditLimit" not in columns
    assert "operators" in columns["customerAccount"]
    assert "operators" not in columns["organizationName"]
    assert set(part.text.splitlines()) == {'{"dataAreaId":"usmf"}'}
    assert (await client.http.get(path, headers=bearer("reader"))).status_code == 403


@pytest.mark.parametrize("roles", [("exporter",), ("exporter", "reader")])
async def test_a_role_without_the_right_adds_nothing(
    client: Client, roles: tuple[str, ...]
) -> None:
    response = await client.http.get("/export/CustomersV3", headers=bearer(*roles))

    rows = [json.loads(line) for line in response.text.splitlines()]
    assert {row["dataAreaId"] for row in rows} == {"usmf"}
    assert {row["organizationName"] for row in rows} == {None}
    assert not any("credit" in name.lower() for name in rows[0])


async def test_nobody_exports_without_a_role(client: Client) -> None:
    response = await client.http.get("/export/CustomersV3")

    assert (response.status_code, code_of(response)) == (403, "FORBIDDEN")
