"""What earlier versions have left behind is read: see docs/operating/upgrades.md."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from gateway.audit.verify import verify
from gateway.config.loading import load_settings
from gateway.environments.environment_store import open_environment_register
from gateway.store.layout import VERSIONS, Layout
from gateway.store.opening import open_database
from tests.support.pages import ROOT
from tests.support.releases import (
    CHANGES,
    NODE,
    OPTIONS,
    PAGES,
    SECRET,
    gateway_over,
    page,
    run,
    settings_of,
    unpack,
    written,
)

pytestmark = pytest.mark.anyio
RELEASES = sorted((ROOT / "tests" / "releases").iterdir())
LATER = 3_600.0
"""Seconds after a release was recorded: keys of clients are kept for a day."""


@dataclass(frozen=True)
class Left:
    """A gateway of this version over what another one has left behind."""

    folder: Path
    said: Any
    http: httpx.AsyncClient


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
async def ruled(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """A client with a role, and what it was told."""
    said = unpack(request.param, tmp_path)
    with time_machine.travel(said["at"] + LATER, tick=True):
        async with gateway_over(tmp_path, said["ruled"], has_roles=True) as http:
            yield said["pages"]["with roles"], http


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: release.name)
async def left(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Left]:
    folder = tmp_path_factory.mktemp("left")
    said = unpack(request.param, folder)
    with time_machine.travel(said["at"] + LATER, tick=True):
        async with gateway_over(folder, said["key"]) as http:
            yield Left(folder, said, http)


def test_this_version_or_one_before_is_recorded() -> None:
    assert RELEASES


@pytest.mark.parametrize("kind", PAGES)
async def test_cursors_of_lists_go_on_where_they_were(left: Left, kind: str) -> None:
    recorded = left.said["pages"][kind]

    assert (await page(left.http, kind, recorded["after"]))["nodes"] == recorded["next"]


async def test_sealed_cursors_go_on_and_digests_stay(
    ruled: tuple[Any, httpx.AsyncClient],
) -> None:
    recorded, http = ruled

    assert (await page(http, "with roles", recorded["after"]))["nodes"] == recorded["next"]


async def test_ids_name_the_same_rows(left: Left) -> None:
    node = left.said["node"]

    assert await run(left.http, NODE, id=node["id"]) == {"node": node}


async def test_cursors_of_changes_go_on(left: Left) -> None:
    changes = (await run(left.http, CHANGES, since=left.said["since"]))["changes"]

    assert not changes["resyncRequired"]
    assert changes["cursor"]


async def test_a_mutation_with_a_known_key_is_not_sent_again(left: Left) -> None:
    answer = await written(left.http)

    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.json() == left.said["written"]


async def test_jobs_and_their_files_are_there(left: Left) -> None:
    job, digest = left.said["job"]["id"], left.said["job"]["sha256"]

    assert (await left.http.get(f"/jobs/{job}")).json()["state"] == "SUCCEEDED"
    part = (await left.http.get(f"/jobs/{job}/parts/1")).raise_for_status()
    assert part.headers["etag"].strip('"') == digest


async def test_webhooks_are_there(left: Left) -> None:
    hooks = (await left.http.get("/webhooks")).raise_for_status().json()["webhooks"]

    assert [hook["id"] for hook in hooks] == [left.said["webhook"]]
    assert hooks[0]["url"] == "https://hooks.example.com/changes"


def test_secrets_of_environments_are_read(left: Left) -> None:
    environments = open_environment_register(settings_of(left.folder))
    options = environments.options_with_secrets("acme")
    environments.close()

    assert options is not None
    assert options.client_secret is not None
    assert options.client_secret.get_secret_value() == SECRET


def test_the_audit_log_is_verified(left: Left) -> None:
    # This version writes there, too, and has not ended.
    (first,) = sorted((left.folder / "data" / "audit").glob("*.jsonl"))[:1]
    report = verify([first])

    assert report.problems == []
    assert len(report.chains) == 1


def test_settings_are_accepted(left: Left) -> None:
    load_settings({}, left.folder / OPTIONS)


def test_the_store_is_brought_up_to_date(left: Left) -> None:
    database = open_database(settings_of(left.folder))

    assert database.layout() == Layout(VERSIONS[-1])
    assert list(database.problems()) == []
    database.close()
