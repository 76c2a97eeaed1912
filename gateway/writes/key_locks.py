"""One create at a time for each natural key: a client that sends again while the first one runs waits for it here.

That holds within one process. Creates of two processes at the same moment can only be told apart by the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

_LOCKS: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()


@asynccontextmanager
async def one_at_a_time(keys: Iterable[Hashable]) -> AsyncIterator[None]:
    """Hold these keys, which begin with the environment; waits until nobody else holds one of them."""
    async with AsyncExitStack() as stack:
        # In one order, so that no two mutations wait for each other.
        for key in sorted(set(keys), key=repr):
            lock = _LOCKS.get(key)
            if lock is None:
                lock = _LOCKS[key] = asyncio.Lock()
            await stack.enter_async_context(lock)
        yield
