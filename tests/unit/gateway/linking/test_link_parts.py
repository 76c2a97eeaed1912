"""Parts of linking: how much the page may cause, tenants in addresses, names, the way back."""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.config.environment_models import NAME
from gateway.linking.budget import Budget
from gateway.linking.names import names_for
from gateway.linking.problems import LinkError
from gateway.linking.return_address import return_address, signature_of
from gateway.linking.tenants import tenant_in, tenant_text

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
