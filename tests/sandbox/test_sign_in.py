"""Signing in to the sandbox: whose tokens it accepts, and what each user sees."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.sandbox import SandboxSettings, create_sandbox
from gateway.sandbox.sign_in import SignInRules
from tests.support.login_host import KEY_ID, public_keys, signed

pytestmark = pytest.mark.anyio
ISSUER, AUDIENCE = "https://login.example/contoso", "https://fo.example"
RULES = SignInRules(
    issuer=ISSUER,
    audience=AUDIENCE,
    keys=public_keys(),
    companies={"user05": ("usmf", "demf")},
    claims={"user07": '{"access_token":{}}'},
)


def claims(**changes: Any) -> dict[str, Any]:
    known = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 600,
        "scp": "Odata.FullAccess",
        "upn": "admin@contoso.com",
        **changes,
    }
    return {name: value for name, value in known.items() if value is not None}


@pytest.fixture(scope="module")
def http() -> httpx.AsyncClient:
    app = create_sandbox(SandboxSettings(sign_in=RULES))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AUDIENCE)


async def get(
    http: httpx.AsyncClient, token: str | None, path: str = "Currencies"
) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await http.get(f"/data/{path}", headers=headers)


FORGED = jwt.encode(
    claims(),
    rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "RS256",
    headers={"kid": KEY_ID},
)


@pytest.mark.parametrize(
    "token",
    [
        None,
        "nonsense",
        FORGED,
        signed(claims(aud="https://other.example")),
        signed(claims(iss="https://other.example")),
        signed(claims(exp=1)),
        signed(claims(exp=None)),
        signed(claims(upn="stranger@contoso.com")),
        signed(claims(upn="user06@contoso.com")),  # disabled
        signed(claims(scp=None, appid=str(uuid.UUID(int=1)))),
        signed(claims(scp=None)),
    ],
    ids=[
        *("missing", "nonsense", "forged", "audience", "issuer", "expired", "endless"),
        *("stranger", "disabled", "unregistered", "nobody"),
    ],
)
async def test_other_tokens_are_answered_401(http: httpx.AsyncClient, token: str | None) -> None:
    response = await get(http, token)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.content == b""


async def test_metadata_needs_a_token_too(http: httpx.AsyncClient) -> None:
    assert (await get(http, None, "$metadata")).status_code == 401
    assert (await get(http, signed(claims()), "$metadata")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "companies"),
    [
        ({"upn": "admin@contoso.com"}, {"usmf", "usrt", "demf", "dat"}),
        ({"upn": "user02@contoso.com"}, {"demf"}),
        ({"upn": "user05@contoso.com"}, {"usmf", "demf"}),
    ],
)
async def test_a_user_sees_the_rows_of_its_companies(
    http: httpx.AsyncClient, changes: dict[str, str], companies: set[str]
) -> None:
    path = "CustomersV3?cross-company=true&$select=dataAreaId"
    response = await get(http, signed(claims(**changes)), path)

    assert {row["dataAreaId"] for row in response.json()["value"]} == companies


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("CustomersV3", 200),
        ("VendorsV2", 403),
        ("VendorsV2(dataAreaId='demf',VendorAccountNumber='x')", 403),
        ("VendorsV2/$count", 403),
        ("SalesOrderHeadersV2?$expand=SalesOrderLines", 200),
        ("UnknownSet", 404),
    ],
)
async def test_a_user_reads_the_sets_of_its_roles(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    token = signed(claims(upn="user02@contoso.com"))

    assert (await get(http, token, path)).status_code == status


async def test_parts_of_a_batch_have_the_same_user(http: httpx.AsyncClient) -> None:
    lines = [
        "--b",
        "Content-Type: application/http",
        "",
        "GET VendorsV2 HTTP/1.1",
        "",
        "",
        "--b--",
        "",
    ]
    response = await http.post(
        "/data/$batch",
        content="\r\n".join(lines),
        headers={
            "Authorization": f"Bearer {signed(claims(upn='user02@contoso.com'))}",
            "Content-Type": "multipart/mixed; boundary=b",
        },
    )

    assert "HTTP/1.1 403" in response.text


async def test_a_token_may_need_more_claims(http: httpx.AsyncClient) -> None:
    without = await get(http, signed(claims(upn="user07@contoso.com")))
    assert without.status_code == 401
    assert 'claims="' in without.headers["www-authenticate"]

    complete = await get(http, signed(claims(upn="user07@contoso.com", acrs=["c1"])))
    assert complete.status_code == 200
