"""The setting docs_url: where the page finds the documentation."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gateway.app import create_app
from gateway.config.settings import Settings

pytestmark = pytest.mark.anyio


async def config_of(settings: Settings) -> Any:
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get("/graphiql/config.json")).json()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://docs.example.com/gateway", "https://docs.example.com/gateway/"),
        ("http://localhost:8080/", "http://localhost:8080/"),
        ("/docs", "/docs/"),
    ],
)
async def test_the_page_knows_where_chapters_are(value: str, expected: str) -> None:
    assert (await config_of(Settings(docs_url=value)))["docs"] == expected


async def test_without_the_setting_there_is_no_link() -> None:
    assert (await config_of(Settings()))["docs"] is None


@pytest.mark.parametrize("value", ["docs", "//docs.example.com", "javascript:alert(1)", "https://"])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="a web address or a path"):
        Settings(docs_url=value)
