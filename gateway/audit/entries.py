"""The entries of the audit log: who did what, and what became of it. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

EntryKind: TypeAlias = Literal["intent", "write", "refused", "admin", "key"]
"""A write that is about to be sent; a write and its outcome; a request that was refused; an administrative act; the use
of an API key."""
OutcomeWord: TypeAlias = Literal[
    "done", "existed", "refused", "rolled_back", "not_sent", "unknown", "failed"
]


def now_text() -> str:
    """Return the time in UTC: ``2026-11-30T08:23:13.123456Z``."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Who(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who acts, as far as it was verified."""

    kind: str
    """``anonymous``, ``token``, ``key``, ``certificate``; ``admin``: the admin token; ``os``: a user of the machine."""
    issuer: str = ""
    subject: str = ""
    application: str | None = None
    name: str | None = None
    id: str = ""
    """Digest of issuer and subject, as in the log."""
    roles: tuple[str, ...] = ()


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line, without what chains it. Fields that do not apply are left out."""

    kind: EntryKind
    at: str = field(default_factory=now_text)
    who: Who
    client: str | None = None
    """Address of the client."""
    request: str | None = None
    """Id of the request: the client's (``X-Request-ID``), or one that joins the lines of an operation."""
    environment: str | None = None
    operation: str | None = None
    """Name of the operation."""
    operation_hash: str | None = None
    """SHA-256 of the document."""
    companies: tuple[str, ...] = ()
    """Company scope of the operation."""
    write: int | None = None
    """Number of a write, which joins its intent and its outcome. Numbers are unique within a chain."""
    verb: str | None = None
    set: str | None = None
    call: str | None = None
    """Action or custom service."""
    key: Mapping[str, Any] = {}
    company: str | None = None
    """Legal entity of the row."""
    fields: tuple[str, ...] = ()
    """Names of the properties or parameters that were set."""
    values: Mapping[str, Any] = {}
    """Values of those that the setting ``audit.values`` names."""
    act: str | None = None
    """What an administrator did, or happened to a key."""
    path: str | None = None
    status: int | None = None
    outcome: OutcomeWord | None = None
    code: str | None = None
    upstream_request: str | None = None
    repeats: int | None = None
    """How many equal entries were not written since the last one."""


_ENCODER = msgspec.json.Encoder(enc_hook=str)


def encode_entry(entry: Struct) -> bytes:
    """Return an entry as a JSON object in one line."""
    return _ENCODER.encode(entry)
