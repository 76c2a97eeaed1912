"""A server that replays recorded bytes: ``static_upstream.py FOLDER``, where ``index.json`` maps targets to files.

As little as HTTP/1.1 needs, so that the upstream is not what is measured. Prints its port; GET only.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

_MISSING = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nodata-version: 4.0\r\n"
    b"content-length: 0\r\n\r\n"
)


class Replay(asyncio.Protocol):
    """Answers each request of a connection from a table."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            target = self._read[:end].split(b" ", 2)[1]
            self._read = self._read[end + 4 :]
            answer = self._answers.get(target)
            if answer is None:
                print(f"not recorded: {target!r}", file=sys.stderr, flush=True)
            self._transport.write(answer or _MISSING)  # type: ignore[attr-defined]


def load(folder: Path) -> dict[bytes, bytes]:
    answers = {}
    for target, (name, media) in json.loads((folder / "index.json").read_text()).items():
        body = (folder / name).read_bytes()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {len(body)}\r\n\r\n"
        answers[target.encode()] = head.encode() + body
    return answers


async def main() -> None:
    answers = load(Path(sys.argv[1]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Replay(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
