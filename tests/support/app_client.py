"""Calls of an application in process, by the letter of GraphQL over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, tee
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON
from tests.support.observers import raise_defects

LEAKS = ("Traceback", "sandbox.invalid", "Error(", "object at 0x", "graphql.", "NoneType", "dict")


class Client:
    """A client of one application, and what the application said to its log."""

    def __init__(self, app: Starlette, http: httpx.AsyncClient, events: list[Event]) -> None:
        self.app = app
        self.http = http
        self.events = events

    async def post(
        self, body: object, *, accept: str | None = GRAPHQL, **headers: str
    ) -> httpx.Response:
        """POST a body: bytes as they are, all else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if accept is not None:
            given["Accept"] = accept
        return await self.http.post("/graphql", content=content, headers=given)

    async def get(self, accept: str | None = GRAPHQL, **params: str) -> httpx.Response:
        headers = {} if accept is None else {"Accept": accept}
        return await self.http.get("/graphql", params=params, headers=headers)


@asynccontextmanager
async def serving(
    settings: Settings, *, upstream: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    """Return an application that has started, and the list that its log goes to."""
    events: list[Event] = []
    app = create_app(settings, transport=upstream, observe=tee(raise_defects, events.append))
    async with app.router.lifespan_context(app):
        yield app, events


@asynccontextmanager
async def calling(app: Starlette, events: list[Event]) -> AsyncIterator[Client]:
    """Return a client of an application, whose log begins here."""
    events.clear()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        http.headers.pop("accept")
        yield Client(app, http, events)


def code_of(response: httpx.Response) -> str:
    body = response.json()
    assert set(body) == {"errors"}
    assert all(error["message"] for error in body["errors"])
    assert not [leak for leak in LEAKS if leak in response.text]
    codes = {error["extensions"]["code"] for error in body["errors"]}
    assert len(codes) == 1
    return str(codes.pop())
