"""Forged tokens, by table: each is refused, with a reason for the log and no word of it elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.config.inbound_models import InboundOptions
from gateway.errors import Unauthenticated
from gateway.events import CallerRefused, Event
from gateway.identity.authenticator import Authenticator
from tests.support.issuer import (
    AUDIENCE,
    ISS,
    OTHER_TENANT,
    TENANT,
    claims,
    ec_key,
    entra_claims,
    jwk,
    part,
    rsa_key,
    signed,
    token,
)

pytestmark = pytest.mark.anyio
OTHER = "https://other.example"
HALF = "\ud800"
"""A surrogate alone: JSON can say it, and no other encoding."""
SECRET = "0123456789abcdef0123456789abcdef"
OPTIONS = InboundOptions.model_validate(
    {
        "issuers": [
            {
                "issuer": ISS,
                "audiences": [AUDIENCE],
                "jwks": {"keys": [jwk("k1", alg="RS256"), jwk("ec", ec_key("ec"))]},
            },
            {"issuer": OTHER, "audiences": [AUDIENCE], "jwks": {"keys": [jwk("k2")]}},
            {"issuer": "https://shared.example", "audiences": [AUDIENCE], "secret": SECRET},
            {
                "entra": TENANT,
                "audiences": ["0b1d-client-id"],
                "jwks": {
                    "keys": [
                        jwk("entra", rsa_key("k1")),
                        jwk("foreign", rsa_key("k2"), issuer=f"https://x/{OTHER_TENANT}/v2.0"),
                    ]
                },
            },
        ]
    }
)
PEM = rsa_key("k1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
V2 = "0b1d-client-id"


def hs256(key: bytes, payload: dict[str, Any], **header: Any) -> str:
    """Sign by hand: PyJWT refuses to sign with a public key."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1', **header})}.{part(payload)}"
    return f"{text}.{part(hmac.digest(key, text.encode(), hashlib.sha256))}"


def unsigned(algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}."


def with_changed_claims() -> str:
    header, _, signature = token().split(".")
    return f"{header}.{part(claims(roles=['admin']))}.{signature}"


def entra(key: str = "entra", **more: Any) -> str:
    private = rsa_key("k2" if key == "foreign" else "k1")
    return signed(entra_claims(**{"aud": V2, **more}), key, private)


def later(seconds: float) -> int:
    return int(time.time() + seconds)


FORGERIES: dict[str, tuple[Callable[[], str], str]] = {
    "no algorithm": (lambda: unsigned("none"), "algorithm"),
    "no algorithm, spelled otherwise": (lambda: unsigned("nOnE"), "algorithm"),
    "algorithm is no text": (lambda: f"{part({'alg': ['RS256']})}.{part(claims())}.x", "algorithm"),
    "public key as a secret": (lambda: hs256(PEM, claims()), "unknown_key"),
    "public key in JSON as a secret": (
        lambda: hs256(json.dumps(jwk("k1")).encode(), claims()),
        "unknown_key",
    ),
    "empty secret": (lambda: hs256(b"", claims()), "unknown_key"),
    "secret of another issuer": (lambda: hs256(SECRET.encode(), claims()), "unknown_key"),
    "public key where a secret is set": (
        lambda: token(iss="https://shared.example"),
        "unknown_key",
    ),
    "wrong secret": (
        lambda: hs256(b"x" * 32, claims(iss="https://shared.example")),
        "signature",
    ),
    "other algorithm of the same key": (lambda: token(algorithm="RS512"), "unknown_key"),
    "padding that the key does not name": (lambda: token(algorithm="PS256"), "unknown_key"),
    "curve key for another curve's algorithm": (
        lambda: f"{part({'alg': 'ES384', 'kid': 'ec'})}.{part(claims())}.{part(b'0' * 96)}",
        "unknown_key",
    ),
    "zero signature of a curve": (
        lambda: f"{part({'alg': 'ES256', 'kid': 'ec'})}.{part(claims())}.{part(bytes(64))}",
        "signature",
    ),
    "changed claims": (with_changed_claims, "signature"),
    "no signature": (lambda: token().rpartition(".")[0] + ".", "signature"),
    "key of nobody": (lambda: token(private=rsa_key("k3")), "signature"),
    "key of another issuer": (lambda: token(key="k2"), "unknown_key"),
    "key of another issuer under this one's id": (
        lambda: token(key="k1", private=rsa_key("k2")),
        "signature",
    ),
    "issuer A signed by issuer B": (
        lambda: token(key="k1", private=rsa_key("k1"), iss=OTHER),
        "unknown_key",
    ),
    "unknown issuer": (lambda: token(iss="https://evil.example"), "unknown_issuer"),
    "issuer with a slash more": (lambda: token(iss=f"{ISS}/"), "unknown_issuer"),
    "issuer in a list": (lambda: raw({**claims(), "iss": [ISS]}), "unknown_issuer"),
    "no issuer": (lambda: token(iss=None), "unknown_issuer"),
    "half a character as an issuer": (lambda: raw({**claims(), "iss": HALF}), "malformed"),
    "half a character as a subject": (lambda: token(sub=HALF), "malformed"),
    "half a character in a name": (lambda: token(name=f"Al{HALF}"), "malformed"),
    "half a character as a role": (lambda: token(roles=[HALF]), "malformed"),
    "half a character as a key id": (lambda: token(header={"kid": HALF}), "malformed"),
    "unknown key": (lambda: token(key="k9", private=rsa_key("k1")), "unknown_key"),
    "path as a key id": (
        lambda: token(private=rsa_key("k1"), header={"kid": "../../../../dev/null"}),
        "unknown_key",
    ),
    "address as a key id": (
        lambda: token(private=rsa_key("k1"), header={"kid": "https://evil.example/keys"}),
        "unknown_key",
    ),
    "query as a key id": (
        lambda: token(private=rsa_key("k1"), header={"kid": "' OR 1=1 --"}),
        "unknown_key",
    ),
    "key id is a number": (
        lambda: f"{part({'alg': 'RS256', 'kid': 1})}.{part(claims())}.x",
        "malformed",
    ),
    "endless key id": (
        lambda: token(private=rsa_key("k1"), header={"kid": "k" * 257}),
        "malformed",
    ),
    "key in the header": (
        lambda: token(key="k3", header={"jwk": jwk("k3")}),
        "unknown_key",
    ),
    "address of keys in the header": (
        lambda: token(key="k3", header={"jku": "https://evil.example/keys"}),
        "unknown_key",
    ),
    "address of a certificate in the header": (
        lambda: token(key="k1", private=rsa_key("k3"), header={"x5u": "https://evil.example/c"}),
        "signature",
    ),
    "certificate in the header": (
        lambda: token(key="k1", private=rsa_key("k3"), header={"x5c": ["MIIB"]}),
        "signature",
    ),
    "critical extension": (lambda: token(header={"crit": ["exp"], "exp": 1}), "extension"),
    "critical extension of nothing": (lambda: token(header={"crit": []}), "extension"),
    "detached payload": (
        lambda: f"{part({'alg': 'RS256', 'kid': 'k1', 'b64': False})}.{part(claims())}.x",
        "extension",
    ),
    "token for signing out": (lambda: token(header={"typ": "logout+jwt"}), "type"),
    "proof of possession": (lambda: token(header={"typ": "dpop+jwt"}), "type"),
    "wrong audience": (lambda: token(aud="api://other"), "audience"),
    "audience as part of a longer one": (lambda: token(aud=f"{AUDIENCE}-test"), "audience"),
    "audience among none": (lambda: token(aud=[]), "missing_claim"),
    "audience in a table": (lambda: token(aud={AUDIENCE: 1}), "audience"),
    "missing audience": (lambda: token(aud=None), "missing_claim"),
    "expired": (lambda: token(exp=later(-31)), "expired"),
    "no end": (lambda: token(exp=None), "missing_claim"),
    "endless": (lambda: token(exp=float("inf")), "malformed"),
    "end is no number": (lambda: token(exp="tomorrow"), "malformed"),
    "not yet valid": (lambda: token(nbf=later(90)), "not_yet_valid"),
    "issued in the future": (lambda: token(iat=later(90)), "not_yet_valid"),
    "no subject": (lambda: token(sub=None), "no_subject"),
    "subject is a number": (lambda: raw({**claims(), "sub": 7}), "malformed"),
    "ID token of Entra": (lambda: entra(nonce="n"), "id_token"),
    "ID token with a hash of the access token": (lambda: token(azp="a", at_hash="h"), "id_token"),
    "ID token with a hash of the code": (lambda: token(c_hash="h"), "id_token"),
    "ID token of Keycloak": (lambda: token(typ="ID", azp="a"), "id_token"),
    "encrypted": (
        lambda: ".".join([part({"alg": "RSA-OAEP", "enc": "A256GCM"}), "a", "b", "c", "d"]),
        "encrypted",
    ),
    "encryption in a signed token": (lambda: token(header={"enc": "A256GCM"}), "encrypted"),
    "two parts": (lambda: token().rpartition(".")[0], "malformed"),
    "four parts": (lambda: f"{token()}.x", "malformed"),
    "ten thousand parts": (lambda: "." * 10_000, "malformed"),
    "no parts": (lambda: "x" * 40, "malformed"),
    "header is no JSON": (lambda: f"{part(b'{')}.{part(claims())}.x", "malformed"),
    "header is a list": (lambda: f"{part([])}.{part(claims())}.x", "malformed"),
    "header is nested deeply": (lambda: f"{part(b'[' * 7_000)}.{part({})}.x", "malformed"),
    "claims are no JSON": (lambda: f"{part({'alg': 'RS256'})}.{part(b'x')}.x", "malformed"),
    "not base64": (lambda: "a~b.c~d.e~f", "malformed"),
    "huge": (lambda: token(padding="x" * 13_000), "too_long"),
    "v1 with the audience of v2": (
        lambda: entra(version="1.0", aud="api://other-app"),
        "audience",
    ),
    "version that is not the issuer's": (lambda: entra(ver="1.0"), "version"),
    "tenant that is not the issuer's": (lambda: entra(tid=OTHER_TENANT), "tenant"),
    "no tenant": (lambda: entra(tid=None), "tenant"),
    "tenant that is not accepted": (lambda: entra(tenant=OTHER_TENANT), "unknown_issuer"),
    "key of another tenant": (lambda: entra("foreign"), "key_of_another_issuer"),
}


def raw(payload: dict[str, Any]) -> str:
    """Sign claims that PyJWT would not encode."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    text = f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(payload)}"
    return f"{text}.{part(rsa_key('k1').sign(text.encode(), PKCS1v15(), SHA256()))}"


async def refused(text: str, options: InboundOptions = OPTIONS) -> tuple[Unauthenticated, Event]:
    events: list[Event] = []
    authenticator = Authenticator(options, observe=events.append)
    async with authenticator.running():
        with pytest.raises(Unauthenticated) as caught:
            await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})
    (event,) = [e for e in events if isinstance(e, CallerRefused)]
    return caught.value, event


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_is_refused(name: str) -> None:
    make, reason = FORGERIES[name]
    text = make()

    error, event = await refused(text)

    assert isinstance(event, CallerRefused)
    assert event.reason == reason
    assert (error.status, error.error) == (401, "invalid_token")
    for long in (piece for piece in text.split(".") if len(piece) > 20):
        assert long not in f"{event}{error}{error.challenge}{error.extensions()}"


async def test_the_issuers_own_tokens_are_accepted() -> None:
    """Otherwise the table would prove nothing."""
    good = {
        "RS256": token(),
        "ES256": token("ec", ec_key("ec"), "ES256"),
        "other issuer": token("k2", iss=OTHER),
        "secret": hs256(SECRET.encode(), claims(iss="https://shared.example")),
        "v2": entra(),
        "v1": entra(version="1.0"),
        "within the skew": token(exp=later(-5)),
        "several audiences": token(aud=["x", AUDIENCE]),
        "access token by its type": token(header={"typ": "at+jwt"}),
        "with a nonce": token(nonce="n", azp="client"),
        "of Keycloak": token(typ="Bearer", nonce="n", scope="openid"),
        "hand-made": raw(claims()),
    }
    authenticator = Authenticator(OPTIONS)
    async with authenticator.running():
        for name, text in good.items():
            caller = await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})
            assert caller.kind == "token", name
