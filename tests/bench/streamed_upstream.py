"""A service whose rows arrive piece by piece: ``streamed_upstream.py ROWS ROWS_A_PIECE PAUSE``. Prints its port.

It answers every list with so many wide rows of 50 values, in chunks with a pause of so many seconds behind each. For
each answer it prints when its first rows left, in seconds of the system's monotonic clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import orjson
import uvloop

if __name__ == "__main__":
    # In the place of this folder, which the interpreter puts there: its modules are ``tests.bench.…``.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.bench.workload import WIDE_ROW, document

FIELDS = 50
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
_RESTS = [orjson.dumps({c.name: c.make(i) for c in WIDE_ROW[2:FIELDS]})[1:] for i in range(1_000)]


def rows(first: int, end: int) -> bytes:
    """Return the JSON of some rows, without brackets; a row costs next to nothing."""
    texts = (
        b'{"dataAreaId":"usmf","RecordKey":"K-%06d",%b' % (i, _RESTS[i % 1_000])
        for i in range(first, end)
    )
    return b",".join(texts)


class Service:
    """Answers one connection after another's request."""

    def __init__(self, rows: int, piece: int, pause: float) -> None:
        self._rows, self._piece, self._pause = rows, piece, pause

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1]
                if target.startswith(b"/data/$metadata"):
                    writer.write(_HEAD % b"application/xml")
                    await self._send(writer, document().encode())
                elif target.startswith(b"/data/Wides"):
                    writer.write(_HEAD % b"application/json; odata.metadata=minimal")
                    await self._rows_of(writer)
                else:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _rows_of(self, writer: asyncio.StreamWriter) -> None:
        before = b'{"@odata.context":"x","value":['
        for first in range(0, self._rows, self._piece):
            end = min(self._rows, first + self._piece)
            after = b"," if end < self._rows else b"]}"
            await self._send(writer, b"%b%b%b" % (before, rows(first, end), after))
            if not first:
                print(f"first {time.monotonic()}", flush=True)
            before = b""
            await asyncio.sleep(self._pause)

    async def _send(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()


async def main() -> None:
    service = Service(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
