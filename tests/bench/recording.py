"""Records what an upstream answers to the benchmark's queries, for ``static_upstream`` to replay."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox

CUSTOMER_VALUES = (
    "dataAreaId customerAccount organizationName customerGroupId creditLimit salesCurrencyCode"
    " paymentTerms deliveryMode partyType invoiceAccount"
)


@dataclass(frozen=True, slots=True)
class Case:
    """A query, and the one upstream address that it needs."""

    name: str
    query: str
    target: str
    leaves: int
    length: int
    """Bytes of the gateway's answer."""


@dataclass
class _Recorder(httpx.AsyncBaseTransport):
    inner: httpx.AsyncBaseTransport
    taken: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        body = await response.aread()
        target = request.url.raw_path.decode()
        if response.is_success:
            self.taken[target] = body, response.headers["content-type"]
        return httpx.Response(response.status_code, headers=response.headers, content=body)


async def record(
    folder: Path,
    queries: dict[str, str],
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    settings: Settings | None = None,
    most: int = 1,
    also: Collection[str] = (),
) -> list[Case]:
    """Run the queries and write down every answer, of a sandbox that is large enough where there is no transport.

    ``most``: requests that a query may need; the first one is the case's. ``also``: targets that others than the
    gateway read.
    """
    inner = transport or httpx.ASGITransport(create_sandbox(SandboxSettings(scale=2)))
    recorder = _Recorder(inner)
    cases: list[Case] = []
    chosen = settings or Settings(language=None)
    async with open_gateway(chosen, transport=recorder, observe=lambda _: None) as opened:
        for name, query in queries.items():
            answer = await opened.engine.execute(GraphQLRequest(query=query))
            if answer.errors or not 1 <= len(answer.requests) <= most:
                raise RuntimeError(f"{name}: {answer.errors} {answer.requests}")
            target = f"/data/{answer.requests[0].url}"
            found = leaves(answer.to_builtins()["data"])
            cases.append(Case(name, query, target, found, len(answer.encode())))
    for target in also:
        url = f"{str(chosen.url).removesuffix('/data')}{target}"
        await recorder.handle_async_request(httpx.Request("GET", url))
    index = {}
    for number, (target, (body, media)) in enumerate(recorder.taken.items()):
        (folder / str(number)).write_bytes(body)
        index[target] = [str(number), media]
    (folder / "index.json").write_text(json.dumps(index))
    return cases


def leaves(value: object) -> int:
    """Count the scalars of an answer."""
    if isinstance(value, dict):
        return sum(map(leaves, value.values()))
    return sum(map(leaves, value)) if isinstance(value, list) else 1
