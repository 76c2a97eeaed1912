"""A service of so many orders, read by keyset: ``paged_upstream.py ROWS [ROWS_A_SECOND]``. Prints its port.

A row costs it next to nothing: all but the key is one of a thousand texts. The orders are those of ``workload``. With a
pace it answers as late as a service that reads so many rows a second. All orders are a data package, too.
"""

from __future__ import annotations

import asyncio
import csv
import io
import math
import re
import sys
import zipfile
from functools import cache
from pathlib import Path

import orjson
import uvloop

if __name__ == "__main__":
    # In the place of this folder, which the interpreter puts there: its modules are ``tests.bench.…``.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.bench.workload import PLAIN, document

_AFTER = re.compile(rb"SO-(\d{6})")
_TOP = re.compile(rb"top=(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_PACKAGE = "/package.zip"
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


@cache
def package(rows: int) -> bytes:
    """Return the data package of all orders, as the data management framework writes it."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow([column.name.upper() for column in PLAIN])
    rests = [[orjson.loads(orjson.dumps(c.make(i))) for c in PLAIN[2:]] for i in range(1_000)]
    lines.writerows(["usmf", f"SO-{i:06}", *rests[i % 1_000]] for i in range(rows))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("Orders.csv", text.getvalue())
    return file.getvalue()


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
            length = _LENGTH.search(self._read, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < size:
                return
            target = self._read[:end].split(b" ", 2)[1]
            self._read = self._read[size:]
            status, media, body, seconds = self._answer(target)
            answer = _HEAD % (status, media, len(body)) + body
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)  # type: ignore[attr-defined]
            else:
                self._transport.write(answer)  # type: ignore[attr-defined]

    def _answer(self, target: bytes) -> tuple[int, bytes, bytes, float]:
        """Return status, media type and body, and the seconds that they take."""
        json = b"application/json"
        if target.startswith(b"/data/$metadata"):
            return 200, b"application/xml", self._metadata, 0.0
        if target.startswith(b"/data/Orders?"):
            body, number = page(target, self._rows)
            return 200, json, body, number / self._pace
        if target.startswith(b"/data/Orders/$count"):
            return 200, b"text/plain", b"%d" % self._rows, 0.0
        if target.endswith(_PACKAGE.encode()):
            return 200, json, package(self._rows), 0.0
        host, port = self._transport.get_extra_info("sockname")
        results = {
            b"ExportToPackage": "1",
            b"GetExecutionSummaryStatus": "Succeeded",
            b"GetExportedPackageUrl": f"http://{host}:{port}{_PACKAGE}",
        }
        result = results.get(target.rpartition(b".")[2])
        return 404 if result is None else 200, json, orjson.dumps({"value": result}), 0.0


async def main() -> None:
    rows, metadata = int(sys.argv[1]), document().encode()
    pace = float(sys.argv[2]) if len(sys.argv) > 2 else math.inf
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Pages(rows, metadata, pace), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
