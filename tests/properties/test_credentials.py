"""Whatever stands in the headers that say who calls: a caller, or a refusal, and no other error."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.inbound_models import InboundOptions
from gateway.errors import Unauthenticated
from gateway.identity.authenticator import Authenticator
from tests.support.issuer import AUDIENCE, ISS, claims, jwk, part, signed

OPTIONS = InboundOptions.model_validate(
    {
        "issuers": [
            {
                "issuer": ISS,
                "audiences": [AUDIENCE],
                "jwks": {"keys": [jwk("k1")]},
                "role_claims": ["roles", "a.b"],
                "role_map": {"x": "y"},
            }
        ],
        "client_certificates": [{"subject": "CN=*"}],
    }
)
TEXTS = st.text(max_size=5) | st.just("\ud800")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "enc", "jwk", "cty"])
CLAIMS = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "oid", "roles", "a", "jti"])
WORDS = st.sampled_from(
    ['"', "\\", ",", ";", "=", "Hash", "Subject", "Cert", "CN=a", "%0A", " ", "é"]
)


def outcome(headers: dict[str, str]) -> str:
    """Return whether a caller was accepted or refused; anything else is raised."""

    async def run() -> str:
        authenticator = Authenticator(OPTIONS, observe=lambda _: None)
        try:
            caller = await authenticator.authenticate({}, headers)
        except Unauthenticated as error:
            return "refused" if error.challenge.isascii() else error.challenge
        hash(caller.log_id)
        return caller.kind

    return asyncio.run(run())


@given(st.dictionaries(NAMES, JSON, max_size=4), JSON, st.binary(max_size=8))
def test_any_header_of_a_token_is_refused(header: dict[str, Any], payload: Any, end: bytes) -> None:
    content = payload if isinstance(payload, dict) else {"x": payload}
    text = f"{part({'alg': 'RS256', 'kid': 'k1', **header})}.{part({**claims(), **content})}.{part(end)}"

    assert outcome({"authorization": f"Bearer {text}"}) == "refused"


@given(st.dictionaries(CLAIMS, JSON, max_size=4))
def test_any_signed_claims_are_taken_or_refused(changed: dict[str, Any]) -> None:
    text = sign(json.dumps({**claims(), **changed}))

    assert outcome({"authorization": f"Bearer {text}"}) in {"token", "refused"}


@given(st.lists(WORDS, max_size=12).map("".join))
def test_any_header_of_a_proxy_is_taken_or_refused(header: str) -> None:
    assert outcome({"x-forwarded-client-cert": header}) in {"certificate", "refused"}


@given(st.text(max_size=40))
def test_any_authorization_is_refused(text: str) -> None:
    assert outcome({"authorization": text}) == "refused"
    assert outcome({"authorization": f"Bearer {text}"}) == "refused"


def sign(payload: str) -> str:
    """Sign any JSON; PyJWT checks the claims that it signs."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    from tests.support.issuer import rsa_key

    text = f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(payload.encode())}"
    return f"{text}.{part(rsa_key('k1').sign(text.encode(), PKCS1v15(), SHA256()))}"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "1" * 400, '"1"', "true", "[]"])
def test_times_that_are_no_times_raise_nothing_else(claim: str, value: str) -> None:
    text = json.dumps({**claims(), claim: "VALUE"}).replace('"VALUE"', value)

    assert outcome({"authorization": f"Bearer {sign(text)}"}) in {"token", "refused"}


def test_a_good_token_is_accepted() -> None:
    assert outcome({"authorization": f"Bearer {signed(claims())}"}) == "token"
