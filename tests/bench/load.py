"""A load generator: connections that send the same request again and again, as cheaply as Python can."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.bench.measure import Sample


@dataclass(frozen=True, slots=True)
class Load:
    """What a load test saw."""

    sample: Sample
    seconds: float
    own_cpu: float
    """Seconds of CPU that the generator itself took."""

    @property
    def requests(self) -> int:
        return len(self.sample.values)

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, deadline: float, times: list[float]) -> None:
        self._request = request
        self._deadline = deadline
        self._times = times
        self._buffer = bytearray()
        self._expected = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._expected:
            self._expected = self._length()
        if not self._expected or len(self._buffer) < self._expected:
            return
        now = time.perf_counter()
        self._times.append(now - self._started)
        self._buffer.clear()
        self._expected = 0
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()

    def _length(self) -> int:
        """Give the bytes of the whole response; 0 while its head is not there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head = bytes(self._buffer[:end]).lower()
        if b" 200 " not in head[:20]:
            raise RuntimeError(f"the server answered {head[:40]!r}")
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        return end + 4 + int(length)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def http_request(url: str, body: bytes | None = None) -> bytes:
    """Write a GET, or a POST of JSON."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"{'GET' if body is None else 'POST'} {target} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}accept: application/json\r\n\r\n".encode() + (body or b"")


async def load(url: str, body: bytes | None, connections: int, seconds: float) -> Load:
    """Send the request over so many connections for so long."""
    parts = urlsplit(url)
    request = http_request(url, body)
    loop = asyncio.get_running_loop()
    times: list[float] = []
    started, cpu = time.perf_counter(), time.process_time()
    made = [
        await loop.create_connection(
            lambda: _Connection(request, started + seconds, times), parts.hostname, parts.port
        )
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(protocol.done for _, protocol in made))
    taken = time.perf_counter() - started
    return Load(Sample(tuple(times)), taken, time.process_time() - cpu)
