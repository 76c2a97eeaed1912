"""kill -9 of the gateway while it runs an export job, again and again: the files have the same bytes in the end."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.process import Running, running
from tests.support.soak import bounded

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]
KILLS = bounded(1, 20)
SEED = 20_261_130
OPTIONS = {
    "D365_DEFAULT_PAGE_SIZE": "2",
    "D365_MAX_PAGE_SIZE": "2",
    "D365_JOBS__PART_ROWS": "100",
    "D365_JOBS__PARALLEL": "2",
    "D365_JOBS__LEASE": "1",
}


def _address(gateway: Running) -> str:
    return gateway.wait_for(r"(http://\S+)/graphql\b")


async def _job(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    job: dict[str, Any] = (await http.get(path)).json()
    return job


@pytest.mark.parametrize("form", bounded(["csv"], ["csv", "parquet"]))
async def test_a_job_that_is_killed_has_the_same_bytes(tmp_path: Path, form: str) -> None:
    dice = random.Random(SEED)
    kills, partial, jobs = 0, 0, list[str]()
    while True:
        with running(tmp_path, "serve", "--sandbox", "--port", "0", **OPTIONS) as gateway:
            address = await asyncio.to_thread(_address, gateway)
            async with httpx.AsyncClient(base_url=address, timeout=60) as http:
                if not jobs or (await _job(http, jobs[-1]))["state"] == "SUCCEEDED":
                    if kills >= KILLS:
                        await _check(http, jobs, form)
                        break
                    jobs.append(await _start(http, form))
                if kills < KILLS:
                    await asyncio.sleep(dice.uniform(0.05, 1.0))
                    job = await _job(http, jobs[-1])
                    await asyncio.to_thread(gateway.end, signal.SIGKILL)
                    kills += job["state"] in {"QUEUED", "RUNNING"}
                    partial += job["progress"]["parts"] > 0
                    continue
                await _end_of(http, jobs[-1])
                await _check(http, jobs, form)
                break
    assert kills == KILLS
    assert partial or KILLS == 1


async def _start(http: httpx.AsyncClient, form: str) -> str:
    started = await http.post("/exports", json={"set": "CustomersV3", "format": form})
    location: str = started.headers["location"]
    return location


async def _end_of(http: httpx.AsyncClient, path: str) -> None:
    async with asyncio.timeout(60):
        while (await _job(http, path))["state"] in {"QUEUED", "RUNNING"}:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


async def _check(http: httpx.AsyncClient, jobs: list[str], form: str) -> None:
    """Assert that all jobs have the bytes of a stream, or of a job that nobody disturbs, and left nothing else."""
    if form == "csv":
        expected = (await http.get("/export/CustomersV3?format=csv")).content
    else:
        # A stream of Parquet is one file, and each part of a job is one.
        undisturbed = await _start(http, form)
        await _end_of(http, undisturbed)
        expected = b"".join(await _parts(http, undisturbed))
    for path in jobs:
        parts = await _parts(http, path)
        assert len(parts) == 3
        assert b"".join(parts) == expected


async def _parts(http: httpx.AsyncClient, path: str) -> list[bytes]:
    manifest = (await http.get(f"{path}/manifest")).json()
    assert manifest["complete"], await _job(http, path)
    return [(await http.get(part["href"])).content for part in manifest["parts"]]
