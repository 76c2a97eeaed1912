"""A service whose answers come one after the other, as those of a network do, and not several in one turn."""

from __future__ import annotations

import asyncio

import httpx

TURNS = 10
"""Turns of the event loop after which everything that waits for an answer has gone on."""


class AnswersApart(httpx.AsyncBaseTransport):
    """Sends requests side by side, and passes on one answer at a time."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._turn = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        async with self._turn:
            for _ in range(TURNS):
                await asyncio.sleep(0)
        return response
