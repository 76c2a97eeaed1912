"""Operations at a time, shared between callers: one alone has all, several have the same."""

from __future__ import annotations

from collections import Counter

from gateway.http.caller_shares import CallerShares

MOST = 100


class Doors:
    """What runs at a gateway, and a clock."""

    def __init__(self) -> None:
        self.shares = CallerShares(MOST)
        self.running: Counter[str] = Counter()
        self.now = 0.0

    def begin(self, caller: str, count: int = 1) -> int:
        """Let a caller begin so many operations; return how many are admitted."""
        admitted = 0
        for _ in range(count):
            free = MOST - self.running.total()
            if free and self.shares.may_begin(caller, free, self.now):
                self.shares.add(caller, 1)
                self.running[caller] += 1
                admitted += 1
            else:
                self.shares.refused(caller, self.now)
        return admitted

    def end(self, caller: str, count: int) -> None:
        self.shares.add(caller, -count)
        self.running[caller] -= count


def test_a_caller_alone_has_all() -> None:
    assert Doors().begin("a", 120) == MOST


def test_who_comes_when_all_is_taken_gets_what_ends_next() -> None:
    doors = Doors()
    doors.begin("a", MOST)
    assert doors.begin("b") == 0

    doors.end("a", 10)
    assert doors.begin("a", 5) == 0
    assert doors.begin("b", 10) == 10


def test_two_who_want_all_come_to_have_the_same() -> None:
    doors = Doors()
    doors.begin("a", MOST)
    for _ in range(40):
        doors.now += 1.0
        for caller in "ab":
            doors.end(caller, doors.running[caller] // 4)
        for caller in "abab":
            doors.begin(caller, 10)

    assert 45 <= doors.running["b"] <= 55
    assert doors.running.total() >= 95


def test_one_who_wants_little_takes_little() -> None:
    doors = Doors()
    doors.begin("b", 2)

    assert doors.begin("a", 120) == MOST - 2 - 2
    assert doors.begin("b", 2) == 2


def test_nobody_waits_for_one_who_has_left() -> None:
    doors = Doors()
    doors.begin("a", MOST)
    doors.begin("b")
    doors.end("a", 20)
    doors.now += 11.0

    assert doors.begin("a", 20) == 20


def test_many_callers_with_one_operation_each_are_all_admitted() -> None:
    doors = Doors()

    assert sum(doors.begin(f"caller {n}") for n in range(200)) == MOST
