"""An issuer on a socket changes its keys while requests arrive: none of them is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.events import Event, KeysLoaded
from tests.support.issuer import AUDIENCE, FakeIssuer, jwk, token
from tests.support.sockets import Connection, listening, ok

pytestmark = pytest.mark.anyio
CLIENTS = 6
REQUESTS = 240
"""Requests before, during and after the change; each with a token of its own, so that none is remembered."""


@pytest.mark.heavy
async def test_a_key_rotation_under_load_loses_no_request() -> None:
    issuer = FakeIssuer("k1")

    async def handle(connection: Connection) -> None:
        while head := await connection.request():
            path = urlsplit(head.split(b" ")[1].decode()).path
            issuer.requested.append(path)
            await asyncio.sleep(0.02)  # in which other requests arrive
            await connection.say(ok(json.dumps(issuer.document(path)).encode()))

    async with listening(handle) as server:
        issuer.iss = issuer.base = f"http://127.0.0.1:{server.port}"
        accepted = {"issuer": issuer.iss, "audiences": [AUDIENCE]}
        settings = Settings.model_validate({"language": None, "inbound": {"issuers": [accepted]}})
        events: list[Event] = []
        app = create_app(settings, observe=events.append)
        numbers = itertools.count()
        signing = "k1"
        statuses: list[int] = []

        async def client(http: httpx.AsyncClient) -> None:
            nonlocal signing
            while (number := next(numbers)) < REQUESTS:
                if number == REQUESTS // 3:
                    # Published and used at once, while tokens of the old key are still under way.
                    issuer.keys = [jwk("k1"), jwk("k2")]
                    signing = "k2"
                text = token(signing, iss=issuer.iss, jti=str(number))
                response = await http.post(
                    "/graphql",
                    json={"query": "{ __typename }"},
                    headers={"authorization": f"Bearer {text}"},
                )
                statuses.append(response.status_code)

        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            await asyncio.gather(*(client(http) for _ in range(CLIENTS)))

    assert statuses == [200] * REQUESTS
    loaded = [event.kids for event in events if isinstance(event, KeysLoaded)]
    assert loaded == [("k1",), ("k1", "k2")]
    assert sum(path.endswith("/keys") for path in issuer.requested) == 2
