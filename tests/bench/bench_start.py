"""From the start of the program to the first answered query, and the most memory it took until then."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence

import httpx

from tests.bench.bench_growth import FULL
from tests.bench.measure import Report, Sample, peak_memory
from tests.bench.processes import PROGRAM, ROOT, address_of, environment, running

QUERY = {"query": "{ customersV3(first: 5) { nodes { customerAccount organizationName } } }"}
SERVE = (PROGRAM, "serve", "--port", "0")


async def start(quick: bool) -> list[Report]:
    """Measure starts of the whole process, one after another."""
    report = Report("start", "process start → first query answered over HTTP")
    rounds = 1 if quick else 5
    imports = [_imports() for _ in range(rounds)]
    report.add(what="interpreter and imports alone", seconds=_median(imports), runs=rounds)
    _add(report, "serve, sandbox", SERVE, rounds)
    if _is_set_up():
        _add(report, "make serve, sandbox, all installed", ("make", "serve", "ARGS=--port 0"), 1)
    else:
        report.notes.append("make serve: skipped, something is not installed or out of date.")
    if quick:
        report.notes.append("41 MB document: skipped, quick.")
    elif FULL.is_file():
        what = "serve, 41 MB document (cold), sandbox behind it"
        _add(report, what, SERVE, 1, D365_METADATA=str(FULL), D365_LOG_LEVEL="error")
    else:
        report.notes.append(f"41 MB document: skipped, {FULL} is not there.")
    return [report]


def _add(report: Report, what: str, command: Sequence[str], rounds: int, **settings: str) -> None:
    seconds: list[float] = []
    peaks: list[float] = []
    for _ in range(rounds):
        with running(command, environment(**settings)) as program:
            address = address_of(program, 120)
            answer = _first_answer(address)
            seconds.append(time.perf_counter() - program.started)
            if "errors" in answer or not answer["data"]["customersV3"]["nodes"]:
                report.notes.append(f"{what}: {str(answer)[:200]}")
            peaks.append(peak_memory(program.server_pid))
    report.add(what=what, seconds=_median(seconds), peak_mib=round(max(peaks)), runs=rounds)


def _first_answer(address: str) -> dict:  # type: ignore[type-arg]
    """Ask until somebody listens: the address is printed just before."""
    until = time.perf_counter() + 30
    while True:
        try:
            return httpx.post(address, json=QUERY, timeout=30).json()  # type: ignore[no-any-return]
        except httpx.TransportError:
            if time.perf_counter() > until:
                raise
            time.sleep(0.002)


def _imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gateway.app"], check=True, cwd=ROOT)
    return time.perf_counter() - started


def _is_set_up() -> bool:
    """Whether ``make serve`` would only start: it must not install anything here."""
    told = subprocess.run(
        ["make", "-n", "serve"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    return told.returncode == 0 and not re.search(r"pip install|npm ci|build\.mjs", told.stdout)


def _median(values: list[float]) -> float:
    return round(Sample(tuple(values)).median, 3)
