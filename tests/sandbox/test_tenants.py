"""The sandbox's tenants: signing in at the login host, and what the environment does with its tokens."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from gateway.sandbox import SandboxSettings
from gateway.sandbox.tenants.cloud import STRANGERS, Cloud, create_cloud
from gateway.sandbox.tenants.directory import Application
from gateway.sandbox.tenants.login_host import CODE_SECONDS

pytestmark = pytest.mark.anyio
ADDRESS = "http://127.0.0.1:9999"
APPLICATION = Application(
    client_id="gateway", secret="s3cret", name="<b>Gateway</b>", return_path="/link/callback"
)
BACK = "http://127.0.0.1:8000/link/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
QUERY = {
    "client_id": "gateway",
    "response_type": "code",
    "redirect_uri": BACK,
    "scope": f"openid {ADDRESS}/.default",
    "state": "state 1",
    "nonce": "nonce 1",
    "code_challenge": CHALLENGE.decode(),
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    settings = SandboxSettings(hostile_rows=False, scale=0.2)
    return create_cloud(ADDRESS, settings, (APPLICATION,), ("gateway",))


@pytest.fixture
async def http(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cloud.app)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield client


def login(cloud: Cloud, end: str, tenant: str | None = None) -> str:
    return f"/login/{tenant or cloud.tenant.id}/{end}"


async def code_of(http: httpx.AsyncClient, cloud: Cloud, person: int = 0, **query: str) -> str:
    who = {"person": cloud.tenant.people[person].oid}
    answer = await http.get(login(cloud, "oauth2/v2.0/authorize"), params={**QUERY, **who, **query})
    assert answer.status_code == 303
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert back["state"] == ["state 1"]
    return back["code"][0]


async def tokens_of(
    http: httpx.AsyncClient, cloud: Cloud, code: str, tenant: str | None = None, **form: str
) -> httpx.Response:
    fields = {
        "grant_type": "authorization_code",
        "client_id": "gateway",
        "client_secret": "s3cret",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": BACK,
    }
    return await http.post(login(cloud, "oauth2/v2.0/token", tenant), data={**fields, **form})


def claims_of(cloud: Cloud, token: str, audience: str) -> Mapping[str, Any]:
    key = jwt.PyJWKSet.from_dict(dict(cloud.host.keys)).keys[0].key
    claims: dict[str, Any] = jwt.decode(token, key, ["RS256"], audience=audience)
    return claims


async def test_an_environment_names_its_login_page(http: httpx.AsyncClient, cloud: Cloud) -> None:
    answer = await http.get("/data/")

    assert answer.status_code == 401
    uri = f"{ADDRESS}/login/{cloud.tenant.id}/oauth2/authorize"
    assert answer.headers["www-authenticate"] == f'Bearer authorization_uri="{uri}"'


async def test_a_person_signs_in_for_the_environment(http: httpx.AsyncClient, cloud: Cloud) -> None:
    tokens = (await tokens_of(http, cloud, await code_of(http, cloud))).json()

    about = claims_of(cloud, tokens["id_token"], "gateway")
    assert about["tid"] == cloud.tenant.id
    assert about["nonce"] == "nonce 1"
    assert about["preferred_username"] == "admin@contoso.com"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    roles = await http.get("/data/SecurityUserRoles", headers=headers)
    assert roles.status_code == 200


async def test_others_than_administrators_see_no_roles(
    http: httpx.AsyncClient, cloud: Cloud
) -> None:
    tokens = (await tokens_of(http, cloud, await code_of(http, cloud, person=1))).json()

    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await http.get("/data/SystemUsers?$top=1", headers=headers)).status_code == 200
    assert (await http.get("/data/SecurityUserRoles", headers=headers)).status_code == 403


async def test_the_application_is_an_administrator(http: httpx.AsyncClient, cloud: Cloud) -> None:
    form = {"grant_type": "client_credentials", "scope": f"{ADDRESS}/.default"}
    tokens = (await tokens_of(http, cloud, "", **form)).json()

    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await http.get("/data/SecurityUserRoles", headers=headers)).status_code == 200


async def test_strangers_have_a_tenant_that_the_environment_refuses(
    http: httpx.AsyncClient, cloud: Cloud
) -> None:
    token = cloud.host.signed(STRANGERS, ADDRESS, upn="admin@contoso.com", scp="x")

    headers = {"Authorization": f"Bearer {token}"}
    assert (await http.get("/data/", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("form", "tenant", "number"),
    [
        ({"code_verifier": "other"}, None, 70_008),
        ({"redirect_uri": BACK + "x"}, None, 70_008),
        ({"code": "other"}, None, 70_008),
        ({}, STRANGERS.id, 70_008),
        ({}, "nowhere", 90_002),
        ({"client_secret": "other"}, None, 7_000_215),
        ({"client_id": "other"}, None, 700_016),
        ({"grant_type": "password"}, None, 70_003),
    ],
    ids=["verifier", "redirect", "code", "tenant", "no tenant", "secret", "client", "grant"],
)
async def test_tokens_are_refused(
    http: httpx.AsyncClient, cloud: Cloud, form: dict[str, str], tenant: str | None, number: int
) -> None:
    code = await code_of(http, cloud)

    answer = await tokens_of(http, cloud, form.pop("code", code), tenant, **form)

    assert answer.status_code in {400, 401}
    assert answer.json()["error_codes"] == [number]


async def test_a_code_is_of_use_once_and_for_a_minute(
    http: httpx.AsyncClient, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await code_of(http, cloud)
    assert (await tokens_of(http, cloud, code)).status_code == 200
    assert (await tokens_of(http, cloud, code)).status_code == 400
    late = await code_of(http, cloud)
    now = cloud.host.now() + CODE_SECONDS
    monkeypatch.setattr(cloud.host, "now", lambda: now)

    assert (await tokens_of(http, cloud, late)).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"redirect_uri": "https://evil.example/link/callback"},
        {"redirect_uri": "http://127.0.0.1/elsewhere"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
    ],
    ids=str,
)
async def test_the_login_page_sends_codes_nowhere_else(
    http: httpx.AsyncClient, cloud: Cloud, query: dict[str, str]
) -> None:
    who = {"person": cloud.tenant.people[0].oid}
    answer = await http.get(login(cloud, "oauth2/v2.0/authorize"), params={**QUERY, **who, **query})

    assert answer.status_code == 400
    assert "AADSTS" in answer.text


async def test_people_choose_and_consent_or_decline(http: httpx.AsyncClient, cloud: Cloud) -> None:
    page = login(cloud, "oauth2/v2.0/authorize")
    choice = await http.get(page, params={**QUERY, "prompt": "consent"})
    link = re.search(r'href="(\?[^"]*person=[^"]*)"', choice.text)
    assert link is not None
    consent = await http.get(page + link[1].replace("&amp;", "&"))
    assert "&lt;b&gt;Gateway&lt;/b&gt;" in consent.text
    links = [found.replace("&amp;", "&") for found in re.findall(r'href="(\?[^"]*)"', consent.text)]
    accepted, declined = [await http.get(page + link) for link in links]

    assert "code=" in accepted.headers["location"]
    assert "error=access_denied" in declined.headers["location"]


async def test_the_keys_are_published(http: httpx.AsyncClient, cloud: Cloud) -> None:
    document = (await http.get(login(cloud, "v2.0/.well-known/openid-configuration"))).json()

    assert document["issuer"] == cloud.host.issuer(cloud.tenant)
    assert (await http.get(document["jwks_uri"])).json() == cloud.host.keys
    assert (await http.get(login(cloud, "v2.0/.well-known/x", "y"))).status_code == 404
