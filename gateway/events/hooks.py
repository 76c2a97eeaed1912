"""Events of hooks, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class HookReported(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An environment has reported that something happened."""

    environment: str
    """``default``: that of the settings."""
    sets: tuple[str, ...]
    """Whose rows may have changed; empty: the report names none that is known."""
    watches: int
    """Polls of this process that do not wait any longer."""
