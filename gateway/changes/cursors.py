"""Cursors of changes: opaque, and valid for one set, filter and company scope, and for what its caller may see.

A cursor of another set, filter or scope is refused: its changes are not those of this list. If the caller may see other
rows than before, the rows that are missing now were not deleted: the feed begins again (``resyncRequired``).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from gateway.errors import InvalidCursor
from gateway.operations.global_ids import MAX_LENGTH

from .records import Source
from .stamps import StampPlace

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

_VERSION = 1
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 53)]
"""No database takes a longer one, and without roles any client can forge a cursor."""
_SEALED_FOR = b"changes "
_HINT = "Omit since to read the whole set; keep set, where and companies the same between answers."


class SweepPlace(Struct, frozen=True, array_like=True):
    """Where a feed by sweeps continues."""

    number: _Count
    """The last sweep whose changes were delivered."""
    upto: _Count = 0
    """The sweep up to which changes are being delivered; 0: none are."""
    done: _Count = 0
    """Those that were delivered already."""


class DeltaPlace(Struct, frozen=True, array_like=True):
    """Where a feed by the service's change tracking continues."""

    link: str = ""
    """The address of the page that comes next, relative to the service root; empty: the first one of the list."""
    after: str = ""
    """The last id of that page that was delivered."""
    following: str = ""
    """With ``after``: what comes behind the page, as of its first read."""
    is_last: bool = False
    """With ``after``: whether no other page is there yet behind it."""


class FeedCursor(Struct, frozen=True, array_like=True):
    """A place in a feed."""

    version: int
    of: bytes
    """Fingerprint of environment, set, filter and companies."""
    scope: bytes
    """Fingerprint of what the caller sees of them."""
    source: Source
    is_snapshot: bool = False
    """Whether the whole set is being read."""
    after: str | None = None
    """The cursor of its last page."""
    pages: int = 0
    """Pages of the whole set so far."""
    stamp: StampPlace | None = None
    sweep: SweepPlace | None = None
    delta: DeltaPlace | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it has the place that a feed puts into it, which a forged one may lack."""
        by_stamp = self.stamp if self.source in ("STAMP", "TWIN") else self.sweep
        place = self.delta if self.source == "DELTA" else by_stamp
        return self.is_snapshot or place is not None

    @property
    def is_new(self) -> bool:
        """Whether nothing was read yet."""
        return self.is_snapshot and self.after is None and self.stamp is None


_decode = msgspec.msgpack.Decoder(FeedCursor).decode


def new_cursor(of: bytes, scope: bytes, source: Source) -> FeedCursor:
    """Return the cursor of a feed that begins with the whole set."""
    return FeedCursor(_VERSION, of, scope, source, is_snapshot=True)


def cursor_text(cursor: FeedCursor, sealer: Sealer | None = None) -> str:
    """Return a cursor as clients get it; sealed if roles decide who sees what."""
    packed = msgspec.msgpack.encode(cursor)
    if sealer is not None:
        packed = sealer.seal(packed, _SEALED_FOR + cursor.of)
    return base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def read_cursor(text: str, of: bytes, sealer: Sealer | None = None) -> FeedCursor:
    """Return the place in a cursor of the feed with this fingerprint. Raises InvalidCursor."""
    if len(text) > MAX_LENGTH:
        raise InvalidCursor("since: this is not a cursor of changes.", hint=_HINT)
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if sealer is not None:
            packed = _opened(packed, of, sealer)
        cursor = _decode(packed)
        if not cursor.is_whole:
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise InvalidCursor("since: this is not a cursor of these changes.", hint=_HINT) from None
    if cursor.version != _VERSION or cursor.of != of:
        raise InvalidCursor(
            "since: this cursor was made for another set, filter or company scope.", hint=_HINT
        )
    return cursor


def _opened(sealed: bytes, of: bytes, sealer: Sealer) -> bytes:
    """Return what is sealed. Raises ValueError."""
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        return sealer.open(sealed, _SEALED_FOR + of)
    except NotSealed as error:
        raise ValueError from error
