"""Introspection and SDL of the whole catalogue: each written by a process of its own, as a gateway has it written.

``seconds`` go from the start of that process to its end.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import brotli
from graphql import build_schema

from gateway.introspection.writer_process import IntrospectionWorker
from gateway.process.lean_imports import module_command
from gateway.storage.response_artifacts import Artifact, ArtifactStore
from tests.bench import whole
from tests.bench.measure import Report
from tests.bench.processes import PROGRAM, ROOT, environment
from tests.support.introspections import EVERYTHING, introspection_selection

MEBI = 2**20
WATCH = """
import json, resource, subprocess, sys, time

def held(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return own + sum(map(held, children.read().split()))
    except (OSError, StopIteration):
        return 0

start, peak = time.perf_counter(), 0
program = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
while program.poll() is None:
    peak = max(peak, held(program.pid))
    time.sleep(0.05)
seconds = time.perf_counter() - start
if program.returncode:
    sys.exit(program.returncode)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, (peak or used.ru_maxrss) / 1024]))
"""
"""A small program between: a process counts the memory of the one that it was forked from as its own."""


class Used(NamedTuple):
    """What a program took."""

    seconds: float
    cpu_s: float
    peak_mib: float


async def introspection(quick: bool) -> list[Report]:
    """Write the answer to graphql-js' query with all its options, and the SDL."""
    report = Report("introspection", "whole catalogue: introspection with all options, SDL")
    rounds = 1 if quick else 3
    for what, read_only in (("reads", True), ("reads and writes", False)):
        with tempfile.TemporaryDirectory() as folder:
            await _add(report, what, read_only, Path(folder), rounds)
    if not quick:
        await asyncio.to_thread(_add_sdl, report)
    return [report]


async def _add(report: Report, what: str, read_only: bool, folder: Path, rounds: int) -> None:
    settings = whole.settings(read_only=read_only)
    document, _ = await whole.known(settings)
    asked = introspection_selection(build_schema("type Query { any: Int }"), EVERYTHING)
    path = folder / "answer"
    task = IntrospectionWorker(settings, document.digest, {}).task(asked, path)
    program = module_command("gateway.introspection.writer_process")
    taken = [await asyncio.to_thread(_run, program, task) for _ in range(rounds)]
    used = sorted(taken)[len(taken) // 2]
    text = b"".join((await _opened(path)).pieces())
    report.add(
        what=f"introspection, {what}",
        seconds=round(used.seconds, 2),
        cpu_s=round(used.cpu_s, 2),
        peak_mib=round(used.peak_mib),
        json_mib=round(len(text) / MEBI, 1),
        zstd_mib=round(path.stat().st_size / MEBI, 2),
        **({} if rounds == 1 else _otherwise(text)),
    )


def _otherwise(text: bytes) -> dict[str, float]:
    """Return the sizes in other codings, which take longer to write than the answer itself."""
    return {
        "gzip_mib": round(len(gzip.compress(text, 6)) / MEBI, 2),
        "br_mib": round(len(brotli.compress(text, quality=5)) / MEBI, 2),
    }


async def _opened(path: Path) -> Artifact:
    """Read the artefact as a gateway does that finds it."""

    async def is_there(wanted: Path) -> bool:
        await asyncio.to_thread(wanted.parent.mkdir, exist_ok=True)
        await asyncio.to_thread(os.link, path, wanted)
        return True

    return await ArtifactStore(path.parent / "kept").get(
        "k", list, "identity", in_subprocess=is_there
    )


def _add_sdl(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = environment(D365_METADATA=str(whole.source()), D365_CACHE_DIR=folder)
        stats = (PROGRAM, "schema", "print")
        _run(stats, env=env)  # makes the snapshot
        used = _run(stats, env=env)
    report.notes.append(
        f"schema print, reads and writes: {used.cpu_s:.2f} s of CPU, {used.peak_mib:.0f} MiB"
    )


def _run(
    module_command: tuple[str, ...], given: bytes = b"", env: dict[str, str] | None = None
) -> Used:
    """Run a program to its end, and tell what it took."""
    completed = subprocess.run(
        (sys.executable, "-S", "-c", WATCH, *module_command),
        input=given,
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.PIPE,
    )
    return Used(*json.loads(completed.stdout))
