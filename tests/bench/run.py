"""``make bench``: what the gateway costs, as ratios of one run. ``run.py [--quick] [--json FILE] [NAME…]``.

Nothing here fails because it is slow: figures are printed beside what was promised, and written as JSON for
comparison. It does fail (exit code 1) where a request failed or a benchmark could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import uvloop
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # In the place of this folder, which the interpreter puts there: its modules are ``tests.bench.…``.
    sys.path[0] = str(ROOT)

from tests.bench.bars import BARS  # noqa: E402
from tests.bench.machine import described, load_average, machine  # noqa: E402
from tests.bench.measure import Report, show  # noqa: E402
from tests.bench.verdicts import judged, show_bars  # noqa: E402

Benchmark = Callable[[bool], Coroutine[Any, Any, list[Report]]]

BENCHMARKS = {
    "http": "bench_http:over_http",
    "load": "bench_load:under_load",
    "workers": "bench_workers:workers",
    "memory": "bench_memory:memory_of_many",
    "waiting": "bench_memory:waiting",
    "wide": "bench_wide:wide",
    "peers": "bench_peers:peers",
    "layers": "bench_layers:layers",
    "flames": "bench_flames:flames",
    "counts": "bench_counts:counts",
    "upstream": "bench_upstream:upstream",
    "execute": "bench_execute:execute",
    "unified": "bench_unified:unified",
    "loaders": "bench_loaders:loaders",
    "deep": "bench_deep:deep",
    "documents": "bench_documents:documents",
    "identity": "bench_identity:identity",
    "on_behalf": "bench_on_behalf:on_behalf",
    "cache": "bench_cache:cache",
    "cost": "bench_cost:cost",
    "telemetry": "bench_telemetry:telemetry",
    "size": "bench_size:size",
    "overload": "bench_overload:overload",
    "replicas": "bench_replicas:replicas",
    "policy": "bench_policy:policy",
    "export": "bench_export:export",
    "environments": "bench_environments:environments",
    "start": "bench_start:start",
    "touch": "bench_touch:touch",
    "introspection": "bench_introspection:introspection",
    "growth": "bench_growth:growth",
    "crowds": "bench_crowds:crowds",
    "catalogues": "bench_catalogues:catalogues",
}
"""Name → module and function; each is imported when it is run."""


BUSY = 0.5
"""Load average a core from which a run begins with a warning."""
NOT_QUICK = frozenset({"http"})
"""Only run quickly when named: none of the bars is theirs."""
NAMED = frozenset({"flames"})
"""Only run when named: they draw pictures, with a program of their own."""


def benchmark(name: str) -> Benchmark:
    module, _, function = BENCHMARKS[name].partition(":")
    return cast("Benchmark", getattr(import_module(f"tests.bench.{module}"), function))


def cpu_seconds() -> float:
    """Return the seconds of CPU of this process and of all that it started and that have ended."""
    return sum(os.times()[:4])


def run(names: Sequence[str], *, quick: bool, console: Console) -> tuple[dict[str, Any], bool]:
    """Run benchmarks and print what they find; gives everything as JSON, and whether nothing failed."""
    found: dict[str, Any] = {"machine": machine(), "quick": quick}
    console.print(f"{described(found['machine'])}\n", soft_wrap=True)
    if (busy := found["machine"]["load_average"][0]) > BUSY * found["machine"]["cores"]:
        console.print(f"Load average {busy}: others use this machine. Look at ratios only.\n")
    started = time.perf_counter()
    reports: list[Report] = []
    failures: dict[str, str] = {}
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for name in names:
        began, used = time.perf_counter(), cpu_seconds()
        try:
            made = uvloop.run(benchmark(name)(quick))
        except Exception as error:
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}"
            continue
        finally:
            seconds[name] = round(time.perf_counter() - began, 1)
            cpu[name] = round(cpu_seconds() - used, 1)
        for report in made:
            show(report, console)
        failures.update((r.name, f"{r.failed} requests failed") for r in made if r.failed)
        reports += made
    # Of a part of the benchmarks only its own bars are of interest.
    whole = BENCHMARKS.keys() - NOT_QUICK - NAMED <= set(names)
    chosen = [b for b in BARS if whole or b.report in {report.name for report in reports}]
    verdicts = judged(chosen, reports)
    if verdicts:
        show_bars(verdicts, console)
    found["benchmarks"] = {report.name: report.to_json() for report in reports}
    found["bars"] = [verdict.to_json() for verdict in verdicts]
    found["failures"] = failures
    found["seconds"] = {**seconds, "all": round(time.perf_counter() - started, 1)}
    found["cpu_seconds"] = {**cpu, "all": round(cpu_seconds(), 1)}
    found["load_average_after"] = load_average()
    console.print(
        f"{found['seconds']['all']} s, {found['cpu_seconds']['all']} of CPU; "
        f"load average now {found['load_average_after'][0]}"
    )
    for name, why in failures.items():
        console.print(f"FAILED {name}: {why}", markup=False)
    return found, not failures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Benchmarks of the gateway.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: two minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    given = parser.parse_args(arguments)
    unknown = set(given.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    console = Console(highlight=False, width=max(170, Console().width))
    left_out = NAMED | NOT_QUICK if given.quick else NAMED
    names = given.names or [name for name in BENCHMARKS if name not in left_out]
    found, sound = run(names, quick=given.quick, console=console)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
