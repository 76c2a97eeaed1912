"""A receiver of webhooks in process, which verifies what it gets as the specification says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.http.webhook_operations import describe
from gateway.webhooks.records import WebhookCounts
from gateway.webhooks.service import Webhooks
from tests.support.described_api import check_described
from tests.support.hooked import Hooked, hooked
from tests.support.manual_clock import until
from tests.support.pages import blocks

TARGET = "https://app.example.com/of-d365"
SETTINGS: dict[str, Any] = {
    "webhooks": {"hosts": ["*.example.com"], "interval": 3_600.0, "batch": 100, "attempts": 3}
}


@dataclass
class Receiver:
    """Who gets the webhooks of a gateway, whose clock stands still."""

    here: Hooked
    at: float = 1_800_000_000.0
    status: Callable[[dict[str, Any]], int] = lambda _: 204
    requests: list[httpx.Request] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Those that were taken."""

    def __post_init__(self) -> None:
        webhooks = self.webhooks
        webhooks._outgoing._transport = httpx.MockTransport(self._receive)
        webhooks._outgoing._now = webhooks._store.now = lambda: self.at

    @property
    def webhooks(self) -> Webhooks:
        webhooks: Webhooks = self.here.app.state.webhooks
        return webhooks

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        message = json.loads(request.content)
        status = self.status(message)
        if status < 300:
            self.messages.append(message)
        return httpx.Response(status)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the process look for what is due."""
        self.at += seconds
        assert self.webhooks._runner is not None
        self.webhooks._runner.wake()

    async def settled(self, least: int) -> list[dict[str, Any]]:
        """Return what was taken, once there are so many attempts and nothing runs."""
        runner = self.webhooks._runner
        assert runner is not None
        await until(lambda: len(self.requests) >= least and not runner._running, 15.0)
        return self.messages

    async def counts(self) -> WebhookCounts:
        """Return what the metrics show after the next count."""
        runner = self.webhooks._runner
        assert runner is not None
        await runner._count()
        return runner.counts

    async def create(self, status: int = 201, **body: Any) -> dict[str, Any]:
        new = {"set": "CustomersV3", "url": TARGET, "companies": ["usmf"], **body}
        answer = await self.here.http.post("/webhooks", json=new)
        assert answer.status_code == status, answer.text
        check_described(describe(""), answer)
        content: dict[str, Any] = answer.json()
        return content

    async def get(self, path: str, method: str = "GET", status: int = 200, **more: Any) -> Any:
        answer = await self.here.http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        check_described(describe(""), answer)
        return answer.json() if answer.content else None


def is_verified(request: httpx.Request, secret: str) -> bool:
    """Verify a webhook by what the page about webhooks prints."""
    (snippet,) = blocks("python", of="data/webhooks")
    names: dict[str, Any] = {}
    exec(snippet.text, names)
    sent = float(request.headers["webhook-timestamp"])
    is_genuine = names["is_genuine"]
    assert not is_genuine(request.headers, request.content, secret, sent + 301)
    return bool(is_genuine(request.headers, request.content, secret, sent + 299))


@asynccontextmanager
async def receiving(folder: Path, **settings: Any) -> AsyncIterator[Receiver]:
    """Yield the receiver of a gateway over a sandbox, which reports its writes."""
    async with hooked(folder, **{**SETTINGS, **settings}) as here:
        yield Receiver(here)
        await asyncio.sleep(0)
