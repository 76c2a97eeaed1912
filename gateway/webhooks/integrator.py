"""Tells the integrator of changes of environments: by one process at a time, for a day at most, after longer pauses."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
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

from .sending import GONE, LONGEST, attempt, headers_of, status_text

if TYPE_CHECKING:  # it imports SQLAlchemy, which takes 0.4 s
    from gateway.store.webhook_queue import Webhook, WebhookQueue

DAY = 86_400.0
"""Seconds after which a webhook is given up."""
POLL = 2.0
"""Seconds between two looks for what is due."""
PAUSES = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0, 7_200.0)
"""Seconds after the first failures; the last one after each further one."""


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
            body = webhook.body.encode()
            headers = headers_of((self._key,), webhook.id, int(self._now()), body)
            problem = await attempt(http, self._url, headers, body)
            due = self._settled(webhook, problem)
            await daemon_call(lambda: self._queue.settle(webhook, due))
        except StoreUnavailable as error:
            if not self._has_failed:
                self._observe(StoreFailed(reason=reason_of(error)))
            self._has_failed = True
            return False
        self._has_failed = False
        return True

    def _settled(self, webhook: Webhook, problem: str | None) -> float | None:
        """Report an attempt; return when the next one is due, None if there is none."""
        attempts = webhook.attempts + 1
        if problem is None:
            self._observe(WebhookSent(id=webhook.id, type=webhook.event, attempts=attempts))
            return None
        facts = {"id": webhook.id, "type": webhook.event, "reason": problem}
        pause = PAUSES[min(webhook.attempts, len(PAUSES) - 1)]
        due = self._now() + pause
        if problem == status_text(GONE) or due >= webhook.created + DAY:
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
