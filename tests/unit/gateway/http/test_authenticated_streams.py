"""Callers of WebSockets and event streams: how they sign in, how their tokens end and are renewed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.config.inbound_models import InboundOptions
from gateway.events.streams import SubscriptionEnded
from gateway.http import caller_watch
from gateway.http.caller_watch import EXPIRED, until_refused
from gateway.http.refusals import HttpError
from gateway.identity.caller import Caller
from gateway.odata.upstream import Upstream
from tests.support.event_stream import STREAM, asked
from tests.support.issuer import AUDIENCE, ISS, jwk, token
from tests.support.manual_clock import until
from tests.support.streaming import ACK, INIT, Served, Socket, serving, subscribe

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
INBOUND = InboundOptions.model_validate(
    {"issuers": [{"issuer": ISS, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k1")]}}]}
)
QUERY = subscribe("{ customersV3(first: 1) { nodes { __typename } } }", "q")
CHANGES = 'subscription { entityChanged(set: "CustomersV3", companies: ["usmf"]) { kind id } }'


@pytest.fixture(scope="module")
async def served(sandbox: Starlette) -> AsyncIterator[Served]:
    async with serving(sandbox, [], inbound=INBOUND) as found:
        yield found


def bearer(seconds: float = 600, **claims: Any) -> str:
    return f"Bearer {token(exp=int(time.time() + seconds), **claims)}"


def init(authorization: str | None, name: str = "Authorization", **more: Any) -> dict[str, Any]:
    return {**INIT, "payload": {name: authorization, **more}}


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
async def test_the_first_message_signs_in(served: Served, name: str) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer(), name), QUERY)

        assert await ws.hear() == ACK
        assert (await ws.hear())["type"] == "next"


async def test_the_handshake_signs_in(served: Served) -> None:
    async with served.connect(additional_headers={"Authorization": bearer()}) as raw:
        ws = Socket(raw)
        await ws.say(INIT)

        assert await ws.hear() == ACK


async def test_the_password_of_a_page_is_no_second_token(served: Served) -> None:
    async with served.connect(additional_headers={"Authorization": "Basic YTpi"}) as raw:
        ws = Socket(raw)
        await ws.say(init(bearer()))

        assert await ws.hear() == ACK


@pytest.mark.parametrize(
    ("messages", "closed"),
    [
        ([INIT], (4403, "This API needs credentials.")),
        ([init(None)], (4403, "This API needs credentials.")),
        ([init("Bearer a.b.c")], (4403, "The token is not valid.")),
        ([init(bearer(-60))], (4403, "The token has expired.")),
        ([init("Bearer")], (4403, "The header Authorization is not Bearer <token>.")),
        ([QUERY], (4401, "Unauthorized")),
    ],
)
async def test_a_connection_without_a_good_token_is_closed(
    served: Served, messages: list[Any], closed: tuple[int, str]
) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(*messages)

        assert await ws.end() == closed


async def test_two_tokens_close_the_connection(served: Served) -> None:
    async with served.connect(additional_headers={"Authorization": bearer()}) as raw:
        ws = Socket(raw)
        await ws.say(init(bearer(700)))

        assert (await ws.end())[0] == 4400


async def test_a_payload_sets_no_header_of_a_proxy(sandbox: Starlette) -> None:
    """Otherwise any client could name the certificate that a proxy has verified."""
    accepted = {"client_certificates": [{"subject": "*", "roles": "admin"}]}
    inbound = InboundOptions.model_validate(accepted)
    async with serving(sandbox, [], inbound=inbound) as served, served.connect() as raw:
        ws = Socket(raw)
        await ws.say({**INIT, "payload": {"X-Forwarded-Client-Cert": 'Subject="CN=a"'}})

        assert await ws.end() == (4403, "This API needs credentials.")


async def test_a_socket_closes_when_its_token_ends(served: Served) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer(1.5)), subscribe(CHANGES))
        assert await ws.hear() == ACK

        assert await ws.end() == (4403, EXPIRED)
    await until(lambda: not served.hub.watches)


async def test_a_ping_renews_the_token(served: Served) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer(1.5)), subscribe(CHANGES))
        assert await ws.hear() == ACK
        await ws.say({"type": "ping", "payload": {"Authorization": bearer()}})
        assert await ws.hear() == {"type": "pong"}
        await asyncio.sleep(1.6)

        await ws.say(QUERY)

        assert (await ws.hear())["id"] == "q"
        assert await ws.hear() == {"id": "q", "type": "complete"}
        # The subscription has gone on.
        await ws.say(subscribe(CHANGES))
        assert (await ws.end())[0] == 4409


async def test_a_ping_passes_the_token_on_to_polls(served: Served) -> None:
    gateway = served.app.state.live.gateway
    noted: list[float | None] = []

    class Identities:
        def for_caller(self, _: Caller) -> Upstream:
            upstream: Upstream = gateway.client
            return upstream

        def renew_caller(self, caller: Caller) -> None:
            noted.append(caller.expires_at)

    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer()))
        assert await ws.hear() == ACK
        gateway.engine.reads.identities = Identities()
        try:
            ends = int(time.time()) + 700
            renewed = f"Bearer {token(exp=ends)}"
            await ws.say({"type": "ping", "payload": {"Authorization": renewed}})
            assert await ws.hear() == {"type": "pong"}
        finally:
            gateway.engine.reads.identities = None

    assert noted == [ends]


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("Bearer a.b.c", "The token is not valid."),
        (None, "The token is of another caller"),
        ("Basic YTpi", "This API needs credentials."),
    ],
)
async def test_a_ping_cannot_change_the_caller(
    served: Served, authorization: str | None, reason: str
) -> None:
    authorization = authorization or bearer(sub="bob")
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer()), {"type": "ping", "payload": {"Authorization": authorization}})
        assert await ws.hear() == ACK

        assert await ws.end() == (4403, reason)


async def test_a_ping_before_the_first_message_signs_nobody_in(served: Served) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say({"type": "ping", "payload": {"Authorization": bearer()}}, QUERY)
        assert await ws.hear() == {"type": "pong"}

        assert await ws.end() == (4401, "Unauthorized")


async def test_other_rights_end_subscriptions_only(served: Served) -> None:
    async with served.connect() as raw:
        ws = Socket(raw)
        await ws.say(init(bearer()), subscribe(CHANGES))
        assert await ws.hear() == ACK
        await until(lambda: served.hub.watches)
        await ws.say({"type": "ping", "payload": {"Authorization": bearer(roles=["other"])}})

        ended = await ws.hear()

        assert (ended["id"], ended["type"]) == ("1", "error")
        assert ended["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert await ws.hear() == {"type": "pong"}
        await ws.say(subscribe(CHANGES), QUERY)
        assert (await ws.hear())["id"] == "q"


async def test_an_event_stream_ends_with_its_token(served: Served) -> None:
    headers = {**STREAM, "authorization": bearer(1.5)}
    async with asked(served, CHANGES, headers) as stream:
        assert stream.status == 200

        said, last = await stream.rest()

    error = json.loads(said.removeprefix("event: next\ndata: "))["errors"][0]
    assert (error["message"], error["extensions"]["code"]) == (EXPIRED, "UNAUTHENTICATED")
    assert last == "event: complete\ndata:\n\n"
    await until(lambda: not served.hub.watches)
    assert any(isinstance(event, SubscriptionEnded) for event in served.events)


async def test_an_event_stream_needs_a_token(served: Served) -> None:
    async with asked(served, CHANGES) as stream:
        assert stream.status == 401
        assert stream.headers["www-authenticate"] == 'bearer realm="d365-graphql"'


async def test_credentials_are_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_watch, "RECHECK", 0.001)
    answers = [None, HttpError(503, "STORE_UNAVAILABLE", "away"), None, HttpError(401, "X", "gone")]

    async def verify() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    assert await until_refused(lambda: Caller(kind="key"), verify) == "gone"
    assert answers == []
