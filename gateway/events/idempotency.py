"""Events of idempotency keys, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class IdempotencyKeyStuck(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The store failed at the end of a mutation: its idempotency key answers OUTCOME_UNKNOWN until it ends."""

    reason: str
