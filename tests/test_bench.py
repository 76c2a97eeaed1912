"""The instruments of ``make bench``: figures are read, judged and written rightly, however large they are."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from gateway.request import GraphQLRequest
from tests.bench import mesh
from tests.bench.bars import BARS
from tests.bench.bench_counts import OPERATIONS, counts
from tests.bench.bench_growth import SERIES, grown, preparing
from tests.bench.bench_layers import PLACES, clocked
from tests.bench.bench_loaders import loading
from tests.bench.flame_graph import svg, tree
from tests.bench.layer_clock import LayerClock
from tests.bench.load import LARGE, by_client, by_wrk, generator, load, read_wrk
from tests.bench.machine import described, machine
from tests.bench.measure import (
    Report,
    Sample,
    cpu_of,
    family,
    line,
    memory,
    peak_memory,
    show,
    slope,
)
from tests.bench.repetition import Interval, alternating, in_fresh_processes
from tests.bench.run import BENCHMARKS, ROOT, benchmark
from tests.bench.serving import ONE, WHOLE, floor, queries, serving
from tests.bench.stock_strawberry import schema
from tests.bench.verdicts import Bar, judged, show_bars
from tests.bench.workload import Service, engine_over
from tests.support.sockets import Connection, answering, closing, listening, ok
from tests.support.trace_collector import collecting

RUN = str(Path(__file__).with_name("bench") / "run.py")


def report(**columns: object) -> Report:
    made = Report("http", "a title")
    made.add(case="one", **columns)
    return made


def bar(limit: float = 2.0, *, at_least: bool = False, **rows: object) -> Bar:
    return Bar("topic", "what", limit, "ms", "http", "cpu_ms", rows, at_least=at_least)


# Flame graphs


def test_a_flame_graph_joins_calls_and_leaves_out_the_rest() -> None:
    folded = [
        "<module> (a.py:1);run (loop.py:2);send (gateway/b.py:10);write (c.py:1) 30",
        "<module> (a.py:1);run (loop.py:2);send (gateway/b.py:12) 60",
        "<module> (a.py:1);run (loop.py:2);rare<T> (d.py:9) 1000",
        "<module> (a.py:1);run (loop.py:2);once (e.py:9) 1",
        "_bootstrap (t.py:1);run (loop.py:2);send (gateway/b.py:12) 500",
        "<module> (a.py:1);start (a.py:2) 500",
    ]

    frame = tree(folded, "run")
    drawn = svg(frame, "a title")

    send = frame.callees["send (gateway/b.py)"]
    assert (frame.samples, send.samples) == (1_091, 90)
    assert send.callees["write (c.py)"].samples == 30
    assert "rare&lt;T&gt; (d.py): 91.7%" in drawn
    assert "once" not in drawn
    assert drawn.index("rare") < drawn.index("send")


# Samples


def test_a_sample_knows_its_median_quartiles_and_spread() -> None:
    sample = Sample(tuple(float(n) for n in range(1, 102)))

    assert sample.median == 51
    assert sample.quartiles == (26, 76)
    assert sample.spread == pytest.approx(25.5 / 51)
    assert sample.at(0.99) == 100


def test_ratios_are_taken_round_by_round() -> None:
    ratios = Sample((2.0, 8.0, 3.0)).over(Sample((1.0, 2.0, 1.0)))

    assert ratios.values == (2.0, 4.0, 3.0)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([3.0, 1.0, 2.0], Interval(2, 1, 3)),
        ([5.0, 1.0, 4.0, 2.0, 3.0], Interval(3, 1, 5)),
        ([float(n) for n in range(1, 12)], Interval(6, 3, 9)),
    ],
    ids=["3 samples", "5 samples", "11 samples"],
)
def test_an_interval_holds_the_median(samples: list[float], expected: Interval) -> None:
    assert Interval.of(samples) == expected


def test_the_resolution_is_the_width_of_the_interval() -> None:
    assert Interval(2.0, 1.9, 2.1).resolution == pytest.approx(0.1)


@pytest.mark.anyio
async def test_variants_alternate_in_turning_order() -> None:
    ran: list[str] = []
    variants = {name: partial(ran.append, name) for name in "ab"}

    times = await alternating(variants, 2, warm=1)

    assert "".join(ran) == "baabba"
    assert times.keys() == {"a", "b"}


@pytest.mark.anyio
async def test_each_repetition_is_a_process_of_its_own() -> None:
    target = "tests.support.own_process:own_process"

    found = await in_fresh_processes(target, [7], 2)

    assert [number for number, _ in found] == [7, 7]
    assert len({os.getpid(), *(pid for _, pid in found)}) == 3


@pytest.mark.parametrize("power", [0, 1, 2])
def test_a_slope_is_the_exponent_of_growth(power: int) -> None:
    sizes = (10, 100, 1_000)

    assert slope(sizes, [3.0 * n**power for n in sizes]) == pytest.approx(power)


def test_a_straight_line_is_found() -> None:
    sizes = (1, 10, 100)

    assert line(sizes, [5.0 + 2 * n for n in sizes]) == pytest.approx((5, 2))


def test_a_curve_has_its_exponent_at_the_end_too() -> None:
    found = grown((1, 10, 100), [0.001, 0.001, 0.01])

    assert (found["last"], found["sizes"], found["ms"]) == (1.0, "1 → 10 → 100", "1 → 1 → 10")
    assert found["slope"] == 0.5


def test_every_new_document_of_the_curves_is_new() -> None:
    engine = engine_over(Service())
    for series in SERIES:
        prepare = preparing(engine, series.query(series.sizes[0]))
        prepare()
        known = len(engine._prepared._compiled)
        prepare()
        assert len(engine._prepared._compiled) == known + 1


def test_a_process_is_looked_at_by_its_id() -> None:
    assert cpu_of(os.getpid()) > 0
    assert family(os.getpid())[0] == os.getpid()
    assert 0 < memory(os.getpid()) <= peak_memory(os.getpid())


# Bars


@pytest.mark.parametrize(
    ("measured", "at_least", "met"),
    [
        (1.9, False, True),
        (2.0, False, True),
        (2.1, False, False),
        (1.9, True, False),
        (3, True, True),
    ],
)
def test_a_bar_is_met_or_missed(measured: float, at_least: bool, met: bool) -> None:
    (verdict,) = judged([bar(at_least=at_least)], [report(cpu_ms=measured, spread="±3%")])

    assert verdict.met is met
    assert (verdict.measured, verdict.spread) == (measured, "±3%")


def test_of_several_rows_the_worst_counts() -> None:
    both = report(cpu_ms=1.0)
    both.add(case="two", cpu_ms=5.0)

    assert judged([bar()], [both])[0].measured == 5.0
    assert judged([bar(case="one")], [both])[0].measured == 1.0
    assert judged([bar(at_least=True)], [both])[0].measured == 1.0


def test_a_row_may_be_named_by_a_word_in_it() -> None:
    both = report(cpu_ms=1.0)
    both.add(case="one and two", cpu_ms=5.0)

    assert judged([bar(case=re.compile(r"\btwo\b"))], [both])[0].measured == 5.0
    assert judged([bar(case=re.compile("three"))], [both])[0].measured is None


def test_a_part_is_not_judged_as_the_whole() -> None:
    (whole,) = (b for b in BARS if b.report == "touch")
    found = Report("touch", "")
    found.add(sets=430, peak_mib=180)
    assert judged([whole], [found])[0].met is None

    found.add(sets=3_868, peak_mib=400)
    assert judged([whole], [found])[0].met is False


@pytest.mark.parametrize(
    "found", [[], [Report("http", "")], [report(cpu_ms=None)], [report(other=1)]], ids=range(4)
)
def test_a_figure_that_is_not_there_is_neither_met_nor_missed(found: list[Report]) -> None:
    (verdict,) = judged([bar()], found)

    assert (verdict.measured, verdict.met) == (None, None)


def test_bars_are_printed_with_their_limit_and_verdict() -> None:
    console = Console(file=io.StringIO(), width=200)
    show_bars(judged([bar(1.0), bar(2.0), bar(case="none")], [report(cpu_ms=1.5)]), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]

    assert "≤ 1 ms" in text
    assert "1 met, 1 missed, 1 not measured" in text


def test_every_bar_is_named_once() -> None:
    names = [(b.topic, b.what) for b in BARS]

    assert len(set(names)) == len(names)
    assert all(b.limit >= 0 for b in BARS)


# The whole


def test_a_report_is_printed_with_every_column_and_note() -> None:
    found = report(cpu_ms=1.234)
    found.add(case="two", errors=3)
    found.notes.append("a note")
    console = Console(file=io.StringIO(), width=200)
    show(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]

    assert all(part in text for part in ("case", "cpu_ms", "errors", "1.23", "a note"))
    assert found.failed == 3


def test_the_machine_is_described() -> None:
    found = machine()

    assert found["cores"] >= 1
    assert len(found["load_average"]) == 3
    assert f"msgspec {found['libraries']['msgspec']}" in described(found)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_imported(name: str) -> None:
    assert callable(benchmark(name))


def test_a_quick_run_prints_tables_and_writes_json(tmp_path: Path) -> None:
    written = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, RUN, "--quick", "--json", str(written), "documents"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    body = json.loads(written.read_text())
    assert body["quick"] is True
    assert body["failures"] == {}
    assert body["machine"]["cores"] >= 1
    assert body["benchmarks"]["documents"]["rows"]
    assert len(body["bars"]) > 1
    assert all(bar["met"] in (True, False) for bar in body["bars"])
    assert "measured/bar" in done.stdout


def test_a_name_that_is_no_benchmark_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, RUN, "speed"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "unknown: speed" in done.stderr


# Load


GOOD, SHORT = ok(b"x" * 1_000), ok(b"x" * 10)
REFUSED = GOOD.replace(b"200 OK", b"500 Internal Server Error")


@pytest.mark.anyio
async def test_each_connection_sends_at_least_once_and_waits_for_its_answer() -> None:
    async with listening(answering(GOOD)) as server:
        loaded = await load(server.url(), b"{}", 5, 0, 1_000)

    assert (loaded.requests, loaded.errors) == (5, 0)
    assert 0 < loaded.p50 <= loaded.p95 <= loaded.p99 <= loaded.slowest <= loaded.seconds


@pytest.mark.anyio
@pytest.mark.parametrize(
    "bad", [SHORT, REFUSED, b"", GOOD[:-1]], ids=["short", "500", "closed", "cut"]
)
async def test_the_client_counts_what_is_not_the_right_answer(bad: bytes) -> None:
    async with listening(closing(bad)) as server:
        loaded = await load(server.url(), b"{}", 1, 0, 1_000)

    assert (loaded.requests, loaded.errors) == (0, 1)


@pytest.mark.anyio
async def test_the_client_runs_as_a_process_of_its_own() -> None:
    async with listening(answering(GOOD)) as server:
        found = await asyncio.to_thread(by_client, server.url(), b"{}", 3, 0, 1_000)

    assert (found.requests, found.errors) == (3, 0)
    assert found.cpu > 0


@pytest.mark.heavy
@pytest.mark.anyio
@pytest.mark.skipif(shutil.which("wrk") is None, reason="apt-get install wrk")
@pytest.mark.parametrize(
    ("answer", "sound"),
    [(GOOD, True), (SHORT, False), (REFUSED, False)],
    ids=["good", "short", "500"],
)
async def test_wrk_tells_requests_and_errors(answer: bytes, sound: bool) -> None:
    async def handle(connection: Connection) -> None:
        while await connection.request():
            # As fast as it can, a server that says nothing more takes all of a core.
            await asyncio.sleep(0.02)
            await connection.say(answer)

    async with listening(handle) as server:
        found = await asyncio.to_thread(by_wrk, server.url(), b"{}", 2, 1, 1_000)

    assert (found.errors == 0) is sound
    assert found.requests > 0 or not sound


@pytest.mark.parametrize(
    ("line", "requests", "errors"),
    [
        ("FOUND 10 12000 0 1000000 1 2 3 4 5 6", 10, 0),
        ("FOUND 10 9000 0 1000000 1 2 3 4 5 6", 9, 1),
        ("FOUND 10 99000 0 1000000 1 2 3 4 5 6", 9, 1),
        ("FOUND 10 12000 4 1000000 1 2 3 4 5 6", 6, 4),
        ("FOUND 0 0 1 1000000 0 0 0 0 0 0", 0, 1),
    ],
)
def test_what_wrk_prints_is_read(line: str, requests: int, errors: int) -> None:
    found = read_wrk(f"Running 1s test\n{line}\n", 0.5, 2, 1_000)

    assert (found.requests, found.errors, found.seconds, found.cpu) == (requests, errors, 1.0, 0.5)


def test_wrk_that_prints_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="unable to connect"):
        read_wrk("unable to connect", 0.0, 1, 1)


@pytest.mark.parametrize(("wrk", "used"), [("/usr/bin/wrk", "wrk"), (None, "client")])
def test_wrk_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, wrk: str | None, used: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: wrk)

    assert generator() == used
    assert generator(LARGE) == "client"


# What is measured


@pytest.mark.heavy
def test_the_peer_gives_the_gateways_answer() -> None:
    for name, query in queries().items():
        if name != WHOLE:
            theirs = schema().execute_sync(query)
            ours = asyncio.run(engine_over(Service()).execute(GraphQLRequest(query=query)))
            assert theirs.errors is None
            assert json.loads(json.dumps(theirs.data, default=str)) == ours.to_builtins()["data"]


@pytest.mark.anyio
async def test_the_gateway_is_loaded_before_an_upstream_that_replays() -> None:
    async with serving(ONE) as opened:
        case = opened.cases[ONE]
        body = json.dumps({"query": case.query}).encode()
        run = await asyncio.to_thread(by_client, opened.address, body, 3, 0, case.length)
        used = opened.cpu()

        with floor(opened) as theirs:
            length = theirs.cases[ONE].length
            other = await asyncio.to_thread(by_client, theirs.address, body, 3, 0, length)

    assert (run.requests, run.errors, case.leaves) == (3, 0, 10)
    assert (other.requests, other.errors) == (3, 0)
    assert used > 0


@pytest.mark.heavy
def test_requests_of_an_operation_are_counted_both_ways() -> None:
    (found,) = asyncio.run(counts(True))

    (lines,) = found.find(operation="50 orders, their lines")
    assert lines["requests"] == 1
    assert lines["requests_by_keys"] > 1
    assert found.find(operation="a list of no rows")[0]["requests"] == 0
    assert [row["operation"] for row in found.rows] == list(OPERATIONS)


@pytest.mark.anyio
async def test_keys_are_loaded_over_rows_that_were_read_before() -> None:
    one = loading(100, 2_000)
    await one.run()
    sent = one.replay.requests
    await one.run()
    one.print()

    assert one.replay.requests == sent > 1


@pytest.mark.anyio
async def test_the_layers_of_a_request_add_up() -> None:
    report = Report("layers", "a title")
    with collecting() as collector:
        await clocked(report, ONE, collector.endpoint, rounds=1)

    whole = report.find(layer="all")[0]
    layers = [row for row in report.rows if row is not whole]
    assert {row["layer"] for row in layers} >= {layer for _, _, layer in PLACES}
    assert all(row["self_us"] > 0 for row in layers)
    assert sum(row["self_us"] for row in layers) == pytest.approx(whole["self_us"], abs=2)


def test_a_clock_gives_each_layer_its_own_time() -> None:
    clock = LayerClock("outside")
    inner = clock.clocked("inner", lambda: sum(range(200_000)))
    outer = clock.clocked("outer", inner)

    clock.start()
    outer()
    spent = clock.stop()

    assert spent["inner"] > 10 * spent["outer"]
    assert spent.keys() == {"outside", "outer", "inner"}


def test_mesh_is_left_out_without_its_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mesh, "FOLDER", tmp_path)

    assert "packages" in (mesh.missing() or "") or shutil.which("node") is None
    assert mesh.targets()[0].startswith("/data/Orders?$top=1&$select=dataAreaId,")
