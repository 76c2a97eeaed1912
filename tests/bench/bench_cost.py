"""What pricing costs, and how far estimates are from what is sent."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from gateway.config.setting_models import SandboxOptions
from gateway.config.settings import Settings
from gateway.cost.gate import OperationGate
from gateway.engine import Engine
from gateway.request import Answer, GraphQLRequest, PlannedQuery
from gateway.runtime.assembly import Gateway, open_gateway
from tests.bench.bench_cache import Replaying
from tests.bench.measure import GC_NORMAL, Report, in_turn, percent
from tests.support.cases import engine
from tests.support.priced_operations import priced_engine, run_mix

CALLS = 200
"""Operations of one round."""
OPERATIONS = {
    "a list": "{ customersV3(first: 10) { nodes { customerAccount } } }",
    "a filtered list with two relations": """{ customersV3(first: 10, where: {customerGroupId: {eq: "10"}}) {
      totalCount nodes { customerAccount customerGroup { description }
      salesOrders(first: 5) { nodes { salesOrderNumber } } } } }""",
}
GROUPS = """{ customerGroups(first: 40, companies: ["usmf", "demf"]) { nodes { customerGroupId
  customers(first: 3) { nodes { customerAccount organizationName } } } } }"""
"""Some ten parents with hundreds of rows each in a sandbox of that scale."""
SCALE = 30
MODES = {"with $expand": "auto", "key batches": "never"}


async def cost(quick: bool) -> list[Report]:
    """Measure the CPU of pricing an operation, and the distance of estimates from what is sent."""
    settings = Settings(cache_dir=None, language=None)
    async with open_gateway(settings, transport=Replaying(), observe=lambda _: None) as gateway:
        reports = [
            await _pricing(gateway, quick),
            await _whole(gateway, quick),
            await _accuracy(gateway, quick),
        ]
    return [*reports, await _long_lists(quick)]


async def _pricing(gateway: Gateway, quick: bool) -> Report:
    """Admit and settle operations that are planned already."""
    report = Report("cost_pricing", f"admitting and settling a planned operation; {GC_NORMAL}")
    by = gateway.engine
    gate = _gate(by)

    def passing(query: PlannedQuery) -> Callable[[], Awaitable[None]]:
        async def pass_gate() -> None:
            for _ in range(CALLS):
                ticket = await gate.admit(query)
                ticket.settle(1, 10, Answer(None))

        return pass_gate

    cases = {name: passing(_planned(by, text)) for name, text in OPERATIONS.items()}
    for case, sample in (await in_turn(cases, 15 if quick else 50)).items():
        report.add(
            case=case,
            cpu_us=round(await _cpu(cases[case]) / CALLS * 1e6, 1),
            median_us=round(sample.median / CALLS * 1e6, 1),
            spread=percent(sample.spread),
        )
    report.notes.append("cpu_us: the least of ten rounds, which other programs do not lengthen.")
    return report


async def _cpu(run: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds of CPU that a round takes at the least."""
    rounds = list[float]()
    for _ in range(10):
        began = time.process_time()
        await run()
        rounds.append(time.process_time() - began)
    return min(rounds)


def _planned(by: Engine, text: str) -> PlannedQuery:
    return by.plan(by.read(GraphQLRequest(query=text)))


def _gate(by: Engine) -> OperationGate:
    assert by.gate is not None
    return by.gate


async def _whole(gateway: Gateway, quick: bool) -> Report:
    """Run operations with and without a gate."""
    report = Report("cost_whole", f"an operation in the engine, from replayed answers; {GC_NORMAL}")
    by = gateway.engine
    gate = _gate(by)

    def running(text: str, chosen: OperationGate | None) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            by.gate = chosen
            for _ in range(CALLS // 4):
                await by.execute(GraphQLRequest(query=text))

        return run

    for name, text in OPERATIONS.items():
        variants = {"without": running(text, None), "with": running(text, gate)}
        times = await in_turn(variants, 15 if quick else 50)
        by.gate = gate
        ratio = times["with"].over(times["without"])
        report.add(case=name, ratio=round(ratio.median, 3), spread=percent(ratio.spread))
    return report


async def _accuracy(gateway: Gateway, quick: bool) -> Report:
    """Run a mix of operations with random values, after a warm-up and before."""
    report = Report("cost_accuracy", "estimated requests beside those that were sent")
    for mode, expand in MODES.items():
        by = priced_engine(gateway, expand=expand)
        for phase, rounds in (("first", 1), ("warm-up", 3), ("warm", 5 if quick else 30)):
            errors = sorted(one.error for one in await run_mix(by, rounds, seed=rounds))
            report.add(
                case=f"{mode}, {phase}",
                operations=len(errors),
                median=errors[len(errors) // 2],
                p90=round(errors[int(len(errors) * 0.9)], 3),
                worst=round(errors[-1], 3),
                within_a_fifth=round(sum(error <= 0.2 for error in errors) / len(errors), 3),
            )
    return report


async def _long_lists(quick: bool) -> Report:
    """Read the pages of several parents: cut out of whole lists, and parent by parent."""
    report = Report("cost_long_lists", f"pages of long lists, from a sandbox of scale {SCALE}")
    settings = Settings(cache_dir=None, language=None, sandbox=SandboxOptions(scale=SCALE))
    async with open_gateway(settings, observe=lambda _: None) as gateway:
        ways = {
            "cut out of whole lists": engine(gateway, long_list_rows=1_000_000),
            "parent by parent": engine(gateway),
        }

        def reading(by: Engine) -> Callable[[], Awaitable[Answer]]:
            return lambda: by.execute(GraphQLRequest(query=GROUPS))

        # The first read shows how long the lists are.
        for by in ways.values():
            await reading(by)()
        answers = {way: await reading(by)() for way, by in ways.items()}
        times = await in_turn({w: reading(by) for w, by in ways.items()}, 5 if quick else 20)
        floor = times["cut out of whole lists"]
        for way, answer in answers.items():
            ratio = times[way].over(floor)
            report.add(
                case=way,
                requests=len(answer.requests),
                rows=answer.rows,
                ratio=round(ratio.median, 3),
                spread=percent(ratio.spread),
            )
    return report
