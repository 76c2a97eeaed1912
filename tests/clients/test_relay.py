"""Relay: GraphQL-ESLint's rules about its conventions, its compiler, and its runtime on what was compiled."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.node import Tools

UNCONVENTIONAL = """
type Query { cows(first: String): CowConnection! }
type CowConnection { edges: [CowEdge!]! pageInfo: PageInfo }
type CowEdge { node: [Cow] }
type PageInfo { hasNextPage: Boolean }
type Cow { name: String }
"""


def test_the_schema_keeps_the_conventions_of_relay(tools: Tools, sdl: Path) -> None:
    lines = sdl.read_text("utf-8").splitlines()

    # Unified objects have the id of their row, which `node` returns: they are no nodes themselves.
    complaints = [
        each
        for each in tools.run("relay_rules.mjs", str(sdl))
        if not lines[each["line"] - 1].startswith("type Unified")
    ]
    assert complaints == []


def test_every_rule_complains_of_what_is_against_it(tools: Tools, tmp_path: Path) -> None:
    path = tmp_path / "schema.graphql"
    path.write_text(UNCONVENTIONAL, "utf-8")

    said = tools.run("relay_rules.mjs", str(path))

    assert {each["rule"].removeprefix("@graphql-eslint/relay-") for each in said} == {
        "arguments",
        "connection-types",
        "edge-types",
        "page-info",
    }


@pytest.fixture(scope="module")
def compiled(tools: Tools, sdl: Path, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The frontend, its operations compiled by Relay's compiler and its source by TypeScript's."""
    project = tools.copy("relay", tmp_path_factory.mktemp("relay"))
    shutil.copy(sdl, project.folder / "schema.graphql")
    project.command("relay-compiler", "relay.config.json")
    project.command("tsc", "--project", ".")
    return project


@pytest.fixture(scope="module")
def seen(compiled: Tools, endpoint: str) -> Any:
    return compiled.run("dist/run.js", endpoint)


def test_relay_compiles_every_operation(compiled: Tools) -> None:
    made = (compiled.folder / "src" / "__generated__").glob("*.graphql.ts")

    assert sorted(path.name.removesuffix(".graphql.ts") for path in made) == [
        "CustomersNextQuery",
        "CustomersQuery",
        "CustomersRowQuery",
        "CustomersUpdateMutation",
        "Customers_list",
        "Customers_row",
    ]


def test_relay_is_told_the_type_of_every_scalar(compiled: Tools, sdl: Path) -> None:
    config = json.loads((compiled.folder / "relay.config.json").read_text("utf-8"))

    assert set(config["customScalarTypes"]) == set(
        re.findall(r"^scalar (\w+)", sdl.read_text("utf-8"), re.MULTILINE)
    )


def test_relay_appends_pages_to_a_connection(seen: Any) -> None:
    pages = seen["pages"]

    assert pages["sizes"] == [35, 70, 105, pages["totalCount"]]
    assert len(set(pages["accounts"])) == pages["totalCount"]
    assert pages["requests"] == 4


def test_relay_pages_a_list_of_a_row_by_the_id_of_the_row(seen: Any) -> None:
    before, now = seen["rows"]["before"], seen["rows"]["now"]

    assert (len(before), len(set(now))) == (1, 3)
    assert now[:1] == before


def test_relay_shows_a_changed_row_wherever_it_stands(seen: Any) -> None:
    assert seen["rows"]["nameAlias"] == "By Relay"
