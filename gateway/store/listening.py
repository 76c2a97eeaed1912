"""PostgreSQL announces changes of the store (``LISTEN``), so that processes notice them at once.

Announcements only make it faster: a connection may be gone for a while before anybody notices, so the store is polled
all the same. https://www.postgresql.org/docs/current/sql-listen.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import sql
from pydantic import SecretStr

from gateway.errors import SettingsError
from gateway.events import Observer, StorePolled

from .postgresql import CHANNEL, connection_options

RETRY = 1.0
"""Seconds between two attempts to connect."""


async def listen(address: SecretStr, changed: Callable[[], None], observe: Observer) -> None:
    """Call ``changed`` for each change of the store, and whenever some may have been missed. Until it is cancelled."""
    has_failed = False
    while True:
        try:
            options = connection_options(address)
            async with await psycopg.AsyncConnection.connect(
                **options, autocommit=True
            ) as listener:
                await listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                has_failed = False
                changed()
                async for _ in listener.notifies():
                    changed()
        except (OSError, psycopg.Error, SettingsError) as error:
            if not has_failed:
                observe(StorePolled(reason=" ".join(str(error).split())))
            has_failed = True
        await asyncio.sleep(RETRY)
