"""README is short, and what it shows is true."""

from __future__ import annotations

import pytest

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from tests.support.pages import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def test_it_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.anyio
async def test_its_query_sends_the_requests_that_it_shows() -> None:
    query = README.partition("```graphql\n")[2].partition("```")[0]
    printed = README.partition("```text\n")[2].partition("```")[0].replace("\n  ", "").splitlines()
    settings = Settings(cache_dir=None, language="none")

    async with open_gateway(settings, observe=lambda _: None) as gateway:
        answer = await gateway.engine.execute(
            GraphQLRequest(query=query, companies=("usmf",), trace=True)
        )

    sent = [f"GET {r['text']}" for r in answer.extensions["d365"]["requests"]]
    assert answer.errors == []
    assert sent == printed
