"""``jobs``: jobs of the store from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.commands import app as commands
from gateway.config.settings import Settings
from tests.support.app_client import calling, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with three jobs: CSV, Parquet, and one that has failed."""
    folder = tmp_path_factory.mktemp("data")
    values = {"cache_dir": None, "data_dir": folder, "language": None, "max_page_size": 50}
    settings = Settings.model_validate({**values, "jobs": {"part_rows": 100}})

    async def run() -> None:
        async with serving(settings) as (app, events), calling(app, events) as client:
            for body in (
                {"set": "CustomersV3", "format": "csv"},
                {"set": "CustomersV3", "format": "parquet"},
                {"set": "CustomersV3", "where": "{nothing:{eq:1}}"},
            ):
                await client.http.post("/exports", json=body)
            async with asyncio.timeout(30):
                while any(  # noqa: ASYNC110 - the jobs run in the same loop
                    job["state"] in {"QUEUED", "RUNNING"}
                    for job in (await client.http.get("/jobs")).json()["jobs"]
                ):
                    await asyncio.sleep(0.05)
            streamed = await client.http.get("/export/CustomersV3?format=csv")
            (folder / "streamed.csv").write_bytes(streamed.content)

    asyncio.run(run())
    return folder


def call(folder: Path, *arguments: str) -> tuple[int, str, str]:
    environ = {"D365_DATA_DIR": str(folder), "D365_CACHE_DIR": "none", "D365_LANGUAGE": "none"}
    result = CliRunner().invoke(commands, ["jobs", *arguments], env=environ)
    return result.exit_code, result.stdout, result.stderr


def listed(folder: Path) -> list[dict[str, Any]]:
    _, text, _ = call(folder, "list", "--json")
    jobs: list[dict[str, Any]] = json.loads(text)["jobs"]
    return jobs


def test_jobs_are_listed_and_shown(folder: Path) -> None:
    jobs = listed(folder)
    _, table, _ = call(folder, "list")
    _, shown, _ = call(folder, "show", jobs[0]["id"][:8])

    assert sorted(job["state"] for job in jobs) == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert table.splitlines()[0].split()[:3] == ["ID", "KIND", "NAME"]
    assert len(table.splitlines()) == 4
    assert json.loads(shown)["id"] == json.loads(shown)["manifest"]["job"] == jobs[0]["id"]


def test_the_parts_of_csv_are_one_file_those_of_parquet_many(folder: Path, tmp_path: Path) -> None:
    by_format = {job["format"]: job["id"] for job in listed(folder)}

    code, _, said = call(folder, "download", by_format["csv"], "--to", str(tmp_path / "all.csv"))
    assert (code, "3 parts" in said) == (0, True)
    assert (tmp_path / "all.csv").read_bytes() == (folder / "streamed.csv").read_bytes()
    code, _, _ = call(folder, "download", by_format["parquet"], "--to", str(tmp_path / "parts"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        f"CustomersV3-000{number}.parquet" for number in (1, 2, 3)
    ]

    _, text, _ = call(folder, "show", by_format["csv"])
    changed = (
        folder / "jobs" / by_format["csv"] / json.loads(text)["manifest"]["parts"][1]["sha256"]
    )
    changed.write_bytes(b"changed")
    code, _, said = call(folder, "download", by_format["csv"], "--to", str(tmp_path / "all.csv"))
    assert (code, "Part 2 was changed" in said) == (1, True)
    assert (tmp_path / "all.csv").read_bytes() == (folder / "streamed.csv").read_bytes()


def test_what_a_job_cannot_do_is_refused(folder: Path, tmp_path: Path) -> None:
    by_state = {job["state"]: job["id"] for job in listed(folder)}

    for arguments, message in (
        (("show", "none"), "UNKNOWN_JOB"),
        (("cancel", by_state["SUCCEEDED"]), "WRONG_JOB_STATE"),
        (("resume", by_state["SUCCEEDED"]), "WRONG_JOB_STATE"),
        (("download", by_state["FAILED"], "--to", str(tmp_path / "a")), "WRONG_JOB_STATE"),
    ):
        code, _, said = call(folder, *arguments)
        assert (code, message in said) == (2, True), said
    assert call(folder, "resume", by_state["FAILED"])[0] == 0
    assert {job["state"] for job in listed(folder)} == {"SUCCEEDED", "QUEUED"}
    assert call(folder, "cancel", by_state["FAILED"])[0] == 0
    assert {job["state"] for job in listed(folder)} == {"SUCCEEDED", "CANCELLED"}
