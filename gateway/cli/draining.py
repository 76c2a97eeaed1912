"""The time between the signal to stop and the end of the listener, and the order in which connections end after it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.config.settings import Settings
from gateway.http.hosts import is_loopback

from .uvicorn_parts import ServerState

DRAIN = 5.0
"""Seconds in which a balancer that asks every two seconds has noticed, for replicas of which others know."""
EXIT = 1.0
"""Seconds for the parts of the application to end."""
EACH = 0.01
"""Seconds between the ends of two streams, unless there are so many that it takes longer than ``spread``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownSteps:
    """The steps of ``server``, in seconds."""

    drain: float = 0.0
    """For which new connections are still accepted."""
    grace: float = 13.0
    """For which running requests continue."""
    answers: float = 5.0
    """Further ones, to wait for the upstream's answers to writes."""
    last: float = 1.0
    """To send the remaining responses."""
    spread: float = 3.0
    """Longest time over which streams are ended."""
    may_grow: bool = False
    """Whether ``grace`` is at least the time of an operation, also in environments that the settings do not declare."""


def steps_of(settings: Settings) -> ShutdownSteps:
    """Return the steps that settings ask for."""
    options = settings.shutdown
    drain = options.drain
    if drain is None:
        drain = 0.0 if is_loopback(settings.host) else DRAIN
    grace = longest_operation(settings) if options.grace is None else options.grace
    return ShutdownSteps(
        drain=drain, grace=grace, spread=options.spread, may_grow=options.grace is None
    )


def longest_operation(settings: Settings) -> float:
    """Return the most seconds that an operation may take, of all environments and profiles that settings declare."""
    declared = (*settings.environments.values(), *settings.profiles.values())
    return max(
        settings.operation_timeout,
        0.0,
        *(getattr(each, "operation_timeout", None) or 0.0 for each in declared),
    )


def longest_end(settings: Settings) -> float:
    """Return after how many seconds the process has ended at the latest, rounded up."""
    steps = steps_of(settings)
    return steps.drain + steps.grace + steps.answers + 2 * steps.last + EXIT


class DrainingState(ServerState):
    """uvicorn's state of a server, which its connections share."""

    def __init__(self) -> None:
        super().__init__()
        self.is_draining = False
        """Whether each answer is the last one of its connection, so that clients connect anew, elsewhere."""
        self.on_connection: Callable[[], object] = _nothing
        """Is called when a connection has been made."""


def _nothing() -> None: ...


def notice_connection(state: object) -> None:
    """Tell the server of a connection that it has been made."""
    if isinstance(state, DrainingState):
        state.on_connection()


def is_draining(state: object) -> bool:
    """Return whether the server of a connection is about to stop."""
    return isinstance(state, DrainingState) and state.is_draining


class Stoppable(Protocol):
    """A connection of uvicorn."""

    def shutdown(self) -> None: ...


C = TypeVar("C", bound=Stoppable)


def in_order(connections: Iterable[C], spread: float) -> Iterator[tuple[float, C]]:
    """Yield after how many seconds to end each connection: idle ones at once, the others by chance one by one."""
    under_way: list[C] = []
    for connection in connections:
        if getattr(connection, "is_running", False):
            under_way.append(connection)
        else:
            yield 0.0, connection
    yield from _staggered(under_way, spread)


def _staggered(connections: Sequence[C], spread: float) -> Iterator[tuple[float, C]]:
    pause = min(EACH, spread / max(1, len(connections)))
    shuffled = random.sample(connections, len(connections))
    return ((index * pause, connection) for index, connection in enumerate(shuffled))
