"""What operations of one structure are expected to bring: learned from those that ran, used by the next price.

A plan knows what it requests, but not how many rows pass a filter, or how many rows share a related one. Both are at
most so many, whatever is requested: 40 customers of a company, 4 groups of 40 customers. So what is learned is a
highest number, and not a share of what was requested: the next operation may request ten times as much.
"""

from __future__ import annotations

from math import inf

from msgspec import Struct

TOO_LONG = 10_000
"""Rows that lists have at the least if they were too long to be read."""
NEWEST = 0.2
"""Weight of the newest operation."""


class ListLengths(Struct, eq=False):
    """How long the related lists of parents are as a whole, whatever page of them is requested."""

    average: float = 0.0
    """Rows; 0 as long as nothing is known."""
    may_batch: bool = True
    """Whether the pages of several parents may share a ``$batch``: False once the service has refused one."""

    def are_too_long(self) -> None:
        """Take in that lists were too long to be read."""
        self.average = max(self.average, TOO_LONG)

    def learn(self, lists: int, rows: float) -> None:
        """Take in how many rows so many lists have together."""
        if lists:
            length = rows / lists
            self.average += (NEWEST if self.average else 1.0) * (length - self.average)


class Expectation(Struct, eq=False):
    """The most of something that is expected to come."""

    most: float = inf

    def of(self, requested: float) -> float:
        """Return how many are expected of so many that are requested."""
        return min(requested, self.most)

    def learn(self, requested: float, came: float) -> None:
        """Take in how many came of so many that were requested."""
        if came >= requested:
            # There may be any number more: only a lower expectation was wrong.
            self.most = max(self.most, came)
        elif self.most == inf:
            self.most = came
        else:
            self.most += NEWEST * (came - self.most)
