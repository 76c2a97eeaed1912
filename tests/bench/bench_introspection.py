"""Introspection and SDL of the whole catalogue: each written by a process of its own, as a gateway has it written.

``seconds`` are of CPU, the program's start taken off: how long it takes on a machine with nothing else to do.
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

import brotli
from graphql import build_schema

from gateway.artefacts import Artefact, Artefacts
from gateway.telling import Apart
from tests.bench import whole
from tests.bench.bench_growth import FULL
from tests.bench.measure import Report
from tests.bench.processes import PROGRAM, ROOT, environment
from tests.support.introspections import EVERYTHING, asked_of

MEBI = 2**20
START = "import gateway.telling"
WATCH = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""A small program between: a process counts the memory of the one that it was forked from as its own."""


async def introspection(quick: bool) -> list[Report]:
    """Write the answer to graphql-js' query with all its options, and the SDL."""
    report = Report("introspection", "whole catalogue: introspection with all options, SDL")
    if not FULL.is_file():
        report.notes.append(f"skipped: {FULL} is not there.")
        return [report]
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
    asked = asked_of(build_schema("type Query { any: Int }"), EVERYTHING)
    path = folder / "answer"
    task = Apart(settings, document.digest, {}).task(asked, path)
    taken = []
    for _ in range(rounds):
        program = (sys.executable, "-m", "gateway.telling")
        seconds, peak = await asyncio.to_thread(_run, program, task)
        start, _ = await asyncio.to_thread(_run, (sys.executable, "-c", START))
        taken.append((seconds - start, start, peak))
    seconds, start, peak = sorted(taken)[len(taken) // 2]
    text = b"".join((await _opened(path)).pieces())
    report.add(
        what=f"introspection, {what}",
        seconds=round(seconds, 2),
        start_s=round(start, 2),
        peak_mib=round(peak),
        json_mib=round(len(text) / MEBI, 1),
        zstd_mib=round(path.stat().st_size / MEBI, 2),
        **({} if rounds == 1 else _otherwise(text)),
    )


def _otherwise(text: bytes) -> dict[str, float]:
    """Give the sizes in other codings, which take longer to write than the answer itself."""
    return {
        "gzip_mib": round(len(gzip.compress(text, 6)) / MEBI, 2),
        "br_mib": round(len(brotli.compress(text, quality=5)) / MEBI, 2),
    }


async def _opened(path: Path) -> Artefact:
    """Read the artefact as a gateway does that finds it."""

    async def is_there(wanted: Path) -> bool:
        await asyncio.to_thread(wanted.parent.mkdir, exist_ok=True)
        await asyncio.to_thread(os.link, path, wanted)
        return True

    return await Artefacts(path.parent / "kept").get("k", list, "identity", apart=is_there)


def _add_sdl(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = environment(D365_METADATA=str(FULL), D365_CACHE_DIR=folder)
        stats = (PROGRAM, "schema", "print")
        _run(stats, env=env)  # makes the snapshot
        seconds, peak = _run(stats, env=env)
    report.notes.append(f"schema print, reads and writes: {seconds:.2f} s of CPU, {peak:.0f} MiB")


def _run(
    command: tuple[str, ...], given: bytes = b"", env: dict[str, str] | None = None
) -> tuple[float, float]:
    """Run a program to its end: its seconds of CPU, and its peak of memory in MiB."""
    told = subprocess.run(
        (sys.executable, "-S", "-c", WATCH, *command),
        input=given,
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.PIPE,
    )
    seconds, peak = json.loads(told.stdout)
    return seconds, peak / 1024
