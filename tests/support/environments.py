"""A deployment of several environments, whose services have rows in memory: each value names its environment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, Observer, tee
from gateway.telemetry.measurements import Measurements
from tests.support.changing_metadata import build_here, csdl
from tests.support.memory_odata import Row, Tables
from tests.support.observers import raise_bugs

ROWS = 5
SETS = ("Things", "Parts")


def host_of(name: str) -> str:
    return f"{name}.example"


def url_of(name: str) -> str:
    return f"https://{host_of(name)}/data"


def mark_of(name: str) -> str:
    """Return the text that is in every value of an environment, and in none of another."""
    return f"<{name}>"


@dataclass
class Service:
    """The service of one environment."""

    name: str
    tables: Tables
    document: str = field(default_factory=lambda: csdl("Name", sets=SETS))
    fault: Exception | httpx.Response | None = None
    """Answers every request."""
    respond: Callable[[httpx.Request], httpx.Response | None] | None = None
    """Answers requests in its place, those for which it returns an answer."""
    gate: asyncio.Event | None = None
    """Answers wait for it."""
    requests: int = 0
    written: list[Row] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return httpx.Response(self.fault.status_code, content=self.fault.content)
        other = None if self.respond is None else self.respond(request)
        if other is not None:
            return other
        if request.url.path.endswith("/$metadata"):
            return httpx.Response(
                200, text=self.document, headers={"content-type": "application/xml"}
            )
        if request.method == "POST" and not request.url.path.endswith("$batch"):
            number = str(ROWS + len(self.written))
            row: Row = {"Id": number, **json.loads(request.content)}
            self.written.append(row)
            self.tables.rows["Things"].append(row)
            return httpx.Response(
                201, json=row, headers={"content-type": "application/json; odata.metadata=minimal"}
            )
        return self.tables.answer(request)


def service(name: str) -> Service:
    """Return a service with the same keys as the others have, and values of its own."""
    rows = {
        of: [{"Id": str(n), "Name": f"{of} {n} {mark_of(name)}"} for n in range(ROWS)]
        for of in SETS
    }
    return Service(name, Tables(rows, keys=dict.fromkeys(SETS, ("Id",))))


@dataclass(repr=False)
class Deployment:
    """A running deployment, and what it said."""

    app: Starlette
    http: httpx.AsyncClient
    services: dict[str, Service]
    events: list[Event]

    async def post(self, query: str, path: str = "/graphql", **more: Any) -> httpx.Response:
        variables, headers = more.pop("variables", {}), more.pop("headers", {})
        body = {"query": query, "variables": variables}
        return await self.http.post(path, json=body, headers=headers)

    async def data(self, query: str, path: str = "/graphql", **more: Any) -> Any:
        answer = (await self.post(query, path, **more)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def ids(self, path: str) -> list[str]:
        found = await self.data("{ things { nodes { id } } }", path)
        return [row["id"] for row in found["things"]["nodes"]]

    def said(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def path_of(name: str, below: str = "/graphql") -> str:
    return f"/e/{name}{below}" if name else below


def settings_of(*names: str, **more: Any) -> Settings:
    """Return settings whose own service is ``home``, with these environments."""
    declared: dict[str, Any] = {**{name: {} for name in names}, **more.pop("environments", {})}
    environments = {
        name: options if "sandbox" in options else {"url": url_of(name), **options}
        for name, options in declared.items()
    }
    values = {"url": url_of("home"), "cache_dir": None, "auth": "none", "retries": 0}
    return Settings.model_validate({**values, "environments": environments, **more})


@asynccontextmanager
async def deployed(
    settings: Settings,
    services: dict[str, Service] | None = None,
    *,
    observe: Observer = raise_bugs,
    measurements: Measurements | None = None,
) -> AsyncIterator[Deployment]:
    """Yield a deployment over services in memory; if the settings name none, over the embedded sandbox."""
    names = ("home", *settings.environments) if settings.url else ()
    there = services or {name: service(name) for name in names}
    by_host = {host_of(name): one for name, one in there.items()}

    async def answer(request: httpx.Request) -> httpx.Response:
        return await by_host[request.url.host].answer(request)

    events: list[Event] = []
    app = create_app(
        settings,
        transport=httpx.MockTransport(answer) if there else None,
        observe=tee(raise_bugs, events.append, observe),
        build_model=build_here,
        measurements=measurements,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        yield Deployment(app, http, there, events)


def code_of(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])
