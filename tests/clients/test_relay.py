"""Relay: GraphQL-ESLint's rules about its conventions, its compiler, and its runtime on what was compiled."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    TypeNode,
    parse,
)

from tests.support.node import Tools

UNIFIED_SPACES = {"UnifiedAccounting": "accounting", "UnifiedDirectory": "directory"}
UNCONVENTIONAL = """
type Query { cows(first: String): CowConnection! }
type CowConnection { edges: [CowEdge!]! pageInfo: PageInfo }
type CowEdge { node: [Cow] }
type PageInfo { hasNextPage: Boolean }
type Cow { name: String }
"""


def test_the_schema_keeps_the_conventions_of_relay(tools: Tools, sdl: Path) -> None:
    assert tools.run("relay_rules.mjs", str(sdl)) == []


def test_every_edge_leads_to_what_can_be_read_again(sdl: Path) -> None:
    """A node by ``node``, an object of a model by its namespace; objects within others are read with those."""
    types, interfaces = fields_by_type(sdl), interfaces_by_type(sdl)
    ends = {fields["node"] for name, fields in types.items() if name.endswith("Edge")}
    by_ids = {
        type_name
        for space in UNIFIED_SPACES
        for field, type_name in types[space].items()
        if field.endswith("ById")
    }
    unified = {end for end in ends if "UnifiedObject" in interfaces[end]}

    assert len(ends - unified) > len(unified) > 10
    assert {end for end in ends - unified if "Node" not in interfaces[end]} == set()
    assert {end for end in unified if "Node" in interfaces[end]} == set()
    assert unified - by_ids == {"UnifiedGroupMember", "UnifiedRoleAssignment"}


def test_the_id_of_a_unified_object_is_the_id_of_its_row(sdl: Path, endpoint: str) -> None:
    """So a unified type that implements ``Node`` would promise what ``node`` cannot return."""
    types = fields_by_type(sdl)
    # Some of the lists are enough: every mapping has its ids from the same place.
    lists = {
        space: [f for f in types[name] if f"{f}ById" in types[name]][::6]
        for name, space in UNIFIED_SPACES.items()
    }
    rows = " ".join(
        f"{space} {{ "
        + " ".join(f"{own}(first: 1) {{ nodes {{ id raw {{ __typename }} }} }}" for own in fields)
        + " }"
        for space, fields in lists.items()
    )
    data = ask(endpoint, f"{{ {rows} }}")
    pages = [page["nodes"] for space in data.values() for page in space.values()]
    first = [nodes[0] for nodes in pages if nodes]
    assert len(first) > 4

    found = ask(
        endpoint,
        "query Again($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }",
        ids=[each["id"] for each in first],
    )
    assert found["nodes"] == [
        {"id": each["id"], "__typename": each["raw"]["__typename"]} for each in first
    ]


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


@cache
def fields_by_type(sdl: Path) -> Mapping[str, Mapping[str, str]]:
    """The named types of the fields of edges and of the root fields of models; parsing all types takes a second."""
    names = "|".join((r"\w+Edge", *UNIFIED_SPACES))
    blocks = re.findall(
        rf"^type (?:{names})\b.*?^}}", sdl.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return {
        node.name.value: {f.name.value: named_type(f.type) for f in node.fields or ()}
        for node in parse("\n".join(blocks), no_location=True).definitions
        if isinstance(node, ObjectTypeDefinitionNode)
    }


def interfaces_by_type(sdl: Path) -> Mapping[str, Collection[str]]:
    heads = re.findall(
        r"^type (\w+)(?: implements ([\w &]+))? {", sdl.read_text("utf-8"), re.MULTILINE
    )
    return {name: interfaces.split(" & ") for name, interfaces in heads}


def named_type(node: TypeNode) -> str:
    while not isinstance(node, NamedTypeNode):
        assert isinstance(node, ListTypeNode | NonNullTypeNode)
        node = node.type
    return node.name.value


def ask(endpoint: str, query: str, **variables: Any) -> Any:
    answer = httpx.post(endpoint, json={"query": query, "variables": variables}, timeout=30).json()
    assert "errors" not in answer, answer["errors"][:3]
    return answer["data"]


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
        "CustomersUnifiedQuery",
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


def test_relay_tells_unified_objects_from_their_rows(seen: Any) -> None:
    unified = seen["unified"]

    assert unified["types"] == ["CustomerV3", "UnifiedCustomer"]
    assert unified["same"] is True
    assert unified["complaints"] == []
