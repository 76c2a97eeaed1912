"""A link session: what an integrator has made it for, how far its visitor has come, and what may happen next.

    new ──address──▶ addressed ──sign in──▶ signing_in ──proof──▶ proved ──check──▶ checked ──▶ linked
                         ▲                       │ refused            │ problem ─▶ proved, to try again
                         └───────────────────────┘                    └── another address or sign-in: from there on

``transition`` is the only way from one state to another: pure, so every step from every state stands in a table of
tests. A session belongs to the browser that sends the first address: links in mails are opened by scanners, too, which
must not use it up. Whatever is done anew drops what was proved and checked before.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.store.stored_environment import Linked

MAX_TRIES = 30
"""Requests to environments and login hosts that one session may cause, by steps."""
Application: TypeAlias = Literal["deployment", "own"]
"""Whose application reads the environment: that of the deployment, or one of the customer's own."""


class Phase(StrEnum):
    """How far a session has come."""

    NEW = "new"
    ADDRESSED = "addressed"
    SIGNING_IN = "signing_in"
    PROVED = "proved"
    CHECKED = "checked"
    LINKED = "linked"


class Problem(Struct, frozen=True):
    """Why a step did not succeed, for the visitor."""

    code: str
    message: str
    hint: str | None = None


class CheckStep(Struct, frozen=True):
    """One step of the last check, as the page shows it."""

    name: str
    status: str
    text: str
    hint: str | None = None


class Target(Struct, frozen=True):
    """The environment that is to be linked."""

    url: str
    """Service root."""
    tenant: str
    """Id or domain of its tenant, as it says itself or as the visitor has typed it."""


class LinkSession(Struct, frozen=True, kw_only=True):
    """A session. Of its secrets there are digests only, or what the browser's cookie decrypts (``sealed``)."""

    id: str
    digest: str
    """Of the token in its address."""
    application: Application
    created: float
    expires_at: float
    """Seconds since the epoch."""
    created_by: str | None = None
    """Who has made it, for the audit log."""
    name: str | None = None
    """Name of the environment; None: after its host."""
    title: str | None = None
    return_url: str | None = None
    version: int = 0
    phase: Phase = Phase.NEW
    browser: str | None = None
    """Digest of the secret in the cookie of its browser; None: no browser has begun."""
    tries: int = 0
    target: Target | None = None
    client_id: str | None = None
    """Of the customer's own application."""
    sealed: str | None = None
    state: str | None = None
    """Digest of the ``state`` of the sign-in that is under way."""
    linked: Linked | None = None
    """Who has proved to administer the environment."""
    steps: tuple[CheckStep, ...] = ()
    problem: Problem | None = None
    environment: str | None = None
    """Name of the linked environment."""

    def encode(self) -> str:
        """Return the session as JSON."""
        return msgspec.json.encode(self).decode()


def decode(text: str) -> LinkSession:
    """Return the session of JSON."""
    return msgspec.json.decode(text, type=LinkSession)


class Tried(Struct, frozen=True):
    """A step is about to cause requests."""


class Addressed(Struct, frozen=True, kw_only=True):
    """The visitor has named an environment, which has answered."""

    browser: str
    target: Target
    sealed: str
    client_id: str | None = None


class AddressRefused(Struct, frozen=True):
    """The address that the visitor has named is none of an environment, or does not answer."""

    browser: str
    problem: Problem


class SignInBegun(Struct, frozen=True):
    """The browser is sent to the login host."""

    state: str
    sealed: str


class Returned(Struct, frozen=True):
    """The browser comes back with a ``state``, which is of no use from now on, and is about to cause requests."""

    state: str


class Proved(Struct, frozen=True):
    """The visitor has proved to administer the environment."""

    linked: Linked
    sealed: str


class SignInRefused(Struct, frozen=True):
    """The visitor has proved nothing."""

    problem: Problem


class Checked(Struct, frozen=True):
    """The live check has ended."""

    steps: tuple[CheckStep, ...]
    is_good: bool


class LinkRefused(Struct, frozen=True):
    """The environment could not be stored: its name is taken."""

    problem: Problem


class EnvironmentLinked(Struct, frozen=True):
    """The environment is stored."""

    environment: str


LinkEvent: TypeAlias = (
    Tried
    | Addressed
    | AddressRefused
    | SignInBegun
    | Returned
    | Proved
    | SignInRefused
    | Checked
    | LinkRefused
    | EnvironmentLinked
)
_BEFORE_END = frozenset(Phase) - {Phase.LINKED}
_WITH_TARGET = _BEFORE_END - {Phase.NEW}
ALLOWED: dict[type[LinkEvent], frozenset[Phase]] = {
    Tried: _BEFORE_END,
    Addressed: _BEFORE_END,
    AddressRefused: _BEFORE_END,
    SignInBegun: _WITH_TARGET,
    Returned: frozenset({Phase.SIGNING_IN}),
    Proved: frozenset({Phase.SIGNING_IN}),
    SignInRefused: frozenset({Phase.SIGNING_IN}),
    Checked: frozenset({Phase.PROVED, Phase.CHECKED}),
    LinkRefused: frozenset({Phase.CHECKED}),
    EnvironmentLinked: frozenset({Phase.CHECKED}),
}
"""In which phases what may happen."""


class Refusal(StrEnum):
    """Why something may not happen to a session."""

    ENDED = "LINK_ENDED"
    PHASE = "LINK_STEP"
    BROWSER = "LINK_BROWSER"
    STATE = "LINK_STATE"
    TRIES = "LINK_TRIES"


class TransitionRefused(Exception):
    """Something may not happen to a session now."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


def transition(session: LinkSession, event: LinkEvent, now: float) -> LinkSession:
    """Return the session after an event. Raises TransitionRefused."""
    if now >= session.expires_at or session.phase is Phase.LINKED:
        raise TransitionRefused(Refusal.ENDED)
    if session.phase not in ALLOWED[type(event)]:
        raise TransitionRefused(Refusal.PHASE)
    return replace(_after(session, event), version=session.version + 1)


def _after(session: LinkSession, event: LinkEvent) -> LinkSession:  # noqa: C901 - a case an event
    match event:
        case Tried():
            return _tried(session)
        case Addressed():
            return replace(
                _begun(session, event.browser),
                phase=Phase.ADDRESSED,
                target=event.target,
                client_id=event.client_id,
                sealed=event.sealed,
            )
        case AddressRefused():
            return replace(_begun(session, event.browser), phase=Phase.NEW, problem=event.problem)
        case SignInBegun():
            begun = _unproved(session)
            return replace(begun, phase=Phase.SIGNING_IN, state=event.state, sealed=event.sealed)
        case Returned():
            if session.state is None or session.state != event.state:
                raise TransitionRefused(Refusal.STATE)
            return replace(_tried(session), state=None)
        case Proved():
            _require_returned(session)
            return replace(
                session, phase=Phase.PROVED, linked=event.linked, sealed=event.sealed, problem=None
            )
        case SignInRefused():
            _require_returned(session)
            return replace(_unproved(session), phase=Phase.ADDRESSED, problem=event.problem)
        case Checked():
            phase = Phase.CHECKED if event.is_good else Phase.PROVED
            return replace(session, phase=phase, steps=event.steps, problem=None)
        case LinkRefused():
            return replace(session, problem=event.problem)
        case EnvironmentLinked():
            return replace(
                session,
                phase=Phase.LINKED,
                environment=event.environment,
                sealed=None,
                problem=None,
            )


def _tried(session: LinkSession) -> LinkSession:
    if session.tries >= MAX_TRIES:
        raise TransitionRefused(Refusal.TRIES)
    return replace(session, tries=session.tries + 1)


def _begun(session: LinkSession, browser: str) -> LinkSession:
    """Return a session of a browser without an environment. Raises TransitionRefused if it is another one's."""
    if session.browser not in (None, browser):
        raise TransitionRefused(Refusal.BROWSER)
    return replace(_unproved(session), browser=browser, target=None, client_id=None, sealed=None)


def _unproved(session: LinkSession) -> LinkSession:
    return replace(session, state=None, linked=None, steps=(), problem=None)


def _require_returned(session: LinkSession) -> None:
    """Raise TransitionRefused unless the state of the sign-in has been used up."""
    if session.state is not None:
        raise TransitionRefused(Refusal.STATE)
