"""Workers that share nothing divide the limits of an environment."""

from __future__ import annotations

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.sandbox import create_sandbox

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("workers", "concurrency", "highest"), [(1, 16, 16), (4, 16, 4), (3, 16, 5), (4, 2, 1)]
)
async def test_each_has_an_equal_part(workers: int, concurrency: int, highest: int) -> None:
    settings = Settings(
        url="https://contoso.operations.dynamics.com/data",
        auth="none",
        language=None,
        cache_dir=None,
        store="none",
        concurrency=concurrency,
    )
    transport = httpx.ASGITransport(create_sandbox())
    app = create_app(settings, transport=transport, observe=lambda _: None, workers=workers)
    async with app.router.lifespan_context(app):
        (admission,) = app.state.live.gateway.client.admissions.values()
        limit = admission._slots.limit

    assert limit.highest == highest
    assert limit.value <= highest
