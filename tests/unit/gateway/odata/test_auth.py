"""The application's sign-in: client credentials through msal, against a token endpoint on a socket."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from inspect import CORO_CLOSED, getcoroutinestate
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError, TokenError, TokenRefused, UpstreamForbidden
from gateway.events import Event, TokenAcquired
from gateway.odata.application_sign_in import ApplicationSignIn
from gateway.odata.auth import auth_of
from gateway.odata.credentials import SecretCredential
from gateway.odata.login_http import LONGEST_EXCHANGE, LoginHttp, LoginTransport
from gateway.odata.query import Request
from gateway.odata.token_requests import EntraAccount, EntraTokenRequests
from tests.support.login_host import SECRET, LoginHost, login_host, refusal
from tests.support.scripted_upstream import rows, upstream

pytestmark = pytest.mark.anyio
GET = Request("GET", "CustomersV3", {})


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as running:
        yield running


@dataclass
class Clock:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def account(host: LoginHost, **changes: str) -> EntraAccount:
    values = {
        "authority": host.authority,
        "tenant_id": "contoso",
        "client_id": "app-1",
        "scope": "https://fo.example/.default",
        **changes,
    }
    return EntraAccount(**values)


REMOTE = EntraAccount(
    authority="https://login.example", tenant_id="contoso", client_id="a", scope="s"
)


def signing_in(
    account: EntraAccount,
    secret: str = SECRET,
    *,
    clock: Clock | None = None,
    transport: LoginTransport | None = None,
    longest_exchange: float = LONGEST_EXCHANGE,
) -> ApplicationSignIn:
    http = LoginHttp(account.authority, transport, longest_exchange)
    credential = SecretCredential(lambda _: secret.encode())
    requests = EntraTokenRequests(account, credential, http)
    return ApplicationSignIn(requests, observe=lambda _: None, now=clock or Clock())


def sign_in(host: LoginHost, clock: Clock | None = None, secret: str = SECRET) -> ApplicationSignIn:
    return signing_in(account(host), secret, clock=clock)


async def test_a_request_carries_a_token_for_the_scope(host: LoginHost) -> None:
    events: list[Event] = []
    settings = load_settings(
        {
            "D365_URL": "https://fo.example/data",
            "D365_TENANT_ID": "contoso",
            "D365_CLIENT_ID": "app-1",
            "D365_CLIENT_SECRET": SECRET,
            "D365_AUTHORITY": host.authority,
        }
    )
    fo = upstream(rows())

    async with fo.client(auth=auth_of(settings, events.append)) as client:
        await client.send(GET)

    assert fo.requests[0].headers["authorization"] == "Bearer token-1"
    (grant,) = host.grants
    assert grant["grant_type"] == "client_credentials"
    assert grant["scope"] == "https://fo.example/.default"
    assert (grant["client_id"], grant["client_secret"]) == ("app-1", SECRET)
    assert events == [TokenAcquired(expires_in=3600.0)]


async def test_concurrent_requests_share_one_token(host: LoginHost) -> None:
    fo = upstream(rows())

    async with fo.client(auth=sign_in(host)) as client:
        await asyncio.gather(*(client.send(GET) for _ in range(20)))

    assert len(host.grants) == 1
    assert {r.headers["authorization"] for r in fo.requests} == {"Bearer token-1"}


class SlowLogin(httpx.AsyncBaseTransport):
    """A login host that answers nothing until it is let go on."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        self.exchanges = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.exchanges += 1
        self.was_asked.set()
        await self.may_answer.wait()
        base = "https://login.example/contoso"
        document = {"authorization_endpoint": base, "token_endpoint": f"{base}/token"}
        if request.method == "POST":
            document = {"access_token": "t", "expires_in": "3600", "token_type": "Bearer"}
        return httpx.Response(200, json=document)

    def sign_in(self, longest_exchange: float = LONGEST_EXCHANGE) -> ApplicationSignIn:
        return signing_in(REMOTE, transport=lambda: self, longest_exchange=longest_exchange)


async def test_a_hanging_login_host_gets_one_limited_request() -> None:
    login, fo = SlowLogin(), upstream(rows())

    async with fo.client(auth=login.sign_in(longest_exchange=0.01)) as client:
        outcomes = await asyncio.gather(
            *(client.send(GET) for _ in range(100)), return_exceptions=True
        )

    assert {type(outcome) for outcome in outcomes} == {TokenError}
    assert len({id(outcome) for outcome in outcomes}) == 100
    assert (login.exchanges, fo.requests) == (1, [])


async def test_a_refused_sign_in_is_remembered_for_a_moment(host: LoginHost) -> None:
    fo, clock = upstream(rows()), Clock()
    host.refuse = refusal(7000222, "Expired.")

    async with fo.client(auth=sign_in(host, clock)) as client:
        outcomes = await asyncio.gather(
            *(client.send(GET) for _ in range(100)), return_exceptions=True
        )
        clock.at = 4.0
        with pytest.raises(TokenError, match="7000222"):
            await client.send(GET)
        assert len(host.grants) == 1
        host.refuse = None
        clock.at = 6.0
        await client.send(GET)

    assert {type(outcome) for outcome in outcomes} == {TokenRefused}
    assert len(host.grants) == 2


async def test_a_cancelled_request_does_not_end_the_sign_in() -> None:
    login, fo = SlowLogin(), upstream(rows())

    async with fo.client(auth=login.sign_in()) as client:
        waiting = [asyncio.ensure_future(client.send(GET)) for _ in range(3)]
        await login.was_asked.wait()
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        login.may_answer.set()
        await asyncio.gather(*waiting[1:])

    assert waiting[0].cancelled()
    assert (login.exchanges, len(fo.requests)) == (2, 2)  # discovery and grant


async def test_a_write_that_waits_for_a_sign_in_has_not_begun() -> None:
    login, fo = SlowLogin(), upstream(httpx.Response(204))
    begun: list[bool] = []

    async with fo.client(auth=login.sign_in()) as client:
        write = Request("PATCH", "Sets(1)", {}, b"{}")
        writing = asyncio.ensure_future(client.write(write, begins=lambda: begun.append(True)))
        await login.was_asked.wait()
        before = list(begun)
        login.may_answer.set()
        await writing

    assert (before, begun) == ([], [True])


async def test_a_token_is_renewed_shortly_before_it_expires(host: LoginHost) -> None:
    fo, clock = upstream(rows()), Clock()
    host.expires_in = 290  # msal takes a token of less than five minutes for spent

    async with fo.client(auth=sign_in(host, clock)) as client:
        for clock.at in (0.0, 144.0, 146.0):
            await client.send(GET)

    assert [r.headers["authorization"] for r in fo.requests] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_a_valid_token_is_used_while_the_login_host_fails(
    host: LoginHost,
) -> None:
    fo, clock = upstream(rows()), Clock()
    host.expires_in = 290

    async with fo.client(auth=sign_in(host, clock)) as client:
        await client.send(GET)
        host.refuse = refusal(90033, "A transient error has occurred.")
        for clock.at in (200.0, 210.0, 231.0):
            await client.send(GET)
        assert len(host.grants) == 3
        clock.at = 291.0
        with pytest.raises(TokenError):
            await client.send(GET)

    assert {r.headers["authorization"] for r in fo.requests} == {"Bearer token-1"}


async def test_a_401_is_repeated_once_with_a_new_token(host: LoginHost) -> None:
    fo = upstream(rows(), httpx.Response(401, html="<html>"), rows())

    async with fo.client(auth=sign_in(host)) as client:
        await client.send(GET)
        response = await client.send(GET)

    assert response.status == 200
    assert [r.headers["authorization"] for r in fo.requests] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_a_second_401_is_forbidden_without_another_sign_in(
    host: LoginHost,
) -> None:
    fo, clock = upstream(httpx.Response(401)), Clock()

    async with fo.client(auth=sign_in(host, clock)) as client:
        with pytest.raises(UpstreamForbidden, match="401"):
            await client.send(GET)
        assert (len(fo.requests), len(host.grants)) == (2, 2)
        with pytest.raises(UpstreamForbidden):
            await client.send(GET)
        assert (len(fo.requests), len(host.grants)) == (3, 2)
        clock.at = 31.0
        with pytest.raises(UpstreamForbidden):
            await client.send(GET)

    assert (len(fo.requests), len(host.grants)) == (5, 3)


async def test_many_401s_cause_one_new_token(host: LoginHost) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        stale = request.headers["authorization"] == "Bearer token-1"
        return httpx.Response(401) if stale else rows()

    fo = upstream(answer)
    async with fo.client(auth=sign_in(host)) as client:
        await asyncio.gather(*(client.send(GET) for _ in range(10)))

    assert len(host.grants) == 2


async def test_a_write_is_sent_again_with_its_body_after_a_401(host: LoginHost) -> None:
    fo = upstream(httpx.Response(401), httpx.Response(201, json={"A": 1}))

    async with fo.client(auth=sign_in(host)) as client:
        await client.send(Request("POST", "Sets", {}, b'{"A":1}'))

    assert [r.content for r in fo.requests] == [b'{"A":1}'] * 2


async def refused(host: LoginHost, auth: httpx.Auth) -> TokenError:
    fo = upstream(rows())
    async with fo.client(auth=auth) as client:
        with pytest.raises(TokenError) as caught:
            await client.send(GET)
    assert fo.requests == []
    return caught.value


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (7000215, "secret's value"),
        (7000222, "expired"),
        (700016, "client_id"),
        (90002, "tenant_id"),
        (500011, "environment"),
        (1, "Are tenant_id, client_id, the credentials"),
    ],
)
async def test_a_refusal_says_what_to_check(host: LoginHost, code: int, hint: str) -> None:
    host.refuse = refusal(code, "Inner words.")

    error = await refused(host, sign_in(host))

    assert f"AADSTS{code}" in error.message
    assert hint in str(error.hint)
    assert "Inner words." in str(error.detail)
    assert "Inner words." not in str(error.extensions())


async def test_a_refusal_without_a_code_names_its_error(host: LoginHost) -> None:
    host.refuse = {"error": "invalid_scope"}

    assert "invalid_scope" in (await refused(host, sign_in(host))).message


async def test_an_unknown_tenant_is_an_error(host: LoginHost) -> None:
    auth = signing_in(account(host, tenant_id="fabrikam"))

    assert "tenant_id" in str((await refused(host, auth)).hint)


@pytest.mark.parametrize("configuration", [{}, [], "x"])
async def test_a_host_that_is_no_login_host_is_an_error(
    host: LoginHost, configuration: object
) -> None:
    host.configuration = configuration

    assert "authority" in str((await refused(host, sign_in(host))).hint)


async def test_an_unreachable_login_host_is_an_error(host: LoginHost) -> None:
    def no_way() -> httpx.AsyncBaseTransport:
        def answer(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        return httpx.MockTransport(answer)

    auth = signing_in(account(host), transport=no_way)

    assert "cannot be reached" in (await refused(host, auth)).message


async def test_an_https_login_host_is_reached_over_https() -> None:
    asked: list[str] = []

    def transport() -> httpx.AsyncBaseTransport:
        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(f"{request.method} {request.url}")
            base = "https://login.example/contoso"
            if request.method == "GET":
                return httpx.Response(
                    200, json={"authorization_endpoint": base, "token_endpoint": f"{base}/token"}
                )
            return httpx.Response(200, json={"access_token": "t", "expires_in": 60})

        return httpx.MockTransport(answer)

    auth = signing_in(REMOTE, transport=transport)
    fo = upstream(rows())
    async with fo.client(auth=auth) as client:
        await client.send(GET)

    assert asked == [
        "GET https://login.example/contoso/v2.0/.well-known/openid-configuration",
        "POST https://login.example/contoso/token",
    ]


async def test_secret_and_token_are_in_no_text(
    host: LoginHost, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = sign_in(host, secret="wr+ng/=&%")
    right = sign_in(host)
    fo = upstream(rows())

    error = await refused(host, wrong)
    async with fo.client(auth=right) as client:
        await client.send(GET)

    shown = [
        repr(right),
        repr(vars(right)["_token"]),
        str(fo.events),
        caplog.text,
        str(error.extensions()),
        "".join(traceback.format_exception(error)),
    ]
    assert "********" in str(error.detail)
    for text in [*shown, str(error.detail)]:
        assert "wr+ng" not in text
        assert "wr%2Bng" not in text
        assert SECRET not in text
        assert "token-" not in text


def test_auth_none_makes_no_sign_in() -> None:
    assert auth_of(Settings(url="https://x/data", auth="none")) is None


def test_a_sign_in_needs_all_its_parts() -> None:
    settings = Settings(
        url="https://x/data", auth="client_credentials", client_secret=SecretStr(SECRET)
    )

    with pytest.raises(SettingsError, match="tenant_id"):
        auth_of(settings)


def test_a_thread_does_not_wait_for_an_event_loop_that_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchanges: list[Coroutine[Any, Any, Any]] = []

    def submit(exchange: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> Future[Any]:
        exchanges.append(exchange)
        loop.close()
        return Future()  # which nobody answers

    monkeypatch.setattr("gateway.odata.login_http._LOOK", 0.01)
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", submit)
    http = LoginHttp("https://login.example", lambda: httpx.MockTransport(lambda _: rows()))
    http.loop = asyncio.new_event_loop()

    with pytest.raises(httpx.ReadError, match="shuts down"):
        http.get("https://login.example/x")
    assert getcoroutinestate(exchanges[0]) == CORO_CLOSED
