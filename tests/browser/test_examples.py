"""The page's example tabs, over HTTP against the gateway on its sandbox."""

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.graphiql import PRESET_HEADERS, examples
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from tests.support.process import PATIENCE


@pytest.mark.parametrize("example", examples(changing=False), ids=lambda example: example.name)
def test_each_example_that_reads_answers_rows(gateway, example):
    body = {"query": example.query, "variables": example.variables}
    answer = httpx.post(
        f"{gateway}/graphql", json=body, headers=PRESET_HEADERS, timeout=PATIENCE
    ).json()

    assert "errors" not in answer
    for name, connection in answer["data"].items():
        rows = connection.get("nodes") or connection.get("edges")
        assert rows, f"{name} is empty"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "example", [e for e in examples() if e.changes], ids=lambda example: example.name
)
async def test_each_example_that_writes_is_not_refused(example):
    """On a sandbox of its own: what it writes nobody else finds."""
    request = GraphQLRequest(
        query=example.query, variables=example.variables or {}, companies=("usmf",)
    )
    settings = Settings(cache_dir=None, language="none")
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        answer = (await gateway.engine.execute(request)).to_builtins()

    assert "errors" not in answer
    assert list(user_errors(answer["data"])) == []


def user_errors(value):
    """Return every user error in an answer."""
    if isinstance(value, list):
        for item in value:
            yield from user_errors(item)
    elif isinstance(value, dict):
        yield from value.get("userErrors", ())
        for inner in value.values():
            yield from user_errors(inner)
