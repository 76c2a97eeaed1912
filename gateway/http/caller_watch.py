"""Watches the callers of long connections: WebSockets and event streams end with the caller's credentials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from gateway.identity.caller import Caller

from .refusals import HttpError

RECHECK = 60.0
"""Seconds after which credentials are verified again: a key may have been revoked."""
EXPIRED = "The token has expired."


async def until_refused(
    caller: Callable[[], Caller], verify: Callable[[], Awaitable[object]]
) -> str:
    """Wait until a caller's credentials end or are refused; return why.

    ``caller`` returns the caller with the latest credentials, ``verify`` raises HttpError if these are refused.
    """
    while True:
        ends = caller().expires_at
        pause = RECHECK if ends is None else min(RECHECK, ends - time.time())
        if pause <= 0:
            return EXPIRED
        await asyncio.sleep(pause)
        try:
            await verify()
        except HttpError as refused:
            # What verifies them may be away for a while.
            if refused.status != 503:
                return str(refused)
