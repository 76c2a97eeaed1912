"""`/webhooks/openapi.json` describes what is routed; that answers are as described is checked where they are tested."""

from __future__ import annotations

from pathlib import Path

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from gateway.config.settings import Settings
from gateway.http.webhook_operations import OPENAPI, WEBHOOKS
from tests.support.app_client import calling, serving

pytestmark = pytest.mark.anyio


async def test_the_description_is_valid_and_complete(tmp_path: Path) -> None:
    settings = Settings(cache_dir=None, language="none", data_dir=tmp_path)
    async with serving(settings) as opened, calling(*opened) as client:
        description = (await client.http.get(OPENAPI)).json()
    validate(description)
    routed = {
        route.path
        for route in client.app.routes
        if isinstance(route, Route) and route.path.startswith(WEBHOOKS)
    }

    assert set(description["paths"]) == routed - {OPENAPI}
