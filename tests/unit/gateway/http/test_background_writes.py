"""Mutations and imports as jobs (``Prefer: respond-async``): their results, and what another process goes on with."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.idempotency import ledger as ledgers
from gateway.identity.caller import ANONYMOUS
from gateway.imports.request import ImportRequest
from gateway.jobs import importing, mutating
from gateway.jobs.importing import ImportJob, ImportKind
from gateway.jobs.mutating import MutationJob, MutationKind
from gateway.jobs.records import Checkpoint, FileFacts, Job, NewJob, Part, Progress
from gateway.jobs.running import JobKind, JobLost, RunningJob
from gateway.runtime.served_api import ServedApi
from gateway.sandbox import create_sandbox
from gateway.sandbox.faults import FaultRule
from gateway.sandbox.settings import Fault, SandboxSettings
from tests.support.app_client import Client, calling, code_of, serving
from tests.support.write_kinds import BATCH, fresh

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LATER = {"prefer": "wait=1, respond-async"}
IMPORT = "/import/CustomerGroups?companies=usmf"
NDJSON = {"content-type": "application/x-ndjson"}
CREATE = """mutation Groups($rows: [CustomerGroupCreateInput!]!) {
  x: createCustomerGroups(input: $rows) { results { customerGroup { customerGroupId } userErrors { code } } }
}"""


@pytest.fixture(scope="module")
def upstream() -> Starlette:
    return create_sandbox(SandboxSettings(scale=0.1))


@pytest.fixture(scope="module")
async def app(
    upstream: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    settings = Settings(
        cache_dir=None,
        data_dir=tmp_path_factory.mktemp("data"),
        language="none",
        companies=("usmf",),
    )
    writes = settings.writes.model_copy(update={"import_rows": 2})
    settings = settings.model_copy(update={"writes": writes})
    async with serving(settings, upstream=httpx.ASGITransport(upstream)) as opened:
        yield opened


@pytest.fixture
async def client(
    app: tuple[Starlette, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    monkeypatch.setattr(importing, "PART_ROWS", 3)
    monkeypatch.setattr(importing, "PAUSE", 0.02)
    monkeypatch.setattr(mutating, "PAUSE", 0.02)
    async with calling(*app) as client:
        yield client


def rows_of(keys: Sequence[str], **values: Any) -> bytes:
    rows = ({"customerGroupId": key, "description": "new", **values} for key in keys)
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


async def ended(client: Client, started: httpx.Response) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    assert started.headers["preference-applied"] == "respond-async"
    assert started.headers["location"] == f"/jobs/{started.json()['id']}"
    async with asyncio.timeout(20):
        while True:
            job: dict[str, Any] = (await client.http.get(started.headers["location"])).json()
            if job["state"] not in {"QUEUED", "RUNNING"}:
                return job
            await asyncio.sleep(0.02)


async def parts_of(client: Client, job: dict[str, Any]) -> list[bytes]:
    manifest = (await client.http.get(job["links"]["manifest"])).json()
    return [(await client.http.get(part["href"])).content for part in manifest["parts"]]


def count(upstream: Starlette, key: str) -> int:
    return len(upstream.state.store.rows("CustomerGroups", CustomerGroupId=key))


async def test_an_import_has_its_results_part_by_part(client: Client, upstream: Starlette) -> None:
    keys = [fresh() for _ in range(6)]
    body = rows_of(keys[:5]) + b"no JSON\n" + rows_of(keys[5:])
    headers = {**NDJSON, **LATER, "content-encoding": "gzip"}

    started = await client.http.post(IMPORT, content=gzip.compress(body), headers=headers)
    job = await ended(client, started)
    parts = await parts_of(client, job)

    assert (job["state"], job["kind"], job["name"]) == ("SUCCEEDED", "import", "CustomerGroups")
    assert (job["progress"]["rows"], job["progress"]["parts"]) == (7, 2)
    results = [json.loads(line) for part in parts for line in part.splitlines()]
    assert [r["row"] for r in results] == list(range(1, 8))
    assert [r["status"] for r in results] == ["created"] * 5 + ["refused", "created"]
    assert [len(part.splitlines()) for part in parts] == [4, 3]
    assert [count(upstream, key) for key in keys] == [1] * 6


async def test_a_mutation_has_its_answer_as_a_file(client: Client, upstream: Starlette) -> None:
    key = fresh()
    rows = [{"customerGroupId": key, "description": "new"}]
    body = {"query": CREATE, "variables": {"rows": rows}}

    job = await ended(client, await client.http.post("/graphql", json=body, headers=LATER))
    (answer,) = await parts_of(client, job)
    read = {"query": "{ customerGroups(first: 1) { nodes { id } } }"}
    query = await client.http.post("/graphql", json=read, headers=LATER)
    invalid = await client.http.post("/graphql", json={"query": "mutation { x }"}, headers=LATER)
    priced = {**LATER, "x-d365-cost": "estimate"}
    other = fresh()
    rows = [{"customerGroupId": other, "description": "new"}]
    price = await client.http.post(
        "/graphql", json={**body, "variables": {"rows": rows}}, headers=priced
    )
    refused = await client.http.post(IMPORT, content=rows_of([other]), headers=NDJSON | priced)

    assert (job["state"], job["kind"], job["format"]) == ("SUCCEEDED", "mutation", "json")
    payload = json.loads(answer)["data"]["x"]
    assert payload["results"] == [{"customerGroup": {"customerGroupId": key}, "userErrors": []}]
    assert count(upstream, key) == 1
    assert query.json()["data"]["customerGroups"]["nodes"]
    assert code_of(invalid) == "GRAPHQL_VALIDATION_FAILED"
    assert price.json()["extensions"]["cost"]["estimated"]["requests"] > 0
    assert (refused.status_code, code_of(refused), count(upstream, other)) == (
        400,
        "BAD_REQUEST",
        0,
    )


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/import/Nothing", b"", "UNKNOWN_SET"),
        (IMPORT, b"", "SUCCEEDED"),
        (f"{IMPORT}&maxErrors=0", b"1\n2\n3\n", "TOO_MANY_ERRORS"),
        ("/import/CustomerGroups?companies=usmf&empty=null", b"", "BAD_ARGUMENT"),
    ],
)
async def test_what_is_wrong_is_said_as_soon_as_it_shows(
    client: Client, path: str, body: bytes, code: str
) -> None:
    response = await client.http.post(path, content=body, headers={**NDJSON, **LATER})

    if response.status_code != 202:
        assert code_of(response) == code
        return
    job = await ended(client, response)
    found = job["state"] if job["error"] is None else job["error"]["extensions"]["code"]
    assert found == code


@pytest.mark.parametrize("path", [IMPORT, f"{IMPORT}&maxErrors=0"])
async def test_an_import_that_fails_goes_on_when_it_is_resumed(
    client: Client, upstream: Starlette, path: str
) -> None:
    keys = [fresh() for _ in range(4)]
    rule = FaultRule(at="before", answer=Fault(status=403), skip=1, **BATCH)  # type: ignore[arg-type]
    upstream.state.faults.add(rule)

    failed = await ended(
        client,
        await client.http.post(path, content=rows_of(keys), headers={**NDJSON, **LATER}),
    )
    assert (failed["state"], failed["progress"]["rows"]) == ("FAILED", 2)
    assert [count(upstream, key) for key in keys] == [1, 1, 0, 0]
    resumed = await client.http.post(f"{failed['links']['self']}/resume")
    resumed.headers.update(
        {"preference-applied": "respond-async", "location": failed["links"]["self"]}
    )
    job = await ended(client, resumed)

    assert (job["state"], job["progress"]["rows"]) == ("SUCCEEDED", 4)
    assert [count(upstream, key) for key in keys] == [1] * 4


class Deployment:
    """A job in a store, which processes run that are killed: what they have not stored is lost."""

    def __init__(self, app: Starlette, job: Job) -> None:
        self.job = job
        self._api = ServedApi(live=app.state.live)
        self._parts = app.state.jobs.parts
        self.saves = 99
        """Checkpoints that the next process stores before it is killed."""

    async def _save(self, checkpoint: Checkpoint, progress: Progress) -> None:
        if not self.saves:
            raise JobLost
        self.saves -= 1
        self.job = msgspec.structs.replace(self.job, checkpoint=checkpoint, progress=progress)

    async def run(self, kind: JobKind) -> None:
        await kind.run(RunningJob(self.job, ANONYMOUS, self._api, self._parts, self._save))

    def results(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        pieces = (b"".join(self._parts.read(self.job.id, part.sha256)) for part in parts)
        return [json.loads(line) for piece in pieces for line in piece.splitlines()]


async def deployed(app: Starlette, request: msgspec.Struct, rows: bytes = b"") -> Deployment:
    new = NewJob(
        environment="",
        profile=None,
        kind="",
        request=msgspec.json.encode(request),
        files=FileFacts(name="x", ending="ndjson", media="x"),
        caller=ANONYMOUS,
        is_personal=False,
    )
    job = Job(
        id=f"test{fresh()}",
        state="RUNNING",
        creator="",
        checkpoint=Checkpoint(),
        progress=Progress(),
        error=None,
        created=0.0,
        updated=0.0,
        expires_at=None,
        **{name: getattr(new, name) for name in new.__struct_fields__},
    )
    folder = app.state.jobs.parts
    with folder.scratch(job.id) as scratch:
        file = Path(scratch) / "rows"
        file.write_bytes(rows)
        await folder.put(job.id, file, "rows")
    return Deployment(app, job)


def import_job(key: str | None = None, **options: Any) -> ImportJob:
    of = ImportRequest(format="ndjson", **options)
    return ImportJob(
        set="CustomerGroups",
        options=of,
        companies=("usmf",),
        key=key,
        sha256="rows",
        coding="identity",
    )


@pytest.mark.parametrize("saves", [0, 1, 2])
async def test_no_row_is_written_twice_after_a_kill(
    client: Client, app: tuple[Starlette, list[Event]], upstream: Starlette, saves: int
) -> None:
    keys = [fresh() for _ in range(9)]
    deployment = await deployed(app[0], import_job(), rows_of(keys))

    deployment.saves = saves
    with pytest.raises(JobLost):
        await deployment.run(ImportKind())
    deployment.saves = 99
    await deployment.run(ImportKind())

    results = deployment.results(deployment.job.checkpoint.parts)
    assert [r["row"] for r in results] == list(range(1, 10))
    assert {r["status"] for r in results} == {"created"}
    assert [count(upstream, key) for key in keys] == [1] * 9


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ({}, ["unknown", "unknown", "created", "created"]),
        ({"unique_by": ()}, ["unknown", "unknown", "created", "created"]),
        ({"unique_by": ("description",)}, ["exists"] * 4),
        (
            {"unique_by": ("description",), "key": "of-the-client"},
            ["exists", "exists", "created", "created"],
        ),
    ],
)
async def test_rows_of_a_killed_process_are_unknown_or_looked_up(
    client: Client,
    app: tuple[Starlette, list[Event]],
    upstream: Starlette,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    statuses: list[str],
) -> None:
    keys = [fresh() for _ in range(4)]
    rows = b"".join(rows_of([key], description=key) for key in keys)
    deployment = await deployed(app[0], import_job(**options), rows)
    monkeypatch.setattr(ledgers, "LEASE", 0.2)

    async def killed(runs: ledgers.Runs, _answers: object) -> None:
        runs.abandon()
        raise JobLost

    # The process ends after it has written, and before it has stored what became of that.
    monkeypatch.setattr(ledgers.Runs, "settle", killed)
    deployment.saves = 0
    with pytest.raises(JobLost):
        await deployment.run(ImportKind())
    monkeypatch.undo()
    monkeypatch.setattr(importing, "PAUSE", 0.05)
    deployment.saves = 99
    await deployment.run(ImportKind())

    results = deployment.results(deployment.job.checkpoint.parts)
    assert [r["status"] for r in results] == statuses
    assert [count(upstream, key) for key in keys] == [1] * 4


async def test_a_mutation_of_a_killed_process_is_not_run_again(
    client: Client,
    app: tuple[Starlette, list[Event]],
    upstream: Starlette,
) -> None:
    key = fresh()
    variables = {"rows": [{"customerGroupId": key, "description": "new"}]}
    job = MutationJob(query=CREATE, variables=variables, companies=("usmf",))
    deployment = await deployed(app[0], job)

    deployment.saves = 0
    with pytest.raises(JobLost):
        await deployment.run(MutationKind())
    deployment.saves = 99
    await deployment.run(MutationKind())

    (answer,) = deployment.results(deployment.job.checkpoint.parts)
    assert answer["data"]["x"]["results"][0]["customerGroup"]["customerGroupId"] == key
    assert count(upstream, key) == 1
