"""Load: connections that send the same request again and again, from a process of their own.

``wrk`` where it is installed (``apt-get install wrk``): it takes a tenth of the CPU. Else this module run as a
program, which gives its result as JSON: ``python -m tests.bench.load URL FILE CONNECTIONS SECONDS LENGTH``, where
FILE holds the body.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from tests.bench.measure import Sample

ROOT = Path(__file__).resolve().parents[2]
HINT = "Load by the client in tests/bench/load.py; wrk takes less CPU: apt-get install wrk."


@dataclass(frozen=True, slots=True)
class Load:
    """What a load test saw; times in seconds."""

    requests: int
    """Answered in full, and as they should be."""
    errors: int
    seconds: float
    p50: float
    p95: float
    p99: float
    slowest: float
    spread: float
    """Half the distance between the quartiles, as a part of the median."""
    cpu: float
    """Seconds of CPU that the generator itself took."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


LARGE = 200_000
"""Bytes of an answer from which the client in here is used: it ends what it began, so that nothing is half counted."""


def generator(length: int = 0) -> str:
    """Name what ``drive`` uses for answers of so many bytes."""
    return "wrk" if length < LARGE and shutil.which("wrk") else "client"


async def drive(
    url: str, body: bytes, connections: int, seconds: float, length: int, bearer: str = ""
) -> Load:
    """Send a POST over so many connections for so long, with a token if there is one.

    An answer that is not 200 or has not ``length`` bytes of content is an error.
    """
    way = by_wrk if generator(length) == "wrk" else by_client
    return await asyncio.to_thread(way, url, body, connections, seconds, length, bearer)


# wrk

_SCRIPT = r"""
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json"
if os.getenv("BENCH_BEARER") ~= "" then
  wrk.headers["authorization"] = "Bearer " .. os.getenv("BENCH_BEARER")
end
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.body = file:read("*a")
file:close()
done = function(summary, latency, requests)
  local e, of = summary.errors, function(p) return latency:percentile(p) end
  io.write(string.format("FOUND %d %d %d %d %d %d %d %d %d %d\n", summary.requests, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout, summary.duration,
    of(25), of(50), of(75), of(95), of(99), latency.max))
end
"""
_FOUND = re.compile(r"^FOUND([ \d]+)$", re.MULTILINE)


def by_wrk(
    url: str, body: bytes, connections: int, seconds: float, length: int, bearer: str = ""
) -> Load:
    """Let wrk send; it counts whole seconds, and it does not look at the content: the bytes in all tell."""
    with tempfile.TemporaryDirectory() as folder:
        script, sent = Path(folder) / "post.lua", Path(folder) / "body"
        script.write_text(_SCRIPT)
        sent.write_bytes(body)
        command = [
            *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s"),
            *("-s", str(script), url),
        ]
        before = _cpu_of_children()
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "BENCH_BODY": str(sent), "BENCH_BEARER": bearer},
        )
        cpu = _cpu_of_children() - before
    return read_wrk(done.stdout, cpu, connections, length)


def read_wrk(printed: str, cpu: float, connections: int, length: int) -> Load:
    """Read what the script printed. Raises RuntimeError where it printed nothing."""
    line = _FOUND.search(printed)
    if line is None:
        raise RuntimeError(f"wrk printed no result: {printed[:500]}")
    requests, size, errors, micros, q1, p50, q3, p95, p99, slowest = map(int, line[1].split())
    # Heads are some 200 bytes; what was on its way at the end is counted in bytes only.
    most = (requests + connections) * (length + 1_000)
    if not requests * length <= size <= most:
        errors += 1
    seconds = micros / 1e6
    p50s, p95s, p99s, slowests = (value / 1e6 for value in (p50, p95, p99, slowest))
    spread = (q3 - q1) / 2 / p50 if p50 else 0.0
    counted = max(0, requests - errors)
    return Load(counted, errors, seconds, p50s, p95s, p99s, slowests, spread, cpu)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# The client in here


def by_client(
    url: str, body: bytes, connections: int, seconds: float, length: int, bearer: str = ""
) -> Load:
    """Let this module send, in a process of its own; with 0 seconds each connection sends once."""
    with tempfile.TemporaryDirectory() as folder:
        sent = Path(folder) / "body"
        sent.write_bytes(body)
        given = (url, str(sent), str(connections), str(seconds), str(length))
        command = [sys.executable, "-m", "tests.bench.load", *given]
        env = {**os.environ, "BENCH_BEARER": bearer}
        done = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True, env=env
        )
    return Load(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, deadline: float, length: int, times: list[float]) -> None:
        self._request = request
        self._deadline = deadline
        self._length = length
        self._times = times
        self._head = b""
        self._missing = -1
        self.errors = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._head, self._missing = b"", -1
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = self._content() - (len(self._head) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._answered()

    def _content(self) -> int:
        """Read the head: how long the content is, and whether the answer is the right one."""
        head = self._head.partition(b"\r\n\r\n")[0].lower()
        stated = re.search(rb"\r\ncontent-length: *(\d+)", head)
        found = 0 if stated is None else int(stated[1])
        self._right = b" 200 " in head[:20] and found == self._length
        return found

    def _answered(self) -> None:
        now = time.perf_counter()
        if self._right:
            self._times.append(now - self._started)
        else:
            self.errors += 1
        if now < self._deadline:
            self._send()
        else:
            self._missing = 0
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._missing:
            self.errors += 1
        self.done.set_result(None)


def post(url: str, body: bytes | None) -> bytes:
    """Write a POST of JSON, or a GET where there is no body."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"{'POST' if body else 'GET'} {target} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    if bearer := os.environ.get("BENCH_BEARER"):
        head += f"authorization: Bearer {bearer}\r\n"
    return f"{head}accept: application/json\r\n\r\n".encode() + (body or b"")


async def load(url: str, body: bytes | None, connections: int, seconds: float, length: int) -> Load:
    """Send over so many connections for so long, from this process and loop."""
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    request = post(url, body)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()
    made = [
        await loop.create_connection(
            lambda: _Connection(request, started + seconds, length, times),
            host,
            parts.port or 80,
        )
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 120):
        await asyncio.gather(*(protocol.done for _, protocol in made))
    taken = time.perf_counter() - started
    errors = sum(protocol.errors for _, protocol in made)
    sample = Sample(tuple(times) or (0.0,))
    return Load(
        len(times),
        errors,
        taken,
        sample.median,
        sample.at(0.95),
        sample.at(0.99),
        max(sample.values),
        sample.spread if times else 0.0,
        time.process_time() - cpu,
    )


def main() -> None:
    url, file, connections, seconds, length = sys.argv[1:]
    body = Path(file).read_bytes()
    found = uvloop.run(load(url, body or None, int(connections), float(seconds), int(length)))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
