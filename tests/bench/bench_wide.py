"""Wide answers: a long list that is sent while it is read, beside the same one sent whole, as HTTP/1.0 requires."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from tests.bench.measure import GC_FROZEN, Report, Sample, cpu_of, memory, ms, peak_memory
from tests.bench.processes import Program, environment, gateway, running
from tests.bench.streamed_upstream import FIELDS
from tests.bench.workload import wide_query

ROWS = 10_000
UPSTREAM = str(Path(__file__).with_name("streamed_upstream.py"))
PACES = {"at once": (2_000, 0.0), "in a second": (100, 0.01)}
"""Pace → rows of a piece, and seconds behind each."""
STREAMED, WHOLE = "streamed", "whole"
VERSIONS = {STREAMED: "1.1", WHOLE: "1.0"}


@dataclass(frozen=True, slots=True)
class _Heard:
    """One answer: seconds from the upstream's first rows to its first byte, and to its end; bytes; CPU."""

    first: float
    last: float
    size: int
    cpu: float


async def wide(quick: bool) -> list[Report]:
    """Measure first bytes, CPU and memory of 10,000 rows x 50; a process of the gateway for each line."""
    report = Report("wide", f"{ROWS:,} rows x {FIELDS}, one client, {GC_FROZEN}")
    for pace, (piece, pause) in PACES.items():
        command = [sys.executable, UPSTREAM, str(ROWS), str(piece), str(pause)]
        with running(command, environment()) as upstream:
            settings = {
                "D365_URL": f"http://127.0.0.1:{upstream.line_with('')}/data",
                "D365_AUTH": "none",
                "D365_DIALECT": "finops",
                "D365_MAX_PAGE_SIZE": str(ROWS),
            }
            for way, version in VERSIONS.items():
                with gateway(**settings) as (program, address):
                    heard = [
                        await _asked(program, upstream, address, version)
                        for _ in range(4 if quick else 10)
                    ]
                    _add(report, pace, way, heard, program)
    report.notes += [
        "first_ms, last_ms: the client's first and last byte, since the upstream's first rows left it.",
        "more_mib: peak memory of the process above what it takes at rest afterwards.",
    ]
    return [report]


def _add(report: Report, pace: str, way: str, heard: list[_Heard], program: Program) -> None:
    measured = heard[1:]
    report.add(
        upstream=pace,
        way=way,
        first_ms=ms(Sample(tuple(one.first for one in measured)).median),
        last_ms=ms(Sample(tuple(one.last for one in measured)).median),
        cpu_ms=ms(Sample(tuple(one.cpu for one in measured)).median),
        mb=round(heard[0].size / 1e6, 1),
        more_mib=round(peak_memory(program.server_pid) - memory(program.server_pid), 1),
        rest_mib=round(memory(program.server_pid), 1),
    )


async def _asked(program: Program, upstream: Program, address: str, version: str) -> _Heard:
    """Send the operation, and listen. Raises RuntimeError for another answer than all rows."""
    parts = urlsplit(address)
    body = orjson.dumps({"query": wide_query(FIELDS, ROWS)})
    head = (
        f"POST {parts.path} HTTP/{version}\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    before = cpu_of(program.server_pid)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    begun, size = 0.0, 0
    while piece := await reader.read(1 << 20):
        begun = begun or time.monotonic()
        size += len(piece)
    ended = time.monotonic()
    writer.close()
    if b" 200 " not in answer or size < ROWS * FIELDS:
        raise RuntimeError(f"{answer!r}: {size} bytes")
    left = float((await asyncio.to_thread(upstream.line_with, "first")).split()[1])
    return _Heard(begun - left, ended - left, size, cpu_of(program.server_pid) - before)
