"""For which fields of the answer something is asked upstream: kept in the context, as it passes through many tasks.

A field is named by its path, without what a connection puts between: ``customersV3.salesOrders``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

_FIELDS: ContextVar[tuple[str, ...]] = ContextVar("fields", default=())


def asking() -> tuple[str, ...]:
    """Return the fields for which the current task asks."""
    return _FIELDS.get()


def ask_for(fields: Iterable[str]) -> None:
    """From here on the current task, and those that it starts, ask for these fields."""
    _FIELDS.set(tuple(dict.fromkeys(fields)))


def ask_below(name: str) -> None:
    """The same for the field ``name`` of the rows that were asked for so far."""
    _FIELDS.set(tuple([f"{field}.{name}" for field in _FIELDS.get()]))
