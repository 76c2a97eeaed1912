"""A whole list as a file: what a row costs the gateway, its memory, and its pace beside that of the service alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.bench.measure import PLAIN as HEADERS
from tests.bench.measure import Report, cpu_of, family, forget_peak, peak_memory
from tests.bench.processes import environment, gateway, running
from tests.bench.workload import PLAIN

UPSTREAM = str(Path(__file__).with_name("paged_upstream.py"))
PAGE = 1_000
SAMPLED = 8
"""Pieces between two looks at the memory."""
FORMATS = ("ndjson", "csv", "parquet")


async def export(quick: bool) -> list[Report]:
    """Export all orders, 20 values each, in each format, after reading the same pages without a gateway."""
    rows = 100_000 if quick else 1_000_000
    report = Report("export", f"{rows:,} rows of 20 values, pages of {PAGE:,}, one worker")
    with running([sys.executable, UPSTREAM, str(rows)], environment()) as upstream:
        root = f"http://127.0.0.1:{upstream.line_with('')}/data"
        alone = _read_alone(root, rows)
        settings = {"D365_URL": root, "D365_AUTH": "none", "D365_MAX_PAGE_SIZE": str(PAGE)}
        with gateway(**settings) as (program, address):
            base = address.removesuffix("/graphql")
            fields = quote(",".join(column.graphql for column in PLAIN))
            for form in FORMATS:
                pid = program.server_pid
                url = f"{base}/export/Orders?fields={fields}&format={form}"
                forget_peak(pid)
                before = sum(map(cpu_of, family(program.pid)))
                started = time.perf_counter()
                early, size, failed = _download(url, pid)
                seconds = time.perf_counter() - started
                cpu = sum(map(cpu_of, family(program.pid))) - before
                report.add(
                    format=form,
                    errors=failed,
                    mib=round(size / 2**20, 1),
                    us_per_row=round(cpu / rows * 1e6, 2),
                    rows_per_s=round(rows / seconds),
                    of_service=round(alone / seconds, 2),
                    peak=round(peak_memory(pid), 1),
                    growth=round(peak_memory(pid) / early, 3),
                )
    report.notes += [
        f"service alone: {rows / alone:,.0f} rows/s, page after page; of_service: the export's pace to that.",
        "us_per_row: CPU of the gateway; peak: its resident memory in MiB; growth: to a quarter of the file.",
    ]
    return [report]


def _read_alone(root: str, rows: int) -> float:
    """Read all pages from the service, and return the seconds."""
    started = time.perf_counter()
    with httpx.Client(timeout=60, headers=HEADERS) as client:
        for last in range(-1, rows - 1, PAGE):
            after = f"&$filter=OrderNumber gt 'SO-{last:06}'" if last >= 0 else ""
            client.get(f"{root}/Orders?$top={PAGE + 1}{after}").raise_for_status()
    return time.perf_counter() - started


def _download(url: str, pid: int) -> tuple[float, int, int]:
    """Read a file; return the peak of memory after a quarter of it, its bytes, and 1 if it is not complete."""
    peaks: list[tuple[int, float]] = []
    size = failed = 0
    try:
        with httpx.stream("GET", url, headers=HEADERS, timeout=60) as response:
            response.raise_for_status()
            for number, piece in enumerate(response.iter_raw()):
                size += len(piece)
                if number % SAMPLED == 0:
                    peaks.append((size, peak_memory(pid)))
    except httpx.HTTPError:
        failed = 1
    early = next((peak for read, peak in peaks if read >= size / 4), None)
    return early or peak_memory(pid), size, failed
