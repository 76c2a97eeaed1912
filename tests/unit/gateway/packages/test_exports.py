"""Export jobs by data packages: the same rows as OData's, started once, and never past what the caller may see."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow
import pyarrow.parquet
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.packages import Packages
from gateway.sandbox.settings import Fault
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.issuer import token
from tests.support.role_doors import ISSUER

pytestmark = pytest.mark.anyio
START = "*.ExportToPackage"
FIELDS = "customerAccount,dataAreaId,creditLimit,onHoldStatus"
ROLES: Mapping[str, Any] = {
    "all": {"sets": {"*": {}}},
    "hidden": {"sets": {"CustomersV3": {"deny_columns": ["*Credit*"]}}},
    "ruled": {"sets": {"CustomersV3": {"where": {"customerAccount": {"eq": "US-001"}}}}},
    "masked": {"sets": {"CustomersV3": {"masks": {"CreditLimit": "null"}}}},
    "bounded": {"sets": {"CustomersV3": {}}, "companies": ["usmf"]},
}
VALUES: Mapping[str, Any] = {
    "cache_dir": None,
    "language": None,
    "max_page_size": 50,
    "default_page_size": 10,
    "jobs": {"part_rows": 100},
    "roles": ROLES,
    "inbound": {"issuers": [ISSUER]},
    "packages": {
        "poll": 0.001,
        "min_rows": 40,
        "max_file_bytes": 5_000_000,
        "sets": {
            "CustomersV3": {"project": "Export CustomersV3"},
            "CustomerGroups": {"project": "Export CustomerGroups"},
            "Currencies": {"project": "Export Currencies"},
            "VendorsV2": {"project": "Export Nothing"},
            "SalesOrderHeadersV2": {
                "project": "Export SalesOrderHeadersV2",
                "columns": {"SalesOrderName": "NAME OF ORDER"},
            },
        },
    },
}


@pytest.fixture(scope="module")
def fo() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.5))


@pytest.fixture(scope="module")
async def app(
    fo: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    values = {**VALUES, "data_dir": tmp_path_factory.mktemp("data")}
    async with serving(Settings.model_validate(values), upstream=httpx.ASGITransport(fo)) as opened:
        yield opened


@pytest.fixture
async def client(app: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app) as client:
        yield client


@pytest.fixture
def packages(fo: Starlette) -> Packages:
    """The data management framework, without executions and faults."""
    framework: Packages = fo.state.packages
    framework.reset()
    fo.state.faults.clear()
    fo.state.requests.clear()
    return framework


def as_role(role: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token('k1', roles=[role])}"}


async def export(client: Client, role: str = "all", **body: Any) -> dict[str, Any]:
    """Start an export, and return the job when it has ended."""
    request = {"set": "CustomersV3", "fields": FIELDS, "source": "package", **body}
    started = await client.http.post("/exports", json=request, headers=as_role(role))
    assert started.status_code == 202, started.text
    return await ended(client, started.headers["location"], role)


async def ended(client: Client, path: str, role: str = "all") -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            job: dict[str, Any] = (await client.http.get(path, headers=as_role(role))).json()
            if job["state"] not in {"QUEUED", "RUNNING"}:
                return job
            await asyncio.sleep(0.01)


async def parts_of(client: Client, job: dict[str, Any], role: str = "all") -> list[bytes]:
    headers = as_role(role)
    manifest = (await client.http.get(job["links"]["manifest"], headers=headers)).json()
    return [
        (await client.http.get(part["href"], headers=headers)).content for part in manifest["parts"]
    ]


async def streamed(client: Client, role: str = "all", **body: Any) -> list[bytes]:
    """Return the lines of the same export as OData answers it, sorted."""
    params = {"set": "CustomersV3", "fields": FIELDS, **body}
    params = {n: v if isinstance(v, str) else json.dumps(v) for n, v in params.items()}
    address = f"/export/{params.pop('set')}"
    answer = await client.http.get(address, params=params, headers=as_role(role))
    assert answer.status_code == 200, answer.text
    return sorted(answer.content.splitlines())


@pytest.mark.parametrize(
    ("body", "companies"),
    [
        ({"fields": None, "companies": "demf"}, ["demf"]),
        ({"format": "csv"}, ["dat", "demf", "usmf", "usrt"]),
        ({"companies": "usmf"}, ["usmf"]),
        ({"companies": "USMF,demf,none"}, ["demf", "usmf"]),
        ({"where": {"dataAreaId": {"eq": "demf"}}}, ["demf"]),
        (
            {"where": {"or": [{"dataAreaId": {"eq": "demf"}}, {"dataAreaId": {"in": ["usmf"]}}]}},
            ["demf", "usmf"],
        ),
        ({"where": {"creditLimit": {"gt": "1000"}}, "companies": "usmf"}, ["usmf"]),
        ({"where": {"not": {"onHoldStatus": {"eq": "NO"}}}, "companies": "usmf"}, ["usmf"]),
        (
            {"where": {"customerGroupId": {"in": ["10", "20 "]}}, "companies": "usmf"},
            ["usmf"],
        ),
        ({"where": {"customerGroupId": {"eq": "none"}}, "companies": "usmf"}, ["usmf"]),
        (
            {
                "where": {"and": [{"dataAreaId": {"eq": "demf"}}, {"dataAreaId": {"eq": "usmf"}}]},
                "format": "csv",
            },
            [],
        ),
        ({"set": "Currencies", "fields": None}, ["dat"]),
        ({"set": "CustomerGroups", "fields": None}, ["dat", "demf", "usmf", "usrt"]),
    ],
    ids=range(13),
)
async def test_a_package_has_the_rows_that_odata_has(
    client: Client, packages: Packages, body: dict[str, Any], companies: list[str]
) -> None:
    chosen = {name: value for name, value in body.items() if value is not None}
    whole = {"fields": None} if body.get("fields", "") is None else {}
    job = await export(client, **{**chosen, **whole})
    parts = await parts_of(client, job)
    plain = {n: v for n, v in {"fields": FIELDS, **body}.items() if v is not None}
    params = {n: v if isinstance(v, str) else json.dumps(v) for n, v in plain.items()}
    address = f"/export/{params.pop('set', 'CustomersV3')}"
    answer = await client.http.get(address, params=params, headers=as_role("all"))

    assert (job["state"], job["source"]) == (
        "SUCCEEDED",
        {"name": "package", "reason": "as requested"},
    ), job["error"]
    assert sorted(b"".join(parts).splitlines()) == sorted(answer.content.splitlines())
    assert [each.company for each in packages.executions.values()] == companies
    assert job["progress"]["parts"] == job["progress"]["ofParts"] == len(parts)


async def test_parquet_has_the_same_types_and_values(client: Client, packages: Packages) -> None:
    whole = "customerAccount,creditLimit,onHoldStatus,customerGroupId,partyNumber"
    job = await export(client, fields=whole, format="parquet", companies="usmf,demf")
    params = {"fields": whole, "format": "parquet", "companies": "usmf,demf"}
    answer = await client.http.get("/export/CustomersV3", params=params, headers=as_role("all"))
    files = [answer.content, *await parts_of(client, job)]
    streamed, *parts = (pyarrow.parquet.read_table(io.BytesIO(file)) for file in files)
    table = pyarrow.concat_tables(parts)

    order = [(name, "ascending") for name in ("partyNumber", "customerAccount")]
    assert len(parts) == 2
    assert table.schema == streamed.schema
    assert table.sort_by(order).equals(streamed.sort_by(order))
    assert len(packages.executions) == 2


async def test_blob_storage_gets_no_token(
    client: Client, packages: Packages, fo: Starlette
) -> None:
    await export(client, companies="usmf")

    (blob,) = [r for r in fo.state.requests if r.path.startswith("/dmf/")]
    assert {"authorization", "cookie"} & set(blob.headers) == set()
    assert blob.options.keys() == {"sv", "se", "sr", "sp", "sig"}
    assert [execution.downloads for execution in packages.executions.values()] == [1]


@pytest.mark.parametrize("has_company", [False, True])
async def test_the_company_may_be_a_column(
    client: Client, packages: Packages, has_company: bool
) -> None:
    packages.has_company = has_company
    job = await export(client, companies="demf", fields="dataAreaId")

    rows = b"".join(await parts_of(client, job)).splitlines()
    assert set(rows) == {b'{"dataAreaId":"demf"}'}
    assert len(rows) == job["progress"]["rows"] > 0


@pytest.mark.parametrize(
    ("role", "body", "reason"),
    [
        ("all", {"where": {"customerAccount": {"contains": "1"}}}, "applied exactly"),
        ("all", {"where": {"customerAccount": {"gt": "US-001"}}}, "applied exactly"),
        ("all", {"where": {"customerAccount": {"eq": "Zoë"}}}, "applied exactly"),
        ("all", {"fields": "customerGroup{description}"}, "other sets"),
        ("all", {"set": "ReleasedProductsV2", "fields": "itemNumber"}, "no data project"),
        ("ruled", {}, "a role bounds"),
        ("masked", {}, "a role bounds"),
        ("bounded", {}, "a role bounds"),
    ],
    ids=range(8),
)
async def test_an_export_that_cannot_be_a_package_is_refused(
    client: Client, packages: Packages, role: str, body: dict[str, Any], reason: str
) -> None:
    request = {"set": "CustomersV3", "fields": FIELDS, "source": "package", **body}
    headers = as_role(role)
    refused = await client.http.post("/exports", json=request, headers=headers)
    by_itself = await export(client, role, **{**body, "source": "auto"})

    assert (refused.status_code, code_of(refused)) == (400, "BAD_ARGUMENT")
    assert reason in refused.text
    assert by_itself["source"]["name"] == "odata"
    assert reason in by_itself["source"]["reason"]
    assert packages.executions == {}


async def test_hidden_columns_stay_hidden(client: Client, packages: Packages) -> None:
    shown = "customerAccount,dataAreaId"
    job = await export(client, "hidden", fields=shown)
    body = {"set": "CustomersV3", "fields": FIELDS, "source": "package"}
    refused = await client.http.post("/exports", json=body, headers=as_role("hidden"))

    assert job["source"]["name"] == "package"
    rows = sorted(b"".join(await parts_of(client, job, "hidden")).splitlines())
    assert rows == await streamed(client, "hidden", fields=shown)
    assert (refused.status_code, code_of(refused)) == (400, "BAD_ARGUMENT")
    assert len(packages.executions) == 4


@pytest.mark.parametrize(
    ("body", "source", "reason"),
    [
        ({}, "package", "rows, packages.min_rows is 40"),
        ({"where": {"customerAccount": {"eq": "US-001"}}}, "odata", "less than packages.min_rows"),
        ({"source": "odata"}, "odata", "as requested"),
    ],
)
async def test_the_number_of_rows_decides(
    client: Client, packages: Packages, body: dict[str, Any], source: str, reason: str
) -> None:
    job = await export(client, **{"source": "auto", **body})

    assert job["source"]["name"] == source
    assert job["source"]["reason"].endswith(reason) or reason in job["source"]["reason"]
    assert bool(packages.executions) is (source == "package")


async def test_a_column_that_the_package_lacks(client: Client, packages: Packages) -> None:
    body = {"set": "SalesOrderHeadersV2", "fields": "salesOrderName", "companies": "usmf"}
    told = await export(client, **body)
    by_itself = await export(client, **body, source="auto")

    assert (told["state"], told["error"]["extensions"]["code"]) == ("FAILED", "BAD_ARGUMENT")
    assert "has no column NAME OF ORDER" in told["error"]["message"]
    assert (by_itself["state"], by_itself["source"]["name"]) == ("SUCCEEDED", "odata")
    rows = sorted(b"".join(await parts_of(client, by_itself)).splitlines())
    assert rows == await streamed(client, **body)
    assert len(packages.executions) == 2


async def test_a_row_may_leave_a_filter_open(client: Client, packages: Packages) -> None:
    """Of an account with letters beyond ASCII, only the database's collation knows what it equals."""
    where = {"customerAccount": {"ne": "US-001"}}
    told = await export(client, where=where, companies="usmf")
    by_itself = await export(client, where=where, companies="usmf,demf,dat,usrt", source="auto")

    assert "exactly to a row" in told["error"]["message"]
    assert (by_itself["state"], by_itself["source"]["name"]) == ("SUCCEEDED", "odata")
    rows = sorted(b"".join(await parts_of(client, by_itself)).splitlines())
    assert rows == await streamed(client, where=where)
    assert packages.executions


@pytest.mark.parametrize(
    ("project", "rows"), [({"most": 7}, "7 rows"), ({"crosses_companies": True}, "rows")]
)
async def test_a_project_that_exports_other_rows_is_noticed(
    client: Client, packages: Packages, project: dict[str, Any], rows: str
) -> None:
    for name, value in project.items():
        setattr(packages, name, value)
    job = await export(client, companies="usmf")

    assert (job["state"], job["error"]["extensions"]["code"]) == ("FAILED", "UPSTREAM_REJECTED")
    assert f"The packages have {rows}" in job["error"]["message"] or rows == "rows"
    assert "full push" in job["error"]["extensions"]["hint"]


async def test_rows_outside_the_company_limit_never_come(
    packages: Packages, fo: Starlette, tmp_path: Path
) -> None:
    values = {**VALUES, "data_dir": tmp_path, "company_limit": ["demf"]}
    own = Settings.model_validate(values)
    async with (
        serving(own, upstream=httpx.ASGITransport(fo)) as (app, events),
        calling(app, events) as client,
    ):
        blind = await export(client, source="auto")
        packages.has_company = packages.crosses_companies = True
        bound = await export(client)
        rows = b"".join(await parts_of(client, bound)).splitlines()
        expected = await streamed(client)

    assert (blind["state"], blind["source"]["name"]) == ("SUCCEEDED", "odata")
    assert "has no column dataAreaId" in blind["source"]["reason"]
    assert (bound["state"], bound["source"]["name"]) == ("SUCCEEDED", "package"), bound["error"]
    assert sorted(rows) == expected
    assert {json.loads(row)["dataAreaId"] for row in rows} == {"demf"}
    assert [each.company for each in packages.executions.values()] == ["demf", "demf"]


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", START, "may not run the data project Export CustomersV3 in dat"),
        ("GET", "*LegalEntities", "cannot read LegalEntities"),
    ],
)
async def test_an_account_that_may_not_run_the_project_reads_odata(
    client: Client, packages: Packages, fo: Starlette, method: str, path: str, reason: str
) -> None:
    forbidden = Fault(status=403)
    fo.state.faults.add(FaultRule(at="before", method=method, path=path, times=0, answer=forbidden))
    told = await export(client)
    by_itself = await export(client, source="auto")

    assert (told["state"], told["error"]["extensions"]["code"]) == ("FAILED", "BAD_ARGUMENT")
    assert reason in told["error"]["message"]
    assert (by_itself["state"], by_itself["source"]["name"]) == ("SUCCEEDED", "odata")
    assert reason in by_itself["source"]["reason"]
    assert packages.executions == {}


@pytest.mark.parametrize("result", ["Failed", "Canceled", "PartiallySucceeded", "Unknown"])
async def test_an_execution_without_a_whole_package_fails_the_job(
    client: Client, packages: Packages, result: str
) -> None:
    packages.result = result
    job = await export(client, companies="usmf")

    error = job["error"]
    assert (job["state"], error["extensions"]["code"]) == ("FAILED", "UPSTREAM_REJECTED")
    assert result in error["message"]
    packages.result = "Succeeded"
    resumed = await client.http.post(f"{job['links']['self']}/resume", headers=as_role("all"))
    assert resumed.status_code == 202
    job = await ended(client, job["links"]["self"])
    assert job["state"] == "SUCCEEDED"
    first, second = packages.executions
    assert (first[:-1], first[-1], second[-1]) == (second[:-1], "1", "2")


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("truncated", "UPSTREAM_MALFORMED", "broken"),
        ("not-a-zip", "UPSTREAM_MALFORMED", "broken"),
        ("bomb", "UPSTREAM_MALFORMED", "more than 5,000,000 bytes"),
        ("wrong-host", "UPSTREAM_MALFORMED", "is not allowed"),
        ("redirect", "UPSTREAM_MALFORMED", "status 302"),
    ],
)
async def test_a_package_that_is_not_sound_fails_the_job(
    client: Client, packages: Packages, fault: Any, code: str, message: str
) -> None:
    packages.fault = fault
    job = await export(client, companies="usmf")

    assert (job["state"], job["error"]["extensions"]["code"]) == ("FAILED", code)
    assert message in job["error"]["message"]
    assert job["progress"]["rows"] == 0
    assert "sig=" not in json.dumps(job)


async def test_an_address_that_has_expired_is_requested_again(
    client: Client, packages: Packages
) -> None:
    packages.fault = "expired"
    job = await export(client, companies="usmf")

    assert job["state"] == "SUCCEEDED"
    assert len(packages.executions) == 1


async def test_a_project_that_does_not_exist_fails_the_job(
    client: Client, packages: Packages
) -> None:
    job = await export(client, set="VendorsV2", fields="vendorAccountNumber", companies="usmf")

    assert (job["state"], job["error"]["extensions"]["code"]) == ("FAILED", "UPSTREAM_REJECTED")
    assert "Export Nothing" in job["error"]["message"]
    assert packages.executions == {}


async def test_an_execution_may_appear_late(client: Client, packages: Packages) -> None:
    packages.unknown = 4
    job = await export(client, companies="usmf")

    assert job["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(at="after", method="POST", path=START),
        FaultRule(at="mid-answer", method="POST", path=START),
        FaultRule(at="before", method="POST", path="*GetExecutionSummaryStatus", times=2),
        FaultRule(at="after", method="POST", path="*GetExportedPackageUrl"),
    ],
    ids=["lost", "half", "status", "address"],
)
async def test_a_lost_answer_starts_nothing_twice(
    client: Client, packages: Packages, fo: Starlette, rule: FaultRule
) -> None:
    fo.state.faults.add(rule)
    job = await export(client, companies="usmf")

    assert job["state"] == "SUCCEEDED", job
    starts = [r for r in fo.state.requests if r.path.endswith("ExportToPackage")]
    assert (len(starts), len(packages.executions)) == (1, 1)
    assert fo.state.faults.hits


async def test_a_cancelled_job_stops(client: Client, packages: Packages, fo: Starlette) -> None:
    packages.polls = 1_000_000
    body = {"set": "CustomersV3", "source": "package", "companies": "usmf"}
    started = await client.http.post("/exports", json=body, headers=as_role("all"))
    path = started.headers["location"]
    async with asyncio.timeout(60):
        while not packages.executions:  # noqa: ASYNC110 - of the sandbox
            await asyncio.sleep(0.005)
    cancelled = await client.http.delete(path, headers=as_role("all"))
    await asyncio.sleep(0.02)
    before = len(fo.state.requests)
    await asyncio.sleep(0.05)

    assert cancelled.json()["state"] == "CANCELLED"
    assert len(fo.state.requests) == before


async def test_a_source_that_does_not_exist_is_refused(client: Client, tmp_path: Path) -> None:
    body = {"set": "CustomersV3", "source": "fax"}
    refused = await client.http.post("/exports", json=body, headers=as_role("all"))

    assert (refused.status_code, code_of(refused)) == (400, "BAD_ARGUMENT")
