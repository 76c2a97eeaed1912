"""Tokens on behalf of callers: the cache, single flight, refusals, challenges; and that no other token stands in."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import TokenError, Unauthenticated
from gateway.events import CallerTokenAcquired
from gateway.identity.caller import ANONYMOUS, Assertion, Caller
from gateway.odata.caller_key import caller_key
from gateway.odata.query import Request
from gateway.odata.token_requests import EntraAccount
from tests.support.caller_tokens import ACCOUNT
from tests.support.caller_tokens import CallerTokenWorld as World
from tests.support.callers import HOUR, caller_of
from tests.support.login_host import STEP_UP, refusal

pytestmark = pytest.mark.anyio
GET = Request("GET", "CustomersV3", {})


@pytest.fixture
def world() -> Iterator[World]:
    result = World()
    yield result
    result.tokens.close()


async def test_a_token_is_requested_once_for_each_caller(world: World) -> None:
    tokens = [await world.token(caller_of(user)) for user in ("a", "b", "a", "b", "a")]

    assert len(world.requests.asked) == 2
    assert tokens[0] != tokens[1]
    assert tokens[2:] == [tokens[0], tokens[1], tokens[0]]
    assert [type(event) for event in world.events] == [CallerTokenAcquired] * 2


@pytest.mark.heavy
async def test_many_callers_cause_a_request_each() -> None:
    world = World(max_tokens=1_000)
    callers = [caller_of(str(number)) for number in range(1_000)]

    for _ in range(2):
        await asyncio.gather(*(world.token(caller) for caller in callers))

    assert len(world.requests.asked) == 1_000
    world.tokens.close()


async def test_a_renewed_token_of_the_caller_needs_no_request(world: World) -> None:
    for text in ("first", "second"):
        await world.token(caller_of("a", text))

    assert len(world.requests.asked) == 1


async def test_concurrent_requests_of_a_caller_share_one(world: World) -> None:
    world.requests.gate = threading.Event()
    waiting = [asyncio.ensure_future(world.token(caller_of("a"))) for _ in range(20)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    world.requests.gate.set()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert len(world.requests.asked) == 1
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert len({str(outcome) for outcome in outcomes[1:]}) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"tid": "fabrikam"},
        {"azp": "other-client"},
        {"appid": "other-client"},
        {"acrs": ["c1"]},
        {"amr": ["pwd", "mfa"]},
        {"scp": "other"},
        {"roles": ["admin"]},
        {"oid": "a\x00"},
        {"oid": "ab", "sub": ""},
        {"oid": "a", "sub": "b"},
    ],
)
def test_each_claim_that_may_matter_has_its_own_token(claims: dict[str, Any]) -> None:
    assert caller_key(caller_of("a"), ACCOUNT) != caller_key(caller_of("a", **claims), ACCOUNT)


def test_the_order_of_scopes_and_roles_does_not_matter() -> None:
    one = caller_of("a", scp="x y", roles=["r", "s"])
    other = caller_of("a", scp="y x", roles=["s", "r"])

    assert caller_key(one, ACCOUNT) == caller_key(other, ACCOUNT)


def test_other_services_have_their_own_tokens() -> None:
    elsewhere = EntraAccount(
        authority=ACCOUNT.authority,
        tenant_id="contoso",
        client_id="app-1",
        scope="https://b/.default",
    )

    assert caller_key(caller_of("a"), ACCOUNT) != caller_key(caller_of("a"), elsewhere)


async def test_a_token_does_not_outlive_the_callers_own(world: World) -> None:
    await world.token(caller_of("a", ends_at=600.0))
    world.clock.at = 599.0
    await world.token(caller_of("a", ends_at=600.0))
    assert len(world.requests.asked) == 1

    world.clock.at = 600.0
    with pytest.raises(Unauthenticated, match="has expired"):
        await world.token(caller_of("a", ends_at=600.0))
    await world.token(caller_of("a", "next"))

    assert [assertion for assertion, _ in world.requests.asked] == ["token-of-a", "next-of-a"]


async def test_a_renewed_caller_keeps_what_runs_with_its_old_token(world: World) -> None:
    old = caller_of("a", ends_at=600.0)
    await world.token(old)

    world.tokens.renew(caller_of("a", "new", ends_at=4_000.0))
    await asyncio.sleep(0.05)
    world.clock.at = 700.0
    assert await world.token(old) == "new-of-a#2"

    world.clock.at = 4_000.0
    with pytest.raises(Unauthenticated, match="has expired"):
        await world.token(old)
    assert len(world.requests.asked) == 2


async def test_a_renewal_that_brings_nothing_costs_nothing(world: World) -> None:
    await world.token(caller_of("a"))

    world.tokens.renew(caller_of("a", "same", ends_at=600.0))
    await asyncio.sleep(0)

    assert len(world.requests.asked) == 1


async def test_a_token_is_renewed_early_in_the_background(world: World) -> None:
    first = await world.token(caller_of("a"))
    world.clock.at = 0.79 * HOUR
    assert await world.token(caller_of("a")) == first
    assert len(world.requests.asked) == 1

    world.clock.at = 0.81 * HOUR
    assert await world.token(caller_of("a")) == first  # without waiting
    await asyncio.sleep(0.05)
    assert await world.token(caller_of("a")) != first

    assert len(world.requests.asked) == 2


async def test_the_least_recently_used_token_goes_first() -> None:
    world = World(max_tokens=2)
    for user in ("a", "b", "a", "c", "a"):
        await world.token(caller_of(user))
    assert len(world.requests.asked) == 3

    await world.token(caller_of("b"))

    assert len(world.requests.asked) == 4
    world.tokens.close()


@pytest.mark.parametrize(
    ("caller", "message"),
    [
        (ANONYMOUS, "A request without a token cannot act"),
        (Caller(kind="key", issuer="keys", subject="k1"), "An API key cannot act"),
        (Caller(kind="certificate", subject="CN=x"), "A client certificate cannot act"),
        (
            Caller(kind="token", claims={"sub": "x"}, assertion=Assertion("t")),
            "names no user of a tenant",
        ),
    ],
)
async def test_a_caller_without_a_users_token_is_refused(
    world: World, caller: Caller, message: str
) -> None:
    with pytest.raises(Unauthenticated, match=message):
        await world.token(caller)

    assert world.requests.asked == []


async def test_a_refusal_is_remembered_for_this_very_token(world: World) -> None:
    world.requests.answers["token-of-a"] = refusal(50173, "Revoked.", "invalid_grant")
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="AADSTS50173"):
            await world.token(caller_of("a"))
    assert len(world.requests.asked) == 1

    await world.token(caller_of("a", "new"))
    assert len(world.requests.asked) == 2


async def test_a_refusal_is_forgotten_after_a_while(world: World) -> None:
    world.requests.answers["token-of-a"] = refusal(50173, "Revoked.", "invalid_grant")
    for world.clock.at in (0.0, 119.0, 121.0):
        with pytest.raises(Unauthenticated):
            await world.token(caller_of("a"))

    assert len(world.requests.asked) == 2


async def test_a_step_up_is_passed_on_with_its_claims(world: World) -> None:
    needs = {**refusal(50076, "MFA.", "interaction_required"), "claims": STEP_UP}
    world.requests.answers["token-of-a"] = needs

    with pytest.raises(Unauthenticated) as caught:
        await world.token(caller_of("a"))

    assert caught.value.claims is not None
    assert base64.b64decode(caught.value.claims).decode() == STEP_UP
    assert 'error="insufficient_claims"' in caught.value.challenge


@pytest.mark.parametrize("claims", ["no json", "[1]", "x" * 7000, 5, None])
async def test_claims_that_are_no_request_are_not_passed_on(world: World, claims: object) -> None:
    needs = {**refusal(50076, "MFA.", "interaction_required"), "claims": claims}
    world.requests.answers["token-of-a"] = needs

    with pytest.raises(Unauthenticated) as caught:
        await world.token(caller_of("a"))

    assert caught.value.claims is None


@pytest.mark.parametrize(
    "answer",
    [
        refusal(65001, "Consent.", "invalid_grant"),
        refusal(50013, "Audience.", "invalid_grant"),
        refusal(7000215, "Secret."),
        {"error": "temporarily_unavailable"},
    ],
)
async def test_what_signing_in_does_not_mend_is_no_401(
    world: World, answer: dict[str, object]
) -> None:
    world.requests.answers["token-of-a"] = answer

    for world.clock.at in (0.0, 4.0, 6.0):
        with pytest.raises(TokenError):
            await world.token(caller_of("a"))

    assert len(world.requests.asked) == 2


async def test_a_failure_of_one_caller_is_not_that_of_others(world: World) -> None:
    world.requests.answers["token-of-a"] = {"error": "server_error"}
    with pytest.raises(TokenError):
        await world.token(caller_of("a"))

    assert await world.token(caller_of("b")) == "token-of-b#2"


async def test_waiting_for_a_token_has_a_limit() -> None:
    world = World(workers=1, longest=0.02)
    world.requests.gate = threading.Event()

    outcomes = await asyncio.gather(
        world.token(caller_of("a")), world.token(caller_of("b")), return_exceptions=True
    )
    world.requests.gate.set()
    world.tokens.close()

    assert {type(outcome) for outcome in outcomes} == {TokenError}


async def test_no_token_is_printed(world: World) -> None:
    token = await world.token(caller_of("a"))

    shown = repr(world.tokens) + repr(vars(world.tokens)["_tokens"]) + repr(world.events)
    assert token not in shown
    assert "token-of-a" not in shown
