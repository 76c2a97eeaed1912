"""The webhooks of changes on their way out: what they say, and the client that sends them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence

import httpx
import msgspec

from gateway.config.webhook_addresses import webhook_address
from gateway.config.webhook_models import WebhookOptions
from gateway.environments.environment_json import time_text
from gateway.errors import BadArgument
from gateway.export.changes import Changes

from .records import Pending, SigningKey, Subscription
from .sending import ChosenTargets, attempt, headers_of

PREFIX = "whsec_"
"""How secrets of Standard Webhooks begin."""


class Outgoing:
    """Sends the webhooks of one process. Tests replace ``transport`` and ``now``, in seconds since the epoch."""

    def __init__(
        self,
        options: WebhookOptions,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._transport = transport
        self._now = now
        self._http: httpx.AsyncClient | None = None

    def check(self, url: str) -> str:
        """Return an address that may be sent to. Raises BadArgument."""
        try:
            return webhook_address(url, self._options.hosts, self._options.private_hosts)
        except ValueError as error:
            raise BadArgument(f"url: {error}.") from None

    async def send(self, one: Subscription, webhook: str, body: bytes) -> str | None:
        """Send a webhook once; return why it was not taken, None if it was. Raises BadArgument."""
        url = self.check(one.target.url)
        if self._http is None:
            transport = self._transport or ChosenTargets(
                self._options.private_hosts, self._options.running
            )
            # Redirects are not followed: the target is that of the subscription, and no other.
            self._http = httpx.AsyncClient(transport=transport, timeout=self._options.timeout)
        at = self._now()
        headers = headers_of(valid_keys(one.keys, at), webhook, int(at), body)
        return await attempt(self._http, url, headers, body, self._options.timeout)

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()


def valid_keys(keys: Sequence[SigningKey], at: float) -> Sequence[bytes]:
    """Return the keys that sign at a time."""
    return [one.key for one in keys if one.until is None or at < one.until]


def secret_text(key: bytes) -> str:
    """Return a key in the form in which receivers get it."""
    return f"{PREFIX}{base64.b64encode(key).decode()}"


def message_of(one: Subscription, pending: Pending, changes: Changes) -> bytes:
    """Return the body of a webhook.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
    """
    return msgspec.json.encode(
        {
            "type": "changes",
            "timestamp": time_text(pending.created),
            "data": {
                "webhook": one.id,
                "sequence": one.delivered + 1,
                "set": one.list,
                "upserts": changes.upserts,
                "deletes": changes.deletes,
                "resyncRequired": changes.resync_required,
                "hasMore": changes.has_more,
                "cursor": changes.cursor,
                "source": changes.source,
                "guarantee": changes.guarantee,
            },
        }
    )
