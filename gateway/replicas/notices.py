"""What replicas tell each other. One that a replica does not know, of another version, is ignored."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class _Notice(Struct, frozen=True, kw_only=True, tag_field="kind"):
    replica: str
    """Who says so."""


class Throttled(_Notice, frozen=True, kw_only=True, tag="throttled"):
    """An environment refused a request, and nobody is to send any for a while."""

    lane: str
    """Environment and credential."""
    seconds: float
    identity: str | None = None
    """Digest of the caller whom it concerns; None: the gateway's own account."""


class Unanswered(_Notice, frozen=True, kw_only=True, tag="unanswered"):
    """An environment has answered none of so many requests that the replica sends none for now."""

    lane: str


class LimitChanged(_Notice, frozen=True, kw_only=True, tag="limit"):
    """The limit of an environment and credential became smaller: shares are to be agreed anew."""

    lane: str


class Written(_Notice, frozen=True, kw_only=True, tag="written"):
    """Rows of these entity sets were written; of all if ``sets`` is null."""

    environment: str
    sets: tuple[str, ...] | None


class Spending(Struct, frozen=True, array_like=True):
    """What a caller has spent in a moment; points that were given back are negative."""

    caller: str
    points: float
    per_minute: float
    capacity: float
    """The terms of the caller's budget."""


class Spent(_Notice, frozen=True, kw_only=True, tag="spent"):
    """What callers have spent of their budgets."""

    lane: str
    spendings: tuple[Spending, ...]


class Registered(_Notice, frozen=True, kw_only=True, tag="registered"):
    """A client has registered the text of a document by its hash (automatic persisted queries)."""

    text: str


class Reported(_Notice, frozen=True, kw_only=True, tag="reported"):
    """An environment has reported that rows may have changed (``gateway.hooks``)."""

    environment: str
    names: frozenset[str]
    """Of lists or entity sets."""
    entities: frozenset[str]
    """Of data entities, if the replica does not know their sets."""
    at: float
    """Seconds since the epoch."""


class Logged(_Notice, frozen=True, kw_only=True, tag="logged"):
    """The leader of a watch has found something, which is in the log."""

    environment: str
    watch: str


Notice: TypeAlias = (
    Throttled | Unanswered | LimitChanged | Written | Spent | Registered | Reported | Logged
)
