"""Which user of the environment a caller is, by what it signs in with; cached, and in one lookup at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.config.inbound_models import ENTRA_USER
from gateway.config.settings import Settings
from gateway.errors import UpstreamUnavailable
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.odata.client import ODataClient
from gateway.odata.dialects import dialect_for
from gateway.odata.environment_users import EnvironmentUsers
from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.app import SandboxApp
from tests.support.environment import CLIENT
from tests.support.scripted_upstream import rows, upstream

pytestmark = pytest.mark.anyio
FINOPS = dialect_for("finops", "")
assert FINOPS.account is not None
ACCOUNT = FINOPS.account


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


@dataclass
class World:
    users: EnvironmentUsers
    sandbox: SandboxApp
    clock: Clock

    async def user(self, caller: Caller) -> Any:
        return (await self.users.with_user(caller)).user

    @property
    def requests(self) -> int:
        return len(self.sandbox.state.requests)


@pytest.fixture(scope="module")
def sandbox() -> SandboxApp:
    app = create_sandbox(SandboxSettings())
    assert isinstance(app, SandboxApp)
    return app


@pytest.fixture
async def world(sandbox: SandboxApp) -> AsyncIterator[World]:
    sandbox.state.requests.clear()
    settings = Settings(url="https://fo.example/data", auth="none")
    clock = Clock()
    async with ODataClient(settings, transport=httpx.ASGITransport(sandbox)) as client:
        yield World(EnvironmentUsers(client, FINOPS, ACCOUNT, clock), sandbox, clock)


def caller(*scopes: str, user_claims: Sequence[str] = ENTRA_USER, **claims: object) -> Caller:
    return Caller(
        kind="token",
        issuer="i",
        subject="s",
        claims=claims,
        scopes=scopes,
        user_claims=tuple(user_claims),
    )


USER05 = {
    "id": "user05",
    "company": "usrt",
    "language": "en-US",
    "roles": ["Accounting manager", "Sales clerk"],
}


@pytest.mark.parametrize(
    "who",
    [
        caller(upn="user05@contoso.com"),
        caller(upn="USER05@CONTOSO.COM"),
        caller(preferred_username="user05@contoso.com"),
        caller(unique_name="user05@contoso.com"),
        caller(upn="unknown@contoso.com", unique_name="user05@contoso.com"),
        caller(login="user05@contoso.com", user_claims=["login"]),
    ],
)
async def test_a_user_is_known_by_its_sign_in_name(world: World, who: Caller) -> None:
    assert await world.user(who) == USER05


async def test_an_application_is_the_user_of_its_registration(world: World) -> None:
    user = await world.user(caller(appid=CLIENT))

    assert user["id"] == "user01"


@pytest.mark.parametrize(
    "who",
    [
        caller(upn="stranger@contoso.com"),
        caller(upn="user06@contoso.com"),  # disabled
        caller(upn="user0*"),
        caller(upn="*"),
        caller(upn="' or 1 eq 1"),
        caller(appid="00000000-0000-0000-0000-000000000001"),
        caller(appid="*"),
        caller(upn=["user05@contoso.com"]),
        # Whoever may write an address into a profile would be that user.
        caller(email="user05@contoso.com"),
        caller(upn="unknown@contoso.com", email="user05@contoso.com"),
        # Of an issuer that does not know the users of the environment.
        caller(upn="user05@contoso.com", user_claims=[]),
        caller(appid=CLIENT, user_claims=[]),
        # Somebody who calls by an application is not the application.
        caller("erp.access", appid=CLIENT),
        caller(),
        ANONYMOUS,
        Caller(kind="key", subject="k", claims={"upn": "user05@contoso.com"}),
    ],
)
async def test_others_are_no_users(world: World, who: Caller) -> None:
    assert await world.user(who) == {}


async def test_a_user_is_cached_for_minutes(world: World) -> None:
    for world.clock.at in (0.0, 299.0):
        await world.user(caller(upn="user05@contoso.com"))
    assert world.requests == 2  # the user and its roles

    world.clock.at = 301.0
    await world.user(caller(upn="user05@contoso.com"))
    assert world.requests == 4


async def test_that_somebody_is_no_user_is_cached(world: World) -> None:
    for world.clock.at in (0.0, 59.0, 61.0):
        await world.user(caller(upn="stranger@contoso.com"))

    assert world.requests == 2


async def test_concurrent_requests_share_a_lookup(world: World) -> None:
    who = caller(upn="user05@contoso.com")
    waiting = [asyncio.ensure_future(world.user(who)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()

    users = await asyncio.gather(*waiting[1:])

    assert users == [USER05] * 9
    assert world.requests == 2


async def test_callers_without_a_name_cost_nothing(world: World) -> None:
    who = caller(sub="x")

    assert await world.users.with_user(who) is who
    assert world.requests == 0


async def test_unreadable_users_are_no_facts() -> None:
    fo = upstream(httpx.Response(403))
    async with fo.client() as client:
        users = EnvironmentUsers(client, FINOPS, ACCOUNT)
        who = caller(upn="a@contoso.com")

        assert await users.with_user(who) is who
        assert await users.with_user(who) is who
    assert len(fo.requests) == 1


async def test_without_roles_the_other_facts_are_known() -> None:
    row = {"UserID": "u", "Alias": "a@contoso.com", "Enabled": True, "Company": "USMF"}
    fo = upstream(rows(row), httpx.Response(403))
    async with fo.client() as client:
        found = await EnvironmentUsers(client, FINOPS, ACCOUNT).with_user(caller(upn=row["Alias"]))

    assert found.user == {"id": "u", "company": "usmf", "language": None}


async def test_a_lookup_that_fails_is_an_error_and_tried_again() -> None:
    fo = upstream(httpx.Response(500), rows())
    async with fo.client() as client:
        users = EnvironmentUsers(client, FINOPS, ACCOUNT)
        with pytest.raises(UpstreamUnavailable):
            await users.with_user(caller(upn="a@contoso.com"))
        await users.with_user(caller(upn="a@contoso.com"))

    assert len(fo.requests) == 2
