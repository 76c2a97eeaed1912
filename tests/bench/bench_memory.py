"""What many large answers at a time take of memory, and how long one huge answer keeps the others waiting."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

import httpx
import orjson

from tests.bench.load import ROOT, by_client
from tests.bench.measure import (
    GC_FROZEN,
    PLAIN,
    Report,
    Sample,
    forget_peak,
    memory,
    ms,
    peak_memory,
)
from tests.bench.serving import THOUSAND, WHOLE, Serving, idle, serving

AT_ONCE = 100
PINGER = [sys.executable, "-m", "tests.bench.pinger"]


async def memory_of_many(quick: bool) -> list[Report]:
    """Ask for 100 answers of 1,000 rows at the same moment, wave after wave, and look at the resident memory."""
    report = Report("memory", f"{AT_ONCE} answers of {THOUSAND} values at once, one worker, in MiB")
    async with serving(THOUSAND) as opened:
        case, pid = opened.cases[THOUSAND], opened.program.server_pid
        body = orjson.dumps({"query": case.query})
        second = 0.0
        for wave in range(1, 4 if quick else 7):
            await idle(opened)
            forget_peak(pid)
            before = memory(pid)
            load = await asyncio.to_thread(by_client, opened.address, body, AT_ONCE, 0, case.length)
            peak = peak_memory(pid)
            if wave > 1:
                second = second or peak
            report.add(
                wave=wave,
                answers=load.requests,
                errors=load.errors,
                before=round(before, 1),
                peak=round(peak, 1),
                after=round(memory(pid), 1),
                each=round((peak - before) / AT_ONCE, 2),
                to_second=round(peak / second, 3) if second else None,
                seconds=round(load.seconds, 2),
            )
        report.notes.append(
            f"An answer has {case.length / 2**20:.2f} MiB of JSON; each: what one of {AT_ONCE} adds to the peak."
        )
        report.notes.append(
            "to_second: peak to that of the second wave; the first one makes the room."
        )
    return [report]


async def waiting(quick: bool) -> list[Report]:
    """Ask for pages of 10,000 rows while another process asks ``/healthz`` again and again."""
    report = Report(
        "waiting", f"another request while a page of {WHOLE} values is answered, {GC_FROZEN}"
    )
    async with serving(WHOLE) as opened:
        await idle(opened)
        pages, pause = (3, 0.5) if quick else (10, 1.0)
        pipe = asyncio.subprocess.PIPE
        url = opened.address.replace("/graphql", "/healthz")
        pinger = await asyncio.create_subprocess_exec(
            *(*PINGER, url), cwd=ROOT, stdin=pipe, stdout=pipe
        )
        try:
            spans = await _pages(opened, pages, pause)
            printed, _ = await asyncio.wait_for(pinger.communicate(b""), 60)
        finally:
            if pinger.returncode is None:
                pinger.kill()
                await pinger.wait()
    pings = [(start, seconds) for start, seconds in json.loads(printed)]
    resting = [s for start, s in pings if not any(a - s <= start <= b for a, b in spans)]
    busy = [s for start, s in pings if any(a - s <= start <= b for a, b in spans)]
    longest = [max(s for start, s in pings if a - s <= start <= b) for a, b in spans]
    report.add(
        pages=pages,
        page_ms=ms(statistics.median(b - a for a, b in spans)),
        pings=len(busy),
        p50_ms=ms(Sample(tuple(busy)).median),
        longest_ms=ms(statistics.median(longest)),
        worst_ms=ms(max(longest)),
        resting_p50_ms=ms(Sample(tuple(resting)).median),
        resting_p99_ms=ms(Sample(tuple(resting)).at(0.99)),
    )
    report.notes.append(
        "longest: the one of each page that waited longest, median over the pages; resting: between pages."
    )
    return [report]


async def _pages(found: Serving, pages: int, pause: float) -> list[tuple[float, float]]:
    """Ask for the pages one by one; gives when each began and ended."""
    case = found.cases[WHOLE]
    spans: list[tuple[float, float]] = []
    async with httpx.AsyncClient(timeout=60, headers=PLAIN) as client:
        for _ in range(pages):
            await asyncio.sleep(pause)
            started = time.perf_counter()
            async with client.stream("POST", found.address, json={"query": case.query}) as response:
                size = 0
                async for piece in response.aiter_raw():
                    size += len(piece)
            spans.append((started, time.perf_counter()))
            if size != case.length:
                raise RuntimeError(f"{response.status_code}: {size} bytes instead of {case.length}")
        await asyncio.sleep(pause)
    return spans
