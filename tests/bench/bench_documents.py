"""What an operation costs before anything is sent, new and seen before; what new ones leave to all others; mutations.

All figures are CPU of this thread, in turn, so that other programs hardly count. Nothing is cached of a new document:
it selects columns that no other has selected together. The upstream's own time is left out.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import count

import orjson
from graphql import parse, validate

from gateway.config.settings import Settings
from gateway.documents.fast_parser import parse_document
from gateway.documents.fast_validation import FastValidator
from gateway.engine import Engine
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import make_catalog
from gateway.odata.finops import FINOPS
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.upstream import OutcomePart, whole_response
from gateway.request import GraphQLRequest
from schema.types.build import build_schema
from schema.writes import Writes
from tests.bench.measure import GC_FROZEN, Report, Sample, frozen_gc, in_turn, ms, percent
from tests.bench.workload import (
    JSON,
    WIDE,
    WIDE_ROW,
    Service,
    answer,
    engine_over,
    model,
    names,
    wide_query,
)

FIELDS = 60
A_SECOND = 1_000
NEW = "new document: parse, validate, prepare, bind"
SENT = "cached document until the first request is sent"
BARS = {NEW: 0.8, SENT: 0.2}
_TOKENS = 15_000
_COLUMNS = [column.graphql for column in WIDE_ROW[2:WIDE]]

CREATED = orjson.dumps(orjson.loads(answer("Wides?$top=1"))["value"][0])
"""What the upstream answers to every create."""

Make = Callable[[], GraphQLRequest]


class Apart(Service):
    """The service, and the seconds of this thread that it and the making of requests took."""

    seconds = 0.0

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        started = time.thread_time()
        response = await super().send(request, safe=safe)
        self.seconds += time.thread_time() - started
        return response

    async def write(
        self,
        request: Request,
        outcome_part: OutcomePart = whole_response,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        return Response(201, {"content-type": JSON}, CREATED, f"{self.root}/Wides")

    def clock(self) -> float:
        return time.thread_time() - self.seconds


async def documents(quick: bool) -> list[Report]:
    """Measure new and cached operations: until they are planned, and whole."""
    rounds = 30 if quick else 100
    with frozen_gc():
        return [await _steps(rounds * 2), await _whole(rounds), await _mutations(rounds)]


async def _steps(rounds: int) -> Report:
    report = Report("documents", f"an operation of {FIELDS} fields; {GC_FROZEN}")
    engine = engine_over(Apart())
    kinds = _kinds(FIELDS)
    text = wide_query(FIELDS, 1)
    node = parse(text)
    acceptor = FastValidator(engine.schema.core)

    def ready(make: Make) -> Callable[[], object]:
        return lambda: engine.plan(engine.read(make()))

    times = await in_turn(
        {
            "graphql-core's parse": lambda: parse(text),
            "parse": lambda: parse_document(text, _TOKENS),
            "graphql-core's validate": lambda: validate(engine.schema.core, node),
            "accept": lambda: acceptor.accepts(node),
            NEW: ready(kinds["new columns"]),
            "a text that differs from others in an alias": ready(kinds["a new alias"]),
            "a text that differs from others in a literal": ready(kinds["a new literal"]),
            "cached document: new values in variables": ready(kinds["new variables"]),
            "cached document: variables, bind": ready(kinds["cached"]),
        },
        rounds,
        clock=time.thread_time,
    )
    times[SENT] = await _until_sent(engine_over(service := Apart()), service, text, rounds * 2)
    for name, sample in times.items():
        report.add(
            step=name,
            median_ms=ms(sample.median),
            p95_ms=ms(sample.at(0.95)),
            spread=percent(sample.spread),
            next_bar_ms=BARS.get(name),
        )
    return report


async def _whole(rounds: int) -> Report:
    """Measure whole requests of one row, and what 1,000 new ones a second leave of the time for cached ones."""
    report = Report(
        "new_documents", f"whole operations of one row, without HTTP and upstream; {GC_FROZEN}"
    )
    for fields in (10, FIELDS):
        service = Apart()
        engine = engine_over(service)
        kinds = _kinds(fields)
        times = await in_turn(
            {name: _answer(engine, make, service) for name, make in kinds.items()},
            rounds,
            warm=10,
            clock=service.clock,
        )
        for name, sample in times.items():
            more = max(0.0, sample.median - times["cached"].median)
            report.add(
                fields=fields,
                kind=name,
                median_ms=ms(sample.median),
                spread=percent(sample.spread),
                more_ms=ms(more),
                left=round(max(0.0, 1 - A_SECOND * more), 3),
            )
    report.notes.append(
        f"left: the part of the time that {A_SECOND:,} of them a second leave, to as many cached ones"
    )
    return report


async def _mutations(rounds: int) -> Report:
    """Measure creates of a row, whose input type has 300 fields."""
    report = Report("mutations", f"a create that selects 10 fields; {GC_FROZEN}")
    service, numbers = Apart(), count()
    catalog = make_catalog(Settings(), model(), FINOPS, {})
    schema = build_schema(catalog, LoadedResolvers(catalog), writes=Writes(catalog))
    engine = engine_over(service, schema=schema)
    selected = f"wide {{ {names(WIDE_ROW[:10])} }}"
    by_variable = (
        f"mutation M($input: WideCreateInput!) {{ createWide(input: $input) {{ {selected} }} }}"
    )
    literal = (
        'mutation M { createWide(input: {dataAreaId: "usmf", recordKey: "K-%d"}) { '
        + selected
        + " } }"
    )
    times = await in_turn(
        {
            "new values in variables": _answer(
                engine,
                lambda: GraphQLRequest(
                    query=by_variable,
                    variables={"input": {"dataAreaId": "usmf", "recordKey": f"K-{next(numbers)}"}},
                ),
                service,
            ),
            "new literals": _answer(
                engine, lambda: GraphQLRequest(query=literal % next(numbers)), service
            ),
        },
        rounds,
        clock=service.clock,
    )
    for name, sample in times.items():
        report.add(kind=name, median_ms=ms(sample.median), spread=percent(sample.spread))
    return report


def _answer(engine: Engine, make: Make, service: Apart) -> Callable[[], object]:
    async def run() -> None:
        started = time.thread_time()
        request = make()
        # To draw columns takes longer than to validate them.
        service.seconds += time.thread_time() - started
        result = await engine.execute(request)
        assert not result.errors, result.errors
        result.encode()

    return run


def _kinds(fields: int) -> Mapping[str, Make]:
    numbers, chance = count(), random.Random(1)
    cached = wide_query(fields, 1)
    rest = cached.partition("{")[2]
    filtered = cached.replace("first: 1", 'first: 1, where: {recordKey: {ne: "K-%d"}}')
    by_variable = cached.replace("first: 1", "first: 1, where: {recordKey: {ne: $key}}").replace(
        "query Wide", "query Wide($key: String!)"
    )

    def columns() -> str:
        chosen = " ".join(chance.sample(_COLUMNS, fields))
        return f"query Wide {{ wides(first: 1) {{ nodes {{ {chosen} }} }} }}"

    return {
        "cached": lambda: GraphQLRequest(query=cached),
        "new variables": lambda: GraphQLRequest(
            query=by_variable, variables={"key": f"K-{next(numbers)}"}
        ),
        "a new literal": lambda: GraphQLRequest(query=filtered % next(numbers)),
        "a new alias": lambda: GraphQLRequest(query=f"{{ x{next(numbers)}: __typename {rest}"),
        "new columns": lambda: GraphQLRequest(query=columns()),
    }


async def _until_sent(engine: Engine, service: Apart, text: str, rounds: int) -> Sample:
    arrived: list[float] = []
    service.on_send = lambda: arrived.append(time.thread_time())
    request = GraphQLRequest(query=text)
    times = []
    for number in range(rounds + 10):
        arrived.clear()
        started = time.thread_time()
        await engine.execute(request)
        if number >= 10:
            times.append(arrived[0] - started)
    return Sample(tuple(times))
