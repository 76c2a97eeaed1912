"""A replica as a process of its own, whose clock is an hour ahead and whose requests are never answered.

It says how large its share is as soon as it has one, and hangs until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
from pydantic import SecretStr

from gateway.config.replica_models import ReplicaOptions
from gateway.config.settings import Settings
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.retry import Clock
from gateway.replicas.replicas import Replicas


class _Never(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


async def _main(address: str, url: str, concurrency: int) -> None:
    settings = Settings(
        url=url,
        auth="none",
        concurrency=concurrency,
        replicas=ReplicaOptions(address=SecretStr(address), timeout=0.5),
    )
    replicas = Replicas(settings, lambda _: None)
    clock = Clock(now=lambda: time.time() + 3_600)
    async with (
        replicas.running(),
        ODataClient(settings, transport=_Never(), observe=lambda _: None, clock=clock) as client,
    ):
        with replicas.joined(client, settings):
            # More would leave nothing of a limit that never grows.
            requests = [Request("GET", f"Sets?$top={n}", {}) for n in (1, 2)]
            sending = [asyncio.ensure_future(client.send(request)) for request in requests]
            while client.admission.under_way < 2:  # noqa: ASYNC110 - nobody tells it
                await asyncio.sleep(0.05)
            print(client.admission.under_way, flush=True)
            await asyncio.gather(*sending)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
