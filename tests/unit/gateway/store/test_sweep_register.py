"""The register of sweeps, in both databases and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.changes.memory_sweeps import MemorySweeps
from gateway.changes.sweep_book import Register
from gateway.config.settings import Settings
from gateway.store.opening import open_database
from gateway.store.sweep_register import SweepRegister
from gateway.store.sweep_rows import SweepResult
from tests.support.stores import KEY

pytestmark = pytest.mark.slow


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Register]:
    if request.param == "memory":
        yield MemorySweeps()
        return
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql").new_database()
        settings = Settings(store=store, encryption_key=KEY)
    else:
        settings = Settings(data_dir=tmp_path)
    register = SweepRegister(open_database(settings))
    yield register
    register.close()


def result(number: int, changes: bytes | None = b"c", at: float = 0.0) -> SweepResult:
    return SweepResult(number=number, at=at, by_values=False, state=b"s", changes=changes)


def test_a_sweep_is_stored_with_what_it_found(register: Register) -> None:
    assert register.head("f", "e", 1.0, 9).number == 0
    register.finish("f", result(1_900_000_000_000, None), 0.0)
    register.finish("f", result(1_900_000_000_001, b"first"), 0.0)
    register.finish("f", result(1_900_000_000_005, b"second", at=7.0), 0.0)

    head = register.head("f", "e", 2.0, 9)

    assert (head.number, head.swept_at, register.state("f")) == (1_900_000_000_005, 7.0, b"s")
    assert register.changes("f", 1_900_000_000_000, 1_900_000_000_005) == [
        (1_900_000_000_001, b"first"),
        (1_900_000_000_005, b"second"),
    ]
    assert register.changes("f", 1_900_000_000_001, 1_900_000_000_004) == []


def test_what_is_old_or_not_known_any_more_is_removed(register: Register) -> None:
    register.head("f", "e", 1.0, 9)
    register.finish("f", result(1, b"1", at=1.0), 0.0)
    register.finish("f", result(2, b"2", at=9.0), 5.0)
    assert [number for number, _ in register.changes("f", 0, 9)] == [2]

    register.finish("f", result(3, None), 0.0)

    assert register.changes("f", 0, 9) == []


def test_lists_that_are_not_used_make_room(register: Register) -> None:
    for number, feed in enumerate(("a", "b", "c")):
        register.head(feed, "e", float(number), 2)
        register.finish(feed, result(number + 1), 0.0)

    assert (register.state("a"), register.state("c")) == (None, b"s")
    register.expire(1.5)
    assert (register.state("b"), register.state("c")) == (None, b"s")
    assert register.head("b", "e", 3.0, 2).number == 0


def test_a_list_that_was_removed_takes_no_late_sweep(register: Register) -> None:
    register.finish("gone", result(1), 0.0)

    assert register.head("gone", "e", 0.0, 9).number == 0


def test_one_process_sweeps_at_a_time(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    one, other = (SweepRegister(open_database(settings)) for _ in range(2))
    one.head("f", "e", 0.0, 9)

    assert (one.lease("f", 0.0, 60.0), other.lease("f", 1.0, 61.0)) == (True, False)
    assert other.lease("f", 60.0, 120.0)
    one.release("f")
    assert one.lease("f", 61.0, 120.0)
    for each in (one, other):
        each.close()
