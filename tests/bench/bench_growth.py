"""Growth: how the cost follows rows, fields, aliases and the size of the catalogue. 1.0 is linear, 2.0 quadratic."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from gateway.execute import Answer, Engine, ExecutionSettings, GraphQLRequest
from gateway.models import make_catalog
from gateway.odata.finops import FINOPS
from gateway.resolvers import LoadedResolvers
from gateway.settings import Settings
from schema.build import build_schema
from schema.csdl import parse_csdl
from schema.exposure import expose
from tests.bench.bench_execute import runner
from tests.bench.measure import Report, in_turn, ms, slope
from tests.bench.workload import Service, alias_query, engine_over, nested_query, wide_query

FULL = Path(__file__).resolve().parents[3] / "shared/metadata/finops-full-reconstructed.xml.gz"


async def growth(quick: bool) -> list[Report]:
    """Measure execution (cached document) and preparation (new document) over rows, fields and aliases."""
    report = Report("growth", "cached execution and new documents; slope = exponent of growth")
    series = (
        ("rows", (10, 100, 1_000, 10_000), lambda n: nested_query(rows=n)),
        ("fields, 100 rows", (5, 20, 75, 300), wide_query),
        ("aliases by key", (1, 10, 50, 200), alias_query),
    )
    numbers = count()
    for name, sizes, query in series:
        engine = engine_over(Service())
        texts = {n: query(n) for n in sizes}
        rounds = 3 if quick else 9
        ran = await in_turn({str(n): runner(engine, t) for n, t in texts.items()}, rounds, warm=1)

        def prepare(text: str, engine: Engine = engine) -> None:
            found = engine.ready(GraphQLRequest(query=f"# {next(numbers)}\n{text}"))
            assert not isinstance(found, Answer), found.errors

        made = await in_turn({str(n): lambda t=t: prepare(t) for n, t in texts.items()}, rounds)
        _add(report, name, sizes, [ran[str(n)].median for n in sizes], "execute")
        _add(report, name, sizes, [made[str(n)].median for n in sizes], "new document")
    return [report]


def _add(
    report: Report, name: str, sizes: Sequence[int], seconds: Sequence[float], what: str
) -> None:
    report.add(
        series=name,
        what=what,
        sizes=" → ".join(f"{n:,}" for n in sizes),
        ms=" → ".join(f"{ms(s):g}" for s in seconds),
        slope=round(slope(sizes, seconds), 2),
        slope_of_last_step=round(slope(sizes[-2:], seconds[-2:]), 2),
    )


async def catalogues(quick: bool) -> list[Report]:
    """Measure schema building and first touches over slices of the full F&O document."""
    report = Report("catalogues", "slices of the full F&O document: schema build, first touch")
    if not FULL.is_file():
        report.notes.append(f"Skipped: {FULL} is not there.")
        return [report]
    started = time.perf_counter()
    model = parse_csdl(gzip.decompress(FULL.read_bytes()), name=FULL.name)
    report.notes.append(f"Parsing all of it once: {time.perf_counter() - started:.2f} s.")
    names = list(model.entity_sets)
    sizes = [n for n in (50, 500, 2_000) if n < len(names)] + [len(names)]
    steps: dict[str, list[float]] = {}
    for size in sizes:
        slice_ = (
            expose(model, include=tuple(names[:size]), exclude=()) if size < len(names) else model
        )
        started = time.perf_counter()
        catalog = make_catalog(Settings(), slice_, FINOPS, {})
        schema = build_schema(catalog, LoadedResolvers(catalog))
        engine = Engine(schema, Service(), FINOPS, ExecutionSettings(), lambda _: None)
        steps.setdefault("catalogue + schema", []).append(time.perf_counter() - started)
        touched = [_ready(engine, text) for text in _lists(engine, 20)]
        steps.setdefault("first query of all", []).append(touched[0])
        middle = sorted(touched[1:])[len(touched) // 2]
        steps.setdefault("first touch of an entity (median)", []).append(middle)
        unknown = [_ready(engine, f"{{ customrsV{i} {{ nodes {{ id }} }} }}") for i in range(5)]
        steps.setdefault("unknown field", []).append(sorted(unknown)[2])
    for step, seconds in steps.items():
        report.add(
            step=step,
            sets=" → ".join(f"{n:,}" for n in sizes),
            ms=" → ".join(f"{ms(s):g}" for s in seconds),
            slope=round(slope(sizes, seconds), 2),
        )
    return [report]


def _lists(engine: Engine, most: int) -> list[str]:
    """Write a query of ten fields for lists that are spread over the catalogue."""
    catalog = engine.schema.catalog
    lists = [r for r in catalog.roots.values() if r.kind.name == "LIST"]
    step = max(1, len(lists) // most)
    texts = []
    for root in lists[::step][:most]:
        fields = [f.name for f in catalog.object(root.csdl).fields.values() if f.value is not None]
        texts.append(f"{{ {root.name}(first: 1) {{ nodes {{ {' '.join(fields[:10])} }} }} }}")
    return texts


def _ready(engine: Engine, text: str) -> float:
    started = time.perf_counter()
    engine.ready(GraphQLRequest(query=text))
    return time.perf_counter() - started
