"""A gateway with profiles, in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, tee
from gateway.metadata.model_process import BuildModel, build_in_subprocess
from tests.support.changing_metadata import Changing
from tests.support.observers import raise_defects

PROFILES: Mapping[str, object] = {
    "ap": {
        "title": "Accounts payable",
        "description": "Vendors and what is bought from them.",
        "include": ["Vend*", "Purchase*"],
        "companies": ["usmf"],
        "read_only": True,
        "max_page_size": 200,
        "max_depth": 4,
    },
    "customers": {"sets": ["CustomersV3", "CustomerGroups"], "default_page_size": 2},
    "reference": {"categories": ["reference"], "exclude": ["Currencies"], "introspection": False},
}
FIELDS = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }"


@dataclass
class Served:
    """An application, and what it said."""

    app: Starlette
    http: httpx.AsyncClient
    events: list[Event] = field(default_factory=list)

    async def post(self, path: str, query: str, **variables: object) -> httpx.Response:
        return await self.http.post(path, json={"query": query, "variables": variables})

    async def ask(self, path: str, query: str, **variables: object) -> Any:
        return (await self.post(path, query, **variables)).json()

    async def fields(self, path: str) -> set[str]:
        fields = (await self.ask(path, FIELDS))["data"]["__schema"]["queryType"]["fields"]
        return {found["name"] for found in fields}

    def said(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def serve(
    settings: Settings,
    service: Changing | None = None,
    build_model: BuildModel = build_in_subprocess,
) -> AsyncIterator[Served]:
    events: list[Event] = []
    transport = None if service is None else httpx.MockTransport(service.answer)
    app = create_app(
        settings,
        transport=transport,
        observe=tee(raise_defects, events.append),
        build_model=build_model,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http,
    ):
        yield Served(app, http, events)


def code(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])
