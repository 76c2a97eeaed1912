"""Parts of linking: how much the page may cause, tenants in addresses, names, the way back."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from gateway.config.environment_models import NAME, EnvironmentOptions
from gateway.config.environments import overlaid
from gateway.config.settings import Settings
from gateway.linking.budget import Budget
from gateway.linking.names import names_for
from gateway.linking.problems import LinkError
from gateway.linking.return_address import return_address, signature_of
from gateway.linking.tenants import (
    Unreachable,
    environment_http,
    resolve_tenant,
    tenant_in,
    tenant_of_environment,
    tenant_text,
)
from gateway.odata.transport_errors import PrivateAddress

TENANT = "7f2c9a1e-0000-4000-8000-000000000001"
OWN = "https://login.example"


def test_steps_at_once_are_bounded() -> None:
    budget = Budget(at_once=2, per_minute=100)
    with ExitStack() as steps:
        steps.enter_context(budget.step())
        steps.enter_context(budget.step())
        with pytest.raises(LinkError, match="Too many") as refused, budget.step():
            pass
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    with budget.step():
        pass


def test_steps_a_minute_are_bounded() -> None:
    now = 0.0
    budget = Budget(at_once=10, per_minute=3, now=lambda: now)
    for _ in range(3):
        with budget.step():
            pass
    with pytest.raises(LinkError), budget.step():
        pass
    now = 60.0
    with budget.step():
        pass


@pytest.mark.parametrize(
    ("address", "tenant"),
    [
        (f"https://login.windows.net/{TENANT}", TENANT),
        (f"https://login.microsoftonline.com/{TENANT}/oauth2/authorize", TENANT),
        ("https://login.microsoftonline.us/Contoso.com/oauth2/authorize", "contoso.com"),
        (f"{OWN}/{TENANT}/oauth2/authorize", TENANT),
        ("https://login.microsoftonline.com/common/oauth2/authorize", None),
        ("https://login.microsoftonline.com/organizations", None),
        ("https://login.microsoftonline.com/", None),
        (f"https://login.microsoftonline.com.evil.example/{TENANT}", None),
        (f"https://login.microsoftonline.com@evil.example/{TENANT}", None),
        (f"http://login.microsoftonline.com/{TENANT}", None),
        (f"https://evil.example/{TENANT}", None),
        ("https://login.windows.net/..%2f", None),
    ],
)
def test_tenants_are_read_of_known_login_hosts(address: str, tenant: str | None) -> None:
    assert tenant_in(address, OWN) == tenant


@pytest.mark.parametrize("text", ["", "common", "a/b", "a?b", "x" * 300, "-", "ü.example"])
def test_a_typed_tenant_is_a_name(text: str) -> None:
    with pytest.raises(LinkError):
        tenant_text(text)
    assert tenant_text(" Contoso.COM ") == "contoso.com"


@pytest.mark.parametrize(
    ("url", "names"),
    [
        (
            "https://contoso-uat.sandbox.operations.dynamics.com/data",
            ["contoso-uat", "contoso-uat-2"],
        ),
        ("https://365.operations.dynamics.com/data", ["environment-365", "environment-365-2"]),
        (
            "https://default.operations.dynamics.com/data",
            ["environment-default", "environment-default-2"],
        ),
        (f"https://{'x' * 60}.dynamics.com/data", ["x" * 40, f"{'x' * 38}-2"]),
        ("http://127.0.0.1:8/data", ["environment-127", "environment-127-2"]),
    ],
)
def test_names_come_from_hosts(url: str, names: list[str]) -> None:
    found = list(names_for(url))

    assert found[:2] == names
    assert len(set(found)) == len(found) == 50
    assert all(NAME.fullmatch(name) for name in found)


def test_a_way_back_has_its_own_parameters_and_a_signature() -> None:
    address = return_address(
        "https://app.example/x?tab=1&empty=#top", b"key", session="s", environment="e", timestamp=5
    )

    assert parse_qsl(urlsplit(address).query, keep_blank_values=True) == [
        ("tab", "1"),
        ("empty", ""),
        ("session", "s"),
        ("environment", "e"),
        ("timestamp", "5"),
        ("signature", signature_of(b"key", "s", "e", 5)),
    ]
    assert signature_of(b"key", "s", "e", 5) != signature_of(b"key", "s", "f", 5)


@pytest.mark.anyio
async def test_a_name_that_leads_into_the_network_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = "https://contoso.operations.dynamics.com/data"
    settings = overlaid(Settings(), "link", EnvironmentOptions(url=url), stored=True)
    async with environment_http(settings) as http:
        with pytest.raises(Unreachable) as raised:
            await tenant_of_environment(http, url, OWN)

    assert isinstance(raised.value.__cause__, PrivateAddress)
    assert raised.value.problem.code == "LINK_UNREACHABLE"


@pytest.mark.anyio
async def test_redirects_of_an_environment_are_not_followed() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(str(request.url))
        return httpx.Response(302, headers={"location": "http://169.254.169.254/"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        with pytest.raises(Unreachable) as raised:
            await tenant_of_environment(http, "https://a.example/data", OWN)

    assert raised.value.problem.code == "LINK_NO_ENVIRONMENT"
    assert sent == ["https://a.example/data/"]


@pytest.mark.parametrize(
    ("document", "tenant"),
    [
        ({"issuer": f"{OWN}/{TENANT}/v2.0"}, TENANT),
        ({"issuer": f"{OWN}/common/v2.0"}, None),
        ({"issuer": f"https://evil.example/{TENANT}/v2.0"}, None),
        ({"issuer": f"{OWN}/{TENANT}"}, None),
        ({"issuer": 1}, None),
        ([], None),
        (None, None),
    ],
    ids=str,
)
@pytest.mark.anyio
async def test_a_domain_stands_for_the_id_that_the_login_host_publishes(
    document: object, tenant: str | None
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if document is None else httpx.Response(200, json=document)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        if tenant is None:
            with pytest.raises(LinkError):
                await resolve_tenant(http, OWN, "contoso.com")
        else:
            assert (await resolve_tenant(http, OWN, "contoso.com")).id == tenant
        other = TENANT.replace("1", "2")
        with pytest.raises(LinkError):
            await resolve_tenant(http, OWN, other)
