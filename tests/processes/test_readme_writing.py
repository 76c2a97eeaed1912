"""README's section on writing: its operations run on the sandbox, and what it prints is what comes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.odata import infolog
from gateway.odata.finops import FINOPS
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from gateway.writes import outcome

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
WRITING = README.partition("## Writing\n")[2].partition("\n## ")[0]
MUTATIONS = re.findall(r"```graphql\n(mutation.*?)```", WRITING, re.DOTALL)
SETTINGS = Settings(cache_dir=None, language="none")


def request(query: str) -> GraphQLRequest:
    return GraphQLRequest(query=query, companies=("usmf",))


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(2))
async def test_each_mutation_succeeds(number: int) -> None:
    async with open_gateway(SETTINGS, observe=lambda _: None) as gateway:
        answer = (await gateway.engine.execute(request(MUTATIONS[number]))).to_builtins()

    assert "errors" not in answer
    assert all(payload["userErrors"] == [] for payload in answer["data"].values())


@pytest.mark.anyio
async def test_explain_says_what_is_printed() -> None:
    printed = WRITING.rpartition("it says\n\n```\n")[2].partition("```")[0]

    async with open_gateway(SETTINGS, observe=lambda _: None) as gateway:
        text = (await explain(gateway, request(MUTATIONS[-1]))).text()

    assert f"{text}\n" == printed


def test_the_printed_service_is_the_sandboxs(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", WRITING, re.DOTALL)[0], "utf-8")

    (declared,) = load_settings({}, file).writes.services

    (own,) = FINOPS.services
    assert (declared.name, declared.path, declared.input) == (own.name, own.path, own.input)
    assert declared.output.items() <= own.output.items()


def codes(module: Any) -> Iterator[str]:
    """Return the codes that a module defines: constants whose value is their name."""
    return (name for name, value in vars(module).items() if name == value)


def test_every_code_of_a_user_error_is_explained() -> None:
    found = {*codes(infolog), *codes(outcome)}

    assert {"CONFLICT", "PARTLY_WRITTEN"} <= found
    assert {code for code in found if f"`{code}`" not in WRITING} == set()
