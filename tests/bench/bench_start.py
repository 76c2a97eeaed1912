"""From the start of the program to the first answered query, and the most memory it took until then."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from tests.bench import whole
from tests.bench.bench_touch import nothing
from tests.bench.measure import Report, Sample, cpu_of, family, own_memory, peak_memory
from tests.bench.processes import PROGRAM, ROOT, address_of, environment, running

QUERY = {"query": "{ customersV3(first: 5) { nodes { customerAccount organizationName } } }"}
SERVE = (PROGRAM, "serve", "--port", "0")
WORKERS = 3


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
    await _whole_catalogue(report, 1 if quick else 5)
    report.notes.append("cpu: seconds of the serving process, until then; own_mib: not shared.")
    return [report]


async def _whole_catalogue(report: Report, rounds: int) -> None:
    """Measure starts with an empty cache folder, and with the snapshot that the first of them has made."""
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "metadata.xml")
        await asyncio.to_thread(_unpack, document)
        cache = Path(folder, "cache")
        async with nothing() as port:
            settings = {
                "D365_URL": f"http://127.0.0.1:{port}/data",
                "D365_AUTH": "none",
                "D365_METADATA": str(document),
                "D365_CACHE_DIR": str(cache),
                "D365_LOG_LEVEL": "error",
            }

            def cold() -> None:
                shutil.rmtree(cache, ignore_errors=True)

            runs = (("cold: 41 MB read", cold), ("warm: snapshot on disk", None))
            for kind, before in runs:
                times = rounds if before is None else -(-rounds // 2)
                what = f"serve, whole catalogue, {kind}"
                await asyncio.to_thread(_add, report, what, SERVE, times, before, **settings)
            await asyncio.to_thread(_add_workers, report, **settings)


def _unpack(document: Path) -> None:
    document.write_bytes(gzip.decompress(whole.source().read_bytes()))


def _add(
    report: Report,
    what: str,
    command: Sequence[str],
    rounds: int,
    before: Callable[[], None] | None = None,
    **settings: str,
) -> None:
    seconds: list[float] = []
    cpu: list[float] = []
    peaks: list[float] = []
    for _ in range(rounds):
        if before is not None:
            before()
        with running(command, _installed(settings)) as program:
            address = address_of(program, 120)
            answer = _first_answer(address)
            seconds.append(time.perf_counter() - program.started)
            if "errors" in answer:
                report.notes.append(f"{what}: {str(answer)[:200]}")
            cpu.append(cpu_of(program.server_pid))
            peaks.append(peak_memory(program.server_pid))
    report.add(
        what=what,
        seconds=_median(seconds),
        cpu=_median(cpu),
        peak_mib=round(max(peaks)),
        runs=rounds,
    )


def _add_workers(report: Report, **settings: str) -> None:
    """Measure what a worker takes besides what it shares with the others."""
    command = (*SERVE, "--workers", str(WORKERS))
    with running(command, _installed(settings)) as program:
        _first_answer(address_of(program, 120))
        # Below the first process: what forks the workers, and what looks after their shared memory.
        workers: list[int] = []
        own: list[float] = []
        until = time.perf_counter() + 30
        while time.perf_counter() < until:
            time.sleep(1)
            before, workers = own, [pid for pid in family(program.pid) if _is_forked(pid)]
            own = [own_memory(pid) for pid in workers]
            if len(own) == WORKERS == len(before) and max(own) - max(before) < 1:
                break
    if own:
        what = "one of several workers, whole catalogue"
        report.add(what=what, own_mib=round(max(own)), runs=len(own))


def _is_forked(pid: int) -> bool:
    """Return whether a process was forked and then started nothing else: it has its parent's command."""
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return command == Path(f"/proc/{parent}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _installed(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an installed program, whose bytecode is on disk."""
    kept = environment(**settings)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def _first_answer(address: str) -> dict:
    """Ask until somebody listens: the address is printed just before."""
    until = time.perf_counter() + 30
    while True:
        try:
            return httpx.post(address, json=QUERY, timeout=30).json()
        except httpx.TransportError:
            if time.perf_counter() > until:
                raise
            time.sleep(0.002)


def _imports() -> float:
    started = time.perf_counter()
    command = [sys.executable, "-c", "import gateway.app"]
    subprocess.run(command, check=True, cwd=ROOT, env=_installed({}))
    return time.perf_counter() - started


def _is_set_up() -> bool:
    """Return whether ``make serve`` would only start: it must not install anything here."""
    completed = subprocess.run(
        ["make", "-n", "serve"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    return completed.returncode == 0 and not re.search(
        r"pip install|npm ci|build\.mjs", completed.stdout
    )


def _median(values: list[float]) -> float:
    return round(Sample(tuple(values)).median, 3)
