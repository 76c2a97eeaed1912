"""`secrets …`: what is rotated, printed and recorded; and a store that several workers follow."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from tests.support.process import PATIENCE, Finished, invoke, running
from tests.support.stores import KEY, OTHER_KEY

MARKER = "planted-s3cret"
OPTIONS = EnvironmentOptions.model_validate(
    {"url": "https://acme.operations.dynamics.com/data", "client_secret": MARKER}
)


def printed(result: Finished) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def store(folder: Path, *names: str, key: str = KEY.get_secret_value()) -> None:
    settings = Settings.model_validate(
        {"data_dir": folder / "data" / "d365-graphql", "encryption_key": key}
    )
    register = open_environment_register(settings)
    for name in names:
        register.create(name, OPTIONS)
    register.close()


def variables(key: str, *old: str) -> dict[str, str]:
    return {"D365_ENCRYPTION_KEY": key, "D365_ENCRYPTION_KEY_OLD": ",".join(old)}


def test_secrets_move_to_another_key(tmp_path: Path) -> None:
    store(tmp_path, "acme", "beta")
    first, second = KEY.get_secret_value(), OTHER_KEY.get_secret_value()
    both = variables(second, first)

    before = printed(invoke(tmp_path, "secrets", "status", "--json", **both))["keys"]
    one = printed(invoke(tmp_path, "secrets", "rotate", "--environment", "beta", "--json", **both))
    table = invoke(tmp_path, "secrets", "status", **both).stdout.splitlines()
    rest = invoke(tmp_path, "secrets", "rotate", **both)
    after = printed(invoke(tmp_path, "secrets", "status", "--json", **variables(second)))["keys"]

    assert [(k["environment"], k["version"], k["wrappedBy"]) for k in before] == [
        ("acme", 1, "old"),
        ("beta", 1, "old"),
    ]
    assert one == {"rotated": ["beta"], "failed": {}}
    assert [line.split("  ")[-1].strip() for line in table[1:]] == [
        "an earlier key",
        "encryption_key",
    ]
    assert rest.stdout == "Environments whose secrets are encrypted anew: 2.\n"
    assert {(k["version"], k["wrappedBy"]) for k in after} == {(2, "current"), (3, "current")}


def test_unreadable_secrets_are_named_and_others_rotated(tmp_path: Path) -> None:
    first, second = KEY.get_secret_value(), OTHER_KEY.get_secret_value()
    store(tmp_path, "acme")
    store(tmp_path, "acme2", key=first)
    settings = Settings.model_validate(
        {"data_dir": tmp_path / "data" / "d365-graphql", "encryption_key": second}
    )
    both = settings.model_copy(update={"encryption_key_old": (KEY,)})
    register = open_environment_register(both)
    register.rotate("acme2")
    register.close()

    rotated = invoke(tmp_path, "secrets", "rotate", **variables(first))
    status = invoke(tmp_path, "secrets", "status", **variables(first))

    assert rotated.returncode == 1
    assert rotated.stdout == "Environments whose secrets are encrypted anew: 1.\n"
    assert rotated.stderr.startswith("acme2: Secrets of the store are encrypted with another key")
    assert (status.returncode, status.stdout.splitlines()[2].split()[-2:]) == (
        1,
        ["another", "key"],
    )


def test_a_rotation_is_recorded(tmp_path: Path) -> None:
    store(tmp_path, "acme")
    audit = {"D365_AUDIT__SINK": "file", "D365_AUDIT__PATH": str(tmp_path / "audit")}
    invoke(tmp_path, "secrets", "rotate", **variables(KEY.get_secret_value()), **audit)
    text = "".join(path.read_text("utf-8") for path in (tmp_path / "audit").glob("*.jsonl"))
    (line,) = (e for e in map(json.loads, text.splitlines()) if e["kind"] == "admin")

    assert (line["act"], line["environment"], line["who"]["kind"]) == (
        "environment.rotated",
        "acme",
        "os",
    )
    assert MARKER not in text


def test_an_empty_store_has_nothing_to_rotate(tmp_path: Path) -> None:
    unknown = invoke(tmp_path, "secrets", "rotate", "--environment", "acme")

    assert invoke(tmp_path, "secrets", "rotate").stdout.endswith("anew: 0.\n")
    assert invoke(tmp_path, "secrets", "status").stdout.startswith("No environment in the store")
    assert (unknown.returncode, "no environment acme" in unknown.stderr) == (2, True)


def test_a_key_that_cannot_be_used_is_not_quoted(tmp_path: Path) -> None:
    for key in ("c2hvcnQ=", "https://evil.example/keys/k", "not base64 at all"):
        refused = invoke(tmp_path, "secrets", "status", D365_ENCRYPTION_KEY=key)

        assert refused.returncode == 2
        assert "D365_ENCRYPTION_KEY" in refused.stderr
        assert key not in refused.stderr


@pytest.mark.heavy
def test_workers_follow_the_store(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", stored_environments=True)
    register = open_environment_register(settings)
    sandbox = EnvironmentOptions.model_validate({"sandbox": {"scale": 0.1}})
    served = {"D365_STORED_ENVIRONMENTS": "true", "D365_DATA_DIR": str(settings.data_dir)}

    def statuses(url: str) -> set[int]:
        # Each on a connection of its own, so that both workers answer some.
        body = {"query": "{ __typename }"}
        return {httpx.post(url, json=body, timeout=PATIENCE).status_code for _ in range(12)}

    def follows(url: str, status: int) -> bool:
        ends = time.monotonic() + PATIENCE
        while statuses(url) != {status}:
            if time.monotonic() > ends:
                return False
        return True

    with running(tmp_path, "serve", "--port", "0", "--workers", "2", **served) as gateway:
        url = gateway.wait_for(r"GraphQL: +(http://\S+/e/)NAME\S*") + "acme/graphql"
        assert statuses(url) == {404}
        register.create("acme", sandbox)
        assert follows(url, 200)
        register.remove("acme")
        assert follows(url, 404)
        assert gateway.end() == 0
    register.close()
