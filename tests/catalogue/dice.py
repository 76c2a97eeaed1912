"""Chance that falls the same way in every run and on every version of Python."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Seeded choices, made of ``Random.random`` alone: of it the library promises that it stays as it is."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def below(self, end: int) -> int:
        return int(self._random() * end)

    def chance(self, share: float) -> bool:
        return self._random() < share

    def pick(self, values: Sequence[T]) -> T:
        return values[int(self._random() * len(values))]

    def early(self, values: Sequence[T], power: float = 2.0) -> T:
        """Return one of the values, the first ones more often."""
        return values[int(self._random() ** power * len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        made = list(values)
        for last in range(len(made) - 1, 0, -1):
            other = self.below(last + 1)
            made[last], made[other] = made[other], made[last]
        return made


class Weighted:
    """Values that are drawn as often as their weights say."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._values = list(weights)
        self._ends = list(accumulate(weights.values()))

    def draw(self, dice: Dice) -> str:
        return self._values[bisect(self._ends, dice.below(self._ends[-1]))]
