"""`policy …`: what it prints of roles, over the sandbox's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import policy, schema_commands
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from schema.errors import SchemaError

ROLES: dict[str, Any] = {
    "viewer": {"sets": {"CustomersV3": {"deny_columns": ["*Credit*"]}, "CustomerGroups": {}}},
    "clerk": {
        "inherits": ["viewer"],
        "companies": ["usmf"],
        "actions": ["*Version"],
        "limits": {"max_rows": 100},
        "sets": {
            "VendorsV2": {
                "create": True,
                "where": {"vendorGroupId": {"eq": "10"}},
                "masks": {"VendorSearchName": "last4"},
                "presets": {"VendorGroupId": "10"},
            },
        },
    },
    "seller": {"sets": {"CustomersV3": {"where": {"customerGroupId": {"eq": "20"}}}}},
}
SETTINGS = Settings.model_validate({"language": None, "roles": ROLES})


def test_check_counts_sound_roles(capsys: pytest.CaptureFixture[str]) -> None:
    policy.print_check(SETTINGS)

    assert capsys.readouterr().out == "3 roles, no problem.\n"


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({}, "There are no roles."),
        ({"a": {"sets": {"Customers3": {}}}}, "no entity set or singleton matches. Did you mean"),
        ({"a": {"sets": {"CustomersV3": {"where": {"nothing": {"eq": 1}}}}}}, "where.nothing"),
    ],
)
def test_check_reports_problems(roles: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        policy.print_check(Settings.model_validate({"language": None, "roles": roles}))

    assert message in caught.value.message


def shown(capsys: pytest.CaptureFixture[str], roles: str, set_name: str | None = None) -> Any:
    policy.print_view(SETTINGS, roles, set_name, as_json=True)
    return json.loads(capsys.readouterr().out)


def test_the_overview_lists_what_roles_give(capsys: pytest.CaptureFixture[str]) -> None:
    report = shown(capsys, "clerk")

    assert report["roles"] == ["clerk", "viewer"]
    assert set(report["rights"]["read"]) == {"CustomersV3", "CustomerGroups", "VendorsV2"}
    assert report["rights"]["create"] == ["VendorsV2"]
    assert report["limits"] == {}  # viewer has none, and the most generous counts
    assert all(name.endswith("Version") for name in report["calls"])


def test_a_set_says_which_role_gives_what(capsys: pytest.CaptureFixture[str]) -> None:
    report = shown(capsys, "viewer, seller", "CustomersV3")

    assert report["rights"]["read"] == ["seller", "viewer"]
    assert report["rows"] == [
        {"role": "seller", "rows": '{"customerGroupId": {"eq": "20"}}', "companies": []},
        {"role": "viewer", "rows": "all", "companies": []},
    ]
    assert report["columns"]["CreditLimit"] == "plain in rows of: seller; else null"
    assert report["columns"]["CustomerAccount"] == "plain"


def test_a_set_is_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    policy.print_view(SETTINGS, "clerk", "VendorsV2", as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "VendorsV2 as clerk, viewer"
    assert "  create: clerk" in lines
    assert '  rows by clerk: {"vendorGroupId": {"eq": "10"}}, companies usmf' in lines
    assert '  presets of clerk: {"VendorGroupId": "10"}' in lines
    assert any(line.split() == ["VendorSearchName", "last4", "(clerk)"] for line in lines)


def test_a_hidden_set_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    policy.print_view(SETTINGS, "viewer", "VendorsV2", as_json=False)

    assert "It does not exist for these callers." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("roles", "set_name", "message"),
    [
        ("viewr", None, "There is no role viewr. Did you mean viewer?"),
        (" , ", None, "--as names no role."),
        ("viewer", "Customers", "There is no entity set or singleton Customers."),
    ],
)
def test_unknown_names_are_errors(roles: str, set_name: str | None, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        policy.print_view(SETTINGS, roles, set_name, as_json=False)

    assert message in caught.value.message


def expectations(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "expect.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        ('role = "viewer"\nset = "VendorsV2"\nread = false', None),
        ('role = "viewer"\nset = "VendorsV2"\nread = true', "read VendorsV2: expected yes, but no"),
        ('role = ["clerk"]\nset = "VendorsV2"\nrows = "some"', None),
        ('role = "viewer"\nset = "CustomersV3"\nrows = "all"', None),
        ('role = "viewer"\nset = "VendorsV2"\nrows = "all"', "expected all, but none"),
        ('role = "viewer"\nset = "CustomersV3"\ncolumns = { CreditLimit = "hidden" }', None),
        (
            'role = ["viewer", "seller"]\nset = "CustomersV3"\ncolumns = { CreditLimit = "plain" }',
            "CustomersV3.CreditLimit: expected plain, but partly",
        ),
        ('role = "clerk"\nset = "VendorsV2"\ncolumns = { VendorSearchName = "masked" }', None),
        ('role = "viewer"\ncalls = { GetPlatformBuildVersion = false }', None),
        ('role = "clerk"\ncalls = { Post = true }', "calls Post: expected yes, but no"),
    ],
)
def test_expectations_hold_or_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str, failure: str | None
) -> None:
    file = expectations(tmp_path, f"[[expect]]\n{statement}\n")

    assert policy.run_expectations(SETTINGS, file) is (failure is None)
    printed = capsys.readouterr().out
    assert (failure or "1 expectation, 0 failed.") in printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[expect]]\nrole = "nobody"\n', "expect[1]: there is no role nobody."),
        ('[[expect]]\nrole = "viewer"\nset = "X"\n', "expect[1]: there is no set X."),
        (
            '[[expect]]\nrole = "viewer"\nset = "CustomersV3"\ncolumns = { X = "plain" }\n',
            "there is no column of CustomersV3 X.",
        ),
        ('[[expect]]\nrole = "viewer"\nraed = true\n', "raed"),
        ("[[expect]\n", "is not TOML"),
    ],
)
def test_expectations_about_nothing_are_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        policy.run_expectations(SETTINGS, expectations(tmp_path, text))

    assert message in caught.value.message


OLD = """
[roles.viewer.sets."CustomersV3"]
deny_columns = ["*Credit*"]
[roles.clerk]
companies = ["usmf"]
[roles.clerk.sets."VendorsV2"]
delete = true
[roles.gone]
"""
NEW = """
[roles.viewer.sets."CustomersV3"]
where = { customerGroupId = { eq = "20" } }
[roles.clerk]
actions = ["*Version"]
[roles.clerk.sets."VendorsV2"]
create = true
presets = { VendorGroupId = "10" }
masks = { VendorSearchName = "null" }
"""


def test_a_diff_prints_gains_and_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(OLD, "utf-8")
    new.write_text(NEW, "utf-8")

    policy.print_diff(SETTINGS, old, new, as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert "gone (gone)" in lines
    assert "  + VendorsV2: create" in lines
    assert "  - VendorsV2: delete" in lines
    assert '  ~ VendorsV2: presets none → [{"VendorGroupId": "10"}]' in lines
    assert "  ~ VendorsV2.VendorSearchName: plain → null (clerk)" in lines
    assert '  ~ companies: ["usmf"] → []' in lines
    assert '  ~ CustomersV3: rows all → {"customerGroupId": {"eq": "20"}}' in lines
    assert "  ~ CustomersV3.CreditLimit: hidden → plain" in lines
    assert any(line.startswith("  + calls ") for line in lines)


def test_equal_files_have_no_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "roles.toml"
    file.write_text(OLD, "utf-8")

    policy.print_diff(SETTINGS, file, file, as_json=False)
    policy.print_diff(SETTINGS, file, file, as_json=True)

    assert capsys.readouterr().out == "No change.\n[]\n"


def test_the_schema_of_roles_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    schema_commands.print_sdl(SETTINGS, federation=False, roles="viewer")
    viewer = capsys.readouterr().out
    schema_commands.print_sdl(SETTINGS, federation=False, roles="clerk")
    clerk = capsys.readouterr().out

    assert "type CustomerV3 " in viewer
    assert "type VendorV2 " not in viewer
    assert "type VendorV2 " in clerk


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VendorV2.vendorSearchName", "not all of the roles give its values in plain"),
        ("CustomerV3.organizationName", "eq ne gt"),
    ],
)
def test_why_explains_what_roles_see(
    capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    schema_commands.print_why(SETTINGS, name, roles="clerk")

    assert text in capsys.readouterr().out


@pytest.mark.parametrize("name", ["VendorV2", "CustomerV3.creditLimit", "Query.vendorsV2"])
def test_why_knows_nothing_of_what_roles_hide(name: str) -> None:
    with pytest.raises(SchemaError) as caught:
        schema_commands.print_why(SETTINGS, name, roles="viewer")

    assert "There is no" in str(caught.value)


def test_a_view_needs_roles() -> None:
    with pytest.raises(SettingsError, match="there are no roles"):
        schema_commands.print_why(Settings(language=None), "CustomerV3", roles="viewer")
