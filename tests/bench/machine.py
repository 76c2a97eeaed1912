"""What the figures were measured on: without it they say nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "strawberry-graphql",
    "graphql-core",
    "msgspec",
    "orjson",
    "httpx",
    "aiohttp",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "aiodataloader",
)


def machine() -> dict[str, Any]:
    """Describe the machine, the libraries and the program's own version."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": load_average(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def load_average() -> list[float]:
    """How many processes wanted to run: in the last 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def commit() -> str | None:
    """Return the short id of what is checked out, with a ``+`` where files differ from it; None outside git."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ("git", *arguments)
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def described(found: dict[str, Any]) -> str:
    """Return the description as lines for a terminal."""
    libraries = ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    load = " ".join(f"{value:g}" for value in found["load_average"])
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB, {found['system']}\n"
        f"{found['python']}; {libraries}\n"
        f"commit {found['commit'] or 'unknown'}, {found['measured']}, load average {load}"
    )
