"""Context variable that attributes upstream requests to response fields, across the tasks of an operation.

A field is named by its path, without the parts that a connection adds: ``customersV3.salesOrders``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

_FIELDS: ContextVar[tuple[str, ...]] = ContextVar("fields", default=())


def current_fields() -> tuple[str, ...]:
    """Return the response fields for which the current task reads or writes."""
    return _FIELDS.get()


def set_fields(fields: Iterable[str]) -> None:
    """Attribute what the current task, and the tasks that it starts, send from here on to these fields."""
    _FIELDS.set(tuple(dict.fromkeys(fields)))


def descend(name: str) -> None:
    """Attribute what follows to the field ``name`` below each of the current fields."""
    _FIELDS.set(tuple([f"{field}.{name}" for field in _FIELDS.get()]))
