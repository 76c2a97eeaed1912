"""A service whose pages arrive in pieces, as a test lets them, and clients that speak ASGI to a gateway over it."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import Message

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, tee
from tests.bench.workload import answer, document
from tests.support.observers import raise_defects

ROOT = "http://arriving.invalid/data"


class Broken(httpx.ReadError):
    """The connection is gone."""

    def __init__(self) -> None:
        super().__init__("gone")


@dataclass
class Pieces(httpx.AsyncByteStream):
    """A body in pieces; ``before`` is awaited before each, with the number of bytes that have gone."""

    body: bytes
    size: int
    service: Arriving

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), self.size):
            await self.service.before(start)
            self.service.sent += len(self.body[start : start + self.size])
            yield self.body[start : start + self.size]
        self.service.ended += 1


async def at_once(_: int) -> None:
    """Let a piece go."""


@dataclass
class Arriving(httpx.AsyncBaseTransport):
    """Answers reads of the orders of ``workload``."""

    piece: int = 4_000
    """Bytes."""
    page: int = 100_000
    """Rows; more are behind a next link."""
    edit: Callable[[bytes], bytes] = bytes
    """Changes the body of a page."""
    before: Callable[[int], Any] = at_once
    is_packed: bool = False
    requests: list[str] = field(default_factory=list)
    sent: int = 0
    """Bytes of rows that the gateway has taken."""
    ended: int = 0
    """Bodies that were read to their end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, _, _ = str(request.url).removeprefix(f"{ROOT}/").partition("?")
        if "metadata" in path:
            # A column without a value, where all others must have one.
            metadata = document().replace(
                'Name="Priority" Type="Edm.Int32" Nullable="false"',
                'Name="Priority" Type="Edm.Int32"',
            )
            return httpx.Response(200, content=metadata)
        if not path.startswith("Orders"):
            return httpx.Response(404)
        url = str(request.url).removeprefix(f"{ROOT}/")
        self.requests.append(url)
        if path.endswith("/$count"):
            return httpx.Response(200, content=b"777", headers={"content-type": "text/plain"})
        headers = {"content-type": "application/json; odata.metadata=minimal"}
        body = self.edit(self._page(url))
        if self.is_packed:
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body)
        return httpx.Response(200, headers=headers, stream=Pieces(body, self.piece, self))

    def _page(self, url: str) -> bytes:
        base, _, token = url.partition("&$skiptoken=")
        start = int(token or 0)
        whole = json.loads(answer(base))
        rows = whole["value"][start : start + self.page]
        result: dict[str, Any] = {"@odata.context": "x/$metadata#Orders"}
        if "count=true" in base and not start:
            result["@odata.count"] = 777
        result["value"] = rows
        if start + self.page < len(whole["value"]):
            result["@odata.nextLink"] = f"{ROOT}/{base}&$skiptoken={start + self.page}"
        return json.dumps(result, separators=(",", ":")).encode()


@dataclass
class Heard:
    """What a client has heard."""

    messages: list[Message] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages[1:])

    @property
    def is_complete(self) -> bool:
        return bool(self.messages) and not self.messages[-1].get("more_body", False)

    @property
    def head(self) -> dict[str, str]:
        return {n.decode(): v.decode() for n, v in self.messages[0]["headers"]}

    @property
    def is_streamed(self) -> bool:
        return "content-length" not in self.head

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A client of a gateway over a service."""

    app: Any
    events: list[Event]
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    on_send: Callable[[Message], Any] = at_once  # type: ignore[assignment] # takes a message

    async def post(self, query: str, *, version: str = "1.1", **headers: str) -> Heard:
        """Send an operation, and return what was heard when the application has done."""
        body = [json.dumps({"query": query}).encode()]
        heard = Heard()

        async def receive() -> Message:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await self.leaving.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            heard.messages.append(message)
            await self.on_send(message)

        fields = {"host": "localhost", "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "query_string": b"",
            "http_version": version,
            "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "scheme": "http",
            "state": {},
            "root_path": "",
        }
        await self.app(scope, receive, send)
        return heard


@asynccontextmanager
async def client_of(service: Arriving, **settings: Any) -> AsyncIterator[Client]:
    """Yield a client of a gateway over a service."""
    events: list[Event] = []
    options = {"cache_dir": None, "language": "none", "dialect": "finops", "url": ROOT}
    app = create_app(
        Settings(**{**options, "max_page_size": 100_000, "auth": "none", **settings}),
        transport=service,
        observe=tee(raise_defects, events.append),
    )
    async with app.router.lifespan_context(app):
        yield Client(app, events)
