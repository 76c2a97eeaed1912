"""Jobs of changes: the whole list, then only what has changed, from the cursor of one job to that of the next."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pyarrow.parquet
import pytest
from starlette.applications import Starlette

from gateway.config.job_models import JobOptions
from gateway.config.settings import Settings
from gateway.events import Event
from gateway.export.changes import ChangeReader, Changes
from gateway.export.reading import ExportFailed
from gateway.request import Answer
from tests.support.app_client import Client, calling, code_of, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
REQUEST = {
    "kind": "changes",
    "set": "CustomerGroups",
    "companies": "usmf",
    "fields": "customerGroupId",
}
WRITES = """mutation {
  createCustomerGroup(input: { dataAreaId: "usmf", customerGroupId: "NEW", description: "x" })
    { userErrors { message } }
  updateCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "10" }, patch: { description: "y" })
    { userErrors { message } }
}"""


DELETE = """mutation {
  deleteCustomerGroup(key: { dataAreaId: "usmf", customerGroupId: "NEW" }) { userErrors { message } }
}"""


@pytest.fixture(scope="module")
async def app(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    values: dict[str, Any] = {"changes": {"sweep_interval": 0.0}, "language": "none"}
    small = Settings.model_validate(
        {**values, "cache_dir": None, "data_dir": tmp_path_factory.mktemp("data")}
    ).model_copy(
        update={"default_page_size": 2, "max_page_size": 2, "jobs": JobOptions(part_rows=100)}
    )
    async with serving(small) as opened:
        yield opened


@pytest.fixture
async def client(app: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*app) as client:
        yield client


async def ended(client: Client, job: str) -> dict[str, Any]:
    """Return a job that has ended."""
    async with asyncio.timeout(30):
        while True:
            shown: dict[str, Any] = (await client.http.get(job)).json()
            if shown["state"] not in {"QUEUED", "RUNNING"}:
                return shown
            await asyncio.sleep(0.02)


async def finished(
    client: Client, since: str | None, **more: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the manifest of a job that has succeeded, and its lines."""
    started = await client.http.post("/exports", json={**REQUEST, **more, "since": since})
    assert started.status_code == 202, started.text
    job = await ended(client, started.headers["location"])
    assert job["state"] == "SUCCEEDED", job
    manifest = (await client.http.get(job["links"]["manifest"])).json()
    parts = [(await client.http.get(part["href"])).content for part in manifest["parts"]]
    if more.get("format") == "parquet":
        tables = [pyarrow.parquet.read_table(io.BytesIO(part)) for part in parts]
        lines = [row for table in tables for row in table.to_pylist()]
    else:
        lines = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert manifest["rows"] == len(lines) == manifest["upserts"] + manifest["deletes"]
    return manifest, lines


async def test_each_job_goes_on_where_the_one_before_has_ended(client: Client) -> None:
    whole, rows = await finished(client, None)
    names = [row["node"]["customerGroupId"] for row in rows]
    assert len(names) == len(set(names)) > 4
    assert (whole["resyncRequired"], whole["source"]) == (False, "ETAGS")
    nothing, none = await finished(client, whole["cursor"])
    assert (none, nothing["parts"], nothing["complete"]) == ([], [], True)

    body = (await client.http.post("/graphql", json={"query": WRITES})).json()
    assert all(payload["userErrors"] == [] for payload in body["data"].values()), body
    changed, lines = await finished(client, nothing["cursor"])
    assert {(line["kind"], line["node"]["customerGroupId"]) for line in lines} == {
        ("CREATED", "NEW"),
        ("UPDATED", "10"),
    }
    fields = "customerGroupId description"
    whole, rows = await finished(client, None, format="parquet", fields=fields)
    assert {row["description"] for row in rows} >= {"x", "y"}

    await client.http.post("/graphql", json={"query": DELETE})
    last, (line,) = await finished(client, changed["cursor"])
    assert line == {"kind": "DELETED", "id": line["id"]}
    assert (last["deletes"], last["guarantee"]) == (1, "DELETES_WITHIN")
    (new,) = (row for row in rows if row["customerGroupId"] == "NEW")
    _, gone = await finished(client, whole["cursor"], format="parquet", fields=fields)
    assert gone == [{**dict.fromkeys(new), "kind": "DELETED", "id": new["id"]}]


async def test_a_job_has_the_objects_of_a_unified_list(client: Client) -> None:
    request = {"kind": "changes", "set": "directory.roles", "fields": "name license"}
    job = await ended(
        client, (await client.http.post("/exports", json=request)).headers["location"]
    )
    manifest = (await client.http.get(job["links"]["manifest"])).json()
    part = (await client.http.get(manifest["parts"][0]["href"])).content
    line = json.loads(part.splitlines()[0])

    assert job["state"] == "SUCCEEDED"
    assert line["node"].keys() == {"name", "license"}


async def test_a_job_goes_on_at_its_last_part(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it fails of: the parts that are complete stay, and nothing comes twice."""
    read, failing = ChangeReader.read, [True]
    jobs = client.app.state.jobs._runner._kinds["changes"]
    monkeypatch.setattr(jobs, "_part_rows", 2)

    async def once(self: ChangeReader, since: str | None, first: int | None) -> Changes:
        changes = await read(self, since, first)
        if failing and len(client.app.state.jobs._runner._held) and since is not None:
            failing.clear()
            error = {"message": "x", "extensions": {"code": "UPSTREAM_REJECTED"}}
            raise ExportFailed(Answer(None, [error]))
        return changes

    monkeypatch.setattr(ChangeReader, "read", once)
    started = await client.http.post("/exports", json={**REQUEST, "since": None})
    own = started.headers["location"]
    assert (await ended(client, own))["state"] == "FAILED"
    kept = (await client.http.get(f"{own}/manifest")).json()["parts"]
    assert [part["rows"] for part in kept] == [2]
    await client.http.post(f"{own}/resume")
    assert (await ended(client, own))["state"] == "SUCCEEDED"
    manifest = (await client.http.get(f"{own}/manifest")).json()

    assert manifest["parts"][:1] == kept
    parts = [(await client.http.get(part["href"])).content for part in manifest["parts"]]
    ids = [json.loads(line)["id"] for line in b"".join(parts).splitlines()]
    assert len(ids) == len(set(ids)) == manifest["rows"] > 4


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"kind": "other"}, "BAD_ARGUMENT"),
        ({"format": "csv"}, "BAD_ARGUMENT"),
        ({"format": "parquet", "fields": "id customerGroupId"}, "BAD_ARGUMENT"),
        ({"since": 7}, "BAD_ARGUMENT"),
        ({"set": "nothing"}, "UNKNOWN_SET"),
    ],
)
async def test_what_cannot_run_is_refused(client: Client, more: dict[str, Any], code: str) -> None:
    assert code_of(await client.http.post("/exports", json={**REQUEST, **more})) == code


async def test_a_cursor_of_another_list_fails_the_job(client: Client) -> None:
    started = await client.http.post("/exports", json={**REQUEST, "since": "nothing"})
    job = await ended(client, started.headers["location"])
    assert (job["state"], job["error"]["extensions"]["code"]) == ("FAILED", "INVALID_CURSOR")
