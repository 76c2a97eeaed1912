"""Events of environments, which are part of the union ``Event``."""

from __future__ import annotations

import msgspec


class EnvironmentOpened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An environment was opened, at the first request to it."""

    environment: str
    seconds: float


class EnvironmentFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An environment could not be opened. The others are served as before."""

    environment: str
    code: str
    message: str
    """Without what the upstream wrote."""
    reason: str
    hint: str | None
    retry_after: float
    """Seconds in which requests do not try again."""


class EnvironmentClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An environment was closed, because it was idle, has changed, or is no longer declared."""

    environment: str
    seconds: float
    """How long it was open."""


class StatusNotWritten(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The status of environments cannot be written to the store; requests are served. Logged once until it works."""

    reason: str


class SignInRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The login host refused to issue a token for the gateway: its credentials are wrong or have expired."""

    reason: str
    hint: str | None


class WebhookSent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A webhook was delivered."""

    id: str
    type: str
    """Of the change, as in the webhook itself. A field ``event`` would be the name of the line in the log."""
    attempts: int


class WebhookFailed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A webhook could not be delivered, and is sent again later."""

    id: str
    type: str
    reason: str
    attempts: int
    retry_after: float
    """Seconds until the next attempt."""


class WebhookAbandoned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A webhook is not sent again: it could not be delivered for a day, or the receiver wants no more (status 410)."""

    id: str
    type: str
    reason: str
    attempts: int
