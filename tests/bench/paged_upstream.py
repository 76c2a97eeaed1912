"""A service of so many orders, read by keyset: ``paged_upstream.py ROWS [ROWS_A_SECOND]``. Prints its port; GET only.

A row costs it next to nothing: all but the key is one of a thousand texts. The orders are those of ``workload``. With a
pace it answers as late as a service that reads so many rows a second.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
from pathlib import Path

import orjson
import uvloop

if __name__ == "__main__":
    # In the place of this folder, which the interpreter puts there: its modules are ``tests.bench.…``.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.bench.workload import PLAIN, document

_AFTER = re.compile(rb"SO-(\d{6})")
_TOP = re.compile(rb"top=(\d+)")
_HEAD = b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\nodata-version: 4.0\r\ncontent-length: %d\r\n\r\n"
_RESTS = [
    orjson.dumps({column.name: column.make(i) for column in PLAIN[2:]})[1:] for i in range(1_000)
]


def page(target: bytes, rows: int) -> tuple[bytes, int]:
    """Return the JSON of the page that a target names, and how many rows it has."""
    after, top = _AFTER.search(target), _TOP.search(target)
    first = int(after[1]) + 1 if after else 0
    last = min(rows, first + (int(top[1]) if top else rows))
    texts = [
        b'{"dataAreaId":"usmf","OrderNumber":"SO-%06d",%b' % (i, _RESTS[i % 1_000])
        for i in range(first, last)
    ]
    return b'{"value":[%b]}' % b",".join(texts), len(texts)


class Pages(asyncio.Protocol):
    """Answers each request of a connection."""

    def __init__(self, rows: int, metadata: bytes, pace: float) -> None:
        self._rows = rows
        self._metadata = metadata
        self._pace = pace
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            target = self._read[:end].split(b" ", 2)[1]
            self._read = self._read[end + 4 :]
            status, media, body, seconds = 404, b"application/json", b"{}", 0.0
            if target.startswith(b"/data/$metadata"):
                status, media, body = 200, b"application/xml", self._metadata
            elif target.startswith(b"/data/Orders?"):
                body, number = page(target, self._rows)
                status, seconds = 200, number / self._pace
            answer = _HEAD % (status, media, len(body)) + body
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)  # type: ignore[attr-defined]
            else:
                self._transport.write(answer)  # type: ignore[attr-defined]


async def main() -> None:
    rows, metadata = int(sys.argv[1]), document().encode()
    pace = float(sys.argv[2]) if len(sys.argv) > 2 else math.inf
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Pages(rows, metadata, pace), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
