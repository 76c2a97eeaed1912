"""Events of what replicas share, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class SharedStateLost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The Redis of the setting replicas.address does not answer: this replica goes on by itself, with less.

    Said once for each kind of reason.
    """

    reason: str


class SharedStateFound(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The Redis of the setting replicas.address answers, for the first time or again."""

    seconds: float
    """How long it was away."""
