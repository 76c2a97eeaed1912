"""Keys through the loaders: what it costs to ask for them and to give each key its row, all else taken away."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import Any

from gateway.execution.fetcher import Fetcher
from gateway.execution.key_batches import BatchRequest, KeyBatchLoader
from gateway.odata.finops import FINOPS
from gateway.odata.key_filters import key_requests
from gateway.planning.plan import KeysRoot, ReadPlan
from gateway.request import GraphQLRequest
from tests.bench.measure import GC_FROZEN, Report, Variant, frozen_gc, in_turn, ms, percent, slope
from tests.bench.workload import Service, alias_query, engine_over

SIZES = (10, 100, 1_000, 10_000)
LIMITS = (2_000, 60_000)


class Replay:
    """A fetcher that reads once; from then on each of its methods gives in turn what it gave, at no cost."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._known: list[Any] = []
        self._at = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._fetcher, name)
        if not inspect.iscoroutinefunction(real):
            return real

        async def replayed(*asked: Any) -> Any:
            at, self._at = self._at, self._at + 1
            if at == len(self._known):
                self._known.append(None)
                self._known[at] = await real(*asked)
            return self._known[at]

        return replayed

    @property
    def requests(self) -> int:
        """How many requests were really sent."""
        return len(self._fetcher.requests.sent)

    def again(self) -> None:
        self._at = 0


@dataclass(frozen=True, slots=True)
class Loading:
    """So many orders by their key, over what stands for the upstream."""

    plan: ReadPlan
    keys: tuple[tuple[str, str], ...]
    characters: int
    replay: Replay

    async def run(self) -> None:
        """Load them through the loaders."""
        self.replay.again()
        batches = KeyBatchLoader(self.replay, self.characters)  # type: ignore[arg-type]
        found = await batches.load(BatchRequest(self.plan, self.plan.level.info.key, self.keys))
        # A failure of the upstream stands in the place of a row.
        assert list(found) == list(self.keys)
        assert set(map(type, found.values())) == {self.plan.row_type.struct}

    def print(self) -> None:
        """Only make the requests."""
        columns = tuple(
            (f.source, f.value.edm, f.value.is_enum)
            for f in self.plan.level.info.key
            if f.value is not None
        )
        query = FINOPS.lower(self.plan.query).query
        made = key_requests(FINOPS, query, columns, list(self.keys), limit=self.characters)
        assert made is not None
        assert len(made) == self.replay.requests


def loading(size: int, characters: int) -> Loading:
    service = Service()
    engine = engine_over(service)
    (root,) = engine.plan(engine.read(GraphQLRequest(query=alias_query(1)))).roots
    assert isinstance(root, KeysRoot)
    assert root.items[0] is not None
    fetcher = engine.reads.fetcher(service)
    fetcher.requests.max_url_length = characters
    keys = tuple(("usmf", f"SO-{i:06}") for i in range(size))
    return Loading(root.items[0][0], keys, characters, Replay(fetcher))


async def loaders(quick: bool) -> list[Report]:
    """Load 10 to 10,000 rows by key, in CPU time; the rows are decoded before."""
    report = Report("loaders", f"rows by key, decoded before; CPU time, {GC_FROZEN}")
    rounds = 9 if quick else 40
    for limit in LIMITS:
        made = [loading(size, limit) for size in SIZES]
        for one in made:
            await one.run()
        variants: dict[str, Variant] = {f"all {len(one.keys)}": one.run for one in made}
        variants |= {f"print {len(one.keys)}": one.print for one in made}
        with frozen_gc():
            results = await in_turn(variants, rounds, clock=time.process_time)
        grows = slope(SIZES, [results[f"all {size}"].median for size in SIZES])
        for one in made:
            whole = results[f"all {len(one.keys)}"]
            printing = results[f"print {len(one.keys)}"].median
            report.add(
                longest_address=limit,
                keys=len(one.keys),
                requests=one.replay.requests,
                all_ms=ms(whole.median),
                spread=percent(whole.spread),
                printing_ms=ms(printing),
                overhead_ms=ms(whole.median - printing),
                us_per_key=round(whole.median / len(one.keys) * 1e6, 2),
                slope=round(grows, 2),
            )
    report.notes.append(
        "printing: filters and addresses alone; overhead: all the rest. us_per_key, slope: of all."
    )
    return [report]
