"""Records of jobs: what a caller has started, how far it has come, and the parts that it has written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from gateway.identity.caller import Caller
from gateway.packages.records import Source

State: TypeAlias = Literal["QUEUED", "RUNNING", "NEEDS_AUTH", "SUCCEEDED", "FAILED", "CANCELLED"]


class Progress(Struct, frozen=True, kw_only=True):
    """How far a job has come."""

    rows: int = 0
    parts: int = 0
    """Parts that are complete."""
    of_parts: int | None = None
    """How many there will be; None: that is not known yet."""
    bytes: int = 0
    """Of the complete parts."""


class Part(Struct, frozen=True, kw_only=True):
    """A file that a job has written, named by its content."""

    number: int
    """From 1; parts are one file in this order."""
    rows: int
    bytes: int
    sha256: str
    first: str | None = None
    """Cursor of its first row."""
    last: str | None = None
    """Cursor of its last row."""


class FileFacts(Struct, frozen=True, kw_only=True):
    """What the files of a job are."""

    name: str
    """Name without ending, such as that of the entity set."""
    ending: str
    media: str


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Where a job goes on after the end of a process."""

    state: msgspec.Raw = msgspec.Raw(b"null")
    """What its kind needs."""
    parts: tuple[Part, ...] = ()
    """The complete ones, in the order of their numbers; some between may be missing."""
    sha256: str | None = None
    """Of all parts one after the other, once the job has succeeded."""
    source: Source | None = None
    """Of an export: where its rows come from."""


class Job(Struct, frozen=True, kw_only=True):
    """A job. Times are seconds since the epoch."""

    id: str
    environment: str
    """Empty: that of the settings."""
    profile: str | None
    kind: str
    state: State
    creator: str
    request: bytes
    """JSON, which its kind reads."""
    files: FileFacts
    caller: Caller
    """Who has started it, without a token."""
    is_personal: bool
    """Whether it needs the token of its caller."""
    checkpoint: Checkpoint
    progress: Progress
    error: Mapping[str, Any] | None
    created: float
    updated: float
    expires_at: float | None
    """None: it has not ended."""
    input_bytes: int = 0
    """Of the file that it reads."""


class InputFile(NamedTuple):
    """A file that a job reads."""

    path: Path
    """In the folder of ``PartStore.upload``."""
    sha256: str
    bytes: int


class NewJob(Struct, frozen=True, kw_only=True):
    """What a caller starts."""

    environment: str
    profile: str | None
    kind: str
    request: bytes
    files: FileFacts
    caller: Caller
    """With its token, if the job needs it."""
    is_personal: bool
