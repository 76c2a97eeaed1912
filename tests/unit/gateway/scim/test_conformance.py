"""scim2-tester, the conformance tests of SCIM servers: all that needs no creation is green."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from scim2_client.client import BaseSyncSCIMClient, RawResponse
from scim2_tester import Status, check_server

from gateway.config.settings import Settings
from gateway.http.scim_endpoint import SCIM
from tests.support.app_client import Client, calling, serving

pytestmark = pytest.mark.anyio


class _Caller(BaseSyncSCIMClient):
    """Calls the application from another thread, in its own event loop."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._client = client
        self._loop = loop

    def request(self, method: str, url: str, **kwargs: Any) -> RawResponse:
        call = self._client.http.request(method, f"{SCIM}{url}", **kwargs)
        response: httpx.Response = asyncio.run_coroutine_threadsafe(call, self._loop).result(30)
        return response


async def test_the_service_conforms() -> None:
    settings = Settings.model_validate({"language": None, "scim": {"writes": True}})
    async with serving(settings) as (app, events), calling(app, events) as client:
        caller = _Caller(client, asyncio.get_running_loop())
        results = await asyncio.to_thread(check_server, caller, include_tags={"discovery", "misc"})

    statuses = Counter(result.status for result in results)
    bad = [r for r in results if r.status not in (Status.SUCCESS, Status.SKIPPED)]
    assert [(r.title, r.status, r.reason) for r in bad] == []
    assert statuses[Status.SUCCESS] >= 10
