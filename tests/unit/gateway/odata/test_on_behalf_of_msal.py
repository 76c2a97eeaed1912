"""Tokens on behalf of callers, over msal: against a login host on a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.errors import TokenError, Unauthenticated
from gateway.identity.caller import Assertion, Caller
from gateway.odata.credentials import SecretCredential
from gateway.odata.login_http import LoginHttp
from gateway.odata.on_behalf_of import OnBehalfOf
from gateway.odata.token_requests import EntraAccount, EntraTokenRequests
from tests.support.callers import real_caller
from tests.support.login_host import SECRET, LoginHost, login_host

pytestmark = pytest.mark.anyio


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as running:
        yield running


def over_msal(host: LoginHost) -> OnBehalfOf:
    account = EntraAccount(
        authority=host.authority,
        tenant_id=host.tenant,
        client_id="app-1",
        scope="https://fo.example/.default",
    )
    http = LoginHttp(host.authority)
    credential = SecretCredential(lambda _: SECRET.encode())
    requests = EntraTokenRequests(account, credential, http, ("CP1",))
    return OnBehalfOf(requests, max_tokens=10, workers=2, observe=lambda _: None)


async def test_msal_exchanges_the_token_of_a_caller(host: LoginHost) -> None:
    tokens = over_msal(host)

    first = await tokens.token(real_caller(host, "a"))
    second = await tokens.token(real_caller(host, "b"))

    assert (first, second) == ("token-1", "token-2")
    grant = host.grants[0]
    assert grant["requested_token_use"] == "on_behalf_of"
    assert grant["scope"].split()[0] == "https://fo.example/.default"
    assert "CP1" in grant["claims"]
    tokens.close()


async def test_msal_gives_no_answer_of_one_caller_to_another(host: LoginHost) -> None:
    # msal throttles answers with Retry-After, whatever their status, for all callers alike.
    host.headers["Retry-After"] = "60"
    tokens = over_msal(host)

    first = await tokens.token(real_caller(host, "a"))
    second = await tokens.token(real_caller(host, "b"))

    assert first != second
    tokens.close()


async def test_msal_passes_on_what_the_login_host_requires(host: LoginHost) -> None:
    host.step_up.add("a")
    tokens = over_msal(host)

    with pytest.raises(Unauthenticated, match="AADSTS50076") as caught:
        await tokens.token(real_caller(host, "a"))
    assert caught.value.claims is not None

    assert await tokens.token(real_caller(host, "a", acrs=["c1"])) == "token-2"
    tokens.close()


async def test_a_forged_token_is_not_exchanged(host: LoginHost) -> None:
    tokens = over_msal(host)
    caller = real_caller(host, "a")
    forged = Caller(
        kind="token",
        claims=caller.claims,
        expires_at=caller.expires_at,
        assertion=Assertion(f"{caller.assertion.token[:-4]}AAAA" if caller.assertion else ""),
    )

    with pytest.raises(TokenError, match="AADSTS50013"):
        await tokens.token(forged)
    tokens.close()
