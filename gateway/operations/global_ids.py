"""Global object ids: opaque text that contains a type and a key.

GraphQL Global Object Identification, https://relay.dev/graphql/objectidentification.htm. An ``id`` is the URL-safe
base64 of MessagePack ``[version, type name, *key values]``. It depends on the row alone, so a row has the same id on
every path and in every process; the version lets the format change without confusing old ids with new ones. Ids of an
environment with a tag are ``[2, tag, type name, *key values]``: no other environment takes them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import partial

import msgspec

from gateway.errors import InvalidId

VERSION = 1
TAGGED = 2
"""Version of ids with the tag of their environment."""
MAX_LENGTH = 65_536
"""Characters of an id or cursor: more than any key needs that fits into a URL."""
_encode = msgspec.msgpack.Encoder(decimal_format="string").encode
_decode = msgspec.msgpack.Decoder().decode
_HINT = "Use an `id` that the gateway answered."


def node_id(type_name: str, *key: object) -> str:
    """Return the id of a row: its object type and the key values as the upstream sent them."""
    return base64.urlsafe_b64encode(_encode((VERSION, type_name, *key))).decode("ascii").rstrip("=")


def node_ids(tag: str) -> Callable[..., str]:
    """Return the function that makes the ids of an environment, as ``node_id`` does for the one without a tag."""
    return partial(_tagged_id, tag) if tag else node_id


def _tagged_id(tag: str, type_name: str, *key: object) -> str:
    packed = _encode((TAGGED, tag, type_name, *key))
    return base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def parse_id(text: str, tag: str = "") -> tuple[str, tuple[str | int | float | None, ...]]:
    """Return the type name and the key values of an id, decimals as text.

    Raises InvalidId, also for an id of an environment with another ``tag``.
    """
    parts = unpack(text)
    beginning = [TAGGED, tag] if tag else [VERSION]
    size = len(beginning)
    if (
        not isinstance(parts, list)
        or len(parts) < size + 2
        or parts[:size] != beginning
        or not isinstance(parts[size], str)
    ):
        raise InvalidId("This is not an id of this API.", hint=_HINT)
    # Keys hold plain values only; anything else was not made here.
    values = tuple(parts[size + 1 :])
    if not all(v is None or isinstance(v, str | int | float) for v in values):
        raise InvalidId("This is not an id of this API.", hint=_HINT)
    return parts[size], values


def unpack(text: str) -> object:
    """Return what base64 of MessagePack contains; None for any other text."""
    # Checked first: decoding allocates as much as the text is long.
    if len(text) > MAX_LENGTH or not text.isascii():
        return None
    try:
        # Padding was cut off when the id was made.
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _decode(raw)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
