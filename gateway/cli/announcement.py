"""What `serve` prints at its start: what is served, and at which addresses."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config.settings import Settings
from gateway.events import Started, log_event
from gateway.graphiql import BUILT
from gateway.http.endpoints import API, PAGE
from gateway.http.presence import PREFIX
from gateway.runtime.assembly import Gateway

from .admin_listener import admin_address
from .demo import Demonstration
from .signals_and_port import address_of

MAX_ANNOUNCED = 10
"""Environments whose addresses are printed."""


def addresses(settings: Settings, address: str) -> Iterator[str]:
    if settings.default_environment:
        if settings.serve_all:
            yield f"GraphQL:  {address}{API}"
        for name in settings.profiles:
            yield f"GraphQL:  {address}{API}/{name}"
    yield from _of_environments(settings, address)
    if settings.graphiql:
        built = (BUILT / "index.html").is_file()
        hint = "" if built else f" (plain page; {_full_page_hint()})"
        first = "" if settings.serve_all else f"/{next(iter(settings.profiles))}"
        path = PAGE if settings.default_environment else f"{PREFIX}NAME{PAGE}"
        yield f"GraphiQL: {address}{path}{first}{hint}"


def _of_environments(settings: Settings, address: str) -> Iterator[str]:
    names = tuple(settings.environments)
    for name in names[:MAX_ANNOUNCED]:
        yield f"GraphQL:  {address}{PREFIX}{name}{API}"
    if len(names) > MAX_ANNOUNCED:
        yield f"          and {len(names) - MAX_ANNOUNCED:,} more environments"
    if settings.stored_environments:
        yield f"GraphQL:  {address}{PREFIX}NAME{API} for each environment in the store"


def _full_page_hint() -> str:
    """Return how to get the full page. A wheel does not contain its sources."""
    if (BUILT.parent / "page").is_dir():
        return "`make page` builds the full one"
    return "this package was built without Node; built with Node 20 or newer, it has the full one"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is served, and at which addresses: as text, and as an event."""

    text: str
    started: Started

    def publish(self) -> None:
        """Print and log it."""
        print(self.text, flush=True, file=sys.stdout)
        log_event(self.started)


def _own_environment(gateway: Gateway) -> Iterator[str]:
    """Yield what the environment of the settings themselves is."""
    if gateway.is_sandbox:
        yield "This is the embedded sandbox: generated data, no Dynamics 365 environment."
        yield "For a real one, set D365_URL, D365_TENANT_ID, D365_CLIENT_ID and D365_CLIENT_SECRET."
        if gateway.settings.sandbox.roles:
            yield "Callers sign in: `d365-graphql sandbox token --role …` prints a token."
    else:
        yield f"Upstream: {gateway.settings.url} ({gateway.dialect.title})"
    sets, fields = len(gateway.catalog.model.entity_sets), len(gateway.catalog.roots)
    yield f"{sets:,} entity sets, {fields:,} fields of Query."


def announcement_of(
    gateway: Gateway,
    address: str,
    admin: socket.socket | None = None,
    demonstration: Demonstration | None = None,
) -> Announcement:
    """Return the announcement of a gateway, which need not stay open until it is published."""
    lines = list(_own_environment(gateway)) if gateway.settings.default_environment else []
    lines.extend(addresses(gateway.settings, address))
    if admin is not None:
        lines.append(f"Health:   {admin_address(gateway.settings, admin)}")
    if demonstration is not None:
        second = None if admin is None else address_of(admin, gateway.settings.admin.host)
        lines.extend(demonstration.lines(f"{address}{gateway.settings.root_path}", second))
    started = Started(
        url=address,
        upstream=gateway.client.root,
        sandbox=gateway.is_sandbox,
        metadata=gateway.metadata.digest,
    )
    return Announcement("\n".join(lines), started)
