"""Signing in to the sandbox over HTTP, and what the page learns of its caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.app import create_app
from gateway.config.settings import Settings
from gateway.identity.sandbox_issuer import challenge_of
from gateway.identity.sandbox_users import USERS
from tests.support.app_client import Client, calling, serving
from tests.support.issuer import AUDIENCE, ISS, TENANT, jwk

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CALLBACK = "http://localhost/graphiql/callback"
VERIFIER = "v" * 43
ADMIN = "0123456789abcdef"
ALL: Mapping[str, Any] = {"sets": {"*": {}}}
ASK: Mapping[str, str] = {
    "response_type": "code",
    "client_id": "graphiql",
    "redirect_uri": CALLBACK,
    "state": "s1",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("data")


def settings(data: Any, **more: Any) -> Settings:
    profiles = {"ap": {"include": ["Vend*"], "roles": ["ap-clerk"]}}
    values = {"language": None, "profiles": profiles, "sandbox": {"roles": True}}
    return Settings.model_validate({**values, "data_dir": data, **more})


@pytest.fixture(scope="module")
async def served(data: Any) -> AsyncIterator[Any]:
    async with serving(settings(data)) as app:
        yield app


@pytest.fixture
async def client(served: Any) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


async def authorize(client: Client, **changes: str | None) -> httpx.Response:
    parameters = {n: v for n, v in {**ASK, **changes}.items() if v is not None}
    return await client.http.get("/sandbox/authorize", params=parameters)


async def code_of(client: Client, user: str) -> str:
    response = await authorize(client, user=user)
    return parse_qs(urlsplit(response.headers["location"]).query)["code"][0]


async def redeem(client: Client, **form: str) -> httpx.Response:
    values = {
        "grant_type": "authorization_code",
        "client_id": "graphiql",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **form,
    }
    return await client.http.post("/sandbox/token", data=values)


async def sign_in(client: Client, user: str) -> dict[str, str]:
    answer = (await redeem(client, code=await code_of(client, user))).json()
    return {"authorization": f"Bearer {answer['access_token']}"}


async def config(client: Client, path: str = "/graphiql", user: str | None = None) -> Any:
    headers = {} if user is None else await sign_in(client, user)
    return await client.http.get(f"{path}/config.json", headers=headers)


async def test_the_users_are_offered(client: Client) -> None:
    page = await authorize(client)

    assert page.status_code == 200
    assert all(user.name in page.text for user in USERS)
    assert "script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_user_comes_back_with_a_code(client: Client) -> None:
    for name in ("user", "login_hint"):
        response = await authorize(client, **{name: "alice"})
        target = urlsplit(response.headers["location"])

        assert response.status_code == 303
        assert target._replace(query="").geturl() == CALLBACK
        assert parse_qs(target.query)["state"] == ["s1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/graphiql/callback"},
        {"redirect_uri": "http://localhost/graphql"},
        {"redirect_uri": f"{CALLBACK}/../x"},
        {"redirect_uri": None},
        {"response_type": "token"},
        {"client_id": "other"},
        {"state": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
    ],
    ids=str,
)
async def test_other_requests_for_codes_lead_nowhere(
    client: Client, changes: dict[str, str | None]
) -> None:
    response = await authorize(client, user="alice", **changes)

    assert response.status_code == 400
    assert "location" not in response.headers


async def test_parameters_are_text_on_the_page(client: Client) -> None:
    page = await authorize(client, state='"><script>alert(1)</script>')

    assert "<script" not in page.text


async def test_a_token_is_renewed_for_the_same_user(client: Client) -> None:
    first = (await redeem(client, code=await code_of(client, "sam"))).json()
    answer = await redeem(client, grant_type="refresh_token", refresh_token=first["refresh_token"])
    second = answer.json()

    assert answer.headers["cache-control"] == "no-store"
    assert (second["token_type"], second["expires_in"]) == ("Bearer", 3_600)
    headers = {"authorization": f"Bearer {second['access_token']}"}
    who = (await client.http.get("/graphiql/config.json", headers=headers)).json()["caller"]
    assert (who["name"], who["roles"], who["hint"]) == ("Sam Sales", ["sales"], "sam")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://localhost/other"}, "invalid_grant"),
        ({"code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "x" * 20_000}, "invalid_request"),
    ],
)
async def test_what_is_no_valid_grant_is_refused(
    client: Client, form: dict[str, str], error: str
) -> None:
    answer = await redeem(client, **{"code": await code_of(client, "alice"), **form})

    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_body_that_is_no_form_is_refused(client: Client) -> None:
    answer = await client.http.post("/sandbox/token", content=b"\xff")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_strangers_learn_how_to_sign_in_and_no_more(client: Client) -> None:
    response = await config(client)
    content = response.json()

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert content["refusal"]["code"] == "UNAUTHENTICATED"
    assert [way["title"] for way in content["signIn"]["ways"]] == ["Sandbox"]
    empty = ("examples", "apis", "environment", "headers", "caller")
    assert not any(content[name] for name in empty)


async def test_the_page_is_about_its_caller(client: Client) -> None:
    clerk = (await config(client, user="alice")).json()
    viewer = (await config(client, user="vera")).json()

    assert (clerk["caller"]["name"], clerk["refusal"]) == ("Alice Payable", None)
    assert clerk["caller"]["expiresAt"] > 0
    assert [api["page"] for api in clerk["apis"]] == ["/graphiql", "/graphiql/ap"]
    assert [api["page"] for api in viewer["apis"]] == ["/graphiql"]
    # The role decides the company, so the page presets none.
    assert clerk["headers"] == {}
    # The first tab reads.
    assert clerk["examples"][0]["query"].startswith("# The first rows")


async def test_a_bound_profile_is_like_one_that_is_not_there(client: Client) -> None:
    for path in ("/graphiql/{}", "/graphiql/{}/config.json"):
        for user in (None, "vera"):
            headers = {} if user is None else await sign_in(client, user)
            headers = {"X-Request-Id": "one", **headers}
            bound, none = [
                await client.http.get(path.format(name), headers=headers) for name in ("ap", "xx")
            ]
            assert bound.status_code == none.status_code
            assert bound.text.replace("ap", "xx") == none.text.replace("ap", "xx")
            assert bound.headers == none.headers
    assert (await config(client, "/graphiql/ap", "vera")).status_code == 404
    assert (await config(client, "/graphiql/ap", "alice")).status_code == 200


@pytest.mark.parametrize("client_id", [None, "page"])
@pytest.mark.parametrize("path", ["/graphiql/{}", "/graphiql/{}/config.json"])
async def test_strangers_learn_of_no_bound_profile(
    data: Any, client_id: str | None, path: str
) -> None:
    issuer = {"issuer": ISS, "audiences": [AUDIENCE], "jwks_file": data / "keys.json"}
    (data / "keys.json").write_text(json.dumps({"keys": [jwk("k1")]}), "utf-8")
    own = settings(
        data,
        sandbox={},
        roles={"ap-clerk": {"sets": {"*": {}}}},
        inbound={"issuers": [{**issuer, "client_id": client_id}]},
    )
    async with serving(own) as app, calling(*app) as client:
        bound, none = [await client.http.get(path.format(name)) for name in ("ap", "xx")]

    assert bound.status_code == none.status_code == (404 if client_id is None else 200)
    assert bound.text.replace("ap", "xx") == none.text.replace("ap", "xx")


async def test_who_needs_no_credentials_may_sign_in(data: Any) -> None:
    roles = {"anonymous": ALL, "admin": ALL}
    anonymous = settings(data, inbound={"anonymous": True}, roles=roles, profiles={})
    async with serving(anonymous) as app, calling(*app) as client:
        stranger = (await config(client)).json()
        ada = (await config(client, user="ada")).json()

    assert (stranger["refusal"], stranger["caller"]) == (None, None)
    assert stranger["examples"]
    assert stranger["signIn"]["ways"]
    assert ada["caller"]["roles"] == ["admin"]


async def test_a_caller_without_a_role_is_refused(data: Any) -> None:
    others = settings(data, roles={"other": ALL}, profiles={})
    async with serving(others) as app, calling(*app) as client:
        response = await config(client, user="ada")

    assert (response.status_code, response.json()["refusal"]["code"]) == (403, "FORBIDDEN")
    assert response.json()["examples"] == []


async def test_the_way_back_is_the_page(client: Client) -> None:
    page = await client.http.get("/graphiql/callback?code=x&state=y")

    assert page.status_code == 200
    assert '"../graphiql/assets/' in page.text
    assert "connect-src 'self';" in page.headers["content-security-policy"]


async def test_the_token_takes_the_place_of_the_password(data: Any) -> None:
    restricted = settings(data, graphiql="admin", admin_token=ADMIN)
    async with serving(restricted) as app, calling(*app) as client:
        closed = await config(client)
        forged = await client.http.get(
            "/graphiql/config.json", headers={"authorization": "Bearer x"}
        )
        signed_in = await config(client, user="ada")

    assert (closed.status_code, forged.status_code) == (401, 401)
    assert (signed_in.status_code, signed_in.json()["caller"]["name"]) == (200, "Ada Admin")
    # Plans are the administrator's, whose password this request cannot have.
    assert signed_in.json()["explain"] is False


async def test_the_policy_allows_the_token_endpoint_only(data: Any) -> None:
    issuer = {"entra": TENANT, "audiences": [AUDIENCE], "client_id": "page"}
    keys = {"jwks": {"keys": [jwk("k1")]}}
    own = settings(data, sandbox={}, profiles={}, inbound={"issuers": [{**issuer, **keys}]})
    async with serving(own) as app, calling(*app) as client:
        page = await client.http.get("/graphiql")
        sandbox = await client.http.get("/sandbox/authorize")

    endpoint = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
    policy = page.headers["content-security-policy"]
    assert f"connect-src 'self' {endpoint};" in policy
    assert policy.count("https:") == 1
    assert sandbox.status_code == 404


def test_the_plain_sandbox_has_no_way_to_sign_in() -> None:
    paths = {getattr(route, "path", "") for route in create_app(Settings()).routes}

    assert not paths & {"/sandbox/authorize", "/sandbox/token", "/graphiql/callback"}
