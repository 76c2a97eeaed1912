"""``schema simulate``: the size of the API that patterns would expose."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.metadata_documents import ESSENTIAL, path_of
from tests.support.process import invoke


def simulated(folder: Path, *options: str, **variables: str) -> Mapping[str, Any]:
    result = invoke(folder, "schema", "simulate", "--json", "--sandbox", *options, **variables)
    assert (result.returncode, result.stderr) == (0, "")
    report: Mapping[str, Any] = json.loads(result.stdout)
    return report


def test_counts_and_sizes_match_what_would_be_served(tmp_path: Path) -> None:
    sdl = invoke(tmp_path, "schema", "print", "--sandbox", D365_INCLUDE="Customers*").stdout

    result = simulated(tmp_path, "--include", "Customers*")

    assert result["entity_sets"] == 1
    assert result["queries"] == len(re.findall(r"^  \w+", _body(sdl, "Query"), re.MULTILINE))
    assert result["bytes_of_sdl"] == len(sdl.encode())
    assert result["bytes_of_introspection"] > 5 * result["bytes_of_introspection_compressed"] > 0
    assert result["bytes_of_memory"] > 10_000


def counts(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Memory is measured, and never twice the same."""
    return {name: number for name, number in report.items() if name != "bytes_of_memory"}


def _body(sdl: str, name: str) -> str:
    # descriptions are indented blocks, arguments stand deeper
    body = sdl.split(f"\ntype {name} {{\n")[1].split("\n}", maxsplit=1)[0]
    return re.sub(r'"""[\s\S]*?"""', "", body).replace("\n  )", "")


def test_patterns_replace_those_of_the_settings(tmp_path: Path) -> None:
    configured = {"D365_INCLUDE": "Vendor*", "D365_READ_ONLY": "true"}

    by_settings = simulated(tmp_path, **configured)
    values = simulated(
        tmp_path, "--include", "Customer*", "--exclude", "CustomerGroups", **configured
    )

    assert (by_settings["mutations"], values["mutations"]) == (0, 0)
    assert by_settings["entity_sets"] != values["entity_sets"]
    configured |= {"D365_INCLUDE": "Customer*", "D365_EXCLUDE": "CustomerGroups"}
    assert counts(values) == counts(simulated(tmp_path, **configured))


def test_plain_output_has_figures_and_findings(tmp_path: Path) -> None:
    result = invoke(tmp_path, "schema", "simulate", "--sandbox", "--include", "Customer*")

    lines = result.stdout.splitlines()
    assert re.fullmatch(r" +\d+  entity sets", lines[0])
    assert any(re.fullmatch(r" +[\d,]+  bytes of introspection compressed", line) for line in lines)
    assert lines[-1].startswith("Memory is an estimate for ")


def test_a_metadata_file_needs_no_upstream(tmp_path: Path) -> None:
    result = invoke(
        tmp_path,
        "schema",
        "simulate",
        "--json",
        D365_URL="https://away.invalid/data",
        D365_AUTH="none",
        D365_METADATA=str(path_of(ESSENTIAL)),
    )

    assert json.loads(result.stdout)["entity_sets"] == 10
    assert not list(tmp_path.rglob("models/*"))


def test_patterns_without_match_exit_with_2(tmp_path: Path) -> None:
    result = invoke(tmp_path, "schema", "simulate", "--sandbox", "--include", "Custmoer*")

    assert (result.returncode, result.stdout) == (2, "")
    assert 'no entity set or singleton matches "Custmoer*"' in result.stderr


PROFILES = """
[profiles.ap]
title = "Accounts payable"
include = ["Vend*"]
read_only = true

[profiles.parameters]
categories = ["Document"]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "gateway.toml"
    path.write_text(PROFILES, encoding="utf-8")
    return str(path)


@pytest.mark.heavy
def test_a_profile_is_as_large_as_its_patterns_allow(tmp_path: Path, config: str) -> None:
    profile = simulated(tmp_path, "ap", "--config", config)
    patterns = simulated(tmp_path, "--include", "Vend*", D365_READ_ONLY="true")

    differ = {name for name, number in counts(profile).items() if patterns[name] != number}
    # the title
    assert differ == {
        "bytes_of_sdl",
        "bytes_of_introspection",
        "bytes_of_introspection_compressed",
    }
    assert (profile["entity_sets"], profile["mutations"]) == (12, 0)
    sdl = invoke(tmp_path, "schema", "print", "--sandbox", "--config", config, "--profile", "ap")
    assert profile["bytes_of_sdl"] == len(sdl.stdout.encode())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["pa"], "There is no profile pa."),
        (["ap", "--exclude", "VendorGroups"], "use either a profile or patterns"),
        (["parameters"], "no entity set has the category Document"),
    ],
)
def test_an_impossible_profile_exits_with_2(
    tmp_path: Path, config: str, options: list[str], message: str
) -> None:
    result = invoke(tmp_path, "schema", "simulate", "--sandbox", "--config", config, *options)

    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("schema", "print"), "type VendorV3 implements"),
        (("schema", "stats"), "       12  entity sets"),
        (("schema", "why", "vendorsV3"), "Query.vendorsV3"),
    ],
)
def test_other_commands_take_a_profile_too(
    tmp_path: Path, config: str, command: tuple[str, ...], expected: str
) -> None:
    values = (*command, "--sandbox", "--config", config, "--profile", "ap")
    result = invoke(tmp_path, *values, D365_LANGUAGE="none")

    assert (result.returncode, result.stderr) == (0, "")
    assert expected in result.stdout
    assert "CustomerV3" not in result.stdout


def test_explain_refuses_what_a_profile_does_not_serve(tmp_path: Path, config: str) -> None:
    values = ("explain", "-", "--sandbox", "--config", config)
    query = "{ customersV3 { totalCount } }"

    assert invoke(tmp_path, *values, stdin=query).returncode == 0
    refused = invoke(tmp_path, *values, "--profile", "ap", stdin=query)
    assert refused.returncode == 2
    assert "Cannot query field 'customersV3'" in refused.stdout
