"""`keys` and `audit verify`: what they print, store and record."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import sinks
from gateway.config.settings import Settings
from gateway.store.api_keys import open_register, parse_key
from tests.support.process import Finished, invoke


def printed(result: Finished) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def data(folder: Path) -> Path:
    return folder / "data" / "d365-graphql"


def audit(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of the audit files."""
    contents = [path.read_bytes() for path in sorted((folder / "audit").glob("*.jsonl"))]
    lines = [json.loads(line) for content in contents for line in content.splitlines()]
    # Files of the same second are sorted by their chains.
    lines.sort(key=lambda line: line["at"])
    return [line for line in lines if line["kind"] not in {"start", "end"}]


def test_a_created_key_is_printed_once_and_works(tmp_path: Path) -> None:
    created = invoke(tmp_path, "keys", "create", "ci", "--role", "b", "--role", "a")
    text = created.stdout.strip()
    parts = parse_key(text)
    assert parts is not None
    register = open_register(Settings(data_dir=data(tmp_path)))
    (key,) = register.list()
    register.close()

    assert key.proves(parts.secret)
    assert (key.id, key.name, key.roles) == (parts.id, "ci", ("a", "b"))
    assert key.expires_at is not None
    assert round((key.expires_at - key.created) / 86_400) == 90
    assert parts.secret not in invoke(tmp_path, "keys", "list").stdout


@pytest.mark.parametrize(
    ("expires", "days"), [("12h", 0.5), ("90d", 90), ("52w", 364), ("never", None)]
)
def test_a_key_lives_as_long_as_it_should(tmp_path: Path, expires: str, days: float | None) -> None:
    key = printed(invoke(tmp_path, "keys", "create", "ci", "--expires", expires, "--json"))
    register = open_register(Settings(data_dir=data(tmp_path)))
    (stored,) = register.list()
    register.close()

    assert key["key"].startswith(f"d365_{key['id']}_")
    assert (stored.expires_at is None) is (days is None)
    if days is not None and stored.expires_at is not None:
        assert stored.expires_at - stored.created == pytest.approx(days * 86_400, abs=5)


def test_keys_are_listed_with_their_state(tmp_path: Path) -> None:
    for name in ("one", "two"):
        invoke(tmp_path, "keys", "create", name, "--role", "r")
    keys = printed(invoke(tmp_path, "keys", "list", "--json"))["keys"]
    revoked = printed(invoke(tmp_path, "keys", "revoke", keys[0]["id"], "--json"))
    table = invoke(tmp_path, "keys", "list").stdout.splitlines()

    assert [key["name"] for key in keys] == ["one", "two"]
    assert revoked["state"] == "revoked"
    assert [line.split()[-1] for line in table] == ["STATE", "revoked", "valid"]
    assert invoke(tmp_path, "keys", "revoke", keys[1]["id"]).stdout == (
        f"{keys[1]['id']} (two) is revoked.\n"
    )


def test_keys_need_a_role_that_exists(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[roles.clerk.sets."*"]\n', "utf-8")

    result = invoke(tmp_path, "keys", "create", "ci", "--role", "clark", "-c", str(config))
    admin = invoke(tmp_path, "keys", "create", "me", "--role", "admin", "-c", str(config))

    assert result.returncode == 2
    assert "There is no role clark." in result.stderr
    assert admin.returncode == 0, admin.stderr
    assert "clerk" in result.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"D365_STORE": "none"}, "store is none"),
        ({"D365_DATA_DIR": "none"}, "data_dir is none"),
        ({"D365_DATA_DIR": "/dev/null/x"}, "STORE_UNAVAILABLE"),
    ],
)
def test_keys_need_a_store(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    result = invoke(tmp_path, "keys", "create", "ci", **variables)

    assert result.returncode in {1, 2}
    assert message in result.stderr


def test_keys_are_recorded_with_the_user_of_the_machine(tmp_path: Path) -> None:
    sink = {"D365_AUDIT__SINK": "file", "D365_AUDIT__PATH": str(tmp_path / "audit")}
    key = printed(invoke(tmp_path, "keys", "create", "ci", "--role", "r", "--json", **sink))
    invoke(tmp_path, "keys", "revoke", key["id"], **sink)

    entries = audit(tmp_path)
    assert [(e["kind"], e["act"], e["key"]) for e in entries] == [
        ("key", act, {"id": key["id"], "name": "ci"}) for act in ("created", "revoked")
    ]
    assert {e["who"]["kind"] for e in entries} == {"os"}
    assert entries[0]["values"]["roles"] == ["r"]
    assert key["key"] not in json.dumps(entries)
    checked = invoke(tmp_path, "audit", "verify", **sink)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (
        0,
        "2 files, 2 chains, 6 lines: no problem.",
    )


@pytest.mark.parametrize("lines", [None, 0, 1])
def test_a_key_that_cannot_be_recorded_is_not_valid(
    tmp_path: Path, lines: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = {"D365_AUDIT__SINK": "file", "D365_AUDIT__REQUIRED": "true"}
    sink["D365_AUDIT__PATH"] = "/dev/null/x" if lines is None else str(tmp_path / "audit")
    left, write = [1] * (lines or 0), sinks.write_all

    def full(handle: int, content: bytes) -> None:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        write(handle, content)

    with monkeypatch.context() as patch:
        patch.setattr(sinks, "write_all", full)
        result = invoke(tmp_path, "keys", "create", "ci", **sink)

    assert result.returncode != 0
    assert "d365_" not in result.stdout
    keys = printed(invoke(tmp_path, "keys", "list", "--json"))["keys"]
    assert [key["state"] for key in keys] == ["revoked"]


def test_verification_says_where_the_chain_breaks(tmp_path: Path) -> None:
    sink = {"D365_AUDIT__SINK": "file", "D365_AUDIT__PATH": str(tmp_path / "audit")}
    invoke(tmp_path, "keys", "create", "ci", **sink)
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    whole = printed(invoke(tmp_path, "audit", "verify", str(path), "--json"))
    path.write_bytes(path.read_bytes().replace(b'"created"', b'"revoked"'))

    result = invoke(tmp_path, "audit", "verify", **sink)
    broken = invoke(tmp_path, "audit", "verify", str(path), "--json")
    noted = invoke(tmp_path, "audit", "verify", str(path), "--head", "0" * 64)

    assert whole["problems"] == []
    assert result.returncode == broken.returncode == noted.returncode == 1
    assert result.stdout.splitlines()[0] == f"{path}:2: the line was changed: its digest is another"
    assert re.search(r"^1 files, 1 chains, 2 lines: 1 problems\.$", result.stdout, re.MULTILINE)
    assert json.loads(broken.stdout)["problems"][0]["place"] == f"{path}:2"
    assert f"--head: no line has the digest {'0' * 64}" in noted.stdout
