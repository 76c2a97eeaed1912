"""ID tokens: which prove that somebody has signed in, for this client and this sign-in."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.errors import IssuerUnavailable
from gateway.identity.id_tokens import ExpectedSignIn, verify_id_token
from gateway.identity.key_documents import InlineKeys
from gateway.identity.keys import KeyRing
from gateway.identity.refusals import CredentialsRefused
from tests.support.login_host import KEY_ID, public_keys, signing_key
from tests.support.observers import raise_defects

pytestmark = pytest.mark.anyio
TENANT = "7f2c9a1e-0000-4000-8000-000000000001"
ISSUER = f"https://login.example/{TENANT}/v2.0"
EXPECTED = ExpectedSignIn(issuer=ISSUER, tenant=TENANT, client_id="client 1", nonce="nonce 1")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    known = {
        "iss": ISSUER,
        "aud": "client 1",
        "tid": TENANT,
        "oid": "object 1",
        "nonce": "nonce 1",
        "preferred_username": "ada@contoso.com",
        "name": "Ada",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return {name: value for name, value in known.items() if value is not None}


def signed(
    content: dict[str, Any], key: Any = None, algorithm: str = "RS256", **header: Any
) -> str:
    return jwt.encode(content, key or signing_key(), algorithm, headers={"kid": KEY_ID, **header})


def ring(document: object = None) -> KeyRing:
    return KeyRing(ISSUER, InlineKeys(document or public_keys()), observe=raise_defects)


async def test_a_sign_in_is_proved() -> None:
    user = await verify_id_token(signed(claims()), ring(), EXPECTED)

    assert (user.tenant, user.subject, user.sign_in, user.name) == (
        TENANT,
        "object 1",
        "ada@contoso.com",
        "Ada",
    )


async def test_keys_of_all_tenants_are_those_of_each() -> None:
    key = {**public_keys()["keys"][0], "issuer": "https://login.example/{tenantid}/v2.0"}

    user = await verify_id_token(signed(claims()), ring({"keys": [key]}), EXPECTED)

    assert user.subject == "object 1"


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CASES: dict[str, str] = {
    "another audience": signed(claims(aud="client 2")),
    "several audiences": signed(claims(aud=["client 1", "client 2"])),
    "for another party": signed(claims(azp="client 2")),
    "another issuer": signed(claims(iss="https://login.example/other/v2.0")),
    "another tenant": signed(claims(tid="7f2c9a1e-0000-4000-8000-000000000002")),
    "tenant of a wrong type": signed(claims(tid=[TENANT])),
    "another nonce": signed(claims(nonce="nonce 2")),
    "nonce of a wrong type": signed(claims(nonce=1)),
    "expired": signed(claims(exp=int(time.time()) - 600)),
    "not yet valid": signed(claims(nbf=int(time.time()) + 36_000)),
    "forged": signed(claims(), OTHER_KEY),
    "unknown key": signed(claims(), kid="other"),
    "no signature": jwt.encode(claims(), "", "none"),
    "shared secret": signed(claims(), public_keys()["keys"][0]["n"], "HS256"),
    "extension": signed(claims(), crit=["x"]),
    "no object": signed(claims(oid="")),
    **{
        f"no {n}": signed(claims(**{n: None})) for n in ("exp", "aud", "iss", "nonce", "tid", "oid")
    },
    "nonsense": "nonsense",
}


@pytest.mark.parametrize("token", CASES.values(), ids=CASES)
async def test_other_tokens_prove_nothing(token: str) -> None:
    with pytest.raises(CredentialsRefused):
        await verify_id_token(token, ring(), EXPECTED)


async def test_a_key_of_another_tenant_proves_nothing() -> None:
    key = {**public_keys()["keys"][0], "issuer": "https://login.example/other/v2.0"}

    with pytest.raises(CredentialsRefused, match="not valid") as refused:
        await verify_id_token(signed(claims()), ring({"keys": [key]}), EXPECTED)
    assert refused.value.reason == "key_of_another_issuer"


async def test_without_keys_nothing_is_verified() -> None:
    with pytest.raises(IssuerUnavailable):
        await verify_id_token(
            signed(claims()), ring({"keys": [{"kty": "oct", "k": "AAAA"}]}), EXPECTED
        )


def test_what_is_expected_is_not_shown() -> None:
    assert "nonce 1" not in repr(EXPECTED)
