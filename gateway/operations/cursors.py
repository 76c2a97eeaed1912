"""Opaque, versioned cursors (Relay Cursor Connections) that are valid for one list only.

A cursor holds one of three places:

* the values of the order and the key of its row (keyset);
* the row's position (offset), for lists that cannot be filtered by their order;
* the skip token of a next link, with the row's position behind it.

An ``=`` before a cursor in ``after`` means "from its row on", and ``+N`` behind it "so many rows further": parts of an
export begin there, so that neighbours share no row and miss none.

It also holds the fingerprint of its list: set, order, filter and company scope. In any other list it is refused with
``INVALID_CURSOR``, because it would silently skip rows there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from gateway.errors import InvalidCursor
from gateway.odata.nextlink import is_skip_token
from gateway.odata.query import Value

from .global_ids import unpack

if TYPE_CHECKING:
    from gateway.storage.sealing import Sealer

VERSION = 1
_KEYSET, _OFFSET, _LINK = 0, 1, 2
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_SEALED_FOR = b"cursor "
_HINT = "Start again without a cursor; keep where, orderBy and companies the same between pages."


class Cursor(Struct, frozen=True):
    """A place in a list: the values of its order terms, or a position from the start."""

    values: tuple[Value, ...] = ()
    offset: int | None = None
    """Position of the row in the list, from 0."""
    token: str = ""
    """Skip token where the list continues, percent-encoded; empty for its start."""
    read: int = 0
    """Rows behind the token up to and including the cursor's own."""
    backward: bool = False
    """Whether token and position belong to the reversed order."""
    is_inclusive: bool = False
    """Whether its own row is on the side that is read."""


_SHIFTED = re.compile(r"(=?)([A-Za-z0-9_-]*)(?:\+([0-9]{1,15}))?")


def shifted(cursor: str | None, rows: int = 0) -> str:
    """Return the place so many rows behind the row of a cursor, which counts; None: behind the start of the list."""
    beginning = "" if cursor is None else f"={cursor}"
    return f"{beginning}+{rows}" if rows else beginning


def parse_shift(text: str) -> tuple[str, bool, int]:
    """Return the cursor in a place, whether its row counts, and how many rows further it is."""
    match = _SHIFTED.fullmatch(text)
    return (text, False, 0) if match is None else (match[2], bool(match[1]), int(match[3] or 0))


def fingerprint(*parts: object) -> bytes:
    """Return eight bytes that identify a list; the ``repr`` of the parts must be the same in every process."""
    return blake2b(repr(parts).encode(), digest_size=8).digest()


def keyset_cursor(binding: bytes, values: Sequence[object], sealer: Sealer | None = None) -> str:
    """Return the cursor of a row with these values of the order."""
    return _text((VERSION, binding, _KEYSET, *values), sealer)


def offset_cursor(binding: bytes, offset: int, sealer: Sealer | None = None) -> str:
    """Return the cursor of the row at a position."""
    return _text((VERSION, binding, _OFFSET, offset), sealer)


def link_cursor(binding: bytes, cursor: Cursor, sealer: Sealer | None = None) -> str:
    """Return the cursor of a row behind a skip token."""
    parts = (cursor.backward, cursor.token, cursor.read, cursor.offset)
    return _text((VERSION, binding, _LINK, *parts), sealer)


def _text(parts: tuple[object, ...], sealer: Sealer | None) -> str:
    text = _encode(parts)
    if sealer is not None:
        binding = parts[1]
        assert isinstance(binding, bytes)
        text = sealer.seal(text, _SEALED_FOR + binding)
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def parse_cursor(
    text: str, *, binding: bytes, terms: int, argument: str, sealer: Sealer | None = None
) -> Cursor:
    """Return the place in a cursor of the list with this fingerprint and number of order terms.

    A sealed cursor that is not of this list, this view and this scope is refused without a word about why. Raises
    InvalidCursor, which names ``argument``.
    """
    if sealer is not None:
        return _unsealed(text, binding, terms, argument, sealer)
    return _parsed(unpack(text), binding, terms, argument)


def _unsealed(text: str, binding: bytes, terms: int, argument: str, sealer: Sealer) -> Cursor:
    from gateway.storage.sealing import NotSealed  # noqa: PLC0415 - imports cryptography

    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        opened = sealer.open(sealed, _SEALED_FOR + binding)
        return _parsed(msgspec.msgpack.decode(opened), binding, terms, argument)
    # Text that is no base64, or no cursor of ours, is a ValueError.
    except (ValueError, NotSealed, InvalidCursor):
        raise InvalidCursor(
            f"{argument}: this cursor is not valid for this list.", hint=_HINT
        ) from None


def _parsed(parts: object, binding: bytes, terms: int, argument: str) -> Cursor:
    if not isinstance(parts, list) or len(parts) < 4 or parts[0] != VERSION:
        raise InvalidCursor(f"{argument}: this is not a cursor of this API.", hint=_HINT)
    # Rows of this list would be skipped silently.
    if parts[1] != binding:
        raise InvalidCursor(
            f"{argument}: this cursor was made for another list, order, filter or company scope.",
            hint=_HINT,
        )
    # The rest is checked as well: cursors are not signed, so any client can forge one.
    kind, values = parts[2], tuple(parts[3:])
    if kind == _OFFSET and len(values) == 1 and isinstance(values[0], int) and values[0] >= 0:
        return Cursor(offset=values[0])
    if kind == _LINK and (place := _of_link(values)) is not None:
        return place
    if kind == _KEYSET and len(values) == terms:
        return Cursor(values=values)
    raise InvalidCursor(f"{argument}: this cursor is damaged.", hint=_HINT)


def _of_link(values: tuple[object, ...]) -> Cursor | None:
    """Return the place behind a skip token; None for values that this API does not make."""
    match values:
        case (bool(backward), str(token), int(read), int(offset)) if (
            not isinstance(read, bool)
            and not isinstance(offset, bool)
            and is_skip_token(token)
            and read >= 0
            and offset >= 0
        ):
            return Cursor(offset=offset, token=token, read=read, backward=backward)
        case _:
            return None
