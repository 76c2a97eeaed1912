"""A sandbox whose connections break where a test says, and a gateway over it that waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

import httpx
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.errors import UpstreamNotFound
from gateway.odata.client import ODataClient
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.odata.retry import Clock
from gateway.planning.row_bounds import ViewRules
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import SANDBOX_ROOT, Gateway, open_gateway
from gateway.runtime.execution_limits import execution_settings
from gateway.sandbox.faults import FaultRule
from gateway.shutdown import Shutdown
from tests.support.observers import raise_bugs

SERVICE = "/api/services/LedgerJournalServices/LedgerJournalService/post"
SETTINGS = Settings.model_validate(
    {
        "cache_dir": None,
        "language": "none",
        "retries": 2,
        "writes": {
            "changeset_size": 2,
            "settle_pause": 0,
            "services": [
                {
                    "name": "postLedgerJournal",
                    "path": SERVICE.removeprefix("/api/services/"),
                    "input": {
                        "company": {"type": "String!", "wire": "_dataAreaId"},
                        "journal": {"type": "String!", "wire": "_journalBatchNumber"},
                    },
                    "output": {"isPosted": {"type": "String", "wire": "IsPosted"}},
                },
                {
                    "name": "postLedgerJournalOnce",
                    "path": SERVICE.removeprefix("/api/services/"),
                    "done": "ledgerJournalHeader.isPosted",
                    "input": {
                        "company": {"type": "String!", "wire": "_dataAreaId"},
                        "number": {"type": "String!", "wire": "_journalBatchNumber"},
                    },
                    "output": {"isPosted": {"type": "String", "wire": "IsPosted"}},
                },
            ],
        },
    }
)
WRITING = frozenset({"POST", "PATCH", "DELETE"})


@dataclass
class GraphQLEndpoint(httpx.AsyncBaseTransport):
    """The way to a sandbox, on which the next ``shut`` requests that match find no connection."""

    inner: httpx.AsyncBaseTransport
    shut: int = 0
    method: str = "*"
    path: str = "*"
    skip: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.shut and self._is_meant(request):
            self.shut -= 1
            raise httpx.ConnectError("refused")
        return await self.inner.handle_async_request(request)

    def _is_meant(self, request: httpx.Request) -> bool:
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        if self.method not in ("*", request.method) or not fnmatchcase(path, self.path):
            return False
        self.skip -= 1
        return self.skip < 0

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Told:
    """What the caller was told: code → message of each error of a payload, or of a field that has none."""

    data: Mapping[str, Any]
    errors: list[dict[str, Any]]

    def of(self, key: str) -> dict[str, str]:
        payload = self.data.get(key)
        if payload is not None:
            return {e["code"]: e["message"] for e in payload["userErrors"]}
        return {
            e["extensions"]["code"]: f"{e['message']} {e['extensions'].get('hint', '')}"
            for e in self.errors
            if e["path"] == [key]
        }

    def rows(self, key: str) -> list[dict[str, str]]:
        """The same of each row of a list."""
        return [
            {e["code"]: e["message"] for e in result["userErrors"]}
            for result in self.data[key]["results"]
        ]


@dataclass
class Faulty:
    """One gateway over one sandbox; ``reached`` counts the writes that came to it."""

    sandbox: Starlette
    engine: Engine
    client: ODataClient
    door: GraphQLEndpoint
    waits: list[float] = field(default_factory=list)
    start: int = 0
    """The first request that counts."""

    async def ask(self, query: str, **variables: Any) -> Told:
        request = GraphQLRequest(query=query, variables=variables, companies=("usmf",))
        answer = (await self.engine.execute(request)).to_builtins()
        assert "data" in answer, answer
        return Told(answer["data"], answer.get("errors", []))

    def faults(self, *rules: FaultRule) -> None:
        """Put rules in force, and count from here."""
        self.sandbox.state.faults.clear()
        self.sandbox.state.faults.add(*rules)
        self.start = len(self.sandbox.state.requests)

    def reached(self, method: str = "*", path: str = "*") -> int:
        """How many requests that write came to the sandbox, by themselves or as a batch."""
        return sum(
            r.method in WRITING
            and not r.in_batch
            and method in ("*", r.method)
            and fnmatchcase(unquote(r.path), path)
            for r in self.sandbox.state.requests[self.start :]
        )

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """The rows that the sandbox holds."""
        rows: list[dict[str, Any]] = self.sandbox.state.store.rows(name, **values)
        return rows


async def assembled_over(sandbox: Starlette, settings: Settings = SETTINGS) -> Gateway:
    """Return a gateway over a sandbox, without connections."""
    transport = httpx.ASGITransport(sandbox)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        return gateway


@asynccontextmanager
async def faulty(
    gateway: Gateway,
    sandbox: Starlette,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    auth: httpx.Auth | None = None,
    root: str = SANDBOX_ROOT,
    rules: ViewRules | None = None,
) -> AsyncIterator[Faulty]:
    """Serve a gateway's schema over a sandbox in process, or by ``transport``; ``rules`` are those of its view."""
    door = GraphQLEndpoint(transport or httpx.ASGITransport(sandbox))
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    clock = Clock(sleep=sleep, random=lambda: 0.5)
    client = ODataClient(
        gateway.settings,
        root=root,
        transport=door,
        auth=auth,
        clock=clock,
        observe=raise_bugs,
        dialect=gateway.dialect,
    )
    async with client:
        settings = execution_settings(gateway.settings)
        engine = Engine(gateway.schema, client, gateway.dialect, settings, raise_bugs, rules=rules)
        yield Faulty(sandbox, engine, client, door, waits)
    sandbox.state.faults.clear()


@dataclass
class Recorder:
    """An upstream that takes every write, and knows no rows."""

    root: str = "https://zoo.example"
    unfinished: set[asyncio.Task[Any]] = field(default_factory=set)
    shutdown: Shutdown = field(default_factory=Shutdown)
    sent: list[Request] = field(default_factory=list)
    answer: Response = field(default_factory=lambda: Response(204, {}, b"", ""))

    async def write(
        self,
        request: Request,
        outcome_part: object = None,
        begins: Callable[[], None] | None = None,
    ) -> Response:
        if begins is not None:
            begins()
        self.sent.append(request)
        return self.answer

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        raise UpstreamNotFound("No.", upstream_status=404)
