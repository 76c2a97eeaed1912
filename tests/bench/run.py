"""``make bench``: what the gateway costs, as ratios of one run. ``run.py [--quick] [--json FILE] [NAME…]``.

Nothing here fails because it is slow; figures are printed, and written as JSON for comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
# In the place of this folder, which the interpreter puts there: its modules are ``tests.bench.…``.
sys.path[0] = str(ROOT)

from tests.bench.bench_documents import documents  # noqa: E402
from tests.bench.bench_execute import execute  # noqa: E402
from tests.bench.bench_growth import catalogues, growth  # noqa: E402
from tests.bench.bench_http import over_http  # noqa: E402
from tests.bench.bench_start import start  # noqa: E402
from tests.bench.measure import Report, machine, show  # noqa: E402

BENCHMARKS: dict[str, Callable[[bool], Awaitable[list[Report]]]] = {
    "http": over_http,
    "execute": execute,
    "documents": documents,
    "start": start,
    "growth": growth,
    "catalogues": catalogues,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmarks of the gateway.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: two minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    given = parser.parse_args()
    unknown = set(given.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    console = Console(highlight=False, width=max(150, Console().width))
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    found: dict[str, Any] = {"machine": machine(), "quick": given.quick, "benchmarks": {}}
    console.print(f"{found['machine']}\n", soft_wrap=True)
    started = time.perf_counter()
    for name in given.names or BENCHMARKS:
        for report in asyncio.run(BENCHMARKS[name](given.quick)):
            found["benchmarks"][report.name] = report.to_json()
            show(report, console)
    found["seconds"] = round(time.perf_counter() - started, 1)
    found["load_average_after"] = [round(v, 2) for v in os.getloadavg()]
    console.print(f"{found['seconds']} s; load average now {found['load_average_after'][0]}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
