"""Credentials of requests: which are read, what callers they make, and what is remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.config.inbound_models import InboundOptions
from gateway.config.settings import Settings
from gateway.errors import SettingsError, Unauthenticated
from gateway.events import CallerRefused, Event
from gateway.identity.authenticator import Authenticator, authenticator_of
from gateway.identity.caller import ANONYMOUS, Caller
from gateway.identity.verified_callers import VerifiedCallers
from gateway.store.api_keys import open_api_keys, open_register
from tests.support.issuer import AUDIENCE, ISS, jwk, token

pytestmark = pytest.mark.anyio
KEYS = {"keys": [jwk("k1")]}


def options(anonymous: bool = False, **issuer: Any) -> InboundOptions:
    table = {"issuer": ISS, "audiences": [AUDIENCE], "jwks": KEYS, **issuer}
    return InboundOptions.model_validate({"issuers": [table], "anonymous": anonymous})


async def caller_with(text: str, **issuer: Any) -> Caller:
    authenticator = Authenticator(options(**issuer), observe=lambda _: None)
    return await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})


@pytest.mark.parametrize(
    ("headers", "query", "status", "error"),
    [
        ({}, "", 401, None),
        ({"authorization": "Basic YTpi"}, "", 401, None),
        ({"authorization": "basic YTpi"}, "", 401, None),
        ({"authorization": ""}, "", 400, "invalid_request"),
        ({"authorization": "Bearer"}, "", 400, "invalid_request"),
        ({"authorization": "Bearer "}, "", 400, "invalid_request"),
        ({"authorization": "Bearer a b"}, "", 400, "invalid_request"),
        ({"authorization": "Bearer a, Bearer b"}, "", 400, "invalid_request"),
        ({"authorization": "Bearer good, Basic YTpi"}, "", 400, "invalid_request"),
        ({"authorization": "Basic YTpi, Bearer good"}, "", 400, "invalid_request"),
        ({"authorization": "Basic YTpi, Basic YTpi"}, "", 400, "invalid_request"),
        ({"authorization": "Negotiate YII"}, "", 400, "invalid_request"),
        ({"authorization": "Bearer d365_id_secret"}, "", 401, "invalid_token"),
        ({}, "access_token=a.b.c", 400, "invalid_request"),
        ({}, "query=%7Ba%7D&Access_Token=a.b.c", 400, "invalid_request"),
        ({"authorization": "Bearer a.b.c"}, "access_token=a.b.c", 400, "invalid_request"),
        ({"x-forwarded-client-cert": "Subject=CN=a"}, "", 401, None),
    ],
)
async def test_a_request_without_one_good_token_is_refused(
    headers: dict[str, str], query: str, status: int, error: str | None
) -> None:
    authenticator = Authenticator(options(), observe=lambda _: None)

    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate({"query_string": query.encode()}, headers)

    assert (caught.value.status, caught.value.error) == (status, error)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({}, "query={ access_tokens(first: 1) { access_token } }"),
        ({"authorization": "Basic YTpi"}, ""),
    ],
)
async def test_requests_without_credentials_may_be_anonymous(
    headers: dict[str, str], query: str
) -> None:
    authenticator = Authenticator(options(anonymous=True))

    caller = await authenticator.authenticate({"query_string": query.encode()}, headers)

    assert caller is ANONYMOUS


async def test_bad_credentials_are_never_anonymous() -> None:
    authenticator = Authenticator(options(anonymous=True), observe=lambda _: None)

    expired = token(exp=int(time.time()) - 60)
    with pytest.raises(Unauthenticated, match="expired"):
        await authenticator.authenticate({}, {"authorization": f"Bearer {expired}"})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    authenticator = Authenticator(options())

    caller = await authenticator.authenticate({}, {"authorization": f"{scheme} {token()}"})

    assert caller.subject == "alice"


@pytest.mark.parametrize(
    ("issuer", "more", "roles"),
    [
        ({}, {}, ("ap-clerk",)),
        ({}, {"roles": "ap-clerk"}, ("ap-clerk",)),
        ({}, {"roles": ["b", "a", "b", 7, "", None]}, ("a", "b")),
        ({}, {"roles": None}, ()),
        ({}, {"roles": {"a": 1}}, ()),
        ({}, {"groups": ["g1"]}, ("ap-clerk",)),
        (
            {"role_map": {"g1": "buyer, viewer"}},
            {"groups": ["g1", "g2"]},
            ("ap-clerk", "buyer", "viewer"),
        ),
        ({"role_map": {"ap-clerk": "viewer"}}, {}, ("viewer",)),
        ({"role_map": {"erp.read": ["viewer"]}}, {"scp": "a erp.read"}, ("ap-clerk", "viewer")),
        ({"role_claims": "realm_access.roles"}, {"realm_access": {"roles": ["x"]}}, ("x",)),
        ({"role_claims": "realm_access.roles"}, {"realm_access": "x"}, ()),
        ({"role_claims": "https://a.example/roles"}, {"https://a.example/roles": ["x"]}, ("x",)),
        ({"role_claims": "roles, app.roles"}, {"app": {"roles": ["x"]}}, ("ap-clerk", "x")),
    ],
)
async def test_roles_come_from_the_claims_of_the_settings(
    issuer: dict[str, Any], more: dict[str, Any], roles: tuple[str, ...]
) -> None:
    assert (await caller_with(token(**more), **issuer)).roles == roles


async def test_a_caller_has_the_facts_of_its_token() -> None:
    text = token(oid="o1", azp="app", name="Alice", scp="b a", companies=["usmf"])

    caller = await caller_with(text)

    assert (caller.kind, caller.issuer, caller.subject) == ("token", ISS, "o1")
    assert (caller.application, caller.name, caller.scopes) == ("app", "Alice", ("a", "b"))
    assert caller.claims["companies"] == ["usmf"]
    assert caller.expires_at == caller.claims["exp"]
    assert caller.assertion is not None
    assert caller.assertion.token == text
    assert text.split(".")[2] not in repr(caller)


@pytest.mark.parametrize(
    ("required", "more", "accepted"),
    [
        ({"acr": []}, {"acr": "1"}, True),
        ({"acr": []}, {}, False),
        ({"acr": ["2", "3"]}, {"acr": "3"}, True),
        ({"acr": ["2"]}, {"acr": "1"}, False),
        ({"scp": ["erp"]}, {"scp": "erp"}, True),
        ({"amr": ["mfa"]}, {"amr": ["pwd", "mfa"]}, True),
        ({"email_verified": ["true"]}, {"email_verified": True}, True),
        ({"email_verified": ["true"]}, {"email_verified": "yes"}, False),
        ({"level": ["3"]}, {"level": 3}, True),
        ({"a.b": ["c"]}, {"a": {"b": "c"}}, True),
    ],
)
async def test_required_claims_must_be_there(
    required: dict[str, list[str]], more: dict[str, Any], accepted: bool
) -> None:
    if accepted:
        await caller_with(token(**more), required=required)
        return
    with pytest.raises(Unauthenticated, match="lacks the required claim"):
        await caller_with(token(**more), required=required)


def run_at_once(waiting: Coroutine[Any, Any, Caller]) -> Caller:
    """Run a coroutine that must not wait for anything."""
    try:
        waiting.send(None)
    except StopIteration as stop:
        caller: Caller = stop.value
        return caller
    raise AssertionError("it has switched to another task")


async def test_a_warm_caller_needs_no_other_task() -> None:
    authenticator = Authenticator(options())
    headers = {"authorization": f"Bearer {token()}"}
    first = await authenticator.authenticate({}, headers)

    assert run_at_once(authenticator.authenticate({}, headers)) is first
    assert authenticator.remembered({}, headers) is first
    assert authenticator.remembered({"query_string": b"access_token=x"}, headers) is None
    assert authenticator.remembered({}, {"authorization": headers["authorization"] + "x"}) is None
    assert authenticator.remembered({}, {}) is None


async def test_a_remembered_caller_ends_with_its_token() -> None:
    now = [time.time()]
    authenticator = Authenticator(options(), observe=lambda _: None, now=lambda: now[0])
    headers = {"authorization": f"Bearer {token(exp=int(now[0]) + 2)}"}
    first = await authenticator.authenticate({}, headers)

    now[0] += 3
    assert authenticator.remembered({}, headers) is None
    again = await authenticator.authenticate({}, headers)

    assert (
        again is not first
    )  # verified anew, and accepted for the seconds by which clocks may differ
    assert await authenticator.authenticate({}, headers) is not again


def test_remembered_callers_are_bounded() -> None:
    callers = VerifiedCallers(2)
    for name in (b"a", b"b"):
        callers.put(name, ANONYMOUS, 10)
    assert callers.get(b"a", 0)
    callers.put(b"c", ANONYMOUS, 10)

    assert [callers.get(name, 0) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert callers.get(b"a", 10) is None
    assert len(callers) == 1


async def test_a_refusal_is_logged_without_the_token() -> None:
    events: list[Event] = []
    authenticator = Authenticator(options(), observe=events.append)
    text = token(aud="other", oid="secret-oid")

    with pytest.raises(Unauthenticated):
        await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})

    log_id = Caller(issuer=ISS, subject="secret-oid").log_id
    assert events[1:] == [CallerRefused(reason="audience", issuer=ISS, kid="k1", caller=log_id)]


async def test_api_keys_are_those_of_the_store(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, inbound=InboundOptions(api_keys=True), auth="none")
    events: list[Event] = []
    register = open_register(settings)
    good, old = (
        register.create(name, ["b", "a"], expires_at=ends)[1]
        for name, ends in (("sync", None), ("old", time.time() - 1))
    )
    keys = open_api_keys(settings, events.append)
    authenticator = authenticator_of(settings, api_keys=keys, observe=events.append)
    assert authenticator is not None
    assert keys is not None

    caller = await authenticator.authenticate({}, {"authorization": f"Bearer {good}"})

    assert (caller.kind, caller.name, caller.roles) == ("key", "sync", ("a", "b"))
    for text, reason in (
        (old, "expired"),
        (f"{good}x", "unknown_api_key"),
        ("d365_nobody_x", "unknown_api_key"),
        ("d365_nothing", "malformed"),
        (token(), "no_issuers"),
    ):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate({}, {"authorization": f"Bearer {text}"})
        event = events.pop()
        assert isinstance(event, CallerRefused)
        assert event.reason == reason
    await keys.close()


def test_api_keys_need_a_store() -> None:
    with pytest.raises(SettingsError, match="no store"):
        authenticator_of(Settings(inbound=InboundOptions(api_keys=True), auth="none"))


def test_without_callers_nobody_is_asked() -> None:
    assert authenticator_of(Settings()) is None
    assert authenticator_of(Settings(inbound=InboundOptions(anonymous=True))) is None


@pytest.mark.parametrize(
    ("more", "is_same", "has_rights"),
    [
        (
            {"exp": 4_000_000_000, "iat": 1, "nbf": 2, "jti": "x", "aio": "y", "xms_ftd": "z"},
            True,
            True,
        ),
        ({"companies": ["usmf"]}, True, False),
        ({"roles": ["admin"]}, True, False),
        ({"scp": "more"}, True, False),
        ({"sub": "bob"}, False, False),
    ],
)
async def test_a_later_token_is_compared_with_the_earlier(
    more: dict[str, Any], is_same: bool, has_rights: bool
) -> None:
    first, second = await asyncio.gather(caller_with(token()), caller_with(token(**more)))

    assert first.is_same(second) is is_same
    assert second.has_rights_of(first) is has_rights
