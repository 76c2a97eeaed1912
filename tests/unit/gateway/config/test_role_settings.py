"""Settings of roles: their tables, the file of their own, and what they say of each other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loading import load_settings
from gateway.config.profiles import profile_settings
from gateway.config.rendering import to_toml
from gateway.config.role_models import RoleOptions
from gateway.config.settings import Settings
from gateway.errors import SettingsError

CLERK = """
[roles.ap-clerk]
description = "Accounts payable"
inherits = ["viewer"]
companies = ["usmf", "$claims.companies"]
company = "$claims.company"
actions = ["Post*"]
limits = { max_page_size = 500 }

[roles.ap-clerk.sets."VendorsV2"]
create = true
deny_columns = ["*Bank*"]
where = { vendorGroupId = { eq = "10" } }
presets = { VendorGroupId = "10" }
masks = { "*Account" = "last4" }

[roles.viewer.sets."*"]
"""


def file_of(tmp_path: Path, text: str, name: str = "gateway.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def message(config: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, config)
    return caught.value.message


def test_roles_are_tables_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings({}, file_of(tmp_path, CLERK))

    clerk = settings.roles["ap-clerk"]
    rights = clerk.sets["VendorsV2"]
    assert (clerk.inherits, clerk.companies) == (("viewer",), ("usmf", "$claims.companies"))
    assert (rights.read, rights.create, rights.update) == (True, True, False)
    assert rights.where == {"vendorGroupId": {"eq": "10"}}
    assert (rights.presets, rights.masks) == ({"VendorGroupId": "10"}, {"*Account": "last4"})


def test_roles_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    roles = file_of(tmp_path, CLERK, "roles.toml")
    settings = load_settings({"D365_ROLES_FILE": str(roles), "D365_ROLES": '{"other": {}}'})

    assert sorted(settings.roles) == ["ap-clerk", "other", "viewer"]


def test_rendered_roles_load_again(tmp_path: Path) -> None:
    settings = load_settings({}, file_of(tmp_path, CLERK))

    text = to_toml(settings)

    assert load_settings({}, file_of(tmp_path, text)).roles == settings.roles
    assert "limits" not in tomllib.loads(text)["roles"]["viewer"]


def test_the_environment_holds_roles_as_json() -> None:
    where = json.dumps({"name": {"isNull": None}})
    roles = {"r": {"sets": {"Customers": {"where": where}}}}

    settings = load_settings({"D365_ROLES": json.dumps(roles)})

    assert settings.roles["r"].sets["Customers"].where == {"name": {"isNull": None}}


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        ({"a": {"inherits": ["viewr"]}, "viewer": {}}, "there is no role viewr. Did you mean"),
        ({"a": {"inherits": ["b"]}, "b": {"inherits": ["a"]}}, "in a circle: a → b → a"),
        ({"a": {"inherits": ["a"]}}, "in a circle: a → a"),
        ({"two words": {}}, "'two words' is not a role name"),
        ({"a": {"sets": {"X": {"read": False, "create": True}}}}, "create needs read"),
        ({"a": {"sets": {"X": {"export": True, "read": False}}}}, "export needs read"),
        ({"a": {"sets": {"X": {"raed": True}}}}, "roles.a.sets.X.raed: no such setting"),
        ({"a": {"sets": {"X": {"masks": {"*": "blur"}}}}}, "'null', 'hash' or 'last4'"),
        ({"a": {"sets": {"@": {}}}}, "a pattern or @Category is empty"),
        ({"a": {"companies": ["$claim.x"]}}, "$claims.NAME"),
        ({"a": {"limits": {"max_rows": 0}}}, "roles.a.limits.max_rows"),
        ({"a": {"sets": {"X": {"where": "{"}}}}, "expected JSON"),
    ],
)
def test_mistakes_are_reported_with_their_place(roles: Mapping[str, Any], problem: str) -> None:
    assert problem in message(D365_ROLES=json.dumps(roles))


def test_a_shared_base_is_no_circle() -> None:
    roles = {"a": {"inherits": ["b", "c"]}, "b": {"inherits": ["c"]}, "c": {}}

    assert set(Settings.model_validate({"roles": roles}).roles) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port = 1\n", "roles.toml: port: a file of roles has tables [roles.NAME] only"),
        ("[roles\n", "roles.toml: is not TOML"),
        ("[roles.a]\ncolour = 1\n", "roles.toml: roles.a.colour: no such setting"),
        ("[roles.b]\n", "roles.toml: roles.b is in the settings, too"),
    ],
)
def test_mistakes_of_the_file_name_it(tmp_path: Path, text: str, problem: str) -> None:
    roles = file_of(tmp_path, text, "roles.toml")
    config = file_of(tmp_path, f"roles_file = {json.dumps(str(roles))}\n[roles.b]\n")

    assert problem in message(config)


def test_an_absent_file_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"

    assert f"{path}: cannot be read" in message(D365_ROLES_FILE=str(path))


def test_a_profile_is_bound_to_roles() -> None:
    settings = Settings.model_validate({"profiles": {"ap": {"roles": ["a"]}}, "roles": {"a": {}}})

    profile = profile_settings(settings, "ap")

    assert (profile.bound_roles, profile.roles) == (("a",), {"a": RoleOptions()})


def test_a_profile_is_bound_to_declared_roles_only() -> None:
    assert "profiles.ap.roles: there is no role a" in message(
        D365_PROFILES='{"ap": {"roles": ["a"]}}'
    )
