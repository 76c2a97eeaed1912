"""An ASGI application that another one can take the place of, while both serve: each request ends where it began."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send


class Served:
    """An application, and what it serves."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.requests: set[asyncio.Task[Any]] = set()
        self.idle = asyncio.Event()
        """Set when the last request has ended that began before it was replaced."""
        self.since: float | None = None
        """When another one took its place, by the event loop's clock."""
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self, context: contextvars.Context) -> None:
        """Start, in a task of its own. Raises what the lifespan raises."""
        self._task = asyncio.create_task(self._run(), context=context)
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            raise

    async def close(self) -> None:
        """End it. Raises what the lifespan raises."""
        self._closing.set()
        if self._task is not None:
            # Whoever waits may leave: it ends all the same.
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        """Start, wait until it is to be closed, and close: all in one task."""
        try:
            async with self.app.router.lifespan_context(self.app):
                self._ready.set_result(None)
                await self._closing.wait()
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
            self._ready.exception()  # nobody may wait any more
        except BaseException:
            self._ready.cancel()
            raise


class Replaceable(Starlette):
    """Serves one application after the other. Belongs to one event loop."""

    def __init__(self, first: Starlette) -> None:
        super().__init__(lifespan=lambda _: self._running())
        self._first: Starlette | None = first
        self.state = first.state
        self.serving: Served
        self.loop: asyncio.AbstractEventLoop
        """In which it serves."""
        self._retired: dict[Served, asyncio.Task[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        served, task = self.serving, asyncio.current_task()
        assert task is not None
        served.requests.add(task)
        try:
            await served.app(scope, receive, send)
        finally:
            served.requests.discard(task)
            if served.since is not None and not served.requests:
                served.idle.set()

    @property
    def retired(self) -> int:
        """Number of replaced applications that have not ended."""
        return len(self._retired)

    def context(self) -> contextvars.Context:
        """Return the context of the start: what a request asks for must not have that of the request."""
        return self._context.copy()

    async def open(self, app: Starlette) -> Served:
        """Start an application, which serves nothing yet. Raises what its lifespan raises."""
        served = Served(app)
        await served.open(self.context())
        return served

    def replace(self, served: Served) -> Served:
        """Serve another application from now on; return the one before, which ends in the background."""
        old, self.serving = self.serving, served
        self.state = served.app.state
        old.since = asyncio.get_running_loop().time()
        if not old.requests:
            old.idle.set()
        task = asyncio.create_task(self.end(old), context=self.context())
        self._retired[old] = task
        task.add_done_callback(lambda _: self._retired.pop(old, None))
        return old

    async def end(self, old: Served) -> None:
        """End what was replaced, when its last request has ended."""
        await old.idle.wait()
        await old.close()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        first, self._first = self._first, None
        assert first is not None
        self._context = contextvars.copy_context()
        self.loop = asyncio.get_running_loop()
        self.serving = Served(first)
        del first  # it would outlive its successor
        await self.serving.open(self.context())
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End all that was begun."""
        left = dict(self._retired)
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
        for old in left:
            with suppress(Exception):
                await old.close()
        await self.serving.close()
