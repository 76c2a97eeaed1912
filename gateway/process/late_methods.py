"""Methods of dataclasses that are compiled when they are called, not when their class is made: 8 % of a start.

``dataclass`` compiles some five methods for each class, one after another. Most are never called in a serving process:
few objects of a library are ever compared or printed. Constructors are compiled as ever, since libraries look at their
signatures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_COMPILER = "_create_fn"
"""From Python 3.13 on there is none: it compiles all methods of a class together."""
_LATE = frozenset(
    {
        *("__repr__", "__eq__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__"),
        *("__setattr__", "__delattr__"),
    }
)


@contextmanager
def late_methods() -> Iterator[None]:
    """Let dataclasses that are made in the block compile these methods with their first call."""
    now = getattr(dataclasses, _COMPILER, None)
    if now is None:
        yield
        return

    def late(name: str, *parts: Any, **names: Any) -> Any:
        if name not in _LATE:
            return now(name, *parts, **names)

        def method(self: Any, *values: Any) -> Any:
            made = now(name, *parts, **names)
            made.__qualname__ = method.__qualname__
            for owner in type(self).__mro__:
                if owner.__dict__.get(name) is method:
                    setattr(owner, name, made)
            return made(self, *values)

        method.__name__ = name
        return method

    setattr(dataclasses, _COMPILER, late)
    try:
        yield
    finally:
        setattr(dataclasses, _COMPILER, now)
