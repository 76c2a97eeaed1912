"""The cached answers of a process: those of all environments, within one number of bytes."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from gateway.odata.response_check import Response

LARGEST_SHARE = 8
"""An answer that takes more than this part of the cache is not cached: one list would evict everything else."""
OVERHEAD = 1_000
"""Bytes that an entry takes besides its body and its address."""

Key: TypeAlias = tuple[str, str, str]
"""Environment, identity and policy; address; preferred page size."""
Place: TypeAlias = tuple[str, str]
"""Environment and entity set."""


class StoredAnswer(Struct, frozen=True, eq=False):
    """An answer, and when it was read."""

    response: Response
    places: frozenset[Place]
    """The sets of which it may have rows."""
    read_at: float
    """When its request was sent, in seconds of the clock of whoever stores it."""
    is_shared: bool = False
    """Whether another replica has read it."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.response.body) + len(self.response.url) + OVERHEAD


class AnswerStore:
    """Answers by key; of more than ``max_bytes``, those that were used longest ago are removed."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        """Bytes that all answers take."""
        self._answers: OrderedDict[Key, StoredAnswer] = OrderedDict()
        self._by_place: defaultdict[Place, set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Key) -> StoredAnswer | None:
        """Return an answer, whatever its age; None if there is none."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: Key, answer: StoredAnswer) -> bool:
        """Cache an answer in the place of an earlier one; return False for one that is too large."""
        self.remove(key)
        if answer.size > self.max_bytes // LARGEST_SHARE:
            return False
        self._answers[key] = answer
        self.size += answer.size
        for place in answer.places:
            self._by_place[place].add(key)
        while self.size > self.max_bytes:
            self.remove(next(iter(self._answers)))
        return True

    def remove(self, key: Key) -> None:
        """Remove an answer, if there is one."""
        answer = self._answers.pop(key, None)
        if answer is None:
            return
        self.size -= answer.size
        for place in answer.places:
            keys = self._by_place[place]
            keys.discard(key)
            if not keys:
                del self._by_place[place]

    def evict(self, places: Iterable[Place]) -> int:
        """Remove all answers with rows of these sets; return their number."""
        keys = set[Key]().union(*(self._by_place.get(place, ()) for place in places))
        for key in keys:
            self.remove(key)
        return len(keys)

    def evict_environment(self, environment: str) -> int:
        """Remove all answers of an environment; return their number."""
        return self.evict([place for place in self._by_place if place[0] == environment])
