"""A gateway over a sandbox, whose changes a client follows: it has what the answers brought, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from gateway.changes.operations import ChangeFeeds
from gateway.config.settings import Settings
from gateway.events import Observer
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.query import Request
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway
from gateway.sandbox.store import Store

FIELDS = (
    "upserts { kind id etag node { ROW } } deletes { id reason }"
    " cursor hasMore lag source guarantee deletesWithin resyncRequired"
)


@dataclass
class Follower:
    """A client that follows one list."""

    gateway: Gateway
    set: str = "CustomersV3"
    row: str = "... on CustomerV3 { customerAccount creditLimit }"
    node: str = "node"
    """``node: object`` for the lists of unified models."""
    where: dict[str, Any] | None = None
    companies: list[str] | None = field(default_factory=lambda: ["usmf"])
    """None: the argument is left out, which services without companies do not have."""
    first: int | None = None
    caller: Caller = ANONYMOUS
    cursor: str | None = None
    rows: dict[str, Any] = field(default_factory=dict)
    """What it knows of the list: id → row."""
    requests: list[Request] = field(default_factory=list)
    """The upstream requests of the last answer."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    _fresh: dict[str, Any] | None = None

    async def ask(self, since: str | None = None) -> dict[str, Any]:
        """Return the next answer, without taking it."""
        declared = used = ""
        if self.companies is not None:
            declared, used = ", $companies: [String!]", ", companies: $companies"
        query = (
            f"query($set: String!, $since: String, $first: Int, $where: JSON{declared})"
            f" {{ changes(set: $set, since: $since, first: $first, where: $where{used})"
            f" {{ {FIELDS.replace('ROW', self.row).replace('node', self.node)} }} }}"
        )
        variables = {
            "set": self.set,
            "since": since or self.cursor,
            "first": self.first,
            "where": self.where,
            **({} if self.companies is None else {"companies": self.companies}),
        }
        request = GraphQLRequest(query=query, variables=variables, caller=self.caller)
        answer = await self.gateway.engine.execute(request)
        self.requests = list(answer.requests)
        body = answer.to_builtins()
        self.errors = body.get("errors", [])
        changes: dict[str, Any] = (body.get("data") or {}).get("changes") or {}
        return changes

    async def take(self, since: str | None = None) -> dict[str, Any]:
        """Take the next answer."""
        answer = await self.ask(since)
        assert not self.errors, self.errors
        if answer["resyncRequired"]:
            # What does not come again is gone.
            self._fresh = {}
        known = self.rows if self._fresh is None else self._fresh
        known.update({row["id"]: row["node"] for row in answer["upserts"]})
        for gone in answer["deletes"]:
            known.pop(gone["id"], None)
        if self._fresh is not None and not answer["hasMore"]:
            self.rows, self._fresh = self._fresh, None
        self.cursor = answer["cursor"]
        return answer

    async def catch_up(self) -> list[dict[str, Any]]:
        """Take answers until there are no more."""
        answers = [await self.take()]
        while answers[-1]["hasMore"]:
            answers.append(await self.take())
        return answers

    @property
    def urls(self) -> list[str]:
        """The addresses of the last answer's requests."""
        return [request.url for request in self.requests]

    def code(self) -> str:
        """Return the code of the last answer's first error."""
        return str(self.errors[0]["extensions"]["code"])


def store_of(sandbox: Starlette) -> Store:
    """Return the rows of a sandbox."""
    store: Store = sandbox.state.store
    return store


def set_clock(gateway: Gateway, now: list[float]) -> None:
    """Let the feeds of a gateway read the time from a list."""
    feeds = gateway.engine.changes
    assert isinstance(feeds, ChangeFeeds)
    feeds.now = lambda: now[0]


@asynccontextmanager
async def followed(
    sandbox: Starlette, observe: Observer = lambda _: None, **settings: Any
) -> AsyncIterator[Gateway]:
    """Yield a gateway over a sandbox."""
    values = {"cache_dir": None, "language": "none", **settings}
    transport = httpx.ASGITransport(sandbox)
    async with open_gateway(Settings(**values), transport=transport, observe=observe) as gateway:
        yield gateway
