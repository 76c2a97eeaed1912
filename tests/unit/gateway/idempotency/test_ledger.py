"""The ledger of idempotency keys: whose they are, and what becomes of runs that end in other ways."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config.profiles import EnvironmentSettings
from gateway.config.settings import Settings
from gateway.errors import (
    GatewayError,
    IdempotencyInProgress,
    IdempotencyMismatch,
    OutcomeUnknown,
    SecretUnreadable,
    StoreUnavailable,
    UnsupportedQuery,
)
from gateway.events import Event
from gateway.events.idempotency import IdempotencyKeyStuck
from gateway.idempotency import ledger as ledgers
from gateway.idempotency.ledger import LEASE, Ledger, Run
from tests.support.stores import spoil_store

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that a test moves."""

    time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock, events: list[Event]) -> Iterator[Ledger]:
    ledger = Ledger(Settings(data_dir=tmp_path), events.append, now=clock)
    yield ledger
    ledger.close()


async def begin(ledger: Ledger, caller: str = "ann", key: str = "k", digest: str = "d") -> Run:
    run = await ledger.begin(caller, key, digest)
    assert isinstance(run, Run)
    return run


async def test_a_finished_run_answers_for_a_day(ledger: Ledger, clock: Clock) -> None:
    await (await begin(ledger)).finish(b"answer")

    clock.time += 86_399
    assert await ledger.begin("ann", "k", "d") == b"answer"
    with pytest.raises(IdempotencyMismatch):
        await ledger.begin("ann", "k", "other")
    clock.time += 1
    (await begin(ledger)).abandon()


async def test_a_key_is_that_of_one_caller(ledger: Ledger) -> None:
    await (await begin(ledger)).finish(b"answer")

    for caller, key in (("bob", "k"), ("ann", "k2"), ("annk", "")):
        await (await begin(ledger, caller, key)).release()


async def test_a_key_is_that_of_one_environment(ledger: Ledger, tmp_path: Path) -> None:
    await (await begin(ledger)).finish(b"answer")
    settings = EnvironmentSettings(data_dir=tmp_path, environment="acme", tag="a")
    other = Ledger(settings, print)

    await (await begin(other)).release()
    other.close()


async def test_a_released_key_is_free(ledger: Ledger) -> None:
    await (await begin(ledger)).release()
    await (await begin(ledger, digest="other")).release()


async def test_a_killed_run_leaves_its_outcome_unknown(ledger: Ledger, clock: Clock) -> None:
    (await begin(ledger)).abandon()

    with pytest.raises(IdempotencyInProgress) as running:
        await ledger.begin("ann", "k", "d")
    clock.time += LEASE
    with pytest.raises(OutcomeUnknown):
        await ledger.begin("ann", "k", "d")

    assert running.value.retry_after == 1


async def test_a_long_run_renews_its_lease(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_RENEWAL", 0.01)
    run = await begin(ledger)
    clock.time += LEASE
    async with asyncio.timeout(60):
        while True:
            try:
                await ledger.begin("ann", "k", "d")
            except IdempotencyInProgress:
                break
            except OutcomeUnknown:
                await asyncio.sleep(0.01)

    await run.finish(b"answer")
    assert await ledger.begin("ann", "k", "d") == b"answer"


async def test_answers_are_encrypted(ledger: Ledger, tmp_path: Path) -> None:
    await (await begin(ledger)).finish(b"name of a customer")
    ledger.close()

    files = [path.read_bytes() for path in (tmp_path / "store").iterdir()]
    assert files
    assert not any(b"name of a customer" in content for content in files)


async def test_after_a_change_of_the_secret_nothing_runs_again(
    ledger: Ledger, tmp_path: Path, clock: Clock
) -> None:
    await (await begin(ledger)).finish(b"answer")
    settings = Settings(data_dir=tmp_path, secret_key=SecretStr("another secret of 32 characters."))
    changed = Ledger(settings, print, now=clock)

    with pytest.raises(SecretUnreadable):
        await changed.begin("ann", "k", "d")
    changed.close()


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "spoiled"])
async def test_a_store_that_fails_later_leaves_the_key(
    ledger: Ledger, tmp_path: Path, events: list[Event], *, is_gone: bool
) -> None:
    run = await begin(ledger)
    (tmp_path / "store" / "gateway.db").unlink()
    if not is_gone:
        ledger.close()
        for path in (tmp_path / "store").iterdir():
            path.unlink()
        (tmp_path / "store").rmdir()
        spoil_store(tmp_path)
    await run.finish(b"answer")

    assert [type(event) for event in events] == [IdempotencyKeyStuck]
    with pytest.raises(StoreUnavailable) as refused:
        await ledger.begin("ann", "k", "d")
    assert str(tmp_path) not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(store="none"),
        Settings(data_dir=None),
        Settings(store=SecretStr("postgresql://u@db.example/d"), data_dir=None),
    ],
    ids=["no store", "no folder", "no secret"],
)
async def test_without_a_store_or_secret_a_key_is_refused(settings: Settings) -> None:
    with pytest.raises(GatewayError) as refused:
        await Ledger(settings, print).begin("ann", "k", "d")

    assert refused.type is UnsupportedQuery
