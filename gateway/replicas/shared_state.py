"""The connection to the Redis or Valkey that all replicas of a deployment use.

    up ──an error, or no answer in time──▶ down ──every second: does it answer?──▶ up

While it is down no command is sent, so nobody waits for it. https://redis.io/docs/latest/commands/
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from gateway.config.replica_models import ReplicaOptions
from gateway.events import Observer
from gateway.events.replicas import SharedStateFound, SharedStateLost

from .notices import Notice

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub
    from redis.commands.core import AsyncScript

T = TypeVar("T")
RETRY = 1.0
"""Seconds between two attempts to find it again."""
LONGEST_RETRY = 16.0
"""Likewise, for one that comes and goes."""
STEADY = 5.0
"""Seconds after which it does not count as that."""
CONNECTIONS = 16
_PROBED = 60
_FAILURES = (RedisError, OSError, TimeoutError)


class SharedStateAway(Exception):
    """The shared state does not answer: the replica must do without it."""


class SharedState:
    """The shared state of one process. Belongs to one event loop."""

    def __init__(self, options: ReplicaOptions, observe: Observer) -> None:
        assert options.address is not None
        self.replica = secrets.token_hex(6)
        """Names this process among the replicas."""
        self.prefix = options.prefix
        self.is_up = False
        self._timeout = options.timeout
        self._observe = observe
        address = options.address.get_secret_value()
        on_network = {} if address.startswith("unix:") else {"socket_keepalive": True}
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            address,
            max_connections=CONNECTIONS,
            timeout=options.timeout,
            socket_connect_timeout=max(1.0, options.timeout),
            # Commands have a time of their own (``call``). With one of the client's they are sent by
            # ``asyncio.wait_for``, which loses a cancellation that comes as the command has left (until Python 3.12,
            # https://github.com/python/cpython/issues/86296): a shutdown would wait for a task that goes on.
            socket_timeout=None,
            **on_network,
        )
        self._client: Redis = Redis(connection_pool=pool)
        self._listeners: list[Callable[[Notice], None]] = []
        self._returned: list[Callable[[], None]] = []
        self._lost_at: float | None = None
        self._found_at: float | None = None
        self._reasons: set[str] = set()
        """Why it is away, as far as that was said."""
        self._telling: set[asyncio.Task[None]] = set()

    def key(self, *parts: str) -> str:
        """Return the key of something: ``d365-graphql:limit:contoso``."""
        return ":".join((self.prefix, *parts))

    def on_notice(self, heard: Callable[[Notice], None]) -> None:
        """Call this for each notice of another replica."""
        self._listeners.append(heard)

    def forget(self, heard: Callable[[Notice], None], returned: Callable[[], None]) -> None:
        """Call these no longer."""
        self._listeners.remove(heard)
        self._returned.remove(returned)

    def on_return(self, returned: Callable[[], None]) -> None:
        """Call this whenever it is up again: notices may have been missed."""
        self._returned.append(returned)

    async def call(self, send: Callable[[Redis], Awaitable[T]]) -> T:
        """Return the answer to a command. Raises SharedStateAway, at once while it is down."""
        if not self.is_up:
            raise SharedStateAway
        try:
            async with asyncio.timeout(self._timeout):
                return await send(self._client)
        except _FAILURES as error:
            self._lost(error)
            raise SharedStateAway from error

    def script(self, text: str) -> AsyncScript:
        """Return a script, which the server keeps by its digest."""
        return self._client.register_script(text)

    async def notify(self, notice: Notice) -> bool:
        """Tell the other replicas; return whether that worked."""
        body = msgspec.json.encode(notice)
        channel = self._channel
        try:
            await self.call(lambda client: client.publish(channel, body))
        except SharedStateAway:
            return False
        return True

    def notify_soon(self, notice: Notice) -> None:
        """Tell the other replicas without waiting for it."""
        body = msgspec.json.encode(notice)
        channel = self._channel
        self.call_soon(lambda client: client.publish(channel, body))

    def call_soon(self, send: Callable[[Redis], Awaitable[object]]) -> None:
        """Send a command without waiting for it; it is lost if the shared state is away."""
        task = asyncio.ensure_future(self._call_quietly(send))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _call_quietly(self, send: Callable[[Redis], Awaitable[object]]) -> None:
        with contextlib.suppress(SharedStateAway):
            await self.call(send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Find it, and listen to the other replicas, until the end of the block."""
        found = asyncio.Event()
        task = asyncio.create_task(self._run(found))
        try:
            # So that the first requests have their share of the limit already.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * self._timeout):
                    await found.wait()
            yield
        finally:
            self.is_up = False
            task.cancel()
            await asyncio.gather(task, *self._telling, return_exceptions=True)
            with contextlib.suppress(*_FAILURES):
                await self._client.aclose(close_connection_pool=True)

    @property
    def _channel(self) -> str:
        return self.key("notices")

    async def _run(self, found: asyncio.Event) -> None:
        flaps = 0
        while True:
            self._found_at = None
            try:
                await self._listen(found)
            except Exception as error:
                # Whatever it is: without this task nobody would ever look for it again.
                self._lost(error)
            # One that comes and goes would have all replicas agree anew, and drop what they have cached, every second.
            is_unsteady = self._found_at is not None and time.monotonic() - self._found_at < STEADY
            flaps = flaps + 1 if is_unsteady else 0
            await asyncio.sleep(min(RETRY * 2 ** max(0, flaps - 1), LONGEST_RETRY))

    async def _listen(self, found: asyncio.Event) -> None:
        """Listen until the connection fails, or commands do."""
        async with self._client.pubsub() as notices:
            async with asyncio.timeout(max(1.0, self._timeout)):
                await notices.subscribe(self._channel)
                await self._client.ping()
            await self._probe()
            self._is_found()
            found.set()
            while self.is_up:
                await self._hear(notices)

    async def _hear(self, notices: PubSub) -> None:
        message: dict[str, Any] | None = await notices.get_message(
            ignore_subscribe_messages=True, timeout=RETRY
        )
        if message is None:
            # Nobody said anything for a while: is it still there?
            await self._probe()
            return
        try:
            notice = msgspec.json.decode(message["data"], type=Notice)
        except msgspec.MsgspecError:
            return  # of another version
        if notice.replica != self.replica:
            for heard in tuple(self._listeners):
                heard(notice)

    async def _probe(self) -> None:
        """Raise what commands would: it is too slow, full, or takes no writes. ``PING`` answers in all of these."""
        key = self.key("probe")
        async with asyncio.timeout(self._timeout):
            await self._client.set(key, self.replica, ex=_PROBED)

    def _is_found(self) -> None:
        self.is_up = True
        self._found_at = time.monotonic()
        seconds = 0.0 if self._lost_at is None else time.monotonic() - self._lost_at
        self._observe(SharedStateFound(seconds=seconds))
        self._lost_at = None
        self._reasons.clear()
        for returned in self._returned:
            returned()

    def _lost(self, error: BaseException) -> None:
        self.is_up = False
        error = cause_of(error)
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        # Once for each kind: a connection that was cut says less than what comes of the next one.
        kind = type(error).__name__
        if kind not in self._reasons:
            self._reasons.add(kind)
            self._observe(SharedStateLost(reason=_reason(error)))


def cause_of(error: BaseException) -> BaseException:
    """Return what an error of the client comes from: a wrong password is a lost connection to it."""
    while isinstance(error.__cause__, RedisError | OSError):
        error = error.__cause__
    return error


def _reason(error: BaseException) -> str:
    # Messages of the client hold addresses, never passwords; those of a server may hold what was sent.
    text = str(error) if isinstance(error, OSError | RedisError) else ""
    first = text.splitlines()[0][:200] if text else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
