"""How much slower answers are than they could be: each compared with quick answers to requests like it.

Reads of a key and pages of a thousand rows have nothing in common, so every kind of request has a floor of its own: the
tenth percentile of its seconds over some minutes, estimated by steps (stochastic approximation), without a list to
sort. What is compared over all kinds is the ratio to that floor: its geometric mean over the latest answers, which one
outlier moves as little as a median. Answers that differ widely are above their floors even when nothing else is under
way, so that mean is also compared with the lowest that it was over many answers.
"""

from __future__ import annotations

from math import exp, log

from msgspec import Struct

MAX_KINDS = 512
"""Kinds with a floor; of more, the oldest begins anew."""
_QUANTILE = 0.1
_STEP = 0.03
_FIRST_STEP = 0.2
_FIRST = 20
"""Answers by which a floor is learned quickly; of later ones one a second counts, so that busy minutes weigh little."""
_SHORTEST = 0.0001
"""Seconds; what takes less is not slow."""
_MEMORY = 40.0
"""Answers of which the pressure is the mean, about."""


_LONG_MEMORY = 200.0
"""Answers of which the mean is taken whose lowest value is that of a calm service."""
_FIRST_CALM = 60
"""Answers before that is known."""
_FORGETTING = 1.00003
"""A calm service may become slower: by so much with each answer, doubled in some 20,000."""


class _Floor(Struct):
    seconds: float
    answers: int = 1
    learned_at: float = 0.0


class Latencies:
    """The floors of all kinds of requests to one service, and how far answers are above them."""

    def __init__(self) -> None:
        self._floors: dict[str, _Floor] = {}
        self._logarithm = 0.0
        self._long_logarithm = 0.0
        self._answers = 0
        self._calm = 1.0
        self.mean = 0.0
        """Moving average of an answer's seconds, of all kinds; 0: none came yet."""

    @property
    def pressure(self) -> float:
        """How slow the latest answers are: 1 is as quick as ever, 2 twice as slow."""
        return exp(self._logarithm)

    @property
    def to_calm(self) -> float:
        """The same, compared with the answers of a calm service: those that differ widely are never all quick."""
        return exp(self._logarithm) / self._calm

    def observe(self, kind: str, seconds: float, now: float) -> float:
        """Take the seconds of an answer, and return how many times its kind's floor they are."""
        seconds = max(seconds, _SHORTEST)
        floor = self._floors.get(kind)
        if floor is None:
            # It is probably as slow as everything else just now.
            floor = self._floors[kind] = _Floor(seconds / max(1.0, self.pressure))
            if len(self._floors) > MAX_KINDS:
                del self._floors[next(iter(self._floors))]
        else:
            self._learn(floor, seconds, now)
        ratio = seconds / floor.seconds
        logarithm = log(ratio)
        self._logarithm += (logarithm - self._logarithm) / _MEMORY
        self._learn_calm(logarithm)
        self.mean = seconds if self.mean == 0.0 else self.mean + (seconds - self.mean) / _MEMORY
        return ratio

    def _learn_calm(self, logarithm: float) -> None:
        self._answers += 1
        count = min(float(self._answers), _LONG_MEMORY)
        self._long_logarithm += (logarithm - self._long_logarithm) / count
        if self._answers == _FIRST_CALM:
            self._calm = exp(self._long_logarithm)
        elif self._answers > _FIRST_CALM:
            self._calm = min(self._calm * _FORGETTING, exp(self._long_logarithm))

    def _learn(self, floor: _Floor, seconds: float, now: float) -> None:
        floor.answers += 1
        if floor.answers <= _FIRST:
            step = _FIRST_STEP
        elif 0.0 <= now - floor.learned_at < 1.0:
            return
        else:
            step = _STEP
        floor.learned_at = now
        floor.seconds *= (
            1 - (1 - _QUANTILE) * step if seconds < floor.seconds else 1 + _QUANTILE * step
        )
