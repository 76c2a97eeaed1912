"""The states of a link session: what may happen in each, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.linking.session import (
    ALLOWED,
    MAX_TRIES,
    Addressed,
    AddressRefused,
    Checked,
    CheckStep,
    EnvironmentLinked,
    LinkEvent,
    LinkRefused,
    LinkSession,
    Phase,
    Problem,
    Proved,
    Refusal,
    Returned,
    SignInBegun,
    SignInRefused,
    Target,
    TransitionRefused,
    Tried,
    decode,
    transition,
)
from gateway.store.stored_environment import Linked

NOW, END = 100.0, 1_000.0
PROBLEM = Problem("CODE", "Text.", "Hint.")
TARGET = Target("https://contoso.operations.dynamics.com/data", "tenant 1")
LINKED = Linked(tenant="tenant 1", subject="object 1", name="Ada", at=NOW)
STEPS = (CheckStep("sign-in", "ok", "token"),)
NEW = LinkSession(id="1", digest="d", application="deployment", created=NOW, expires_at=END)
ADDRESSED_EVENT = Addressed(browser="b", target=TARGET, sealed="s1", client_id="c")
STATES: dict[str, LinkSession] = {"new": NEW}
STATES["addressed"] = transition(NEW, ADDRESSED_EVENT, NOW)
STATES["signing_in"] = transition(STATES["addressed"], SignInBegun("state 1", "s2"), NOW)
STATES["returned"] = transition(STATES["signing_in"], Returned("state 1"), NOW)
STATES["proved"] = transition(STATES["returned"], Proved(LINKED, "s3"), NOW)
STATES["checked"] = transition(STATES["proved"], Checked(STEPS, is_good=True), NOW)
STATES["linked"] = transition(STATES["checked"], EnvironmentLinked("contoso"), NOW)

EVENTS: dict[str, LinkEvent] = {
    "tried": Tried(),
    "addressed": ADDRESSED_EVENT,
    "address_refused": AddressRefused("b", PROBLEM),
    "sign_in": SignInBegun("state 2", "s9"),
    "returned": Returned("state 1"),
    "proved": Proved(LINKED, "s3"),
    "sign_in_refused": SignInRefused(PROBLEM),
    "good": Checked(STEPS, is_good=True),
    "bad": Checked(STEPS, is_good=False),
    "link_refused": LinkRefused(PROBLEM),
    "linked": EnvironmentLinked("contoso"),
}
ENDED, STEP, STATE = Refusal.ENDED, Refusal.PHASE, Refusal.STATE
TABLE: dict[str, tuple[Phase | Refusal, ...]] = {
    # in the order of EVENTS
    "new": (Phase.NEW, Phase.ADDRESSED, Phase.NEW, STEP, STEP, STEP, STEP, STEP, STEP, STEP, STEP),
    "addressed": (
        *(Phase.ADDRESSED, Phase.ADDRESSED, Phase.NEW, Phase.SIGNING_IN),
        *(STEP, STEP, STEP, STEP, STEP, STEP, STEP),
    ),
    "signing_in": (
        *(Phase.SIGNING_IN, Phase.ADDRESSED, Phase.NEW, Phase.SIGNING_IN, Phase.SIGNING_IN),
        *(STATE, STATE, STEP, STEP, STEP, STEP),
    ),
    "returned": (
        *(Phase.SIGNING_IN, Phase.ADDRESSED, Phase.NEW, Phase.SIGNING_IN, STATE),
        *(Phase.PROVED, Phase.ADDRESSED, STEP, STEP, STEP, STEP),
    ),
    "proved": (
        *(Phase.PROVED, Phase.ADDRESSED, Phase.NEW, Phase.SIGNING_IN, STEP, STEP, STEP),
        *(Phase.CHECKED, Phase.PROVED, STEP, STEP),
    ),
    "checked": (
        *(Phase.CHECKED, Phase.ADDRESSED, Phase.NEW, Phase.SIGNING_IN, STEP, STEP, STEP),
        *(Phase.CHECKED, Phase.PROVED, Phase.CHECKED, Phase.LINKED),
    ),
    "linked": (ENDED,) * len(EVENTS),
}
CASES = [
    (state, event, expected)
    for state, row in TABLE.items()
    for event, expected in zip(EVENTS, row, strict=True)
]


def outcome(session: LinkSession, event: LinkEvent, now: float = NOW) -> Phase | Refusal:
    try:
        return transition(session, event, now).phase
    except TransitionRefused as refused:
        return refused.reason


@pytest.mark.parametrize(("state", "event", "expected"), CASES)
def test_each_event_in_each_state(state: str, event: str, expected: Phase | Refusal) -> None:
    assert outcome(STATES[state], EVENTS[event]) == expected


def test_all_events_are_in_the_table() -> None:
    assert {type(event) for event in EVENTS.values()} == ALLOWED.keys()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_nothing_happens_after_the_end(state: str, event: str) -> None:
    assert outcome(STATES[state], EVENTS[event], END) == ENDED


@pytest.mark.parametrize("state", [s for s in STATES if s not in {"new", "linked"}])
@pytest.mark.parametrize("event", ["addressed", "address_refused"])
def test_a_session_belongs_to_one_browser(state: str, event: str) -> None:
    other = replace(EVENTS[event], browser="another")

    assert outcome(STATES[state], other) == Refusal.BROWSER


@pytest.mark.parametrize("event", ["addressed", "address_refused", "sign_in"])
def test_a_step_back_drops_the_proof(event: str) -> None:
    after = transition(STATES["checked"], EVENTS[event], NOW)

    assert (after.linked, after.steps, after.environment) == (None, (), None)


def test_a_state_is_of_use_once() -> None:
    assert STATES["returned"].state is None
    assert outcome(STATES["returned"], Returned("state 1")) == STATE
    assert outcome(STATES["signing_in"], Returned("state 2")) == STATE
    again = transition(STATES["signing_in"], SignInBegun("state 2", "s9"), NOW)
    assert outcome(again, Returned("state 1")) == STATE


def test_tries_are_limited() -> None:
    session = replace(STATES["signing_in"], tries=MAX_TRIES)

    assert outcome(session, Tried()) == Refusal.TRIES
    assert outcome(session, Returned("state 1")) == Refusal.TRIES
    assert transition(NEW, Tried(), NOW).tries == 1


def test_a_linked_session_has_no_secrets() -> None:
    assert STATES["linked"].sealed is None
    assert STATES["linked"].environment == "contoso"


def test_each_transition_is_a_version() -> None:
    versions = [session.version for session in STATES.values()]

    assert versions == list(range(len(STATES)))


@pytest.mark.parametrize("state", STATES)
def test_sessions_are_stored_as_they_are(state: str) -> None:
    session: Any = STATES[state]

    assert decode(session.encode()) == session
