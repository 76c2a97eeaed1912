"""Runs the webhooks of one process: each that is due and no other process has, one step at a time.

    due ──▶ read what has changed since the cursor, as its caller may see it now ──▶ nothing: due again later
                                                                                └──▶ send ──▶ taken: the cursor moves
    not taken ──▶ again after a pause that grows ──▶ after the last attempt a dead letter, and the cursor moves
    for long  ──▶ paused

So webhooks of one subscription arrive in order, and none is lost with a process. One that was taken while its process
was killed is sent again, with the same id. What needs the token of its caller is run by the process that has it in
memory, for as long as the token lives; then it waits for its caller (``NEEDS_AUTH``).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import (
    BadArgument,
    Forbidden,
    StoreUnavailable,
    Unauthenticated,
    UnknownSet,
    to_gateway_error,
)
from gateway.events import Observer
from gateway.events.environments import WebhookAbandoned, WebhookFailed, WebhookSent
from gateway.events.webhooks import WebhookPaused
from gateway.export.changes import ChangeReader, Changes, change_reader
from gateway.export.reading import ExportFailed
from gateway.export.request import ExportRequest
from gateway.export.serving import prepare_for
from gateway.failures import report_error
from gateway.identity.caller import Caller
from gateway.jobs.rounds import Rounds
from gateway.jobs.runner import PASSING, Enter
from gateway.process.daemon_call import late_rows
from gateway.request import GraphQLRequest
from gateway.runtime.served_api import ServedApi
from gateway.store.polling import CLOSING

from .outgoing import Outgoing, message_of
from .records import DeadLetter, Pending, State, Subscription, WebhookCounts
from .sending import GONE, status_text
from .subscription_store import SubscriptionStore, error_json

POLL = 1.0
"""Seconds between two looks for what is due."""
COUNTING = 15.0
"""Seconds between two counts for the metrics."""
CLEANING = 3_600.0
"""Seconds between two looks for dead letters that are too old."""
PAUSES = (5.0, 30.0, 120.0, 600.0, 1_800.0, 3_600.0)
"""Seconds after the first failures, about; the last one after each further one."""
TYPE = "changes"
_PASSING = PASSING | {"INTERNAL_ERROR", "UPSTREAM_MALFORMED", "UPSTREAM_REJECTED"}
"""Codes of errors that may pass; with any other the subscription is paused."""
_ID_BYTES = 16
_SHOWN = 8


class _SentRow(Struct):
    node: dict[str, Any] | None = None


class _SentRows(Struct):
    upserts: list[_SentRow] = []


class _Message(Struct):
    data: _SentRows


_read_message = msgspec.json.Decoder(_Message).decode


class WebhookRunner:
    """The webhooks of one process. Belongs to one event loop."""

    def __init__(
        self,
        store: SubscriptionStore,
        enter: Enter,
        outgoing: Outgoing,
        observe: Observer,
        chance: Callable[[], float] = lambda: secrets.randbelow(1_000) / 1_000,
        *,
        owner: str | None = None,
        callers: dict[str, Caller] | None = None,
    ) -> None:
        """``chance`` spreads pauses: a number from 0 to 1.

        ``owner``: under which leases are held. Runners of one process, one after the other, share it and ``callers``.
        """
        self.owner = owner or secrets.token_hex(_ID_BYTES)
        self._store = store
        self._enter = enter
        self._outgoing = outgoing
        self._observe = observe
        self._chance = chance
        self._callers: dict[str, Caller] = {} if callers is None else callers
        """With their tokens, which no other process has."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._claiming: asyncio.Future[Sequence[Subscription]] | None = None
        self._wake = asyncio.Event()
        self.counts = WebhookCounts()
        """Those of the deployment, some seconds old."""
        self._is_leaving = self._has_successor = False
        self._rounds = Rounds(observe, lambda: not store.is_idle)

    def take(self, subscription: Subscription, caller: Caller) -> None:
        """Run a subscription that its caller has created, or lets go on."""
        if subscription.is_personal:
            self._callers[subscription.id] = caller
        self.wake()

    def wake(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    def hand_over(self, *, has_successor: bool = False) -> None:
        """Begin no more steps: those that run end here, and the next ones are another runner's.

        A successor has the same owner and callers, and so the leases.
        """
        self._is_leaving, self._has_successor = True, has_successor

    def drop(self, subscription: str) -> None:
        """Stop a subscription that was paused or removed."""
        self._callers.pop(subscription, None)
        task = self._running.pop(subscription, None)
        if task is not None:
            task.cancel()

    async def require_rights(self, one: Subscription, body: bytes) -> None:
        """Raise Forbidden if the caller of a subscription may no longer see the list or a column of a webhook.

        Raises GatewayError if that cannot be found out. Rows stay those that it could see when it was made.
        """
        caller = self._callers.get(one.id, one.caller)
        try:
            async with self._enter(one.environment, one.target.profile, caller) as (known, api):
                reader = await _reader(api, known, one)
        except (BadArgument, UnknownSet) as error:
            raise Forbidden(
                "The list or a field of the webhook is not the caller's any more."
            ) from error
        columns = {column.path[0] for column in reader.ready.export.columns}
        rows = _read_message(body).data.upserts
        if not columns.issuperset(*(row.node or {} for row in rows)):
            raise Forbidden("The webhook has fields that its caller may not see any more.")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run webhooks until the end of the block, and return their leases."""
        tasks: list[asyncio.Future[None]] = [
            asyncio.ensure_future(self._rounds.every(POLL, self._poll, self._wake)),
            asyncio.ensure_future(self._rounds.every(self._store.options.lease / 3, self._renew)),
            asyncio.ensure_future(self._rounds.every(COUNTING, self._count)),
            asyncio.ensure_future(self._rounds.every(CLEANING, self._store.expire)),
        ]
        try:
            yield
        finally:
            tasks += self._running.values()
            has_run = bool(self._running or self._callers)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            claiming, self._claiming = self._claiming, None
            if claiming is not None:
                # The thread goes on, and what it claims would wait for the end of the lease.
                has_run = bool(await late_rows(claiming, CLOSING)) or has_run
            if has_run and not self._has_successor:
                with suppress(StoreUnavailable):
                    await self._store.release(self.owner)
            await self._outgoing.close()
            await self._store.close()

    async def _poll(self) -> None:
        """Run what is due, a few at a time."""
        if self._is_leaving:
            return
        free = self._store.options.running - len(self._running)
        claim = self._store.claim(self.owner, tuple(self._running), free)
        self._claiming = asyncio.ensure_future(claim)
        for subscription in await asyncio.shield(self._claiming):
            task = asyncio.create_task(self._run(subscription))
            self._running[subscription.id] = task
        self._claiming = None

    async def _count(self) -> None:
        self.counts = await self._store.count()

    async def _renew(self) -> None:
        """Renew the leases; forget the callers of subscriptions that others have, or nobody."""
        names = {*self._running, *self._callers}
        if names and not self._is_leaving:
            own = await self._store.renew(self.owner, tuple(names))
            for name in self._callers.keys() - own:
                del self._callers[name]

    async def _run(self, subscription: Subscription) -> None:
        """Run one step of a subscription, and note what became of it."""
        try:
            await self._settle(*await self._step(subscription))
        except Exception as error:
            # The store fails: another process claims it when the lease ends.
            report_error(error, self._observe)
        finally:
            if self._running.get(subscription.id) is asyncio.current_task():
                del self._running[subscription.id]
            self._wake.set()

    async def _settle(
        self, subscription: Subscription, due: float, letter: DeadLetter | None
    ) -> None:
        is_held = subscription.state == "ACTIVE" and subscription.id in self._callers
        if not is_held:
            self._callers.pop(subscription.id, None)
        await self._store.settle(subscription, self.owner, due=due, keeps=is_held, letter=letter)

    async def _step(self, one: Subscription) -> tuple[Subscription, float, DeadLetter | None]:
        """Return a subscription after one step, when it is due again, and the webhook that was given up."""
        limit = asyncio.timeout(None)
        try:
            caller = self._caller_of(one)
            async with limit:
                limit.reschedule(self._ends(one, caller))
                changes = await self._read(one, caller)
        except ExportFailed as failed:
            return self._unreadable(one, failed.answer.errors[0])
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return self._unreadable(one, error_json(_needs_auth()))
            known = to_gateway_error(error)
            if known.code == "INTERNAL_ERROR":
                return self._unreadable(one, report_error(error, self._observe))
            return self._unreadable(one, error_json(known))
        if changes.is_empty:
            return self._succeeded(one, changes)
        return await self._send(one, changes)

    def _caller_of(self, one: Subscription) -> Caller:
        """Return as whom a subscription runs. Raises Unauthenticated, BadArgument if its address is not allowed now."""
        self._outgoing.check(one.target.url)
        caller = self._callers.get(one.id, one.caller)
        if one.is_personal:
            ends = caller.expires_at
            if caller.assertion is None or (ends is not None and ends <= self._store.now()):
                raise _needs_auth()
        return caller

    def _ends(self, one: Subscription, caller: Caller) -> float | None:
        """Return when the token that a subscription needs ends, by the event loop; None: never."""
        if not one.is_personal or caller.expires_at is None:
            return None
        return asyncio.get_running_loop().time() + caller.expires_at - self._store.now()

    async def _read(self, one: Subscription, caller: Caller) -> Changes:
        async with self._enter(one.environment, one.target.profile, caller) as (known, api):
            return await read_changes(api, known, one, self._store.options.batch)

    async def _send(
        self, one: Subscription, changes: Changes
    ) -> tuple[Subscription, float, DeadLetter | None]:
        now = self._store.now()
        digest = _digest(changes)
        pending = one.pending
        if pending is None or pending.digest != digest:
            name = f"msg_{secrets.token_hex(_ID_BYTES)}"
            pending = Pending(id=name, digest=digest, created=now)
        pending = replace(pending, attempts=pending.attempts + 1)
        # Before it is sent: whoever goes on after the end of this process sends it under the same id.
        if not await self._store.store_pending(replace(one, pending=pending), self.owner):
            raise StoreUnavailable("The webhook is another process's.")
        body = message_of(one, pending, changes)
        problem = await self._outgoing.send(one, pending.id, body)
        if problem is None:
            self._observe(WebhookSent(id=pending.id, type=TYPE, attempts=pending.attempts))
            taken = replace(one, delivered=one.delivered + 1, delivered_at=self._store.now())
            return self._succeeded(taken, changes)
        return self._failed(replace(one, pending=pending), pending, changes, body, problem)

    def _succeeded(
        self, one: Subscription, changes: Changes
    ) -> tuple[Subscription, float, DeadLetter | None]:
        pause = 0.0 if changes.has_more else self._store.options.interval * self._jitter()
        settled = replace(
            one,
            cursor=changes.cursor,
            pending=None,
            error=None,
            attempts=0,
            failing_since=None,
        )
        return settled, self._store.now() + pause, None

    def _failed(
        self, one: Subscription, pending: Pending, changes: Changes, body: bytes, problem: str
    ) -> tuple[Subscription, float, DeadLetter | None]:
        """Note that a webhook was not taken."""
        error = {"message": f"The receiver has not taken it: {problem}.", "extensions": {}}
        failing = self._failing(one, error)
        facts: dict[str, Any] = {
            "id": pending.id,
            "type": TYPE,
            "reason": problem,
            "attempts": pending.attempts,
        }
        pause = self._pause(failing.attempts)
        if problem == status_text(GONE):
            return self._stopped(failing, "PAUSED", problem)
        if pending.attempts < self._store.options.attempts:
            if self._is_hopeless(failing):
                return self._stopped(failing, "PAUSED", problem)
            self._observe(WebhookFailed(**facts, retry_after=pause))
            return failing, self._store.now() + pause, None
        self._observe(WebhookAbandoned(**facts))
        letter = DeadLetter(
            id=pending.id,
            subscription=one.id,
            body=body,
            error=problem,
            attempts=pending.attempts,
            created=pending.created,
            died=self._store.now(),
        )
        failing = replace(failing, cursor=changes.cursor, pending=None, delivered=one.delivered + 1)
        if self._is_hopeless(failing):
            stopped, due, _ = self._stopped(failing, "PAUSED", problem)
            return stopped, due, letter
        return failing, self._store.now() + pause, letter

    def _unreadable(
        self, one: Subscription, error: Mapping[str, Any]
    ) -> tuple[Subscription, float, DeadLetter | None]:
        """Note that the changes could not be read."""
        code = error.get("extensions", {}).get("code")
        shown = {name: error[name] for name in ("message", "extensions") if name in error}
        failing = self._failing(one, shown)
        if code == Unauthenticated.code:
            return self._stopped(failing, "NEEDS_AUTH", code)
        if code not in _PASSING or self._is_hopeless(failing):
            return self._stopped(failing, "PAUSED", str(code))
        return failing, self._store.now() + self._pause(failing.attempts), None

    def _failing(self, one: Subscription, error: Mapping[str, Any]) -> Subscription:
        since = self._store.now() if one.failing_since is None else one.failing_since
        return replace(one, error=error, attempts=one.attempts + 1, failing_since=since)

    def _is_hopeless(self, one: Subscription) -> bool:
        since = self._store.now() if one.failing_since is None else one.failing_since
        return self._store.now() - since >= self._store.options.pause_after

    def _stopped(
        self, one: Subscription, state: State, reason: str
    ) -> tuple[Subscription, float, DeadLetter | None]:
        self._observe(WebhookPaused(subscription=one.id[:_SHOWN], state=state, reason=reason))
        return replace(one, state=state), self._store.now(), None

    def _pause(self, failures: int) -> float:
        return PAUSES[min(failures, len(PAUSES)) - 1] * self._jitter()

    def _jitter(self) -> float:
        # Else those that failed together would come back together, for ever.
        return 0.8 + 0.4 * self._chance()


async def read_changes(api: ServedApi, caller: Caller, one: Subscription, most: int) -> Changes:
    """Return what comes next for a subscription. Raises ExportFailed, GatewayError."""
    reader = await _reader(api, caller, one)
    first = min(most, reader.ready.live.gateway.settings.max_page_size)
    return await reader.read(one.cursor, first)


async def _reader(api: ServedApi, caller: Caller, one: Subscription) -> ChangeReader:
    """Return what reads the changes of a subscription. Raises GatewayError."""
    target = one.target
    request = ExportRequest(where=target.where, fields=target.fields)
    ready = await prepare_for(api, target.set, request)
    reads = GraphQLRequest(query="", companies=target.companies, caller=caller)
    return change_reader(ready, reads)


def _digest(changes: Changes) -> bytes:
    """Return what identifies the rows of an answer; cursors hold times, and differ each time."""
    rows = msgspec.json.encode((changes.upserts, changes.deletes, changes.resync_required))
    return hashlib.blake2b(rows, digest_size=16).digest()


def _needs_auth() -> Unauthenticated:
    return Unauthenticated(
        "The webhook needs a token of its caller.",
        hint="Sign in, and send POST /webhooks/{id}/resume.",
    )
