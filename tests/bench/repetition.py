"""Repeats a measurement in fresh processes and gives the median of their ratios with an interval.

One process is one sample. Where its heap lies, how strings hash and how its arenas are laid out is drawn anew by each
process and then stays: it moves a ratio by several per cent, however many rounds the process runs. Rounds inside a
process therefore cannot narrow the interval; more processes can. (Kalibera and Jones, "Rigorous Benchmarking in
Reasonable Time", section 4: repeat at the highest level at which the figure varies.)

Inside a process the contestants alternate, in an order that turns round by round, and each figure is CPU time: what
else runs on the machine slows both, and neither always runs after the other has warmed or emptied the caches.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.measure import Variant

ROOT = Path(__file__).resolve().parents[2]
RANDOM = {"PYTHONHASHSEED": "random"}
"""A fixed seed would be one sample of how strings hash, the same in every process."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The median of independent samples, and order statistics that hold the true one (about 95 of 100 times)."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Interval:
        """Return the interval of samples. Distribution-free: no figure of a benchmark is normal."""
        ordered = sorted(samples)
        cut = _ranks_outside(len(ordered))
        return cls(statistics.median(ordered), ordered[cut], ordered[len(ordered) - 1 - cut])

    @property
    def resolution(self) -> float:
        """Return the smallest change that two runs like this one can tell apart, as a part of the median.

        Two intervals that do not overlap differ: half of each lies between the medians.
        """
        return (self.high - self.low) / self.median

    def __str__(self) -> str:
        return f"{self.low:.2f} to {self.high:.2f}"


def _ranks_outside(count: int, confidence: float = 0.93) -> int:
    """Return how many samples may be left out at each end: the sign test's interval of a median.

    0 up to 7 samples, whose ends cover the median in 94 (of 5 samples) to 98 of 100 cases.
    """
    outside, chance = 0, 2 * 0.5**count
    weight = 0.5**count
    while outside + 1 < count / 2:
        weight *= (count - outside) / (outside + 1)
        if 1 - (chance + 2 * weight) < confidence:
            break
        chance += 2 * weight
        outside += 1
    return outside


async def alternating(
    variants: Mapping[str, Variant], rounds: int, *, warm: int = 2
) -> dict[str, float]:
    """Return the median CPU seconds of each variant; the order turns each round, garbage is collected between."""
    names = list(variants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            # What one variant left behind is not collected on the other's account.
            gc.collect()
            started = time.process_time()
            result = variants[name]()
            if inspect.isawaitable(result):
                await result
            if number >= 0:
                times[name].append(time.process_time() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


async def in_fresh_processes(target: str, arguments: Sequence[Any], processes: int) -> list[Any]:
    """Return what ``module:coroutine`` returns for these arguments (JSON) in each of so many processes, one by one.

    Raises RuntimeError if a process fails.
    """
    return [await _in_process(target, arguments) for _ in range(processes)]


async def _in_process(target: str, arguments: Sequence[Any]) -> Any:
    command = [sys.executable, "-m", __name__, target, json.dumps(list(arguments))]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **RANDOM}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{target} ended with {process.returncode}")
    return json.loads(output)


async def _main() -> None:
    module, _, name = sys.argv[1].partition(":")
    function = getattr(import_module(module), name)
    print(json.dumps(await function(*json.loads(sys.argv[2]))))


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
