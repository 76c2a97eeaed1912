"""README is short, and what it shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli.sandbox_tokens import sandbox_token
from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from tests.support.app_client import calling, serving
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


@pytest.mark.anyio
async def test_its_clerk_sees_some_rows_and_columns(tmp_path: Path) -> None:
    allowed, refused = re.findall(r"^ask '({.*})'", README, re.MULTILINE)
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "language": None, "sandbox": {"roles": True}}
    )
    text = sandbox_token(settings, ["ap-clerk"], None, [], "1h")
    async with serving(settings) as app, calling(*app) as client:
        first, second = [
            await client.post(query.encode(), authorization=f"Bearer {text}")
            for query in (allowed, refused)
        ]

    rows = first.json()["data"]["vendorsV2"]["nodes"]
    assert {(row["dataAreaId"], row["vendorGroupId"]) for row in rows} == {("usmf", "10")}
    assert second.json()["errors"][0]["message"].startswith("Cannot query field 'bankAccountId'")
