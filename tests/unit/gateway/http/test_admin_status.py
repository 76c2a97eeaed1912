"""``/admin/environments/{name}/status`` and ``/drift``: for those who have a key; as they are described."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config.settings import Settings
from tests.support.described_api import DescribedApi, described_api, new_key
from tests.support.stored_environments import URL, stored_settings
from tests.support.stored_status import DIGESTS, tell

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PATH = "/admin/environments"
STATUS, DRIFT = f"{PATH}/acme/status", f"{PATH}/acme/drift"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return stored_settings(request, tmp_path, environments={"declared": {"sandbox": {}}})


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[DescribedApi]:
    async with described_api(settings) as api:
        yield api


async def add(api: DescribedApi) -> None:
    options = {"url": URL, "tenant_id": "acme", "client_id": "x", "client_secret": "y"}
    added = await api("POST", PATH, json={"name": "acme", **options})
    assert added.status_code == 201


async def test_an_environment_without_requests_is_closed(api: DescribedApi) -> None:
    await add(api)

    for name in ("acme", "declared", "default"):
        status = (await api("GET", f"{PATH}/{name}/status")).json()
        drift = (await api("GET", f"{PATH}/{name}/drift")).json()
        assert (status["environment"], status["scope"]) == (name, "deployment")
        assert (status["state"], status["errors"]) == ("closed", [])
        assert status["calls"]["day"]["requests"] == 0
        assert status["calls"]["day"]["p95_ms"] is None
        assert drift["documents"] == []


async def test_what_processes_tell_is_shown(api: DescribedApi, settings: Settings) -> None:
    await add(api)
    tell(settings)

    status = (await api("GET", STATUS)).json()
    drift = (await api("GET", DRIFT, params={"since": "2h"})).json()

    assert status["state"] == "open"
    assert status["metadata"]["sha256"] == DIGESTS[1]
    assert [error["code"] for error in status["errors"]] == ["UPSTREAM_TIMEOUT"]
    (document,) = drift["documents"]
    assert (document["before"], document["after"]) == DIGESTS
    assert (document["breaking"], document["left_off"]) == (2, 1)
    assert document["changes"][0]["place"] == "Thing"
    assert document["broken_operations"] == [{"id": "bad", "errors": ["No field old."]}]


async def test_a_name_that_is_used_again_has_no_past(api: DescribedApi, settings: Settings) -> None:
    await add(api)
    tell(settings)
    await api("DELETE", f"{PATH}/acme")
    # A process may write once more when it closes the environment.
    tell(settings, at=time.time() - 5)
    await add(api)

    status, drift = (await api("GET", STATUS)).json(), (await api("GET", DRIFT)).json()

    assert (status["state"], status["errors"], status["processes"]) == ("closed", [], [])
    assert drift["documents"] == []


@pytest.mark.parametrize("below", ["status", "drift"])
async def test_others_learn_nothing(api: DescribedApi, settings: Settings, below: str) -> None:
    await add(api)
    path = f"{PATH}/acme/{below}"

    unknown = await api("GET", f"{PATH}/nobody/{below}")
    nobody = await api("GET", path, headers={"Authorization": "Bearer d365_0_0"})
    key = new_key(settings, "viewer")
    other = await api("GET", path, headers={"Authorization": f"Bearer {key}"})

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "UNKNOWN_ENVIRONMENT")
    assert nobody.status_code == 401
    assert other.status_code in {401, 403}  # a key is known a second after it was made


@pytest.mark.parametrize(
    ("since", "status"),
    [
        ("90m", 200),
        ("30d", 200),
        ("31d", 400),
        ("0h", 400),
        ("24", 400),
        ("yesterday", 400),
        ("-1h", 400),
        ("99999d", 400),
    ],
)
async def test_drift_is_of_a_period(tmp_path: Path, since: str, status: int) -> None:
    settings = Settings(data_dir=tmp_path, environments={"acme": {"sandbox": {}}})  # type: ignore[dict-item] # validated
    async with described_api(settings) as api:
        response = await api("GET", DRIFT, params={"since": since})

    assert response.status_code == status
    assert status == 200 or response.json()["error"]["code"] == "BAD_ARGUMENT"
