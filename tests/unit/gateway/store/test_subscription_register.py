"""The register of webhooks of changes in both databases: who runs which, when it is due, and what was not taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.store.opening import open_database
from gateway.store.subscription_register import LetterRow, SubscriptionRegister, SubscriptionRow
from tests.support.stored_environments import URL, stored_settings

pytestmark = pytest.mark.slow
ROW = SubscriptionRow(
    id="a" * 32,
    environment="acme",
    creator="ann",
    entity_set="CustomersV3",
    state="ACTIVE",
    sealed=b"sealed",
    place=None,
    pending=None,
    error=None,
    attempts=0,
    failing_since=None,
    delivered=0,
    delivered_at=None,
    woken_at=0.0,
    due=100.0,
    owner=None,
    leased_until=0.0,
    created=100.0,
    updated=100.0,
)
LETTER = LetterRow(
    id="msg_1",
    subscription=ROW.id,
    sealed=b"body",
    error="status 500",
    attempts=8,
    created=100.0,
    died=110.0,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return stored_settings(request, tmp_path)


@pytest.fixture
def register(settings: Settings) -> Iterator[SubscriptionRegister]:
    register = SubscriptionRegister(open_database(settings))
    yield register
    register.close()


def due(register: SubscriptionRegister, name: str = ROW.id) -> float:
    row = register.find(name)
    assert row is not None
    return row.due


def test_one_process_runs_what_is_due(register: SubscriptionRegister) -> None:
    assert register.create(ROW, most=1)
    assert not register.create(replace(ROW, id="b" * 32), most=1)
    assert register.claim("one", 99.0, 130.0, (), 9) == ()
    (claimed,) = register.claim("one", 100.0, 130.0, (), 9)
    assert (claimed.owner, claimed.leased_until) == ("one", 130.0)
    # Neither another process nor the same one runs it beside, until the lease ends.
    assert register.claim("two", 129.0, 160.0, (), 9) == ()
    assert register.claim("one", 129.0, 160.0, (), 9) == ()
    assert register.renew("one", [ROW.id], 140.0) == {ROW.id}
    assert register.renew("two", [ROW.id], 140.0) == frozenset()
    assert register.claim("two", 141.0, 170.0, (), 9)
    assert not register.settle(ROW.id, "one", {"due": 1.0}, woken_at=0.0, now=142.0)
    assert register.settle(
        ROW.id, "two", {"due": 500.0, "attempts": 0, "owner": None}, woken_at=0.0, now=142.0
    )
    assert due(register) == 500.0


def test_reports_wake_all_but_those_that_fail(register: SubscriptionRegister) -> None:
    failing = replace(ROW, id="b" * 32, attempts=2, due=900.0)
    for row in (ROW, failing, replace(ROW, id="c" * 32, state="PAUSED")):
        register.create(row, most=9)
    assert register.wake("acme", ["Other"], 50.0) == register.wake("beta", ["CustomersV3"], 50.0)
    (claimed,) = register.claim("one", 100.0, 130.0, (), 9)
    # While it runs: it is due again as soon as it has ended.
    assert register.wake("acme", ["CustomersV3", "Other"], 110.0) == 2
    assert register.claim("one", 111.0, 140.0, (ROW.id,), 9) == ()
    values: dict[str, object] = {"due": 700.0, "attempts": 0}
    register.settle(ROW.id, "one", dict(values), woken_at=claimed.woken_at, now=120.0)
    assert due(register) == 120.0
    assert due(register, failing.id) == 900.0


def test_dead_letters_come_with_what_has_become_of_it(register: SubscriptionRegister) -> None:
    register.create(ROW, most=9)
    register.claim("one", 100.0, 130.0, (), 9)
    assert not register.settle(ROW.id, "two", {"due": 1.0}, woken_at=0.0, now=1.0, letter=LETTER)
    assert register.letters(ROW.id, 9) == ()
    assert register.settle(ROW.id, "one", {"due": 1.0}, woken_at=0.0, now=1.0, letter=LETTER)
    assert register.letters(ROW.id, 9) == (LETTER,)
    assert register.count_letters() == {ROW.id: 1}
    assert register.letter("b" * 32, LETTER.id) is None
    register.expire(110.0)
    assert register.letter(ROW.id, LETTER.id) == LETTER
    register.expire(111.0)
    assert register.letter(ROW.id, LETTER.id) is None


def test_a_removed_environment_leaves_nothing(
    settings: Settings, register: SubscriptionRegister
) -> None:
    environments = open_environment_register(settings)
    options = EnvironmentOptions.model_validate({"url": URL, "auth": "none"})
    environments.create("acme", options)
    for row in (ROW, replace(ROW, id="b" * 32, environment="beta")):
        register.create(row, most=9)
        register.claim("one", 100.0, 130.0, (), 9)
        letter = replace(LETTER, id=row.id, subscription=row.id)
        register.settle(row.id, "one", {"due": 1.0}, woken_at=0.0, now=1.0, letter=letter)
    environments.remove("acme")
    environments.close()

    assert [row.environment for row in register.list(None, None)] == ["beta"]
    assert register.count_letters() == {"b" * 32: 1}
