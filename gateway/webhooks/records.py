"""Records of webhooks of changes: what a caller wants to be told, where, and what was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from gateway.identity.caller import Caller

State: TypeAlias = Literal["ACTIVE", "PAUSED", "NEEDS_AUTH"]


class Target(Struct, frozen=True, kw_only=True):
    """What is followed, and where it is sent."""

    set: str
    """Name of a list or entity set, as its caller has written it."""
    url: str
    where: str | None = None
    """JSON, or a value of GraphQL."""
    fields: str | None = None
    """As of an export; None: all values of a row."""
    companies: tuple[str, ...] | None = None
    profile: str | None = None


class SigningKey(Struct, frozen=True, kw_only=True):
    """A key of signatures."""

    key: bytes
    until: float | None = None
    """When it ends, in seconds since the epoch; None: it is the current one."""


class Pending(Struct, frozen=True, kw_only=True):
    """The webhook that is being attempted. Its body is read anew for each attempt, as its caller may see it then."""

    id: str
    digest: bytes
    """Of its data: other data are another webhook."""
    created: float
    attempts: int = 0


class Subscription(Struct, frozen=True, kw_only=True):
    """Who is told of the changes of a list. Times are seconds since the epoch."""

    id: str
    environment: str
    """Empty: that of the settings."""
    entity_set: str
    state: State
    creator: str
    target: Target
    keys: tuple[SigningKey, ...]
    """The current one first."""
    caller: Caller
    """Who has created it, without a token."""
    is_personal: bool
    """Whether it needs the token of its caller."""
    cursor: str | None
    """Behind what was delivered; None: nothing was."""
    pending: Pending | None
    error: Mapping[str, Any] | None
    attempts: int
    """Failures since the last success."""
    failing_since: float | None
    delivered: int
    """Webhooks so far, those among them that became dead letters."""
    delivered_at: float | None
    woken_at: float
    """When a change was reported, as far as this run knows."""
    created: float
    updated: float

    @property
    def list(self) -> str:
        """The list as receivers know it: its entity set, or that of a unified model, ``accounting.vendors``."""
        return self.target.set if "." in self.target.set else self.entity_set


class NewSubscription(Struct, frozen=True, kw_only=True):
    """What a caller creates."""

    environment: str
    entity_set: str
    target: Target
    caller: Caller
    """With its token, if it needs that."""
    is_personal: bool
    since: str | None
    """The cursor from which it begins; None: with the whole list."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A webhook that was not taken."""

    id: str
    subscription: str
    body: bytes
    error: str
    attempts: int
    created: float
    died: float


class WebhookCounts(Struct, frozen=True, kw_only=True):
    """How many webhooks of a state, and dead letters, a deployment has."""

    active: int = 0
    paused: int = 0
    needs_auth: int = 0
    dead_letters: int = 0

    @property
    def by_state(self) -> Mapping[str, int]:
        """Webhooks by their state."""
        return {"active": self.active, "paused": self.paused, "needs_auth": self.needs_auth}
