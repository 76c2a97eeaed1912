"""The register of idempotency keys, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.config.settings import Settings
from gateway.store.idempotency_register import DAY, IdempotencyRegister, KeyEntry
from gateway.store.opening import open_database
from tests.support.stores import KEY

pytestmark = pytest.mark.slow
ENTRY = KeyEntry(id="k", digest="d", run="1", leased_until=60.0, expires_at=DAY)


@pytest.fixture(params=["sqlite", "postgresql"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IdempotencyRegister]:
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql").new_database()
        settings = Settings(store=store, encryption_key=KEY)
    else:
        settings = Settings(data_dir=tmp_path)
    register = IdempotencyRegister(open_database(settings))
    yield register
    register.close()


def test_the_first_run_holds_the_key(register: IdempotencyRegister) -> None:
    second = replace(ENTRY, run="2", digest="other")

    assert register.begin([ENTRY], 0.0) == [ENTRY]
    assert register.begin([second], 1.0) == [ENTRY]
    register.renew([ENTRY], 99.0)
    register.settle([(ENTRY, b"answer")], [])
    assert register.begin([second], 2.0) == [replace(ENTRY, leased_until=99.0, sealed=b"answer")]


def test_a_key_is_free_after_a_release_and_after_a_day(register: IdempotencyRegister) -> None:
    second = replace(ENTRY, run="2", expires_at=2 * DAY)
    third = replace(ENTRY, run="3", expires_at=3 * DAY)
    register.begin([ENTRY], 0.0)
    register.settle([], [ENTRY])

    assert register.begin([second], 1.0) == [second]
    register.settle([], [ENTRY])  # of the run before, which changes nothing any more
    register.settle([(ENTRY, b"late")], [])
    assert register.begin([third], DAY) == [second]
    assert register.begin([third], 2 * DAY) == [third]


def test_of_many_equal_requests_one_runs(register: IdempotencyRegister) -> None:
    register.settle([], [ENTRY])  # the tables are there
    entries = [replace(ENTRY, run=str(number)) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda entry: register.begin([entry], 0.0)[0], entries))

    assert len({entry.run for entry in stored}) == 1


def test_several_keys_begin_and_end_together(register: IdempotencyRegister) -> None:
    first, second, third = (replace(ENTRY, id=str(n)) for n in range(3))
    register.begin([second], 0.0)
    register.settle([(second, b"answer")], [])

    assert register.begin([first, replace(second, run="2"), third], 1.0) == [
        first,
        replace(second, sealed=b"answer"),
        third,
    ]
    register.settle([(first, b"one")], [third])
    again = [replace(first, run="2"), replace(third, run="2")]
    assert register.begin(again, 2.0) == [replace(first, sealed=b"one"), again[1]]
