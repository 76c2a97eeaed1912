"""Trusted documents as other people's tools write their manifests and other people's clients name them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.support.node import Tools
from tests.support.process import running


def change(file: Path, **values: object) -> None:
    """Add values to a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}), "utf-8")


@pytest.fixture(scope="module")
def relay(tools: Tools, sdl: Path, tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """A frontend whose documents Relay's compiler has put into a file, with their ids in its code."""
    project = tools.copy("relay", tmp_path_factory.mktemp("relay"))
    shutil.copy(sdl, project.folder / "schema.graphql")
    change(project.folder / "relay.config.json", persistConfig={"file": "./persisted.json"})
    (project.folder / "persisted.json").write_text("{}", "utf-8")
    project.command("relay-compiler", "relay.config.json")
    project.command("tsc", "--project", ".")
    return project


@pytest.fixture(scope="module")
def typed(tools: Tools, frontend_sdl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest that GraphQL Code Generator writes."""
    project = tools.copy("typed", tmp_path_factory.mktemp("typed"))
    shutil.copy(frontend_sdl, project.folder / "schema.graphql")
    config = project.folder / "codegen.ts"
    text = config.read_text("utf-8")
    options = "presetConfig: {"
    assert options in text
    config.write_text(text.replace(options, f"{options} persistedDocuments: true,"), "utf-8")
    project.command("graphql-codegen")
    return project.folder / "src" / "gql" / "persisted-documents.json"


@pytest.fixture(scope="module")
def trusting(
    tools: Tools, relay: Tools, typed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of an API that runs nothing but the documents of these manifests."""
    folder = tmp_path_factory.mktemp("documents")
    shutil.copy(relay.folder / "persisted.json", folder / "relay.json")
    shutil.copy(typed, folder / "shop~1.0.0.json")
    (folder / "apollo.json").write_text(tools.call("trusted.mjs", "", "manifest"), "utf-8")
    variables = {
        "D365_DOCUMENTS__MANIFEST": str(folder),
        "D365_DOCUMENTS__MODE": "only",
        "D365_DOCUMENTS__AUTOMATIC": "true",
        "D365_DOCUMENTS__MAX_AGE": "60",
        "D365_PROFILES": json.dumps({"open": {"documents": "off"}}),
    }
    home = tmp_path_factory.mktemp("trusting")
    with running(home, "serve", "--port", "0", **variables) as gateway:
        yield gateway.wait_for(r"GraphQL: +(http://\S+)")


@pytest.mark.parametrize("method", ["post", "get"])
def test_apollo_client_names_documents_of_its_manifest(
    tools: Tools, trusting: str, method: str
) -> None:
    found = tools.run("trusted.mjs", trusting, method)

    assert found["sizes"] == [1, 2]
    *named, last = found["sent"]
    assert [(s["method"], s["query"], s["codes"]) for s in named[:2]] == [
        (method.upper(), False, [])
    ] * 2
    assert named[0]["cache"] == ("public, max-age=60" if method == "get" else None)
    assert (last["query"], last["codes"]) == (True, ["PERSISTED_QUERY_REQUIRED"])
    assert found["refused"]


def test_apollo_client_registers_a_document_once(tools: Tools, trusting: str) -> None:
    first, second = (
        tools.run("persisted.mjs", f"{trusting}/open", method) for method in ("post", "get")
    )

    assert first["sizes"] == second["sizes"] == [1, 2]
    assert [(s["hash"], s["query"], s["codes"]) for s in first["sent"]] == [
        (True, False, ["PERSISTED_QUERY_NOT_FOUND"]),
        (True, True, []),
        (True, False, []),
    ]
    # It is registered for all who know its hash.
    assert [(s["method"], s["query"], s["codes"]) for s in second["sent"]] == [
        ("GET", False, [])
    ] * 2


def test_relay_names_documents_that_its_compiler_has_stored(relay: Tools, trusting: str) -> None:
    stored = json.loads((relay.folder / "persisted.json").read_text("utf-8"))
    seen: Any = relay.run("dist/run.js", trusting)

    assert {len(name) for name in stored} == {32}
    assert seen["pages"]["sizes"][:2] == [35, 70]
    assert seen["rows"]["nameAlias"] == "By Relay"


def test_documents_of_the_code_generator_have_ids_of_hive(typed: Path, trusting: str) -> None:
    stored: dict[str, str] = json.loads(typed.read_text("utf-8"))
    (name,) = [n for n, text in stored.items() if "query Customers(" in text]
    address = f"{trusting}/documents"

    assert name.startswith("sha256:")
    with urlopen(f"{address}/shop~1.0.0~{name}?variables=%7B%22first%22:1%7D") as response:
        assert json.load(response)["data"]
    with pytest.raises(HTTPError) as refused, urlopen(f"{address}/shop~2.0.0~{name}"):
        pass
    assert refused.value.code == 404
    refused.value.close()
