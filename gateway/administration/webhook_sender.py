"""Sends webhooks: signed (Standard Webhooks), by one process at a time, again with growing pauses, for a day at most.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from gateway.config.linking_models import webhook_key
from gateway.config.settings import Settings
from gateway.environments.webhook_events import has_webhooks, open_webhook_queue
from gateway.errors import StoreUnavailable
from gateway.events import Observer, StoreFailed
from gateway.events.environments import WebhookAbandoned, WebhookFailed, WebhookSent
from gateway.failures import report_error
from gateway.process.daemon_call import daemon_call
from gateway.store.faults import reason_of

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    from gateway.store.webhook_queue import Webhook, WebhookQueue

DAY = 86_400.0
"""Seconds after which a webhook is given up."""
POLL = 2.0
"""Seconds between two looks for what is due."""
LONGEST = 15.0
"""Seconds in which the receiver must answer."""
PAUSES = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0)
"""Seconds after the first failures; the last one after each further one."""
_GONE = 410
"""Of a receiver that wants no more of them."""


def signature(key: bytes, webhook: Webhook, at: int) -> str:
    """Return the signature of an attempt at a time: ``v1,`` and the HMAC-SHA256 in Base64."""
    signed = f"{webhook.id}.{at}.{webhook.body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


class WebhookSender:
    """Sends what is due. Tests replace ``transport`` and ``now``, in seconds since the epoch."""

    def __init__(
        self,
        settings: Settings,
        queue: WebhookQueue,
        observe: Observer,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        options = settings.linking
        assert options.webhook_url is not None
        assert options.webhook_secret is not None
        self._url, self._key = options.webhook_url, webhook_key(options.webhook_secret)
        self._queue = queue
        self._observe = observe
        self._transport = transport
        self._now = now
        self._has_failed = False

    async def run(self) -> None:
        """Send until it is cancelled."""
        async with self._client() as http:
            while True:
                try:
                    was_due = await self._send_next(http)
                except Exception as error:
                    # Whatever is wrong with one: the others are sent, and this one again when its claim ends.
                    report_error(error, self._observe)
                    was_due = False
                if not was_due:
                    await asyncio.sleep(POLL)

    async def send_due(self) -> int:
        """Send what is due now; return how many attempts that were."""
        attempts = 0
        async with self._client() as http:
            while await self._send_next(http):
                attempts += 1
        return attempts

    def _client(self) -> httpx.AsyncClient:
        # Redirects are not followed: the target is that of the settings, and no other.
        return httpx.AsyncClient(transport=self._transport, timeout=LONGEST)

    async def _send_next(self, http: httpx.AsyncClient) -> bool:
        """Send a webhook that is due; return whether there was one."""
        try:
            webhook = await daemon_call(lambda: self._queue.claim(self._now()))
            if webhook is None:
                return False
            problem = await self._attempt(http, webhook)
            due = self._settled(webhook, problem)
            await daemon_call(lambda: self._queue.settle(webhook, due))
        except StoreUnavailable as error:
            if not self._has_failed:
                self._observe(StoreFailed(reason=reason_of(error)))
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    async def _attempt(self, http: httpx.AsyncClient, webhook: Webhook) -> str | None:
        """Send a webhook; return why it was not taken, None if it was."""
        try:
            async with (
                asyncio.timeout(LONGEST),
                # What the receiver says besides its status is not read.
                http.stream(
                    "POST", self._url, content=webhook.body, headers=self._headers(webhook)
                ) as response,
            ):
                status = response.status_code
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return type(error).__name__
        return None if 200 <= status < 300 else f"status {status}"

    def _headers(self, webhook: Webhook) -> Mapping[str, str]:
        at = int(self._now())
        return {
            "content-type": "application/json",
            "user-agent": "d365-graphql-gateway",
            "webhook-id": webhook.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._key, webhook, at),
        }

    def _settled(self, webhook: Webhook, problem: str | None) -> float | None:
        """Report an attempt; return when the next one is due, None if there is none."""
        attempts = webhook.attempts + 1
        if problem is None:
            self._observe(WebhookSent(id=webhook.id, type=webhook.event, attempts=attempts))
            return None
        facts = {"id": webhook.id, "type": webhook.event, "reason": problem}
        pause = PAUSES[min(webhook.attempts, len(PAUSES) - 1)]
        due = self._now() + pause
        if problem == f"status {_GONE}" or due >= webhook.created + DAY:
            self._observe(WebhookAbandoned(**facts, attempts=attempts))
            return None
        self._observe(WebhookFailed(**facts, attempts=attempts, retry_after=pause))
        return due


@asynccontextmanager
async def sending_webhooks(settings: Settings, observe: Observer) -> AsyncIterator[None]:
    """Send webhooks until the end of the block, if the settings name a receiver."""
    if not has_webhooks(settings):
        yield
        return
    queue = open_webhook_queue(settings)
    sending = asyncio.ensure_future(WebhookSender(settings, queue, observe).run())
    try:
        yield
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        # One that was being sent is sent again by whoever claims it next: its id is the same.
        await daemon_call(queue.close)
