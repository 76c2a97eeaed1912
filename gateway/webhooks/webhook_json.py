"""Webhooks of changes and their dead letters as JSON, for callers and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.environments.environment_json import time_text

from .records import DeadLetter, Subscription


def webhook_json(one: Subscription, path: str, letters: int = 0) -> Mapping[str, Any]:
    """Return a subscription, without its secret; ``path`` is where webhooks are: ``/e/acme/webhooks``."""
    target, own = one.target, f"{path}/{one.id}"
    return {
        "id": one.id,
        "environment": one.environment or None,
        "profile": target.profile,
        "set": one.list,
        "where": target.where,
        "fields": target.fields,
        "companies": None if target.companies is None else list(target.companies),
        "url": target.url,
        "state": one.state,
        "error": one.error,
        "sequence": one.delivered,
        "delivered": _time(one.delivered_at),
        "failingSince": _time(one.failing_since),
        "deadLetters": letters,
        "created": time_text(one.created),
        "updated": time_text(one.updated),
        "links": {"self": own, "deadLetters": f"{own}/dead-letters"},
    }


def letter_json(letter: DeadLetter, path: str, *, whole: bool = False) -> Mapping[str, Any]:
    """Return a dead letter. ``whole``: with its body."""
    own = f"{path}/{letter.subscription}/dead-letters/{letter.id}"
    facts = {
        "id": letter.id,
        "webhook": letter.subscription,
        "error": letter.error,
        "attempts": letter.attempts,
        "created": time_text(letter.created),
        "died": time_text(letter.died),
        "bytes": len(letter.body),
        "links": {"self": own, "resend": f"{own}/resend"},
    }
    return {**facts, "body": msgspec.Raw(letter.body)} if whole else facts


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else time_text(seconds)
