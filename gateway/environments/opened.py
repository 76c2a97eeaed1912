"""The environments that are open: each is opened at its first request, and closed when it has been idle.

    lease(name) ──▶ open? ──▶ Lease, which keeps it open           released ──▶ idle for some minutes ──▶ closed
                      │ no: opened in a task of its own, for all who wait
                      └──▶ failed ──▶ EnvironmentUnavailable, and no new attempt before a pause that grows

An environment that hangs holds up only the requests to it, and these for ``patience`` seconds at most. Few documents
are parsed at a time, whatever number of environments are opened.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from gateway.errors import (
    AuthError,
    EnvironmentUnavailable,
    GatewayError,
    SecretUnreadable,
    SettingsError,
    UpstreamMalformed,
    code_of,
    to_gateway_error,
)
from gateway.events import Observer
from gateway.events.environments import EnvironmentClosed, EnvironmentFailed, EnvironmentOpened
from gateway.logs import logging_environment
from gateway.runtime.metadata_reload import Attempt, Reason
from schema.errors import SchemaError

from .open_environment import OpenEnvironment
from .registry import Environment, Registry

RELOADED_AT_ONCE = 4
"""Environments that are reloaded at a time if all are."""
Open = Callable[[Environment], AbstractAsyncContextManager[OpenEnvironment]]
"""Opens an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long requests wait for an environment, in seconds. Tests choose other times."""

    request: float = 30.0
    """A request, until it is answered ``ENVIRONMENT_UNAVAILABLE`` with a time to try again."""
    opening: float = 300.0
    """An attempt to open an environment."""
    pause: float = 5.0
    """After the first failure; twice as long after each further one."""
    longest_pause: float = 300.0


class Lease:
    """Keeps an environment open until it is released."""

    __slots__ = ("_slot", "environment")

    def __init__(self, slot: _Slot, environment: OpenEnvironment) -> None:
        self.environment = environment
        self._slot = slot

    def release(self) -> None:
        """Let the environment be closed when it is idle."""
        self._slot.release()


class _Failure(Struct, frozen=True):
    declared: Environment
    message: str
    until: float
    attempts: int
    error: Exception | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class _Slot:
    """An environment that is opening or open."""

    declared: Environment
    idle: float
    ready: asyncio.Future[OpenEnvironment]
    users: int = 0
    since: float = 0.0
    """When its last user left, by the clock of the event loop."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """What runs in the background for as long as it is open."""
    timer: asyncio.TimerHandle | None = None
    is_retired: bool = False

    @property
    def environment(self) -> OpenEnvironment | None:
        """What is open; None while it opens, or if it failed."""
        done = self.ready.done() and self.ready.exception() is None
        return self.ready.result() if done else None

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work until its end, or until the environment is closed."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def release(self) -> None:
        """Note that a user leaves."""
        self.users -= 1
        if self.users == 0:
            self.watch()

    def watch(self) -> None:
        """Close it once it has been idle; a retired one at once."""
        loop = asyncio.get_running_loop()
        self.since = loop.time()
        if self.is_retired:
            self.closing.set()
        elif self.timer is None:
            # One timer for all requests: it looks again if there were more of them.
            self.timer = loop.call_at(self.since + self.idle, self._look)

    def unwatch(self) -> None:
        """Forget the timer, which would keep all of it in memory."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _look(self) -> None:
        self.timer = None
        if self.users:
            return
        rest = self.since + self.idle - asyncio.get_running_loop().time()
        if rest <= 0:
            self.closing.set()
        else:
            self.timer = asyncio.get_running_loop().call_later(rest, self._look)

    def retire(self) -> None:
        """End its streams, and close it as soon as nobody uses it."""
        self.is_retired = True
        if self.environment is not None:
            self.environment.subscriptions.stop()
        if not self.users:
            self.closing.set()


class OpenEnvironments:
    """The open environments of a process. Belongs to one event loop."""

    def __init__(
        self,
        registry: Registry,
        open_: Open,
        *,
        idle: float,
        observe: Observer,
        patience: Patience = Patience(),
    ) -> None:
        """``idle``: seconds after which an environment without requests is closed."""
        self.registry = registry
        self._open = open_
        self._idle = idle
        self._observe = observe
        self._patience = patience
        self._slots: dict[str, _Slot] = {}
        self._failures: dict[str, _Failure] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._outdated: set[str] = set()
        """Environments whose metadata is loaded anew once they are open."""

    async def lease(self, declared: Environment) -> Lease:
        """Return a lease of an environment, which is opened if it is not. Raises EnvironmentUnavailable."""
        slot = self._slots.get(declared.name)
        if slot is not None and slot.declared is not declared:
            self._retire(slot)
            slot = None
        if slot is None or slot.closing.is_set():
            slot = self._begin(declared)
        # Before it is open, so that it is not closed before this request has begun.
        slot.users += 1
        try:
            return Lease(slot, slot.environment or await self._opened(slot))
        except BaseException:
            slot.release()
            raise

    async def open_as(self, other: OpenEnvironments) -> None:
        """Open what another one has open, for requests that come soon. Raises SettingsError, SchemaError.

        What cannot be reached now is opened by its next request, as always.
        """
        few = asyncio.Semaphore(RELOADED_AT_ONCE)

        async def one(name: str) -> None:
            declared = self.registry.find(name)
            if declared is None:
                return
            async with few:
                try:
                    (await self.lease(declared)).release()
                except EnvironmentUnavailable:
                    failure = self._failures.get(name)
                    if failure is not None and isinstance(
                        failure.error, SettingsError | SchemaError
                    ):
                        raise failure.error from None

        names = [name for name, slot in other._slots.items() if slot.environment is not None]
        await asyncio.gather(*map(one, names))

    def opened(self) -> Sequence[OpenEnvironment]:
        """Return those that are open at this moment."""
        found = (slot.environment for slot in self._slots.values())
        return [environment for environment in found if environment is not None]

    def find(self, name: str) -> OpenEnvironment | None:
        """Return an environment that is open at this moment; None if it is not."""
        slot = self._slots.get(name)
        return None if slot is None or slot.closing.is_set() else slot.environment

    def follow(self) -> None:
        """Retire what is open and no longer declared as it was, although no request comes."""
        for slot in tuple(self._slots.values()):
            if self.registry.find(slot.declared.name) is not slot.declared:
                self._retire(slot)
        for name, failure in tuple(self._failures.items()):
            if self.registry.find(name) is not failure.declared:
                del self._failures[name]
        self._outdated = {n for n in self._outdated if self.registry.find(n) is not None}

    def reload(self, name: str) -> None:
        """Load the metadata of an environment anew: now if it is open, else when it is opened."""
        slot = self._slots.get(name)
        environment = None if slot is None else slot.environment
        if environment is None:
            self._outdated.add(name)
        else:
            environment.reloader.trigger("admin")

    def reload_open(
        self, reason: Reason, ended: Callable[[Attempt], None] = lambda _: None
    ) -> None:
        """Reload all that are open, a few at a time and in the background; ``ended``: see ``Reloader.trigger``."""
        few = asyncio.Semaphore(RELOADED_AT_ONCE)

        async def one(environment: OpenEnvironment) -> None:
            async with few:
                ended(await environment.reloader.reload(reason))

        for slot in self._slots.values():
            if slot.environment is not None:
                with logging_environment(slot.declared.name):
                    slot.background(one(slot.environment))

    def states(self) -> Mapping[str, int]:
        """Return how many environments are declared, open, opening, and unavailable."""
        names = set(self.registry.names())
        counts = Counter(
            "open" if slot.environment is not None else "opening" for slot in self._slots.values()
        )
        failed = names.intersection(self._failures) - self._slots.keys()
        return {
            "declared": len(names),
            "open": counts["open"],
            "opening": counts["opening"],
            "unavailable": len(failed),
        }

    async def close(self) -> None:
        """Close all environments."""
        for slot in self._slots.values():
            slot.closing.set()
            if slot.environment is None and slot.task is not None:
                slot.task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, declared: Environment) -> _Slot:
        """Begin to open an environment. Raises EnvironmentUnavailable if that failed a short time ago."""
        failure = self._failures.get(declared.name)
        if failure is not None and failure.declared is not declared:
            failure = None
            del self._failures[declared.name]
        if failure is not None and (rest := failure.until - time.monotonic()) > 0:
            raise unavailable(failure.message, rest)
        slot = _Slot(
            declared=declared,
            idle=self._idle,
            ready=asyncio.get_running_loop().create_future(),
        )
        self._slots[declared.name] = slot
        with logging_environment(declared.name):
            slot.task = asyncio.create_task(self._run(slot))
        self._tasks.add(slot.task)
        slot.task.add_done_callback(self._tasks.discard)
        return slot

    async def _opened(self, slot: _Slot) -> OpenEnvironment:
        """Wait until it is open. Raises EnvironmentUnavailable."""
        try:
            async with asyncio.timeout(self._patience.request):
                # Shielded: other requests may wait for the same environment.
                return await asyncio.shield(slot.ready)
        except TimeoutError:
            raise unavailable("This environment is being opened.", self._patience.pause) from None
        except _NotOpened as error:
            raise unavailable(error.failure.message, self._pause(error.failure)) from None

    def _pause(self, failure: _Failure) -> float:
        return max(failure.until - time.monotonic(), 1.0)

    async def _run(self, slot: _Slot) -> None:
        """Open an environment, wait until it is to be closed, and close it: all in one task."""
        name, started = slot.declared.name, time.perf_counter()
        try:
            # Not for the whole block: it ends when the environment is open.
            async with asyncio.timeout(self._patience.opening) as limit:
                async with self._open(slot.declared) as environment:
                    limit.reschedule(None)
                    self._is_open(slot, environment, time.perf_counter() - started)
                    started = time.perf_counter()
                    await slot.closing.wait()
                    slot.unwatch()
                    self._forget(slot)
                    await cancel_all(slot.tasks)
        except Exception as error:
            if slot.ready.done():
                # It was open: what fails now is its closing, which nobody waits for.
                self._observe(_failed(name, error, 0.0))
            else:
                self._has_failed(slot, error)
        except asyncio.CancelledError:
            if not slot.ready.done():
                self._tell(slot, _Failure(slot.declared, "The gateway stops.", time.monotonic(), 0))
            raise
        finally:
            self._forget(slot)
        if slot.environment is not None:
            seconds = time.perf_counter() - started
            self._observe(EnvironmentClosed(environment=name, seconds=seconds))

    def _retire(self, slot: _Slot) -> None:
        """Let requests that are under way end as they began, and begin no new ones."""
        self._forget(slot)
        slot.retire()

    def _forget(self, slot: _Slot) -> None:
        if self._slots.get(slot.declared.name) is slot:
            del self._slots[slot.declared.name]

    def _is_open(self, slot: _Slot, environment: OpenEnvironment, seconds: float) -> None:
        self._failures.pop(slot.declared.name, None)
        self._observe(EnvironmentOpened(environment=slot.declared.name, seconds=seconds))
        slot.ready.set_result(environment)
        if slot.is_retired:  # while it was opening
            slot.retire()
        if slot.declared.name in self._outdated:
            self._outdated.discard(slot.declared.name)
            environment.reloader.trigger("admin")
        if not slot.users:  # those who waited for it have left
            slot.watch()

    def _has_failed(self, slot: _Slot, error: Exception) -> None:
        name = slot.declared.name
        before = self._failures.get(name)
        attempts = 1 if before is None else before.attempts + 1
        pause = min(self._patience.pause * 2 ** (attempts - 1), self._patience.longest_pause)
        # Jitter, so that environments that failed together do not try again together.
        pause *= random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        until = time.monotonic() + pause
        failure = _Failure(slot.declared, message_of(error), until, attempts, error)
        self._failures[name] = failure
        self._observe(_failed(name, error, pause))
        self._tell(slot, failure)

    @staticmethod
    def _tell(slot: _Slot, failure: _Failure) -> None:
        """Tell all who wait for an environment that it does not open."""
        slot.ready.set_exception(_NotOpened(failure))
        slot.ready.exception()  # all of them may have left


class _NotOpened(Exception):
    """An attempt to open an environment has failed."""

    def __init__(self, failure: _Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait for their end."""
    cancelled = tuple(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)


def _failed(name: str, error: Exception, pause: float) -> EnvironmentFailed:
    code = code_of(error)
    if isinstance(error, SchemaError):
        message = reason = error.message
        hint = error.hint
    else:
        known = to_gateway_error(error)
        message = known.message if known is error else message_of(error)
        reason, hint = known.message, known.hint
        if known.detail:
            reason = f"{reason} {known.detail}"
    return EnvironmentFailed(
        environment=name, code=code, message=message, reason=reason, hint=hint, retry_after=pause
    )


def message_of(error: Exception) -> str:
    """Return what callers may know of why an environment cannot be opened."""
    match error:
        case AuthError():
            return "The gateway cannot sign in to this environment."
        case SchemaError() | UpstreamMalformed():
            return "The metadata of this environment cannot be read."
        case SecretUnreadable():
            return "The secrets of this environment cannot be read."
        case SettingsError():
            return "The settings of this environment do not fit it."
        case GatewayError() | TimeoutError():
            return "This environment does not answer."
        case _:
            return "This environment cannot be opened."


def unavailable(
    message: str, retry_after: float, *, hint: str | None = None
) -> EnvironmentUnavailable:
    """Return the error of requests to an environment that is not open."""
    seconds = max(1, round(retry_after))
    return EnvironmentUnavailable(
        message,
        hint=hint or f"Try again in {seconds} seconds.",
        retry_after=float(seconds),
    )
