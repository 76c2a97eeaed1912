"""Draws where the CPU of a request goes, as the flame graphs of the page on performance. ``pip install py-spy`` first.

Sampled from outside, in the gateway's process under load; each read is sent upstream.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.flame_graph import svg, tree
from tests.bench.measure import Report
from tests.bench.serving import HUNDRED, ONE, Serving, loaded, serving

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
FILES = {ONE: "flame-1-row.svg", HUNDRED: "flame-100-rows.svg"}
LOOP = "Runner.run"
"""What runs the event loop; what it takes itself, uvloop and the kernel, is the free space below it."""
RATE = 400
"""Samples a second."""


async def flames(quick: bool) -> list[Report]:
    """Write a flame graph of each case. Raises RuntimeError without py-spy."""
    program = shutil.which("py-spy")
    if program is None:
        raise RuntimeError("there is no py-spy: pip install py-spy")
    report = Report("flames", "flame graphs of a request, 16 connections")
    async with serving(*FILES, D365_CACHE__COALESCE="false") as found:
        for name, file in FILES.items():
            folded = await _sampled(program, found, name, 4 if quick else 15)
            frame = tree(folded, LOOP)
            (PICTURES / file).write_text(svg(frame, f"A request for {name}, by CPU"))
            report.add(case=name, samples=frame.samples, file=f"docs/pictures/{file}")
    return [report]


async def _sampled(program: str, found: Serving, name: str, seconds: int) -> Sequence[str]:
    """Return the folded stacks of the gateway under load."""
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as file:
        options = ["--format", "raw", "--function", "--rate", str(RATE)]
        sampler = await asyncio.create_subprocess_exec(
            *(program, "record", "--pid", str(found.program.pid), *options),
            *("--duration", str(seconds), "--output", file.name),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await loaded(found, found.cases[name], 16, seconds + 2)
        if await sampler.wait():
            raise RuntimeError("py-spy could not read the process; it needs the right to trace it")
        return file.read().splitlines()
