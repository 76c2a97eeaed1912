"""What an operation costs before anything is sent: a new document, and one that was seen before."""

from __future__ import annotations

import time
from itertools import count

from graphql import parse, validate

from gateway.documents.fast_validation import FastValidator
from gateway.request import GraphQLRequest
from tests.bench.measure import GC_NORMAL, Report, Sample, in_turn, ms, percent
from tests.bench.workload import Service, engine_over, wide_query

FIELDS = 60


async def documents(quick: bool) -> list[Report]:
    """Measure a 60-field operation, new and cached."""
    report = Report("documents", f"an operation of {FIELDS} fields; {GC_NORMAL}")
    service = Service()
    engine = engine_over(service)
    core = engine.schema.core
    numbers = count()
    text = wide_query(FIELDS, 1)
    node = parse(text)
    acceptor = FastValidator(core)
    arrived: list[float] = []
    service.on_send = lambda: arrived.append(time.perf_counter())

    def new() -> None:
        alias = f"{{ x{next(numbers)}: __typename "
        ready(f"{alias}{text.partition('{')[2]}")

    def other_literal() -> None:
        ready(wide_query(FIELDS, next(numbers) % 1_000 + 1))

    def ready(text: str) -> None:
        engine.plan(engine.read(GraphQLRequest(query=text)))

    def seen() -> None:
        ready(text)

    rounds = 15 if quick else 60
    times = await in_turn(
        {
            "parse": lambda: parse(text),
            "graphql-core's validate": lambda: validate(core, node),
            "accept": lambda: acceptor.accepts(node),
            "new document: parse, validate, prepare, bind": new,
            "a text that differs from others in a literal": other_literal,
            "cached document: variables, bind": seen,
        },
        rounds,
    )
    times["cached document until the first request is sent"] = await _until_sent(
        engine_over(service), arrived, text, rounds * 5
    )
    bars = {
        "new document: parse, validate, prepare, bind": 10.0,
        "cached document until the first request is sent": 0.2,
    }
    for name, sample in times.items():
        report.add(
            step=name,
            median_ms=ms(sample.median),
            p95_ms=ms(sample.at(0.95)),
            spread=percent(sample.spread),
            next_bar_ms=bars.get(name),
        )
    return [report]


async def _until_sent(engine, arrived: list[float], text: str, rounds: int) -> Sample:
    request = GraphQLRequest(query=text)
    for _ in range(10):
        await engine.execute(request)
    times = []
    for _ in range(rounds):
        arrived.clear()
        started = time.perf_counter()
        await engine.execute(request)
        times.append(arrived[0] - started)
    return Sample(tuple(times))
