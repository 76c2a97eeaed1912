"""Keys of issuers: rotation, unknown ids, and issuers that are away or answer nonsense."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.inbound_models import InboundOptions
from gateway.errors import IssuerUnavailable, SettingsError, Unauthenticated
from gateway.events import Event, KeysLoaded, KeysUnavailable
from gateway.identity.authenticator import Authenticator
from gateway.identity.key_documents import (
    LONGEST,
    MAX_BYTES,
    DiscoveredKeys,
    KeyDocument,
    KeysError,
    PublishedKeys,
    fetch_json,
)
from gateway.identity.keys import (
    AFTER_FAILURE,
    COOL_DOWN,
    MAX_UNKNOWN,
    REFRESH,
    REMEMBERED,
    KeyRing,
    read_keys,
)
from tests.support.issuer import (
    AUDIENCE,
    ISS,
    LOGIN,
    TENANT,
    FakeIssuer,
    ec_key,
    ed_key,
    jwk,
    rsa_key,
    signed,
    token,
)
from tests.support.issuer import entra_claims as entra_token_claims

pytestmark = pytest.mark.anyio
ALL: dict[str, Any] = {"issuer": ISS, "audiences": [AUDIENCE]}


class Ring:
    """A key ring of a fake issuer, with a clock of its own."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.time = 1_000.0
        self.events: list[Event] = []
        self.changes: list[int] = []
        self.http = httpx.AsyncClient(transport=issuer.transport)
        self.keys = KeyRing(
            ISS,
            DiscoveredKeys(self.http, f"{ISS}/config", ISS),
            observe=self.events.append,
            on_change=lambda: self.changes.append(1),
            now=lambda: self.time,
        )

    async def has(self, kid: str) -> bool:
        return await self.keys.find(kid, "RS256") is not None


@asynccontextmanager
async def authenticating(
    issuer: FakeIssuer, events: list[Event] | None = None, **options: Any
) -> AsyncIterator[Callable[[str], Any]]:
    authenticator = Authenticator(
        InboundOptions.model_validate({"issuers": [{**ALL, **options}]}),
        observe=(events if events is not None else []).append,
        transport=issuer.transport,
    )

    async def check(text: str) -> Any:
        return await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})

    async with authenticator.running():
        yield check


async def test_a_new_key_is_found_by_its_first_token() -> None:
    issuer = FakeIssuer("k1")
    async with authenticating(issuer) as check:
        await check(token())
        issuer.keys = [jwk("k1"), jwk("k2")]

        callers = await asyncio.gather(*(check(token("k2", jti=str(n))) for n in range(20)))

        assert {caller.subject for caller in callers} == {"alice"}
    assert issuer.jwks_requests == 2  # one request for all twenty


async def test_a_key_that_is_gone_ends_its_tokens_at_once() -> None:
    issuer = FakeIssuer("k1")
    async with authenticating(issuer) as check:
        await check(token())
        issuer.keys = [jwk("k2")]
        await check(token("k2"))

        with pytest.raises(Unauthenticated):
            await check(token())


async def test_unknown_ids_load_keys_once_in_a_cool_down() -> None:
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)
    assert await ring.has("k1")

    for number in range(100):
        assert not await ring.has(f"flood-{number}")
    assert issuer.jwks_requests == 2
    ring.time += COOL_DOWN
    assert not await ring.has("flood-0")  # remembered
    assert issuer.jwks_requests == 2
    assert not await ring.has("flood-101")
    assert issuer.jwks_requests == 3
    ring.time += REMEMBERED
    assert not await ring.has("flood-0")
    assert issuer.jwks_requests == 4


@pytest.mark.heavy
async def test_remembered_unknown_ids_are_bounded() -> None:
    ring = Ring(FakeIssuer("k1"))
    assert await ring.has("k1")

    for number in range(MAX_UNKNOWN + 20):
        ring.time += COOL_DOWN
        assert not await ring.has(f"flood-{number}")

    assert len(ring.keys._unknown) == MAX_UNKNOWN


async def test_known_id_with_another_algorithm_loads_nothing() -> None:
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)
    assert await ring.has("k1")
    ring.time += COOL_DOWN

    assert await ring.keys.find("k1", "HS256") is None
    assert issuer.jwks_requests == 1


async def test_old_keys_stay_while_the_issuer_is_away() -> None:
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)
    assert await ring.has("k1")

    for away in (503, 200):
        issuer.status = away
        issuer.keys = []
        assert not await ring.keys.load()
        assert await ring.has("k1")
    assert [e.previous for e in ring.events if isinstance(e, KeysUnavailable)] == [1, 1]
    assert ring.changes == []


async def test_without_any_keys_tokens_cannot_be_verified() -> None:
    issuer = FakeIssuer("k1")
    issuer.status = 503
    ring = Ring(issuer)

    for _ in range(3):
        with pytest.raises(IssuerUnavailable):
            await ring.has("k1")
    assert len(issuer.requested) == 1
    issuer.status = 200
    ring.time += AFTER_FAILURE
    assert await ring.has("k1")


async def test_a_cancelled_request_does_not_end_the_load_of_others() -> None:
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)
    first, second = (asyncio.create_task(ring.has("k1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert await second
    assert issuer.jwks_requests == 1


async def test_keys_are_loaded_again_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        issuer.status = 503 if len(pauses) in {1, 2, 3} else 200
        if len(pauses) == 5:
            raise asyncio.CancelledError

    monkeypatch.setattr("gateway.identity.keys.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await ring.keys.keep_fresh()

    expected = [REFRESH, 10, 20, 40, REFRESH]
    assert all(0.9 * e <= p <= 1.1 * e for e, p in zip(expected, pauses, strict=True))
    assert [type(e) for e in ring.events] == [KeysLoaded, *[KeysUnavailable] * 3]


@pytest.mark.parametrize(
    ("key", "algorithms", "expected"),
    [
        (jwk("k1"), (), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (jwk("k1"), ("RS256", "HS256"), {"RS256"}),
        (jwk("k1", alg="PS256"), (), {"PS256"}),
        (jwk("k1", alg="PS256"), ("RS256",), None),
        (jwk("k1", alg="HS256"), (), None),
        (jwk("ec", ec_key("ec")), (), {"ES256"}),
        (jwk("ed", ed_key("ed")), (), {"EdDSA"}),
        (jwk("k1", use="enc"), (), None),
        (jwk("k1", key_ops=["encrypt"]), (), None),
        (jwk("k1", key_ops=["verify"], use=None), ("RS256",), {"RS256"}),
        (jwk("k1", d="private"), (), None),
        (jwk("short", rsa_key("short", 1024)), (), None),
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}, (), None),
        ({"kty": "RSA", "kid": "k1"}, (), None),
        ({"kty": "EC", "crv": "P-256", "x": 1, "y": []}, (), None),
        ({}, (), None),
    ],
)
def test_a_key_is_for_algorithms_that_fit_it(
    key: dict[str, Any], algorithms: tuple[str, ...], expected: set[str] | None
) -> None:
    if expected is None:
        with pytest.raises(KeysError):
            read_keys(KeyDocument([key]), algorithms)
        return
    (found,) = read_keys(KeyDocument([{}, key]), algorithms)
    assert found.algorithms == expected


async def test_algorithms_are_those_of_the_discovery_document() -> None:
    """Entra's keys have no ``alg``."""
    issuer = FakeIssuer("k1")
    async with authenticating(issuer) as check:
        await check(token())
        with pytest.raises(Unauthenticated):
            await check(token(algorithm="RS512"))
    async with authenticating(issuer, algorithms=["RS512"]) as check:
        await check(token(algorithm="RS512"))


async def test_an_algorithm_that_the_issuer_gives_up_is_refused() -> None:
    """The keys themselves stay the same."""
    issuer = FakeIssuer("k1")
    ring = Ring(issuer)
    await ring.keys.load()
    assert await ring.has("k1")
    issuer.algorithms = ["RS512"]
    await ring.keys.load()
    await ring.http.aclose()

    assert not await ring.has("k1")
    assert ring.changes == [1]


async def test_a_token_may_omit_the_id_of_the_only_key() -> None:
    issuer = FakeIssuer("k1")
    async with authenticating(issuer) as check:
        await check(token(header={"kid": None}))
        issuer.keys = [jwk("k1"), jwk("k2")]
    async with authenticating(issuer) as check:
        with pytest.raises(Unauthenticated):
            await check(token(header={"kid": None}))


async def test_entra_is_discovered_by_its_tenant() -> None:
    name = f"{LOGIN}/{TENANT}/v2.0"
    issuer = FakeIssuer("k1", iss=name, base=f"{LOGIN}/{TENANT}")
    options = InboundOptions.model_validate(
        {"issuers": [{"entra": TENANT, "audiences": [AUDIENCE]}]}
    )
    authenticator = Authenticator(options, transport=issuer.transport)

    async with authenticator.running():
        callers = [
            await authenticator.authenticate(
                {}, {"authorization": f"Bearer {signed(entra_token_claims(version))}"}
            )
            for version in ("1.0", "2.0")
        ]

    assert {(c.issuer, c.subject) for c in callers} == {(name, "0b1d")}
    assert issuer.requested[0] == f"{name}/.well-known/openid-configuration"


async def test_several_tenants_share_one_set_of_keys() -> None:
    issuer = FakeIssuer(iss=f"{LOGIN}/{{tenantid}}/v2.0", base=f"{LOGIN}/organizations")
    issuer.keys = [jwk("k1", issuer=f"{LOGIN}/{{tenantid}}/v2.0")]
    options = InboundOptions.model_validate(
        {"issuers": [{"entra": "organizations", "tenants": TENANT, "audiences": [AUDIENCE]}]}
    )
    authenticator = Authenticator(options, observe=lambda _: None, transport=issuer.transport)

    async def check(**more: Any) -> Any:
        text = signed(entra_token_claims(**more))
        return await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})

    async with authenticator.running():
        assert (await check()).subject == "0b1d"
        assert (await check(version="1.0")).subject == "0b1d"
        with pytest.raises(Unauthenticated, match="issuer that is not accepted"):
            await check(tenant="99999999-8888-7777-6666-555555555555")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(302, headers={"location": "https://evil.example/keys"}), "status 302"),
        (httpx.Response(404), "status 404"),
        (httpx.Response(200, content=b"{"), "not JSON"),
        (httpx.Response(200, content=b"[" * 100_000), "not JSON"),
        (httpx.Response(200, content=b" " * (MAX_BYTES + 1)), "more than"),
        (httpx.Response(200, json=[]), "no JWK set"),
        (httpx.Response(200, json={"keys": {}}), "no JWK set"),
        (httpx.Response(200, headers={"content-encoding": "br;x"}, content=b"{}"), "compressed"),
    ],
)
async def test_a_document_that_is_no_key_set_is_refused(
    answer: httpx.Response, reason: str
) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        with pytest.raises(KeysError, match=reason):
            await PublishedKeys(http, "https://login.example/keys").load()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"issuer": "https://evil.example", "jwks_uri": f"{ISS}/keys"}, "another issuer"),
        ({"issuer": ISS}, "names no https address"),
        ({"issuer": ISS, "jwks_uri": "http://login.example/keys"}, "names no https address"),
        ({"issuer": ISS, "jwks_uri": "http://127.0.0.1/keys"}, "names no https address"),
        ({"issuer": ISS, "jwks_uri": "HTTP://localhost/keys"}, "names no https address"),
        ({"issuer": ISS, "jwks_uri": "file:///etc/passwd"}, "names no https address"),
        ({"issuer": ISS, "jwks_uri": "https://[x/keys"}, "names no https address"),
        ([], "no discovery document"),
    ],
)
async def test_a_discovery_document_must_be_the_issuers(document: object, reason: str) -> None:
    answer = httpx.Response(200, json=document)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        with pytest.raises(KeysError, match=reason):
            await DiscoveredKeys(http, f"{ISS}/config", ISS).load()


async def test_an_issuer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip(_: httpx.Request) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0.01)

        return httpx.Response(200, content=pieces())

    monkeypatch.setattr("gateway.identity.key_documents.LONGEST", 0.05)
    assert LONGEST == 10.0
    async with httpx.AsyncClient(transport=httpx.MockTransport(drip)) as http:
        with pytest.raises(KeysError, match="did not answer within"):
            await fetch_json(http, "https://login.example/keys")


async def test_a_file_of_keys_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk("k1")]}))
    async with authenticating(FakeIssuer(), jwks_file=str(file)) as check:
        await check(token())
        file.write_text(json.dumps({"keys": [jwk("k2")]}))

        await check(token("k2"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"jwks_file": "/nowhere/jwks.json"}, "cannot be read"),
        ({"jwks": {"keys": []}}, "no key for signatures"),
        ({"jwks": {}}, "no JWK set"),
    ],
)
def test_keys_of_the_settings_are_checked_at_the_start(
    source: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Authenticator(InboundOptions.model_validate({"issuers": [{**ALL, **source}]}))
