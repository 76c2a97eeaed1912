"""A whole list as a file: what a row costs the gateway, its memory, and its pace beside that of the service alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.bench.measure import PLAIN as HEADERS
from tests.bench.measure import Report, cpu_of, memory, peak_memory
from tests.bench.processes import PROGRAM, Program, environment, gateway, running
from tests.bench.workload import PLAIN

UPSTREAM = str(Path(__file__).with_name("paged_upstream.py"))
PAGE = 1_000
SAMPLED = 8
"""Pieces between two looks at the memory."""
FORMATS = ("ndjson", "csv", "parquet", "arrow")
FEW, MANY = 100_000, 1_000_000
"""Rows."""
PACE = 20_000
"""Rows a second of a service that takes its time: 50 ms for a page."""
PACED_ROWS = 100_000


async def export(quick: bool) -> list[Report]:
    """Export all orders, 20 values each, in each format; and again from a service that takes its time."""
    return [
        costs((FEW,) if quick else (FEW, MANY)),
        _pace(PACED_ROWS // 2 if quick else PACED_ROWS),
        _packages(FEW if quick else 3 * FEW),
    ]


def costs(sizes: Sequence[int], formats: Sequence[str] = FORMATS) -> Report:
    """Return what the rows of a service cost that answers at once."""
    report = Report(
        "export", f"rows of 20 values, pages of {PAGE:,}, one worker, started for each export"
    )
    few = dict.fromkeys(FORMATS, 0.0)
    for rows, form in product(sizes, formats):
        with _serving(rows) as (root, program, address):
            alone = _read_alone(root, rows)
            pid = program.server_pid
            before, cpu, started = memory(pid), cpu_of(pid), time.perf_counter()
            early, size, failed = _download(address + form, pid)
            seconds, cpu = time.perf_counter() - started, cpu_of(pid) - cpu
            peak = peak_memory(pid)
        few[form] = few[form] or early
        report.add(
            format=form,
            rows=rows,
            errors=failed,
            mib=round(size / 2**20, 1),
            us_per_row=round(cpu / rows * 1e6, 2),
            rows_per_s=round(rows / seconds),
            of_instant=round(alone / seconds, 2),
            before=round(before, 1),
            peak=round(peak, 1),
            growth=round(peak / few[form], 3),
        )
    report.notes += [
        "of_instant: the pace to that of the service alone, which answers at once.",
        "us_per_row: CPU of the gateway; before, peak: its resident memory in MiB;",
        f"growth: of the peak, to that after a quarter of {sizes[0]:,} rows.",
    ]
    return report


def _pace(rows: int) -> Report:
    """Return the pace of exports beside that of the service, page after page."""
    report = Report("export_pace", f"{rows:,} rows of a service with {PACE:,} rows a second")
    with _serving(rows, str(PACE)) as (root, program, address):
        alone = _read_alone(root, rows)
        report.add(format="none: the service alone", errors=0, rows_per_s=round(rows / alone))
        for form in FORMATS:
            started = time.perf_counter()
            _, _, failed = _download(address + form, program.server_pid)
            seconds = time.perf_counter() - started
            report.add(
                format=form,
                errors=failed,
                rows_per_s=round(rows / seconds),
                of_service=round(alone / seconds, 3),
            )
    return report


def _packages(rows: int) -> Report:
    """Return what the rows of a data package cost, which is downloaded and converted by a job."""
    report = Report("export_package", f"{rows:,} rows of 20 values as a data package, by a job")
    settings = {
        "D365_PACKAGES__SETS": '{"Orders": {"project": "Export Orders"}}',
        "D365_PACKAGES__HOSTS": "127.0.0.1",
        "D365_PACKAGES__POLL": "0.1",
    }
    # With the first use of a store, Alembic makes its tables: 15 MiB that no later process needs.
    subprocess.run(
        [PROGRAM, "store", "migrate"], env=environment(), check=True, capture_output=True
    )
    for form in ("ndjson", "parquet"):
        with _serving(rows, **settings) as (_, program, address):
            pid = program.server_pid
            cpu = cpu_of(pid)
            state = _export_job(address, form)
            report.add(
                format=form,
                errors=int(state != "SUCCEEDED"),
                us_per_row=round((cpu_of(pid) - cpu) / rows * 1e6, 2),
                peak=round(peak_memory(pid), 1),
            )
    return report


def _export_job(address: str, form: str) -> str:
    """Export a package by a job, and return the state in which it ends."""
    url = httpx.URL(address)
    request = {
        "set": "Orders",
        "fields": url.params["fields"],
        "format": form,
        "source": "package",
        "companies": "usmf",
    }
    with httpx.Client(base_url=url.copy_with(path="/", query=None), headers=HEADERS) as client:
        path = client.post("/exports", json=request).raise_for_status().headers["location"]
        while (state := client.get(path).json()["state"]) in ("QUEUED", "RUNNING"):
            time.sleep(0.2)
    return str(state)


@contextmanager
def _serving(rows: int, *pace: str, **more: str) -> Iterator[tuple[str, Program, str]]:
    """Run a service and a gateway; gives the root, the gateway, and the address of an export but for its format."""
    with running([sys.executable, UPSTREAM, str(rows), *pace], environment()) as upstream:
        root = f"http://127.0.0.1:{upstream.line_with('')}/data"
        settings = {"D365_URL": root, "D365_AUTH": "none", "D365_MAX_PAGE_SIZE": str(PAGE)}
        with gateway(**settings, **more) as (program, address):
            base = address.removesuffix("/graphql")
            fields = quote(",".join(column.graphql for column in PLAIN))
            yield root, program, f"{base}/export/Orders?fields={fields}&format="


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
