"""What the pages print works: operations, settings, command lines and make targets."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from graphql import GraphQLSchema, parse, validate

from gateway.cli.commands import app
from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.odata.finops import FINOPS
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from schema.unified.load import load_models, product_models
from tests.support.pages import DOCS, PAGES, ROOT, blocks, inline_code, page

pytestmark = pytest.mark.anyio
SANDBOX = Settings(cache_dir=None, language="none")
MUTATIONS = [block.text for block in blocks("graphql", of="writing")]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Gateway]:
    settings = SANDBOX.model_copy(update={"data_dir": tmp_path})
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        yield gateway


def request(query: str) -> GraphQLRequest:
    return GraphQLRequest(query=query, companies=("usmf",))


def problems(schema: GraphQLSchema, text: str) -> list[str]:
    document = parse(text)
    if any(definition.kind.endswith("_type_definition") for definition in document.definitions):
        return []  # part of another subgraph
    return [error.message for error in validate(schema, document)]


async def test_every_operation_fits_the_sandbox(sandbox: Gateway) -> None:
    found = blocks("graphql")
    wrong = {block.text: problems(sandbox.schema.core, block.text) for block in found}

    assert len(found) > 5
    assert {text: messages for text, messages in wrong.items() if messages} == {}


@pytest.mark.parametrize(
    "name", ["querying", "writing", "data/aggregates", "data/bulk-writes", "data/unified"]
)
async def test_printed_operations_run(sandbox: Gateway, name: str) -> None:
    for block in blocks("graphql", of=name):
        answer = (await sandbox.engine.execute(request(block.text))).to_builtins()

        assert "errors" not in answer
        payloads = [payload for payload in answer["data"].values() if "userErrors" in payload]
        assert all(payload["userErrors"] == [] for payload in payloads)


async def test_the_first_query_takes_the_requests_that_are_promised(sandbox: Gateway) -> None:
    query = blocks("graphql", of="querying")[0].text

    answer = await sandbox.engine.execute(request(query))

    assert "Three levels, two OData requests." in page("querying")
    assert len(answer.requests) == 2


@pytest.mark.parametrize(("name", "operation"), [("writing", -1), ("subscriptions", 0)])
async def test_explain_prints_what_the_page_shows(
    sandbox: Gateway, name: str, operation: int
) -> None:
    query = blocks("graphql", of=name)[operation].text
    printed = blocks("text", of=name)[0].text

    text = (await explain(sandbox, request(query))).text()
    if os.environ.get("UPDATE_DOCS"):
        file = DOCS / f"{name}.md"
        file.write_text(file.read_text("utf-8").replace(printed, f"{text}\n"), "utf-8")
        printed = blocks("text", of=name)[0].text

    assert f"{text}\n" == printed, "UPDATE_DOCS=1 writes the pages anew"


_MAPPING = "namespace ="


@pytest.mark.parametrize(
    "block", [b for b in blocks("toml") if _MAPPING in b.text], ids=lambda block: block.page
)
def test_printed_mapping_files_can_be_loaded(block: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(block.text, "utf-8")

    assert len(load_models([file])) >= len(product_models())


@pytest.mark.parametrize(
    "block", [b for b in blocks("toml") if _MAPPING not in b.text], ids=lambda block: block.page
)
def test_every_toml_block_is_a_settings_file(block: Any, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(block.text, "utf-8")

    settings = load_settings({"D365_CLIENT_SECRET": "kept out of files"}, file)

    assert tomllib.loads(block.text).keys() <= settings.model_fields_set


def test_the_printed_service_is_that_of_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(blocks("toml", of="writing")[0].text, "utf-8")

    (declared,) = load_settings({}, file).writes.services

    (own,) = FINOPS.services
    assert (declared.name, declared.path, declared.input) == (own.name, own.path, own.input)
    assert declared.output.items() <= own.output.items()


def shell_lines() -> Iterator[str]:
    """Yield the command lines of all pages: in blocks, and in the text."""
    for block in blocks("bash"):
        yield from re.sub(r"\\\n\s*", "", block.text).splitlines()
    for path in PAGES:
        yield from inline_code(path)


def arguments_of(line: str) -> list[str] | None:
    """``D365_URL=… d365-graphql serve --port 1 > x`` → its arguments; None for another command."""
    words = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
    if "d365-graphql" not in words or words[0] == "docker":
        return None
    return words[words.index("d365-graphql") + 1 :]


def test_every_command_line_is_accepted() -> None:
    lines = [line for line in shell_lines() if re.match(r"(\w+=\S+ )*d365-graphql ", line)]
    root: Any = typer.main.get_command(app)
    for line in lines:
        command, arguments = root, arguments_of(line) or []
        if arguments[:1] in (["--help"], ["--version"]):
            continue
        while arguments and arguments[0] in getattr(command, "commands", {}):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        optional = [argument.strip("[]") for argument in arguments]
        assert getattr(command, "invoke_without_command", True), line
        if optional or "explain" not in line:
            command.make_context("d365-graphql", _completed(command, optional))

    assert len(lines) > 10


def _completed(command: Any, arguments: list[str]) -> list[str]:
    """Add what a name in running text leaves out: the command is meant, not a call of it."""
    required = [p for p in command.params if p.param_type_name == "argument" and p.required]
    return arguments or ["x"] * len(required)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    calls = {
        target
        for line in shell_lines()
        for target in re.findall(r"(?:^|[ &])make ([a-z][a-z-]*)", line)
    }

    assert {"serve", "docs", "test"} <= calls
    assert calls - targets == set()
