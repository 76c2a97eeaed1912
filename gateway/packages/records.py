"""Records of exports by data packages: which way an export takes, and how far the executions of its project are."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

SourceName: TypeAlias = Literal["package", "odata"]
SourceChoice: TypeAlias = Literal["auto", "package", "odata"]


class Source(Struct, frozen=True):
    """Where the rows of an export come from."""

    name: SourceName
    reason: str
    """Why, for people."""


class NoPackage(Exception):
    """A list cannot be exported as a package, or not with these rights and this filter; the text says why."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Execution(Struct, frozen=True, kw_only=True):
    """A run of a data project, for one legal entity."""

    id: str
    company: str
    is_started: bool = False
    sha256: str | None = None
    """Of its package, once that was downloaded."""


class PackageState(Struct, frozen=True, kw_only=True):
    """Where an export by packages goes on."""

    executions: tuple[Execution, ...] = ()
    """One for each legal entity, in the order of their rows."""
    attempt: int = 1
    """Number of the run; another one has executions of its own."""
    at: int = 0
    """Index of the execution whose rows are next."""
    rows: int = 0
    """Rows of its file that were read."""
