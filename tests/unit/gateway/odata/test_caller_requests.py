"""Requests with the identity of callers: whose token they carry, challenges; and that no other token stands in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.errors import Unauthenticated, UpstreamForbidden, UpstreamThrottled
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.newest_callers import NewestCallers
from gateway.odata.query import Request
from tests.support.caller_tokens import CallerTokenWorld as World
from tests.support.callers import HOUR, caller_of
from tests.support.login_host import STEP_UP
from tests.support.scripted_upstream import rows, upstream

pytestmark = pytest.mark.anyio
GET = Request("GET", "CustomersV3", {})


@pytest.fixture
def world() -> Iterator[World]:
    result = World()
    yield result
    result.tokens.close()


def challenge(claims: str = STEP_UP) -> httpx.Response:
    encoded = base64.b64encode(claims.encode()).decode()
    header = f'Bearer authorization_uri="x", error="insufficient_claims", claims="{encoded}"'
    return httpx.Response(401, headers={"www-authenticate": header})


async def test_requests_of_a_caller_carry_its_token(world: World) -> None:
    fo = upstream(rows())
    async with fo.client(auth=_Application()) as client:
        client.callers = world.tokens
        await client.send(GET)
        await client.for_caller(caller_of("a")).send(GET)
        await client.send(GET)

    sent = [r.headers["authorization"] for r in fo.requests]
    assert sent == ["Bearer application", "Bearer token-of-a#1", "Bearer application"]


@pytest.mark.parametrize("caller", [ANONYMOUS, Caller(kind="key", subject="k")])
async def test_no_other_token_stands_in(world: World, caller: Caller) -> None:
    fo = upstream(rows())
    async with fo.client(auth=_Application()) as client:
        client.callers = world.tokens
        bound = client.for_caller(caller)
        with pytest.raises(Unauthenticated):
            await bound.send(GET)
        with pytest.raises(Unauthenticated):
            await bound.write(Request("POST", "Sets", {}, b"{}"))

    assert fo.requests == []


async def test_an_old_token_that_is_rejected_is_replaced_once(world: World) -> None:
    fo = upstream(rows(), httpx.Response(401), rows())
    async with fo.client() as client:
        client.callers = world.tokens
        bound = client.for_caller(caller_of("a"))
        await bound.send(GET)
        world.clock.at = 60.0
        await bound.send(GET)

    sent = [r.headers["authorization"].rpartition("#")[2] for r in fo.requests]
    assert sent == ["1", "1", "2"]


async def test_a_caller_whom_the_service_rejects_costs_one_request_each(world: World) -> None:
    fo = upstream(httpx.Response(401))
    async with fo.client() as client:
        client.callers = world.tokens
        for _ in range(3):
            with pytest.raises(UpstreamForbidden, match="does not accept the caller's sign-in"):
                await client.for_caller(caller_of("a")).send(GET)

    assert (len(fo.requests), len(world.requests.asked)) == (3, 1)


async def test_a_challenge_is_met_by_a_token_with_the_claims(world: World) -> None:
    fo = upstream(challenge(), rows())
    async with fo.client() as client:
        client.callers = world.tokens
        await client.for_caller(caller_of("a")).send(GET)

    assert world.requests.asked == [("token-of-a", None), ("token-of-a", STEP_UP)]


async def test_a_challenge_that_stays_is_passed_on_and_remembered(world: World) -> None:
    fo = upstream(challenge())
    async with fo.client() as client:
        client.callers = world.tokens
        bound = client.for_caller(caller_of("a"))
        for _ in range(3):
            with pytest.raises(Unauthenticated) as caught:
                await bound.send(GET)

    assert caught.value.claims is not None
    assert (len(fo.requests), len(world.requests.asked)) == (2, 2)


@pytest.mark.parametrize(
    "header", ['Bearer claims="%%%"', 'Bearer claims="aGk="', "Bearer", 'Bearer claims=""']
)
async def test_an_unreadable_challenge_is_a_plain_401(world: World, header: str) -> None:
    fo = upstream(httpx.Response(401, headers={"www-authenticate": header}))
    async with fo.client() as client:
        client.callers = world.tokens
        with pytest.raises(UpstreamForbidden):
            await client.for_caller(caller_of("a")).send(GET)


async def test_a_caller_without_rights_is_named(world: World) -> None:
    fo = upstream(httpx.Response(403))
    async with fo.client() as client:
        client.callers = world.tokens
        with pytest.raises(UpstreamForbidden, match="The caller's account may not use CustomersV3"):
            await client.for_caller(caller_of("a")).send(GET)


class _Application(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = "Bearer application"
        yield request

    async def async_auth_flow(self, request: Any) -> Any:
        request.set_header("Authorization", "Bearer application")
        yield request


async def signed_with(world: World, sign_in: httpx.Auth) -> str:
    """Return the token that a request is signed with."""
    flow = sign_in.async_auth_flow(httpx.Request("GET", "https://fo.example/data"))
    request = await anext(flow)
    await flow.aclose()
    return request.headers["authorization"].removeprefix("Bearer ").partition("#")[0]


async def test_what_runs_for_long_goes_on_with_the_newest_token(world: World) -> None:
    poll = world.tokens.auth(caller_of("a", "first", ends_at=100))
    assert await signed_with(world, poll) == "first-of-a"
    world.tokens.auth(caller_of("a", "second"))
    world.tokens.auth(caller_of("a", "late", ends_at=50))
    world.tokens.auth(caller_of("b", "other"))
    world.clock.at = 200

    assert await signed_with(world, poll) == "second-of-a"


async def test_a_token_with_other_rights_does_not_stand_in(world: World) -> None:
    poll = world.tokens.auth(caller_of("a", "first", ends_at=100, amr=["mfa"]))
    world.tokens.auth(caller_of("a", "second", amr=["pwd"]))
    world.clock.at = 200

    with pytest.raises(Unauthenticated, match="expired"):
        await signed_with(world, poll)


def test_newest_callers_are_bounded() -> None:
    newest = NewestCallers(2)
    first = caller_of("a", ends_at=1)
    newest.note(caller_of("a"))
    assert newest.of(first).expires_at == 8 * HOUR
    for user in ("b", "c"):
        newest.note(caller_of(user))

    assert newest.of(first) is first


async def test_a_throttled_caller_holds_up_no_other(world: World) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "token-of-a" in request.headers["authorization"]:
            return httpx.Response(429, headers={"retry-after": "600"})
        return rows()

    fo = upstream(answer)
    async with fo.client(retries=0) as client:
        client.callers = world.tokens
        for _ in range(2):
            with pytest.raises(UpstreamThrottled):
                await client.for_caller(caller_of("a")).send(GET)
        await client.for_caller(caller_of("b")).send(GET)

    assert len(fo.requests) == 2
    assert fo.waits == []
