"""One environment that hangs, throttles, cannot sign in or sends garbage harms no other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx
import pytest

from gateway.events.environments import EnvironmentFailed
from tests.support.environments import (
    Deployment,
    Service,
    deployed,
    mark_of,
    path_of,
    service,
    settings_of,
)

pytestmark = pytest.mark.anyio
QUERY = "{ things { nodes { name } } }"
BODY = "application/json; odata.metadata=minimal"
MIB = 1 << 20
REQUESTS = 20
LIMIT = 10.0
"""Seconds in which all requests to other environments are answered, on a busy machine."""


class Garbage(httpx.AsyncByteStream):
    """40 MiB that are neither XML nor JSON; counts what is read of it."""

    def __init__(self) -> None:
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(640):
            self.read += 1 << 16
            yield b"\xff\x00garbage" * (1 << 13)
            await asyncio.sleep(0)


def is_metadata(request: httpx.Request) -> bool:
    return request.url.path.endswith("/$metadata")


async def others_are_served(deployment: Deployment, *names: str) -> None:
    """Send requests to other environments, and check that all are answered, with their own rows."""
    before = {name: deployment.services[name].requests for name in names}
    async with asyncio.timeout(LIMIT):
        for name in names * REQUESTS:
            answer = await deployment.post(QUERY, path_of(name if name != "home" else ""))
            assert mark_of(name) in answer.text
        ready = await deployment.http.get("/readyz")
    assert ready.status_code == 200
    for name in names:
        assert deployment.services[name].requests - before[name] >= REQUESTS


@asynccontextmanager
async def three(**more: Any) -> AsyncIterator[tuple[Deployment, Service]]:
    """Yield a deployment of the settings' environment, acme, which misbehaves, and beta."""
    settings = settings_of("beta", environments={"acme": more.pop("acme", {})}, **more)
    services = {name: service(name) for name in ("home", "acme", "beta")}
    async with deployed(settings, services) as deployment:
        yield deployment, services["acme"]


@pytest.mark.parametrize("opens_first", [True, False], ids=["its rows", "its metadata"])
async def test_one_that_hangs_has_limits_of_its_own(opens_first: bool) -> None:
    async with three(acme={"concurrency": 3}) as (deployment, acme):
        if opens_first:
            await deployment.post(QUERY, path_of("acme"))
        acme.requests, acme.gate = 0, asyncio.Event()
        waiting = [
            asyncio.create_task(deployment.post(_different(n), path_of("acme"))) for n in range(30)
        ]
        await others_are_served(deployment, "home", "beta")

        assert not any(task.done() for task in waiting)
        assert acme.requests == (3 if opens_first else 1)
        acme.gate.set()
        answers = await asyncio.gather(*waiting)
        assert all(mark_of("acme") in answer.text for answer in answers)


def _different(number: int) -> str:
    """Return an operation whose reads are shared with no other."""
    return f'{{ things(where: {{ name: {{ ne: "{number}" }} }}) {{ nodes {{ name }} }} }}'


async def test_one_that_throttles_slows_itself_only() -> None:
    def throttle(request: httpx.Request) -> httpx.Response | None:
        return None if is_metadata(request) else httpx.Response(429, headers={"Retry-After": "60"})

    async with three(acme={"operation_timeout": 0.3}) as (deployment, acme):
        acme.respond = throttle
        first = await deployment.post(QUERY, path_of("acme"))
        asked = acme.requests
        second = await deployment.post(QUERY, path_of("acme"))
        await others_are_served(deployment, "home", "beta")

    assert "errors" in first.json()
    assert "errors" in second.json()
    # It waits for as long as it was told to, and does not ask again.
    assert acme.requests == asked


@pytest.mark.parametrize("what", ["its rows", "its metadata"])
async def test_of_much_garbage_little_is_read(what: str) -> None:
    garbage = [Garbage() for _ in range(8)]
    streams = iter(garbage)

    def send(request: httpx.Request) -> httpx.Response | None:
        if is_metadata(request) != (what == "its metadata"):
            return None
        kind = "application/xml" if is_metadata(request) else BODY
        return httpx.Response(200, headers={"content-type": kind}, stream=next(streams))

    async with three(acme={"max_upstream_bytes": MIB}) as (deployment, acme):
        acme.respond = send
        answers = await asyncio.gather(
            *(deployment.post(_different(n), path_of("acme")) for n in range(6)),
            others_are_served(deployment, "home", "beta"),
        )

    assert all("errors" in answer.json() for answer in answers[:-1] if answer is not None)
    read = [stream.read for stream in garbage if stream.read]
    assert read
    assert max(read) <= 2 * MIB


@pytest.mark.parametrize(
    "document",
    [
        "<edmx:Edmx",
        "<html></html>",
        "",
        "<a>" * 10_000,
        "\x00",
        '<!DOCTYPE x [<!ENTITY y "z">]><x/>',
    ],
    ids=["cut off", "a web page", "empty", "deep", "no text", "entities"],
)
async def test_broken_metadata_is_read_once_and_harms_no_other(document: str) -> None:
    async with three() as (deployment, acme):
        acme.document = document
        answers = [await deployment.post(QUERY, path_of("acme")) for _ in range(5)]
        await others_are_served(deployment, "home", "beta")

        assert {answer.status_code for answer in answers} == {503}
        assert acme.requests == 1
        failures = deployment.said(EnvironmentFailed)
        assert [failure.environment for failure in failures] == ["acme"]


@contextmanager
def silent_host() -> Iterator[str]:
    """Yield the address of a host that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


SIGN_IN = {"auth": "client_credentials", "tenant_id": "t", "client_id": "c", "client_secret": "s"}


async def test_many_that_cannot_sign_in_take_no_place_of_others() -> None:
    names = [f"silent-{number}" for number in range(40)]
    with silent_host() as authority:
        silent = {name: {**SIGN_IN, "authority": authority} for name in names}
        settings = settings_of("beta", "gamma", environments=silent)
        services = {n: service(n) for n in ("home", *settings.environments)}
        async with deployed(settings, services) as deployment:
            waiting = [asyncio.create_task(deployment.post(QUERY, path_of(name))) for name in names]
            await asyncio.sleep(0.3)
            # Also those that are opened meanwhile.
            await others_are_served(deployment, "home", "beta", "gamma")

            assert not any(task.done() for task in waiting)
            assert sum(services[name].requests for name in names) == 0
            for task in waiting:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*waiting)


async def test_an_environment_that_refuses_the_sign_in_is_asked_once() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, headers={"www-authenticate": "Bearer"})

    async with three() as (deployment, acme):
        acme.respond = refuse
        answers = [await deployment.post(QUERY, path_of("acme")) for _ in range(5)]
        await others_are_served(deployment, "home", "beta")

    assert {answer.status_code for answer in answers} == {503}
    assert acme.requests == 1
    assert "sign in" in answers[0].text


@pytest.mark.parametrize(
    "fault",
    [lambda: httpx.Response(502, html="<h1>Bad Gateway</h1>"), lambda: httpx.Response(500)],
    ids=["a proxy's page", "an error"],
)
async def test_errors_of_one_are_its_own(fault: Callable[[], httpx.Response]) -> None:
    async with three() as (deployment, acme):
        acme.respond = lambda request: None if is_metadata(request) else fault()
        own = [await deployment.post(QUERY, path_of("acme")) for _ in range(10)]
        await others_are_served(deployment, "home", "beta")

    assert all("errors" in answer.json() for answer in own)
