"""Learns how many seconds of the upstream's work a request takes, by entity set and kind of request.

    CustomersV3?$filter=…      → (CustomersV3, page)          POST SalesOrderLines         → (SalesOrderLines, write)
    CustomersV3(…)             → (CustomersV3, key)           POST Set(…)/Namespace.Action → (Set, call)
    CustomersV3/$count         → (CustomersV3, count)
    a $batch of n such pages   → (CustomersV3, part), a share of its seconds; of n such writes → (SalesOrderLines, row)

A moving average: the newest answer counts a fifth, the first ones more. A set that was never read is expected to take
what requests of its kind take on average here; before the first request, what they commonly take in F&O. A part of a
batch is expected to take as long as such a request by itself until a batch of nothing else was answered: how the time
of a mixed one is divided, nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

Kind: TypeAlias = Literal["key", "page", "count", "write", "call", "part", "row"]
"""Kinds of requests whose times differ: one row, a page of a list, a number, a write, a call; a page and a write in a
batch."""
SecondsOf: TypeAlias = Callable[[str, Kind], float]
"""Entity set and kind of a request → seconds of the upstream's work that it is expected to take."""

BATCHED: dict[Kind, Kind] = {"page": "part", "write": "row"}
"""What requests are in a batch."""
_BY_ITSELF: dict[Kind, Kind] = {batched: kind for kind, batched in BATCHED.items()}
USUAL: dict[Kind, float] = {"key": 0.1, "page": 0.3, "count": 0.2, "write": 0.3, "call": 0.5}
"""Seconds that requests of each kind commonly take, before anything was learned."""
NEWEST = 0.2
"""Weight of the newest answer in an average of many."""
MAX_ENTRIES = 5_000


class Average(Struct):
    """A moving average."""

    value: float
    count: int = 1

    def add(self, value: float) -> None:
        """Take in one more value."""
        self.count += 1
        self.value += (value - self.value) * max(NEWEST, 1 / self.count)


class _Entry(Struct):
    """An average as it is stored."""

    resource: str
    kind: Kind
    value: float
    count: int


_read = msgspec.json.Decoder(list[_Entry]).decode


class LearnedSeconds:
    """The averages of one upstream; of the least recently first seen ones at most ``MAX_ENTRIES`` are kept."""

    def __init__(self, most: int = MAX_ENTRIES) -> None:
        self._most = most
        self._averages: dict[tuple[str, Kind], Average] = {}
        self._of_kind: dict[Kind, Average] = {}
        self.changes = 0
        """Answers since the averages were read or written."""

    def seconds(self, resource: str, kind: Kind) -> float:
        """Return the seconds that a request is expected to take."""
        average = self._averages.get((resource, kind))
        if average is None and (alone := _BY_ITSELF.get(kind)) is not None:
            return self.seconds(resource, alone)
        average = average or self._of_kind.get(kind)
        return USUAL[kind] if average is None else average.value

    def add(self, resource: str, kind: Kind, seconds: float) -> None:
        """Take in the seconds that an answer took."""
        self.changes += 1
        of_kind = self._of_kind.get(kind)
        if of_kind is None:
            self._of_kind[kind] = Average(seconds)
        else:
            of_kind.add(seconds)
        average = self._averages.get((resource, kind))
        if average is not None:
            average.add(seconds)
            return
        if len(self._averages) >= self._most:
            del self._averages[next(iter(self._averages))]
        self._averages[resource, kind] = Average(seconds)

    def encode(self) -> bytes:
        """Return the averages as JSON."""
        self.changes = 0
        entries = [_Entry(r, k, a.value, a.count) for (r, k), a in self._averages.items()]
        return msgspec.json.encode(entries)

    def decode(self, text: bytes) -> None:
        """Take averages that were stored. Raises msgspec.DecodeError if they are none."""
        for entry in _read(text)[-self._most :]:
            if not 0 <= entry.value < 3_600:
                continue
            self._averages[entry.resource, entry.kind] = Average(entry.value, max(entry.count, 1))
            of_kind = self._of_kind.setdefault(entry.kind, Average(entry.value))
            of_kind.add(entry.value)
        self.changes = 0


@lru_cache(maxsize=1_024)
def request_kind(method: str, path: str) -> tuple[str, Kind] | None:
    """Return entity set and kind of a request; None for one that is no request of an operation, or for a ``$batch``.

    ``path`` is relative to the service root, without a query.
    """
    name, parenthesis, rest = path.partition("(")
    if not name or name[0] == "$":
        return None
    if method == "GET":
        if path.endswith("/$count"):
            return (name if parenthesis else path[: -len("/$count")]), "count"
        return name, "key" if rest.endswith(")") else "page"
    if parenthesis:
        return name, "write" if rest.endswith(")") else "call"
    of_set, slash, _ = path.partition("/")
    return of_set, "call" if slash else "write"


def batched_kind(requests: Sequence[tuple[str, str]]) -> tuple[str, Kind] | None:
    """Return entity set and kind of the requests in a batch, as methods and paths; None if they differ."""
    kinds = {request_kind(method, path) for method, path in requests}
    kind = kinds.pop() if len(kinds) == 1 else None
    batched = None if kind is None else BATCHED.get(kind[1])
    return None if kind is None or batched is None else (kind[0], batched)
