"""`store …` and `keys …` with both databases: what they print, and with which exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.store.layout import VERSIONS
from tests.support.postgresql import PASSWORD, USER, Postgres
from tests.support.process import Finished, invoke


def printed(result: Finished) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def with_store(postgresql: Postgres, *, migrated: bool = True) -> dict[str, str]:
    """Return the variable that names a new PostgreSQL store."""
    address = postgresql.new_database(migrated=migrated)
    return {"D365_STORE": address.get_secret_value()}


def test_a_postgresql_is_migrated_by_command(tmp_path: Path, postgresql: Postgres) -> None:
    store = with_store(postgresql, migrated=False)
    empty = invoke(tmp_path, "store", "status", "--json", **store)
    refused = invoke(tmp_path, "keys", "create", "ci", **store)
    migrated = printed(invoke(tmp_path, "store", "migrate", "--json", **store))
    again = invoke(tmp_path, "store", "migrate", **store)
    status = printed(invoke(tmp_path, "store", "status", "--json", **store))

    assert empty.returncode == 1
    assert json.loads(empty.stdout)["state"] == "behind"
    assert refused.returncode == 1
    assert "d365-graphql store migrate" in refused.stderr
    assert (migrated["before"], migrated["layout"]) == (None, VERSIONS[-1])
    assert again.stdout.endswith(f": the layout is {VERSIONS[-1]} already.\n")
    assert (status["state"], status["layout"], status["needed"]) == (
        "current",
        VERSIONS[-1],
        VERSIONS[-1],
    )


def test_sqlite_needs_no_command(tmp_path: Path) -> None:
    nothing = invoke(tmp_path, "store", "status")
    invoke(tmp_path, "keys", "create", "ci")
    status = invoke(tmp_path, "store", "status")

    assert (nothing.returncode, nothing.stdout.splitlines()[1]) == (0, "layout: none")
    assert not status.stderr
    assert status.stdout.splitlines()[1:] == [
        f"layout: {VERSIONS[-1]}",
        "It is what this version of the gateway needs.",
    ]
    assert invoke(tmp_path, "store", "migrate").stdout.endswith(
        f": the layout is {VERSIONS[-1]} already.\n"
    )


def test_keys_of_a_postgresql_are_made_listed_and_revoked(
    tmp_path: Path, postgresql: Postgres
) -> None:
    store = with_store(postgresql)
    created = printed(invoke(tmp_path, "keys", "create", "ci", "--role", "r", "--json", **store))
    revoked = printed(invoke(tmp_path, "keys", "revoke", created["id"], "--json", **store))
    listed = printed(invoke(tmp_path, "keys", "list", "--json", **store))["keys"]

    assert created["state"] == "valid"
    assert listed == [revoked]
    # Nothing of it is on this machine.
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_does_not_start_before_the_migration(
    tmp_path: Path, postgresql: Postgres, workers: str
) -> None:
    store = with_store(postgresql, migrated=False)
    options = ("--sandbox", "--port", "0", "--workers", workers)
    result = invoke(tmp_path, "serve", *options, **store, D365_INBOUND__API_KEYS="true")

    assert result.returncode == 2
    assert "has no tables yet" in result.stderr
    assert "hint: Run `d365-graphql store migrate` once" in result.stderr


def test_the_password_of_the_store_is_shown_nowhere(tmp_path: Path, postgresql: Postgres) -> None:
    secret = "s3cret-of-the-store"
    address = f"postgresql://{USER}:{secret}@/none?host={postgresql.folder}"
    file = tmp_path / "address"
    file.write_text(address, "utf-8")
    outputs = [
        invoke(tmp_path, *command, **variables)
        for command in (("store", "status"), ("store", "migrate"), ("keys", "list"), ("settings",))
        for variables in ({"D365_STORE": address}, {"D365_STORE_FILE": str(file)})
    ]

    assert [result.returncode for result in outputs] == [1] * 6 + [0] * 2
    assert "password authentication failed" in outputs[0].stderr
    assert not [result for result in outputs if secret in result.stdout + result.stderr]
    assert not [result for result in outputs if PASSWORD in result.stdout + result.stderr]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("mysql://u:s3cret@h/d", "accepted: sqlite, none or postgresql://"),
        ("postgresql://u:s3%cret@h/d", "the address of PostgreSQL cannot be read"),
        ("none", "There is no store: store is none."),
    ],
)
def test_a_store_that_cannot_be_used_is_a_wrong_setting(
    tmp_path: Path, value: str, message: str
) -> None:
    result = invoke(tmp_path, "store", "status", D365_STORE=value)

    assert result.returncode == 2
    assert message in result.stderr
    assert "cret" not in result.stderr
