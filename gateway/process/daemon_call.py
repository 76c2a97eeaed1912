"""Calls a blocking function in a thread of its own, which does not keep the process alive.

The threads of ``asyncio.to_thread`` are few and shared by all: calls that hang would keep others from running. Whoever
calls bounds how many there are at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def daemon_call(function: Callable[[], _T]) -> _T:
    """Return the result of a function. If the caller is cancelled, the function runs on and its result is dropped."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type] # there is one without an error
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # raised in the caller
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="daemon-call", daemon=True).start()
    return await future


async def late_rows(call: asyncio.Future[Sequence[_T]], patience: float) -> Sequence[_T]:
    """Return what a call returns whose caller was cancelled; nothing if it fails, or takes longer than some seconds."""
    await asyncio.wait([call], timeout=patience)
    if not call.done() or call.cancelled() or call.exception() is not None:
        return ()
    return call.result()
