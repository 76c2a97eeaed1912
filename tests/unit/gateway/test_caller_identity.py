"""``identity = "caller"``, end to end: a gateway, a login host and a sandbox whose users differ, over loopback HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.applications import Starlette

from gateway.events import CallerTokenAcquired, Event
from tests.support.app_client import Client, calling, serving
from tests.support.client_certificates import certificate, pem
from tests.support.environment import CLIENT, Environment, environment
from tests.support.login_host import ON_BEHALF, STEP_UP, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CUSTOMERS = """{
  customersV3(first: 500, companies: ["usmf", "usrt", "demf", "dat"]) { nodes { dataAreaId } }
}"""
SALES_CLERK, AR_CLERK, ACCOUNTANT = "user05", "user02", "user04"
"""Users of the sandbox: of usrt, of demf, and one who may not see customers."""


@pytest.fixture(scope="module")
def world() -> Iterator[Environment]:
    with environment() as running:
        yield running


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def served(world: Environment) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    async with serving(world.settings()) as running:
        yield running


@pytest.fixture
async def client(
    world: Environment, served: tuple[Starlette, list[Event]]
) -> AsyncIterator[Client]:
    world.host.grants.clear()
    world.sandbox.state.requests.clear()
    async with calling(*served) as client:
        yield client
    world.host.refuse_user.clear()
    world.host.step_up.clear()
    world.step_up.clear()


async def ask(client: Client, token: str | None, query: str = CUSTOMERS) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await client.post({"query": query}, **headers)


def companies_in(response: Any) -> set[str]:
    assert response.status_code == 200, response.text
    return {node["dataAreaId"] for node in response.json()["data"]["customersV3"]["nodes"]}


def users_upstream(world: Environment) -> list[str]:
    """Return the users whose rows were requested, by the tokens that were sent."""
    tokens = [
        request.headers["authorization"].removeprefix("Bearer ")
        for request in world.sandbox.state.requests
        if "CustomersV3" in request.path
    ]
    return [jwt.decode(t, options={"verify_signature": False}).get("upn", "app") for t in tokens]


async def test_callers_get_the_rows_of_their_companies(world: Environment, client: Client) -> None:
    clerk = await ask(client, world.token(SALES_CLERK))
    other = await ask(client, world.token(AR_CLERK))
    administrator = await ask(client, world.token("admin"))

    assert companies_in(clerk) == {"usrt"}
    assert companies_in(other) == {"demf"}
    assert companies_in(administrator) == {"usmf", "usrt", "demf", "dat"}
    assert users_upstream(world) == [
        f"{user}@contoso.com" for user in (SALES_CLERK, AR_CLERK, "admin")
    ]


@pytest.fixture(scope="module")
async def caching(world: Environment) -> AsyncIterator[tuple[Starlette, list[Event]]]:
    settings = world.settings(CACHE__TTL="600", CACHE__SETS="CustomersV3")
    async with serving(settings) as running:
        yield running


async def test_no_caller_gets_what_was_cached_for_another(
    world: Environment, client: Client, caching: tuple[Starlette, list[Event]]
) -> None:
    users = {SALES_CLERK: {"usrt"}, AR_CLERK: {"demf"}, "admin": {"usmf", "usrt", "demf", "dat"}}
    async with calling(*caching) as cached:
        for _ in range(2):
            asked = [(user, ask(cached, world.token(user))) for user in users for _ in range(5)]
            answers = await asyncio.gather(*(answer for _, answer in asked))
            for (user, _), answer in zip(asked, answers, strict=True):
                assert companies_in(answer) == users[user]

    assert sorted(users_upstream(world)) == sorted(f"{user}@contoso.com" for user in users)


async def test_a_refused_caller_is_told_so_though_another_read_joined(
    world: Environment, caching: tuple[Starlette, list[Event]]
) -> None:
    token = world.token(AR_CLERK, amr=["refused"])
    world.host.refuse_user[AR_CLERK] = refusal(50173, "The grant was revoked.", "invalid_grant")
    async with calling(*caching) as cached:
        query = "{ customerGroups { nodes { customerGroupId } } }"
        answers = await asyncio.gather(*(ask(cached, token, query) for _ in range(5)))
    world.host.refuse_user.clear()

    assert [answer.status_code for answer in answers] == [401] * 5


async def test_the_default_scope_is_the_users_company(world: Environment, client: Client) -> None:
    query = "{ customersV3(first: 500) { nodes { dataAreaId } } }"

    assert companies_in(await ask(client, world.token("admin"), query)) == {"usmf"}
    assert companies_in(await ask(client, world.token(AR_CLERK), query)) == {"demf"}


async def test_a_caller_without_rights_is_told_so(world: Environment, client: Client) -> None:
    response = await ask(client, world.token(ACCOUNTANT))

    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "UPSTREAM_FORBIDDEN"
    assert error["message"].startswith("The caller's account may not use CustomersV3")


async def test_a_user_whom_the_environment_does_not_know_is_refused(
    world: Environment, client: Client
) -> None:
    response = await ask(client, world.token("stranger"))

    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "UPSTREAM_FORBIDDEN"
    assert "does not accept the caller's sign-in" in error["message"]
    assert users_upstream(world) == ["stranger@contoso.com"]


async def test_a_caller_costs_one_token(world: Environment, client: Client) -> None:
    token = world.token(SALES_CLERK, amr=["pwd"])
    await asyncio.gather(*(ask(client, token) for _ in range(20)))

    assert [grant["grant_type"] for grant in world.host.grants] == [ON_BEHALF]
    assert sum(isinstance(event, CallerTokenAcquired) for event in client.events) == 1


async def test_a_revoked_caller_is_answered_401(world: Environment, client: Client) -> None:
    world.host.refuse_user[AR_CLERK] = refusal(50173, "The grant was revoked.", "invalid_grant")
    token = world.token(AR_CLERK, amr=["revoked"])

    for _ in range(2):
        response = await ask(client, token)
        assert response.status_code == 401
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert response.headers["www-authenticate"].startswith("Bearer")

    assert len(world.host.grants) == 1
    assert users_upstream(world) == []


def claims_in(response: Any) -> str:
    assert response.status_code == 401, response.text
    header = response.headers["www-authenticate"]
    assert 'error="insufficient_claims"' in header
    claims: str = response.json()["errors"][0]["extensions"]["claims"]
    assert f'claims="{claims}"' in header
    return base64.b64decode(claims).decode()


async def test_what_the_login_host_requires_reaches_the_client(
    world: Environment, client: Client
) -> None:
    world.host.step_up.add(AR_CLERK)

    response = await ask(client, world.token(AR_CLERK, amr=["pwd", "1"]))
    assert claims_in(response) == STEP_UP

    response = await ask(client, world.token(AR_CLERK, acrs=["c1"]))
    assert companies_in(response) == {"demf"}


async def test_what_the_service_requires_reaches_the_client(
    world: Environment, client: Client
) -> None:
    world.step_up[AR_CLERK] = STEP_UP

    response = await ask(client, world.token(AR_CLERK, amr=["pwd", "2"]))

    assert claims_in(response) == STEP_UP


@pytest.mark.parametrize("claims", [{"oid": ""}, {"tid": ""}])
async def test_a_token_of_no_user_is_refused(
    world: Environment, client: Client, claims: dict[str, str]
) -> None:
    response = await ask(client, world.token("admin", **claims))

    assert response.status_code == 401
    assert world.host.grants == []
    assert users_upstream(world) == []


async def test_the_schema_needs_no_token_of_the_caller(world: Environment, client: Client) -> None:
    response = await ask(client, world.token("admin"), '{ __type(name: "Query") { name } }')

    assert response.status_code == 200
    assert world.host.grants == []


MUTATION = """mutation {
  updateCustomersV3(
    input: {
      key: {dataAreaId: "usrt", customerAccount: "nobody"}, patch: {customerGroupId: "10"}
    }
  ) { __typename }
}"""


async def test_a_write_has_the_identity_of_its_caller(world: Environment, client: Client) -> None:
    world.step_up[SALES_CLERK] = STEP_UP
    response = await ask(client, world.token(SALES_CLERK, amr=["write"]), MUTATION)
    assert claims_in(response) == STEP_UP

    world.step_up.clear()
    response = await ask(client, world.token(SALES_CLERK, amr=["other"]), MUTATION)
    assert response.status_code == 200
    assert set(users_upstream(world)) == {f"{SALES_CLERK}@contoso.com"}


async def test_metadata_is_read_by_the_application(
    world: Environment, served: tuple[Starlette, list[Event]]
) -> None:
    del served
    world.sandbox.state.requests.clear()
    async with serving(world.settings()):
        requests = world.sandbox.state.requests
        tokens = {r.headers["authorization"].removeprefix("Bearer ") for r in requests}

    claims = [jwt.decode(token, options={"verify_signature": False}) for token in tokens]
    assert {claim["appid"] for claim in claims} == {CLIENT}
    assert not any("upn" in claim for claim in claims)


# Rotation under load


async def calls_while(client: Client, world: Environment, done: asyncio.Event) -> list[int]:
    """Call as ever new users until ``done``, and return the statuses."""
    statuses: list[int] = []
    while not done.is_set():
        token = world.token("admin", amr=[f"{id(done)}-{len(statuses)}"])
        statuses.append((await ask(client, token)).status_code)
    return statuses


@pytest.mark.parametrize("kind", ["secret", "certificate"])
async def test_a_rotation_under_load_loses_no_request(
    world: Environment, tmp_path: Path, kind: str
) -> None:
    host, file, before = world.host, tmp_path / "credential", list(world.host.secrets)
    first, second = certificate("first"), certificate("second")
    if kind == "secret":
        file.write_text(before[0], "utf-8")
        settings = world.settings(CLIENT_SECRET="", CLIENT_SECRET_FILE=str(file))
    else:
        file.write_bytes(pem(first, "first"))
        host.certificates[:] = [first]
        settings = world.settings(CLIENT_SECRET="", CREDENTIALS__CERTIFICATE=str(file))
    try:
        async with serving(settings) as running, calling(*running) as client:
            done = asyncio.Event()
            load = [asyncio.ensure_future(calls_while(client, world, done)) for _ in range(3)]
            await asyncio.sleep(0.2)
            if kind == "secret":
                host.secrets[:] = [*before, "rotated"]
                file.write_text("rotated", "utf-8")
                await asyncio.sleep(0.2)
                host.secrets[:] = ["rotated"]
            else:
                host.certificates[:] = [first, second]
                file.write_bytes(pem(second, "second"))
                await asyncio.sleep(0.2)
                host.certificates[:] = [second]
            await asyncio.sleep(0.3)
            done.set()
            statuses = [status for each in await asyncio.gather(*load) for status in each]
    finally:
        host.secrets[:] = before
        host.certificates.clear()

    assert len(statuses) > 6
    assert set(statuses) == {200}
