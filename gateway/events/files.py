"""Events of single files, which are part of the union ``Event``."""

from __future__ import annotations

from typing import Literal

import msgspec


class FileServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file was read or written as bytes, or that ended early."""

    set: str
    field: str
    direction: Literal["download", "upload"]
    size: int
    """Bytes of the file that were sent to the client, or came from it."""
    seconds: float
    error: str | None = None
    """Code of the error that ended it; ``CLIENT_LEFT`` if its client left, ``STOPPING`` if the server did not wait."""
