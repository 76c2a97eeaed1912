"""Jobs over HTTP: an export is started, read part by part, and nobody else's."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest
from starlette.applications import Starlette

from gateway.config.job_models import JobOptions
from gateway.config.settings import Settings
from gateway.events import Event, RequestSent
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.issuer import token
from tests.support.manifests import write
from tests.support.role_doors import settings

pytestmark = pytest.mark.anyio
FIELDS = "customerAccount,creditLimit"


@pytest.fixture(scope="module")
async def app(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    small = Settings(
        cache_dir=None,
        data_dir=tmp_path_factory.mktemp("data"),
        language="none",
        default_page_size=10,
        max_page_size=10,
        jobs=JobOptions(part_rows=100, parallel=2, max_bytes=10_000_000),
    )
    async with serving(small) as opened:
        yield opened


@pytest.fixture
async def client(app: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app) as client:
        yield client


async def ended(client: Client, started: httpx.Response) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    assert started.headers["location"] == f"/jobs/{started.json()['id']}"
    async with asyncio.timeout(20):
        while True:
            job: dict[str, Any] = (await client.http.get(started.headers["location"])).json()
            if job["state"] not in {"QUEUED", "RUNNING"}:
                return job
            await asyncio.sleep(0.02)


async def parts_of(client: Client, job: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    manifest: dict[str, Any] = (await client.http.get(job["links"]["manifest"])).json()
    return manifest, [(await client.http.get(part["href"])).content for part in manifest["parts"]]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_the_parts_are_the_streamed_export(client: Client, form: str) -> None:
    request = {"set": "CustomersV3", "format": form, "fields": FIELDS}
    job = await ended(client, await client.http.post("/exports", json=request))
    manifest, parts = await parts_of(client, job)
    streamed = await client.http.get(
        "/export/CustomersV3", params={"format": form, "fields": FIELDS}
    )

    assert job["state"] == "SUCCEEDED", job
    assert b"".join(parts) == streamed.content
    assert manifest["sha256"] == hashlib.sha256(streamed.content).hexdigest()
    assert len(parts) == 3
    assert [p["rows"] for p in manifest["parts"]][:2] == [99, 99]


async def test_parquet_parts_are_files(client: Client) -> None:
    request = {"set": "customersV3", "format": "parquet", "fields": FIELDS}
    job = await ended(client, await client.http.post("/exports", json=request))
    manifest, parts = await parts_of(client, job)

    tables = [pyarrow.parquet.read_table(io.BytesIO(part)) for part in parts]
    assert [table.num_rows for table in tables] == [part["rows"] for part in manifest["parts"]]
    assert (job["progress"]["parts"], job["progress"]["ofParts"]) == (3, 3)
    assert job["progress"]["rows"] == manifest["rows"] == sum(t.num_rows for t in tables)


async def test_parts_begin_at_rows_that_are_found_by_skipping(client: Client) -> None:
    client.events.clear()
    request = {"set": "CustomersV3", "fields": FIELDS}
    job = await ended(client, await client.http.post("/exports", json=request))

    sent = [str(e.url) for e in client.events if isinstance(e, RequestSent)]
    rows = job["progress"]["rows"]
    # Three places and the pages: no page of a part is read twice, and none in vain.
    assert sum("$skip=99" in url for url in sent) == 3
    assert len(sent) == 3 + 10 + 10 + -(-(rows - 198) // 10)


async def test_a_list_that_cannot_be_skipped_is_cut_in_order(client: Client) -> None:
    where = {"not": {"customerAccount": {"eq": "*none"}}}
    request = {"set": "CustomersV3", "fields": FIELDS, "where": where}
    client.events.clear()
    job = await ended(client, await client.http.post("/exports", json=request))
    manifest, parts = await parts_of(client, job)
    sent = [str(e.url) for e in client.events if isinstance(e, RequestSent)]
    params = {"fields": FIELDS, "where": json.dumps(where)}
    streamed = await client.http.get("/export/CustomersV3", params=params)

    assert not any("$skip" in url for url in sent)
    assert b"".join(parts) == streamed.content
    assert [part["rows"] for part in manifest["parts"]][:2] == [90, 90]


async def test_a_part_is_read_from_where_a_download_broke_off(client: Client) -> None:
    request = {"set": "CustomersV3", "fields": FIELDS}
    job = await ended(client, await client.http.post("/exports", json=request))
    manifest, (whole, *_) = await parts_of(client, job)
    part = manifest["parts"][0]

    async def get(method: str = "GET", **fields: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        return await client.http.request(method, part["href"], headers=names)

    etag = f'"{part["sha256"]}"'
    rest = await get(range="bytes=100-")
    assert (rest.status_code, rest.content) == (206, whole[100:])
    assert rest.headers["content-range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert rest.headers["etag"] == etag
    for header, expected in (
        ("bytes=0-9", whole[:10]),
        ("bytes=-5", whole[-5:]),
        ("bytes=5-1000000", whole[5:]),
    ):
        assert (await get(range=header)).content == expected
    for header in ("bytes=5-1", "rows=1-2", "bytes=1-2,4-5", "bytes=-"):
        assert (await get(range=header)).status_code == 200
    assert (await get(range="bytes=5-", if_range='"other"')).content == whole
    assert (await get(if_none_match=etag)).status_code == 304
    beyond = await get(range=f"bytes={len(whole)}-")
    assert (beyond.status_code, code_of(beyond)) == (416, "RANGE_NOT_SATISFIABLE")
    head = await get("HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(whole)))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"set": "Nothing"}, 404, "UNKNOWN_SET"),
        ({}, 400, "BAD_ARGUMENT"),
        ({"set": 5}, 400, "BAD_ARGUMENT"),
        ({"set": "CustomersV3", "trailer": "true"}, 400, "BAD_ARGUMENT"),
        ({"set": "CustomersV3", "fields": "nothing"}, 400, "BAD_ARGUMENT"),
        ({"set": "CustomersV3", "format": "xml"}, 400, "BAD_ARGUMENT"),
        ({"set": "CustomersV3", "where": "{"}, 400, "BAD_ARGUMENT"),
        ([], 400, "BAD_REQUEST"),
    ],
)
async def test_a_request_that_is_wrong_starts_nothing(
    client: Client, body: object, status: int, code: str
) -> None:
    before = (await client.http.get("/jobs")).json()["jobs"]
    response = await client.http.post("/exports", json=body)

    assert (response.status_code, code_of(response)) == (status, code)
    assert (await client.http.get("/jobs")).json()["jobs"] == before


async def test_a_filter_that_upstream_refuses_fails_the_job(client: Client) -> None:
    request = {"set": "CustomersV3", "where": {"nothing": {"eq": 1}}}
    job = await ended(client, await client.http.post("/exports", json=request))
    resumed = await client.http.post(f"{job['links']['self']}/resume")

    assert (job["state"], job["error"]["extensions"]["code"]) == ("FAILED", "BAD_USER_INPUT")
    assert resumed.json()["state"] in {"QUEUED", "RUNNING"}
    again = await ended(
        client, httpx.Response(202, headers={"location": job["links"]["self"]}, json=job)
    )
    assert again["state"] == "FAILED"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/jobs/0", 404, "UNKNOWN_JOB"),
        ("DELETE", "/jobs/0", 404, "UNKNOWN_JOB"),
        ("POST", "/jobs/0/resume", 404, "UNKNOWN_JOB"),
        ("GET", "/jobs/0/manifest", 404, "UNKNOWN_JOB"),
        ("GET", "/jobs/0/parts/1", 404, "UNKNOWN_JOB"),
        ("PUT", "/jobs/0", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/exports", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_does_not_exist_is_refused(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    response = await client.http.request(method, path)

    assert (response.status_code, code_of(response)) == (status, code)


async def test_a_job_that_has_ended_is_neither_cancelled_nor_resumed(client: Client) -> None:
    job = await ended(client, await client.http.post("/exports", json={"set": "CustomerGroups"}))
    own = job["links"]["self"]

    for response in (await client.http.delete(own), await client.http.post(f"{own}/resume")):
        assert (response.status_code, code_of(response)) == (409, "WRONG_JOB_STATE")
    missing = await client.http.get(f"{own}/parts/2")
    assert (missing.status_code, code_of(missing)) == (404, "UNKNOWN_JOB")


async def test_a_job_has_the_rights_of_its_caller_and_is_nobody_elses(tmp_path: Path) -> None:
    roles = {
        "reader": {"sets": {"CustomersV3": {"export": False}}},
        "exporter": {
            "sets": {
                "CustomersV3": {
                    "where": {"dataAreaId": {"eq": "usmf"}},
                    "deny_columns": ["*Credit*"],
                    "masks": {"OrganizationName": "null"},
                }
            }
        },
        "narrow": {"sets": {"CustomersV3": {"deny_columns": ["*Credit*", "NameAlias"]}}},
    }
    own = settings(roles=roles, profiles={}, data_dir=tmp_path, jobs={"part_rows": 100})
    async with serving(own) as (app, events), calling(app, events) as client:

        async def call(
            method: str, path: str, *of: str, sub: str = "ann", **more: Any
        ) -> httpx.Response:
            bearer = {"authorization": f"Bearer {token('k1', roles=list(of), sub=sub)}"}
            return await client.http.request(method, path, headers=bearer, **more)

        body = {"set": "CustomersV3"}
        for denied in (
            await call("POST", "/exports", "reader", json=body),
            await call("POST", "/exports", json=body),
        ):
            assert (denied.status_code, code_of(denied)) == (403, "FORBIDDEN")
        started = await call("POST", "/exports", "exporter", "reader", json=body)
        path = started.headers["location"]
        async with asyncio.timeout(20):
            while (job := (await call("GET", path, "exporter")).json())["state"] != "SUCCEEDED":
                assert job["state"] in {"QUEUED", "RUNNING"}, job
                await asyncio.sleep(0.02)

        part = await call("GET", f"{path}/parts/1", "exporter")
        rows = [json.loads(line) for line in part.text.splitlines()]
        assert {row["dataAreaId"] for row in rows} == {"usmf"}
        assert {row["organizationName"] for row in rows} == {None}
        assert "creditLimit" not in rows[0]
        # Policy is read again: what was lost since then is not given away.
        for of in ("reader", "narrow", "none"):
            lost = await call("GET", f"{path}/parts/1", of)
            assert (lost.status_code, code_of(lost)) == (403, "FORBIDDEN"), of
        listed = await call("GET", "/jobs", "exporter", sub="bob")
        assert listed.json() == {"jobs": []}
        for method, below in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/resume"),
            ("GET", "/manifest"),
            ("GET", "/parts/1"),
        ):
            for refused in (
                await call(method, f"{path}{below}", "exporter", sub="bob"),
                await client.http.request(method, f"{path}{below}"),
            ):
                assert (refused.status_code, code_of(refused)) == (404, "UNKNOWN_JOB")


async def test_results_of_writes_need_the_right_to_write(tmp_path: Path) -> None:
    roles = {
        "writer": {"sets": {"CustomerGroups": {"create": True}}},
        "reader": {"sets": {"CustomerGroups": {}}},
    }
    headers = {"prefer": "respond-async", "x-d365-company": "usmf"}
    mutation = """mutation { createCustomerGroup(input: {customerGroupId: "none", description: "x"}) {
      userErrors { code } } }"""
    own = settings(roles=roles, profiles={}, data_dir=tmp_path, read_only=False)
    async with serving(own) as (app, events), calling(app, events) as client:

        async def call(method: str, path: str, of: str, **more: Any) -> httpx.Response:
            bearer = {"authorization": f"Bearer {token('k1', roles=[of], sub='ann')}"}
            fields = {**bearer, **more.pop("headers", {})}
            return await client.http.request(method, path, headers=fields, **more)

        for path, body, media in (
            ("/import/CustomerGroups", b'{"nothing": 1}\n', "application/x-ndjson"),
            ("/graphql", json.dumps({"query": mutation}).encode(), "application/json"),
        ):
            fields = {**headers, "content-type": media}
            started = await call("POST", path, "writer", content=body, headers=fields)
            assert started.status_code == 202, started.text
            job = started.headers["location"]
            async with asyncio.timeout(20):
                while (shown := (await call("GET", job, "writer")).json())["state"] != "SUCCEEDED":
                    assert shown["state"] in {"QUEUED", "RUNNING"}, shown
                    await asyncio.sleep(0.02)
            assert (await call("GET", f"{job}/parts/1", "writer")).status_code == 200
            lost = await call("GET", f"{job}/parts/1", "reader")
            assert (lost.status_code, code_of(lost)) == (403, "FORBIDDEN"), path


async def test_without_a_store_jobs_are_refused() -> None:
    async with (
        serving(Settings(cache_dir=None, data_dir=None, language="none")) as (app, events),
        calling(app, events) as client,
    ):
        for refused in (
            await client.http.post("/exports", json={"set": "CustomersV3"}),
            await client.http.get("/jobs"),
        ):
            assert (refused.status_code, code_of(refused)) == (501, "JOBS_UNAVAILABLE")


async def test_a_trusted_document_is_exported_where_no_other_runs(tmp_path: Path) -> None:
    one_list = (
        'query Q($group: String! = "none", $n: Int) { customersV3(first: $n, where: {customerGroupId: {eq: $group}})'
        " { nodes { account: customerAccount customerGroup { description } } pageInfo { endCursor } } }"
    )
    texts = {
        "groups": one_list,
        "unified": '{ accounting { vendors(where: { companyCode: { eq: "usmf" } }) { nodes { number status } } } }',
        "two": "{ customersV3 { nodes { id } } vendorsV2 { nodes { id } } }",
        "sorted": "{ customersV3(orderBy: [{nameAlias: ASC}]) { nodes { id } } }",
        "counted": "{ customersV3 { totalCount } }",
    }
    values = {
        "cache_dir": None,
        "data_dir": tmp_path,
        "language": None,
        "documents": {"mode": "only", "manifest": str(write(tmp_path / "manifest.json", texts))},
    }
    async with (
        serving(Settings.model_validate(values)) as (app, events),
        calling(app, events) as client,
    ):
        body = {"documentId": "groups", "variables": {"group": "10"}, "format": "csv"}
        job = await ended(client, await client.http.post("/exports", json=body))
        _, (part,) = await parts_of(client, job)
        assert part.splitlines()[0] == b"account,customerGroup.description"
        assert len(part.splitlines()) - 1 == job["progress"]["rows"] > 0
        unified = {"documentId": "unified"}
        job = await ended(client, await client.http.post("/exports", json=unified))
        _, (part,) = await parts_of(client, job)
        assert json.loads(part.splitlines()[0]).keys() == {"number", "status"}
        for wrong, code in (
            ({"set": "CustomersV3"}, "PERSISTED_QUERY_REQUIRED"),
            ({"documentId": "missing"}, "PERSISTED_QUERY_NOT_FOUND"),
            ({"documentId": "groups", "where": "{}"}, "BAD_ARGUMENT"),
            ({"documentId": 5}, "BAD_ARGUMENT"),
            *(({"documentId": name}, "BAD_ARGUMENT") for name in ("two", "sorted", "counted")),
        ):
            assert code_of(await client.http.post("/exports", json=wrong)) == code, wrong
