"""The link sessions of a deployment: made, read, and changed one transition after the other, in the store."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from gateway.errors import StoreUnavailable, VersionConflict
from gateway.process.daemon_call import daemon_call
from gateway.store.link_register import LinkRegister, StoredSession

from .problems import changed, no_session, refused
from .sealing import digest_of, new_secret
from .session import (
    Application,
    LinkEvent,
    LinkSession,
    TransitionRefused,
    decode,
    transition,
)

if TYPE_CHECKING:
    import sqlalchemy as sa

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
"""A token in the address of a session. Whatever else stands there is not read from the store."""
ID = re.compile(r"[0-9a-f]{24}")
_ID_BYTES = 12
AT_ONCE = 8
"""Calls of the store at a time: the page is public."""
LONGEST = 10.0
"""Seconds of one, its turn included."""
_T = TypeVar("_T")


class NewSession(Struct, frozen=True, kw_only=True):
    """What an integrator wants to be linked."""

    application: Application = "deployment"
    name: str | None = None
    title: str | None = None
    return_url: str | None = None
    created_by: str | None = None


class LinkSessions:
    """Link sessions. All methods raise StoreUnavailable. Tests replace ``now``, in seconds since the epoch."""

    def __init__(
        self, register: LinkRegister, minutes: float, now: Callable[[], float] = time.time
    ) -> None:
        self._register = register
        self._seconds = minutes * 60
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.now = now

    def close(self) -> None:
        """Close the connections to the store."""
        self._register.close()

    async def call(self, use: Callable[[], _T], longest: float = LONGEST) -> _T:
        """Return what a function does with the store. Raises StoreUnavailable if that takes too many seconds."""
        try:
            async with asyncio.timeout(longest), self._turns:
                return await daemon_call(use)
        except TimeoutError:
            raise StoreUnavailable("The store does not answer.") from None

    async def create(self, new: NewSession) -> tuple[LinkSession, str]:
        """Store a new session; return it with the token of its address, which is stored nowhere."""
        token, now = new_secret(), self.now()
        session = LinkSession(
            id=secrets.token_hex(_ID_BYTES),
            digest=digest_of(token),
            application=new.application,
            created=now,
            expires_at=now + self._seconds,
            created_by=new.created_by,
            name=new.name,
            title=new.title,
            return_url=new.return_url,
        )
        await self.call(lambda: self._register.create(_stored(session), now))
        return session, token

    async def by_token(self, token: str) -> LinkSession:
        """Return a session. Raises LinkError if there is none, or it has expired."""
        found = None
        if TOKEN.fullmatch(token):
            found = await self.call(lambda: self._register.by_digest(digest_of(token)))
        return self._current(found)

    async def by_id(self, session_id: str) -> LinkSession:
        """Return a session. Raises LinkError if there is none, or it has expired."""
        found = None
        if ID.fullmatch(session_id):
            found = await self.call(lambda: self._register.by_id(session_id))
        return self._current(found)

    async def revoke(self, session_id: str) -> LinkSession:
        """Delete a session, and return it as it was. Raises LinkError if there is none, or it has expired."""
        session = await self.by_id(session_id)
        if not await self.call(lambda: self._register.delete(session_id)):
            raise no_session()
        return session

    def _current(self, stored: StoredSession | None) -> LinkSession:
        if stored is None or stored.expires_at <= self.now():
            raise no_session()
        return decode(stored.content)

    async def apply(self, session: LinkSession, event: LinkEvent) -> LinkSession:
        """Store what an event makes of a session, and return that. Raises LinkError."""
        after = self.after(session, event)

        def store() -> None:
            with self.storing(after):
                pass

        await self.call(store)
        return after

    def after(self, session: LinkSession, event: LinkEvent) -> LinkSession:
        """Return what an event makes of a session. Raises LinkError."""
        try:
            return transition(session, event, self.now())
        except TransitionRefused as error:
            raise refused(error) from error

    @contextmanager
    def storing(self, session: LinkSession) -> Iterator[sa.Connection]:
        """Yield the transaction that stores a session, for what must happen together with it. Blocks.

        Raises LinkError if another request has changed the session.
        """
        try:
            with self._register.replacing(_stored(session)) as connection:
                yield connection
        except VersionConflict as error:
            raise changed() from error


def _stored(session: LinkSession) -> StoredSession:
    return StoredSession(
        id=session.id,
        digest=session.digest,
        version=session.version,
        expires_at=session.expires_at,
        content=session.encode(),
    )
