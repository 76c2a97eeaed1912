"""Observers of events that let no test take a bug of the gateway for something expected.

The gateway answers in spite of a bug: with an internal error, or, if only the compiled completion has it, more slowly.
"""

from __future__ import annotations

from gateway.events import ErrorRaised, Event, FastPathFailed


def raise_defects(event: Event) -> None:
    """Raise AssertionError for a bug of the compiled completion, which costs callers nothing but time."""
    if isinstance(event, FastPathFailed) and event.reason == "defect":
        raise AssertionError(f"The compiled completion failed: {event.error} in {event.place}")


def raise_bugs(event: Event) -> None:
    """Likewise, and for internal errors."""
    raise_defects(event)
    if isinstance(event, ErrorRaised) and event.code == "INTERNAL_ERROR":
        raise AssertionError(event.detail)
