"""Events of webhooks of changes, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class WebhookPaused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A webhook is not sent any more until somebody lets it go on: it fails for long, or its caller must sign in."""

    subscription: str
    """The first digits of its id."""
    state: str
    reason: str
