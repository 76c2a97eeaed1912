"""A floor over HTTP: the handler that somebody would write by hand for exactly these operations, and nothing else.

``python -m tests.bench.floor_server ORIGIN``, with the operations as JSON on standard input (query → target and
shape), prints its port. The same server (uvicorn, httptools, uvloop) and HTTP client (aiohttp) as the gateway's: what
the gateway takes more is GraphQL, OData and its promises.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import uvicorn

from gateway.process.garbage_collection import freeze
from tests.bench.workload import PLAIN, flat_floor, floor_of

Project = Callable[[bytes], bytes]
SHAPES: dict[str, Project] = {
    "bytes": bytes,
    "flat": flat_floor(PLAIN[:10]),
    "nested": floor_of(PLAIN),
}


@dataclass
class Floor:
    """An ASGI application that answers the operations by one upstream request each."""

    origin: str
    operations: Mapping[str, tuple[str, str]]
    """Text of the operation → request target of the upstream, name of the shape."""
    session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a POST of an operation."""
        if self.session is None:
            self.session = aiohttp.ClientSession(auto_decompress=False)
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        target, shape = self.operations[orjson.loads(body)["query"]]
        async with self.session.get(self.origin + target) as response:
            answer = SHAPES[shape](await response.read())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def main() -> None:
    app = Floor(sys.argv[1], {query: tuple(found) for query, found in json.load(sys.stdin).items()})
    config = uvicorn.Config(
        app, log_config=None, access_log=False, log_level="warning", lifespan="off"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        freeze()
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(
        loop_factory=uvicorn.Config(f"{__name__}:main").get_loop_factory()
    ) as runner:
        runner.run(main())
