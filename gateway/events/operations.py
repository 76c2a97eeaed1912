"""Events of operations, which are part of the union ``Event``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["ok", "partial", "client_error", "error"]
"""How an operation ended: with data, with data and errors, without data because of its client, or because of us."""


class OperationServed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A GraphQL operation was answered."""

    name: str | None
    document: str | None = None
    """Id of the trusted document."""
    seconds: float
    requests: int
    rows: int
    errors: int
    type: str | None = None
    """``query``, ``mutation``, ``subscription``; None: the operation could not be read."""
    upstream: float = 0.0
    """Seconds in which it waited for the environment."""
    codes: tuple[str, ...] = ()
    """Codes of its errors, each once."""
    outcome: Outcome = "ok"
    own: float = 0.0
    """Seconds of the gateway's own: all others but those of ``upstream``."""
    size: int = 0
    """Bytes of its answer, before they are compressed."""
    reused: int = 0
    """Reads that sent nothing: their answers were cached, or other operations waited for them already."""
    age: float | None = None
    """Seconds since the oldest cached answer that it uses was read."""
    points: float | None = None
    """What it cost the environment; None: nothing is priced, or nothing was sent."""
    caller: str | None = None
    """A digest that names nobody; None: its caller has not signed in."""
    client: str | None = None
    """Name of the program that sent it, as that says."""
    client_version: str | None = None
    profile: str | None = None
    companies: tuple[str, ...] | None = None
    """Company scope of the request."""


class OperationSlow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operation took longer than ``log.slow``; this is what it sent to the environment."""

    name: str | None
    document: str | None
    seconds: float
    own: float
    upstream: float
    sent: int
    """Requests."""
    plan: tuple[str, ...]
    """The first of them, in order: method and address without literals."""


class CostSettled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an operation was estimated to cost the environment, and what it really cost."""

    estimated_requests: int
    requests: int
    estimated_points: float
    points: float


class CostRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An operation was refused before anything was sent: it is too dear, or its caller has no points left."""

    code: str
    points: float
    """What it would have cost."""


class FastPathFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The compiled completion could not answer an operation's rows; the answer is the same, but took longer."""

    stage: Literal["raw", "decoded"]
    """The form of the rows: JSON text (``raw``, tried first) or Python objects."""
    reason: Literal["mismatch", "value", "defect"]
    """The rows did not fit their types, one held a value that only graphql-core answers, or our code has a bug."""
    error: str | None
    """Type of the exception."""
    place: str | None
    """Where it was raised: file and line."""
    count: int
    """How often this happened in this engine, for this reason."""
