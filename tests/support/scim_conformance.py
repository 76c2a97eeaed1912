"""scim2-tester over an application. Importing its models takes two seconds, so only the test that runs imports this."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
from scim2_client.client import BaseSyncSCIMClient, RawResponse
from scim2_tester import CheckResult, Status, check_server

from gateway.http.scim_endpoint import SCIM
from tests.support.app_client import Client


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


async def checked(client: Client) -> tuple[int, Sequence[CheckResult]]:
    """Return how many checks that create nothing are green, and the others that were not skipped."""
    caller = _Caller(client, asyncio.get_running_loop())
    results = await asyncio.to_thread(check_server, caller, include_tags={"discovery", "misc"})
    green = sum(result.status is Status.SUCCESS for result in results)
    return green, [r for r in results if r.status not in (Status.SUCCESS, Status.SKIPPED)]
