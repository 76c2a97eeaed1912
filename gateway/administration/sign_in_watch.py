"""Tells the integrator that credentials of an environment are no longer accepted: `environment.needs_reauth`.

Once a day for each version of an environment, by the process that notices it first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gateway.config.settings import Settings
from gateway.environments.webhook_events import NEEDS_REAUTH, event_type, has_webhooks, webhook_body
from gateway.errors import GatewayError
from gateway.events import Event, Observer, StoreFailed
from gateway.events.environments import SignInRefused
from gateway.process.daemon_call import daemon_call
from gateway.store.faults import reason_of

from .opening import RegisterHolder

QUIET = 60.0
"""Seconds for which further refusals of the same environment ask the store nothing."""


class SignInWatch:
    """Watches the sign-ins to the environments of one process. Belongs to one event loop."""

    def __init__(
        self, settings: Settings, observe: Observer, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_on = has_webhooks(settings)
        self._observe = observe
        self._now = now
        self._register = RegisterHolder(settings)
        self._quiet_until: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def observer(self, name: str) -> Observer:
        """Return what watches the events of an environment."""

        def observe(event: Event) -> None:
            if type(event) is SignInRefused and self._is_on:
                self._refused(name, event)

        return observe

    async def close(self) -> None:
        """Wait for what is being stored."""
        await asyncio.gather(*self._tasks)
        await daemon_call(self._register.close)

    def _refused(self, name: str, event: SignInRefused) -> None:
        now = self._now()
        if now < self._quiet_until.get(name, now):
            return
        self._quiet_until[name] = now + QUIET
        task = asyncio.create_task(self._store(name, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, name: str, event: SignInRefused) -> None:
        try:
            await daemon_call(lambda: self._add(name, event))
        except GatewayError as error:
            self._observe(StoreFailed(reason=reason_of(error)))

    def _add(self, name: str, event: SignInRefused) -> None:
        from gateway.store.webhook_queue import WebhookQueue  # noqa: PLC0415 - it imports SQLAlchemy

        register = self._register.get()
        environment = register.get(name)
        if environment is None:  # the settings declare it
            return
        topic = f"{NEEDS_REAUTH}:{environment.id}:{environment.version}"
        body = webhook_body(NEEDS_REAUTH, environment, reason=event.reason, hint=event.hint)
        WebhookQueue(register.database).add_once(topic, event_type(NEEDS_REAUTH), body)
