"""The sandbox's issuer: whose tokens are accepted by which gateway, and where its key is."""

from __future__ import annotations

import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from gateway.app import create_app
from gateway.cli.check_callers import require_callers
from gateway.config.inbound_models import SANDBOX_ISSUER
from gateway.config.settings import Settings
from gateway.errors import SettingsError, Unauthenticated
from gateway.identity.authenticator import Authenticator, authenticator_of
from gateway.identity.caller import Caller
from gateway.identity.sandbox_issuer import (
    FILE,
    FOLDER,
    SandboxIssuer,
    challenge_of,
    open_sandbox_issuer,
)
from gateway.identity.sandbox_users import USERS, user_of, user_with
from tests.support.issuer import AUDIENCE, ISS, ec_key, jwk, token

pytestmark = pytest.mark.anyio
URL = "https://contoso.operations.dynamics.com/data"
OTHER_ISSUER: Mapping[str, Any] = {
    "issuer": ISS,
    "audiences": [AUDIENCE],
    "jwks": {"keys": [jwk("k1")]},
}
ALICE = next(user for user in USERS if user.id == "alice")


def settings(folder: Path | None, **more: Any) -> Settings:
    values = {"data_dir": folder, "sandbox": {"roles": True}, "auth": "none", **more}
    return Settings.model_validate(values)


def issuer(folder: Path) -> SandboxIssuer:
    return open_sandbox_issuer(settings(folder))


async def caller(authenticator: Authenticator | None, text: str) -> Caller:
    assert authenticator is not None
    async with authenticator.running():
        return await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})


async def test_a_gateway_beside_it_accepts_its_tokens(tmp_path: Path) -> None:
    text = issuer(tmp_path).token(ALICE)

    alice = await caller(authenticator_of(settings(tmp_path)), text)

    assert (alice.issuer, alice.subject, alice.name) == (SANDBOX_ISSUER, "alice", "Alice Payable")
    assert alice.roles == ("ap-clerk",)
    assert alice.claims["companies"] == ["usmf"]
    assert alice.claims["company"] == "usmf"
    assert alice.expires_at is not None
    assert 3_500 < alice.expires_at - time.time() <= 3_600


async def test_other_issuers_are_accepted_beside_it(tmp_path: Path) -> None:
    both = authenticator_of(settings(tmp_path, inbound={"issuers": [OTHER_ISSUER]}))

    assert (await caller(both, token("k1"))).issuer == ISS
    assert (await caller(both, issuer(tmp_path).token(ALICE))).issuer == SANDBOX_ISSUER


async def test_a_real_environment_never_accepts_it(tmp_path: Path) -> None:
    text = issuer(tmp_path).token(ALICE)
    real = settings(tmp_path, url=URL, sandbox={}, inbound={"issuers": [OTHER_ISSUER]})

    with pytest.raises(Unauthenticated, match="issuer that is not accepted"):
        await caller(authenticator_of(real), text)


@pytest.mark.parametrize("start", [create_app, authenticator_of, require_callers])
def test_a_real_environment_does_not_start_with_it(tmp_path: Path, start: Any) -> None:
    with pytest.raises(SettingsError, match="not accepted for a real environment") as caught:
        start(settings(tmp_path, url=URL))

    assert "inbound.issuers" in str(caught.value.hint)


def test_no_setting_names_it_as_an_issuer(tmp_path: Path) -> None:
    own = issuer(tmp_path).options
    as_setting = {
        "issuer": SANDBOX_ISSUER,
        "audiences": own.audiences,
        "jwks": own.jwks,
    }

    with pytest.raises(ValidationError, match=r"need sandbox\.roles, and no url"):
        Settings.model_validate({"url": URL, "auth": "none", "inbound": {"issuers": [as_setting]}})


def test_the_plain_sandbox_is_open(tmp_path: Path) -> None:
    assert authenticator_of(settings(tmp_path, sandbox={})) is None
    assert not (tmp_path / FOLDER).exists()


def test_its_key_is_made_once_and_private(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        issuers = list(threads.map(issuer, [tmp_path] * 8))

    assert len({str(i.options.jwks) for i in issuers}) == 1
    path = tmp_path / FOLDER / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_another_machine_has_another_key(tmp_path: Path) -> None:
    text = issuer(tmp_path / "theirs").token(ALICE)

    with pytest.raises(Unauthenticated):
        await caller(authenticator_of(settings(tmp_path / "ours")), text)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_damaged_key_is_named(tmp_path: Path, content: bytes) -> None:
    issuer(tmp_path)
    (tmp_path / FOLDER / FILE).write_bytes(content)

    with pytest.raises(SettingsError, match="cannot be read or stored") as caught:
        issuer(tmp_path)

    assert FILE in str(caught.value.hint)


def test_without_data_dir_there_is_no_place_for_it() -> None:
    with pytest.raises(SettingsError, match="data_dir is none"):
        open_sandbox_issuer(settings(None))


async def test_a_token_ends(tmp_path: Path) -> None:
    text = issuer(tmp_path).token(ALICE, seconds=-60)

    with pytest.raises(Unauthenticated, match="expired"):
        await caller(authenticator_of(settings(tmp_path)), text)


@pytest.mark.parametrize("purpose", ["code", "refresh"])
async def test_codes_and_refresh_tokens_are_no_tokens(tmp_path: Path, purpose: Any) -> None:
    text = issuer(tmp_path).grant(purpose, ALICE)

    with pytest.raises(Unauthenticated):
        await caller(authenticator_of(settings(tmp_path)), text)


@pytest.mark.parametrize(
    ("made", "read", "after", "valid"),
    [
        ("code", "code", 59, True),
        ("code", "code", 61, False),
        ("refresh", "refresh", 86_000, True),
        ("refresh", "refresh", 86_500, False),
        ("code", "refresh", 0, False),
        ("refresh", "code", 0, False),
    ],
)
def test_grants_are_of_their_purpose_and_time(
    made: Any, read: Any, after: float, valid: bool
) -> None:
    clock = [1_000_000.0]
    own = SandboxIssuer(ec_key("sandbox"), lambda: clock[0])
    text = own.grant(made, ALICE, challenge="c")
    clock[0] += after

    claims = own.read_grant(read, text)

    assert (claims is not None) is valid
    assert claims is None or (claims["sub"], claims["challenge"]) == ("alice", "c")


def test_grants_of_another_key_and_tokens_are_none() -> None:
    own, other = SandboxIssuer(ec_key("sandbox")), SandboxIssuer(ec_key("other"))

    for text in ("", "x", other.grant("code", ALICE), own.token(ALICE)):
        assert own.read_grant("code", text) is None


def test_the_challenge_is_that_of_the_specification() -> None:
    # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_token_names_its_key_and_no_private_part(tmp_path: Path) -> None:
    own = issuer(tmp_path)
    (key,) = (own.options.jwks or {})["keys"]

    assert jwt.get_unverified_header(own.token(ALICE))["kid"] == key["kid"]
    assert "d" not in key


@pytest.mark.parametrize(
    ("roles", "user", "companies", "expected"),
    [
        ([], "alice", [], ("alice", ("ap-clerk",), ("usmf",))),
        (["ap-clerk"], None, [], ("alice", ("ap-clerk",), ("usmf",))),
        (["sales"], "alice", [], ("alice", ("sales",), ("usmf",))),
        (["sales", "viewer"], None, ["demf"], ("sam", ("sales", "viewer"), ("demf",))),
        (["own"], None, [], ("somebody", ("own",), ())),
    ],
)
def test_a_user_is_found_by_its_role(
    roles: list[str], user: str | None, companies: list[str], expected: object
) -> None:
    chosen = user_with(roles, None if user is None else user_of(user), companies)

    assert (chosen.id, chosen.roles, chosen.companies) == expected


def test_each_user_has_a_role_of_the_sandbox() -> None:
    roles = Settings.model_validate({"sandbox": {"roles": True}}).roles

    assert {role for user in USERS for role in user.roles} == set(roles)
