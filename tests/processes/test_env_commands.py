"""``env …``: administers the environments of the store; secrets come from files, standard input or the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Finished, invoke
from tests.support.stored_environments import URL

SECRET = "planted-s3cret"
ADD = ("env", "add", "acme", "--url", URL, "--tenant-id", "acme", "--client-id", "x")


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        "D365_STORED_ENVIRONMENTS": "true",
        "D365_DATA_DIR": str(tmp_path / "data"),
        "D365_AUDIT__SINK": "file",
    }


def shown(result: Finished) -> Any:
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def test_an_environment_is_administered(tmp_path: Path, variables: dict[str, str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n", "utf-8")
    more = ("--set", "companies=usmf,dat", "--set", "concurrency=4", "--set", "read_only=true")
    add = (*ADD, "--title", "Acme", "--client-secret-file", str(secret), *more)

    def run(*arguments: str, stdin: str | None = None) -> Finished:
        result = invoke(tmp_path, *arguments, stdin=stdin, **variables)
        assert SECRET not in result.stdout + result.stderr
        return result

    assert run(*add).stdout == f"acme is added: {URL}\n"
    assert run(*add).stdout == f"acme is there already, with these options: {URL}\n"
    facts = shown(run("env", "show", "acme", "--json"))
    assert (facts["companies"], facts["concurrency"], facts["read_only"]) == (
        ["usmf", "dat"],
        4,
        True,
    )
    assert facts["secrets"] == ["client_secret"]
    text = run("env", "show", "acme").stdout
    assert "title        Acme\n" in text
    assert 'secrets      ["client_secret"]\n' in text

    updated = shown(
        run("env", "update", "acme", "--unset", "companies", "--set", "title=New", "--json")
    )
    assert (updated["title"], "companies" in updated, updated["version"]) == ("New", False, 2)
    again = run("env", "update", "acme", "--client-secret-file", "-", stdin="other\n")
    assert again.stdout == "acme has version 3.\n"
    assert run("env", "disable", "acme").stdout == "acme is disabled.\n"
    assert run("env", "list").stdout.splitlines()[1].split()[:4] == ["acme", "New", "disabled", URL]
    assert run("env", "enable", "acme").stdout == "acme is active.\n"
    assert shown(run("env", "list", "--json"))["environments"][0]["state"] == "active"
    assert run("env", "reload", "acme").returncode == 0
    assert run("env", "remove", "acme").stdout == "acme is removed, with its secrets.\n"
    assert shown(run("env", "list", "--json")) == {"environments": []}

    audit = "".join(p.read_text("utf-8") for p in (tmp_path / "data" / "audit").iterdir())
    acts = ("added", "updated", "disabled", "enabled", "reloaded", "removed")
    assert all(f'"act":"environment.{act}"' in audit for act in acts)
    assert '"kind":"os"' in audit
    assert SECRET not in audit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("env", "add", "Acme", "--url", URL), "INVALID_OPTION: expected lower-case letters"),
        (("env", "add", "acme", "--url", "https://127.0.0.1/data"), "INVALID_OPTION: url"),
        ((*ADD, "--set", "client_secret=x"), "INVALID_OPTION: client_secret is a secret"),
        ((*ADD, "--set", "credentials.certificate_password=x"), "is a secret"),
        ((*ADD, "--set", "companies"), "accepted: OPTION=VALUE"),
        ((*ADD, "--set", "concurency=4"), "Did you mean concurrency?"),
        ((*ADD, "--client-secret-file", "missing"), "missing cannot be read"),
        ((*ADD, "--prompt-client-secret"), "needs a terminal"),
        (("env", "show", "acme"), "UNKNOWN_ENVIRONMENT: There is no environment acme"),
        (("env", "update", "acme"), "No option to change was named"),
        (("env", "check", "acme"), "UNKNOWN_ENVIRONMENT"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path, variables: dict[str, str], arguments: tuple[str, ...], message: str
) -> None:
    result = invoke(tmp_path, *arguments, **variables)

    assert result.returncode == 2
    assert message in result.stderr


def test_an_empty_secret_is_none(tmp_path: Path, variables: dict[str, str]) -> None:
    result = invoke(tmp_path, *ADD, "--client-secret-file", "-", stdin="\n", **variables)

    assert (result.returncode, "is empty" in result.stderr) == (2, True)


def test_a_check_says_where_the_way_ends(tmp_path: Path, variables: dict[str, str]) -> None:
    invoke(tmp_path, "env", "add", "acme", "--url", URL, "--set", "auth=none", **variables)
    result = invoke(tmp_path, "env", "check", "acme", **variables)

    assert result.returncode == 1
    assert result.stdout.splitlines()[0] == f"ok       environment {URL}"
    assert "problem  service" in result.stdout


def test_without_stored_environments_the_setting_is_named(tmp_path: Path) -> None:
    result = invoke(tmp_path, "env", "list", D365_DATA_DIR=str(tmp_path / "data"))

    assert (result.returncode, "stored_environments = true" in result.stderr) == (2, True)


def test_keys_can_be_for_an_environment_of_the_store(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    invoke(tmp_path, "env", "add", "acme", "--url", URL, "--set", "auth=none", **variables)

    key = invoke(tmp_path, "keys", "create", "ci", "--environment", "acme", **variables)
    assert key.returncode == 0
    slip = invoke(tmp_path, "keys", "create", "ci", "--environment", "acne", **variables)
    assert "There is no environment acne. Did you mean acme?" in slip.stderr
