"""The page's example tabs, over HTTP against the gateway on its sandbox."""

import importlib.util

import httpx
import pytest

from gateway.graphiql import PRESET_HEADERS, examples

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gateway.app") is None, reason="there is no app yet"
)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_each_example_answers_rows(gateway, example):
    body = {"query": example.query, "variables": example.variables}
    answer = httpx.post(f"{gateway}/graphql", json=body, headers=PRESET_HEADERS, timeout=30).json()

    assert "errors" not in answer
    for name, connection in answer["data"].items():
        rows = connection.get("nodes") or connection.get("edges")
        assert rows, f"{name} is empty"
