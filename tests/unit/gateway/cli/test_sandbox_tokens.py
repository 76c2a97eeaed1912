"""`sandbox token` and `sandbox users`."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from tests.support.process import invoke


def claims(text: str) -> dict[str, object]:
    decoded: dict[str, object] = jwt.decode(text, options={"verify_signature": False})
    return decoded


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--role", "ap-clerk"], {"sub": "alice", "roles": ["ap-clerk"], "company": "usmf"}),
        (["--user", "sam"], {"sub": "sam", "roles": ["sales"], "companies": ["usrt", "usmf"]}),
        (
            ["--user", "sam", "--role", "viewer", "--role", "sales", "--company", "demf"],
            {"sub": "sam", "roles": ["viewer", "sales"], "companies": ["demf"], "company": "demf"},
        ),
    ],
)
def test_a_token_has_the_roles_and_companies(
    tmp_path: Path, arguments: list[str], expected: dict[str, object]
) -> None:
    result = invoke(tmp_path, "sandbox", "token", *arguments)

    assert (result.returncode, result.stderr) == (0, "")
    assert expected.items() <= claims(result.stdout.strip()).items()


@pytest.mark.parametrize(
    ("expires", "seconds"), [("90s", 90), ("30m", 1_800), ("1h", 3_600), ("7d", 604_800)]
)
def test_a_token_lives_as_long_as_it_should(tmp_path: Path, expires: str, seconds: int) -> None:
    result = invoke(tmp_path, "sandbox", "token", "--role", "admin", "--expires", expires)

    content = claims(result.stdout.strip())
    assert int(str(content["exp"])) - int(str(content["iat"])) == seconds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a --role or a --user"),
        (["--role", "ap-clark"], "there is no such role. Did you mean ap-clerk?"),
        (["--user", "alise"], "there is no such user. Did you mean alice?"),
        (["--role", "sales", "--expires", "1y"], "accepted: 30m, 1h, 7d"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = invoke(tmp_path, "sandbox", "token", *arguments)

    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_roles_of_the_settings_are_those_that_count(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[roles.buyer.sets.VendorsV2]\n", "utf-8")

    own = invoke(tmp_path, "sandbox", "token", "--role", "buyer", "-c", str(config))
    others = invoke(tmp_path, "sandbox", "token", "--role", "sales", "-c", str(config))

    assert claims(own.stdout.strip())["roles"] == ["buyer"]
    assert "Roles: buyer." in others.stderr


def test_the_users_are_listed(tmp_path: Path) -> None:
    text = invoke(tmp_path, "sandbox", "users").stdout
    users = json.loads(invoke(tmp_path, "sandbox", "users", "--json").stdout)["users"]

    assert "alice   Alice Payable   ap-clerk  usmf\n" in text
    assert {"id": "ada", "name": "Ada Admin", "roles": ["admin"], "companies": []} in users
