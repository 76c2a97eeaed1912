"""API keys that are for some environments only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.cli import keys
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.store.api_keys import open_register
from tests.support.environments import Deployment, code_of, deployed, mark_of, path_of, settings_of
from tests.support.stores import take_back

pytestmark = pytest.mark.anyio
NAMES = "{ things { nodes { name } } }"


def made(settings: Settings, capsys: pytest.CaptureFixture[str], *environments: str) -> str:
    keys.create(settings, "nightly", [], "90d", environments, as_json=True)
    return str(json.loads(capsys.readouterr().out)["key"])


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    settings = settings_of("acme", "beta", inbound={"api_keys": True}, data_dir=tmp_path)
    async with deployed(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("environments", "places"),
    [
        ((), {"": "home", "acme": "acme", "beta": "beta"}),
        (("acme",), {"": "acme", "acme": "acme", "beta": None}),
        (("a*", "default"), {"": "home", "acme": "acme", "beta": None}),
    ],
)
async def test_a_key_opens_its_environments(
    deployment: Deployment,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    environments: tuple[str, ...],
    places: dict[str, str | None],
) -> None:
    declared = settings_of("acme", "beta", inbound={"api_keys": True}, data_dir=tmp_path)
    headers = {"authorization": f"Bearer {made(declared, capsys, *environments)}"}
    for name, place in places.items():
        answer = await deployment.post(NAMES, path_of(name), headers=headers)
        if place is None:
            assert (answer.status_code, code_of(answer)) == (404, "UNKNOWN_ENVIRONMENT")
        else:
            assert mark_of(place) in answer.text


def test_a_key_for_an_unknown_environment_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no environment acne\. Did you mean acme"):
        keys.create(settings_of("acme", data_dir=tmp_path), "x", [], "90d", ["acne"], as_json=True)


def test_keys_of_an_older_store_open_all_environments(tmp_path: Path) -> None:
    settings = settings_of("acme", data_dir=tmp_path)
    register = open_register(settings)
    register.create("old", ["clerk"], None)
    register.close()
    (file,) = tmp_path.rglob("*.db")
    with sqlite3.connect(file) as store:
        take_back(store)
        store.execute("UPDATE store_version SET version_num = '0001'")
    store.close()

    register = open_register(settings)
    (key,) = register.list()
    register.close()

    assert (key.name, key.roles, key.environments) == ("old", ("clerk",), ())
