"""Events of the life of a process, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class Stopping(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The process is not ready any more, and ends when all that is running has ended."""

    connections: int
    drain: float
    """Seconds for which new connections are still accepted."""
    grace: float
    """Seconds for which running operations may go on after that."""


class WorkerReplaced(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A worker has ended by itself, or hangs; another one takes its place."""

    pid: int
    reason: str
    """``signal 9``: the kernel ends processes so if their container has no more memory; ``exit 1`` …; ``hangs``."""


class ClockJumped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The clock of the machine was set, or the machine slept."""

    seconds: float
    """How much later it is than time has passed; less than 0: earlier."""


class Stopped(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The process serves nothing any more."""

    seconds: float
    cut: int
    """Connections that had to be cut."""


class SettingsReloaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The settings were read anew, and are in force."""

    reason: str
    changed: tuple[str, ...]
    """Settings that have another value now."""
    restart: tuple[str, ...]
    """Settings that have another value only after a restart."""
    seconds: float


class SettingsNotReloaded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The settings were read anew and cannot be used: those before stay in force."""

    reason: str
    code: str
    message: str
    hint: str | None


class SettingsRetired(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that began under earlier settings has ended, and their memory is free."""

    seconds: float
    """Since other settings took their place."""
    cut: int
    """Requests that had to be cut, because too many earlier settings were still in use."""
