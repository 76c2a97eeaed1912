"""Unified lists against the queries that one would write by hand for the same rows: requests, and seconds of CPU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from gateway.config.settings import Settings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import make_catalog
from gateway.odata.finops import FINOPS
from gateway.request import GraphQLRequest
from schema.types.build import ODataSchema, build_schema
from schema.unified.load import read_models
from tests.bench.bench_execute import ROWS, runner
from tests.bench.measure import Report, frozen_gc, ms
from tests.bench.repetition import Interval, alternating, in_fresh_processes
from tests.bench.workload import (
    CUSTOMER,
    LINE_VALUES,
    PLAIN,
    Column,
    Service,
    engine_over,
    model,
    names,
    nested_query,
)

BAR = 1.3
SHAPES = {"expanded": True, "key batches": False}
"""Name → whether ``$expand`` may carry the relations."""
_TYPES = {"Edm.Decimal": "Decimal", "Edm.Int32": "Int"}


def _fields(columns: tuple[Column, ...]) -> str:
    return "\n".join(
        f'{c.graphql} = {{ column = "{c.name}", type = "{_TYPES.get(c.type, "String")}" }}'
        for c in columns
    )


MAPPING = f"""
namespace = "shop"
version = 1
[types.Sale]
set = "Orders"
list = "sales"
[types.Sale.joins]
customer = {{ set = "Customers", on = "dataAreaId, CustomerAccount", via = "Customer" }}
lines = {{ set = "Lines", on = "dataAreaId, OrderNumber", via = "Lines", many = true }}
[types.Sale.fields]
{_fields(PLAIN)}
customer = {{ type = "Client", join = "customer" }}
lines = {{ type = "Position", join = "lines" }}
[types.Client]
set = "Customers"
[types.Client.fields]
{_fields(CUSTOMER)}
[types.Position]
set = "Lines"
[types.Position.fields]
{_fields(LINE_VALUES)}
"""
UNIFIED = (
    f"query Unified {{ shop {{ sales(first: {ROWS}) {{ nodes {{ {names(PLAIN)}"
    f" customer {{ {names(CUSTOMER)} }} lines {{ {names(LINE_VALUES)} }} }} }} }} }}"
)
BY_HAND = nested_query(PLAIN, ROWS)


def shop() -> ODataSchema:
    """Return the schema of the workload with a unified model over it."""
    catalog = make_catalog(Settings(), model(), FINOPS, {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.toml"
        file.write_text(MAPPING, "utf-8")
        models = read_models([file])
    return build_schema(catalog, LoadedResolvers(catalog), unified=models)


async def unified(quick: bool) -> list[Report]:
    """Measure 1,000 rows with a relation to one row and a list, cached document, in fresh processes."""
    processes, rounds = (3, 5) if quick else (7, 9)
    report = Report(
        "unified",
        f"{ROWS:,} rows x (20 values + to-one of 5 + 5 x 5), unified to written by hand:"
        f" median of {processes} processes",
    )
    samples = await in_fresh_processes(f"{__name__}:one_process", [rounds], processes)
    for name, expand in SHAPES.items():
        taken = [sample[name] for sample in samples]
        ratio = Interval.of([times["unified"] / times["by hand"] for times in taken])
        by_hand, own = await requests(expand=expand)
        report.add(
            shape=name,
            by_hand_ms=ms(median(times["by hand"] for times in taken)),
            unified_ms=ms(median(times["unified"] for times in taken)),
            ratio=round(ratio.median, 2),
            spread=str(ratio),
            bar=BAR,
            requests=own,
            requests_by_hand=by_hand,
        )
    return [report]


async def requests(*, expand: bool) -> tuple[int, int]:
    """Return the requests of the query that is written by hand, and of the unified one."""
    engine = engine_over(Service(), expand=expand, schema=shop())
    by_hand, own = [await engine.execute(GraphQLRequest(query=q)) for q in (BY_HAND, UNIFIED)]
    return len(by_hand.requests), len(own.requests)


async def one_process(rounds: int) -> dict[str, dict[str, float]]:
    """Return the CPU seconds of both by shape, of this process."""
    by_name: dict[str, dict[str, float]] = {}
    for name, expand in SHAPES.items():
        engine = engine_over(Service(), expand=expand, schema=shop())
        variants = {"by hand": runner(engine, BY_HAND), "unified": runner(engine, UNIFIED)}
        for run in variants.values():
            await run()
        with frozen_gc():
            by_name[name] = await alternating(variants, rounds)
    return by_name
