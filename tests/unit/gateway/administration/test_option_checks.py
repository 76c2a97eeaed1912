"""Options that an environment of the store may not have."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.administration.option_checks import check_name, checked_options
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.errors import EnvironmentExists, InvalidOption
from tests.support.stored_environments import URL

VAULT = "@keyvault:https://v.vault.azure.net/secrets/acme"
SETTINGS = Settings.model_validate(
    {
        "roles": {"clerk": {"sets": {"*": {}}}},
        "tenant_id": "own",
        "client_id": "own",
        "client_secret": "own-secret",
        "authority": "http://127.0.0.1:9",
    }
)


@pytest.mark.parametrize(
    "name", ["", "Acme", "1acme", "a" * 41, "default", "a/b", "a b", "../x", None, 7, ["acme"]]
)
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidOption) as raised:
        check_name(SETTINGS, name)
    assert raised.value.field == "name"


def test_a_name_of_the_settings_is_taken() -> None:
    declared = Settings.model_validate({"environments": {"acme": {"url": URL}}})
    with pytest.raises(EnvironmentExists):
        check_name(declared, "acme")
    assert check_name(SETTINGS, "acme-1") == "acme-1"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"title": "Acme", "kind": "test", "companies": ["usmf"], "concurrency": 4},
        {"tenant_id": "acme.onmicrosoft.com", "scope": "https://acme.operations.dynamics.com/.default"},
        {"client_id": "0b1d", "client_secret": "s", "authority": "https://login.microsoftonline.us"},
        {"authority": "http://127.0.0.1:9"},
        {"client_secret": VAULT, "client_id": "x"},
        {"client_id": "x", "credentials": {"certificate": VAULT}},
        {"metadata": None, "sandbox": None},
    ],
)  # fmt: skip
def test_options_are_accepted(values: dict[str, Any]) -> None:
    assert checked_options(SETTINGS, "acme", {"url": URL, **values}).url == URL


@pytest.mark.parametrize(
    ("values", "field", "problem"),
    [
        ({"url": None}, "url", "is missing"),
        ({"url": 7}, "url", "is missing"),
        ({"url": "https://evil.example/data"}, "url", "not allowed"),
        ({"url": "http://127.0.0.1:80/data"}, "url", "expected an https"),
        ({"metadata": "/etc/passwd"}, "metadata", "cannot be set"),
        ({"metadata": "https://acme.operations.dynamics.com/x"}, "metadata", "cannot be set"),
        ({"sandbox": {"metadata": "/etc/passwd"}}, "sandbox", "cannot be set"),
        ({"url": None, "sandbox": {}}, "sandbox", "cannot be set"),
        ({"credentials": {"certificate": "/etc/passwd"}}, "credentials.certificate", "A file"),
        ({"credentials": {"federated_token_file": "/var/run/x"}}, "credentials.federated_token_file", "cannot be set"),
        ({"authority": "https://login.evil.example"}, "authority", "not sent there"),
        ({"authority": "http://evil.example"}, "authority", "only sent over https"),
        ({"scope": "https://other.operations.dynamics.com/.default"}, "scope", "another service"),
        ({"scope": "https://graph.microsoft.com/.default"}, "scope", "another service"),
        ({"tenant_id": "../evil"}, "tenant_id", "not that of Microsoft Entra"),
        ({"tenant_id": "a/b"}, "tenant_id", "not that of Microsoft Entra"),
        ({"client_id": "a b"}, "client_id", "not that of Microsoft Entra"),
        ({"client_id": "x"}, None, "needs client_secret"),
        ({"roles": ["boss"]}, "roles", "there is no role boss"),
        ({"profiles": ["ap"]}, "profiles", "there is no profile ap"),
        ({"concurrency": 99}, "concurrency", "less than or equal to 52"),
        ({"concurency": 9}, "concurency", "Did you mean concurrency?"),
        ({"max_page_size": 5, "default_page_size": 9}, "max_page_size", "less than default_page_size"),
        ({"company_limit": ["usmf"], "companies": ["dat"]}, None, "company_limit does not"),
        ({"client_secret": "@keyvault:https://evil.example/secrets/x"}, "client_secret", "expected @keyvault"),
        ({"state": "disabled"}, "state", "no such option"),
        ({"identity": "caller"}, "identity", "no such option"),
    ],
)  # fmt: skip
def test_options_are_refused(values: dict[str, Any], field: str | None, problem: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        checked_options(SETTINGS, "acme", {"url": URL, **values})

    assert (raised.value.field, problem in raised.value.message) == (field, True), raised.value


def test_no_value_is_repeated() -> None:
    """It may be a secret in the wrong place."""
    values = {"url": URL, "client_secret": 7, "title": ["s3cret"], "concurrency": "s3cret"}
    with pytest.raises(InvalidOption) as raised:
        checked_options(SETTINGS, "acme", values)

    assert "s3cret" not in raised.value.message
    assert all(name in raised.value.message for name in ("client_secret", "title", "concurrency"))


@pytest.mark.parametrize(
    "values",
    [{"client_secret": VAULT, "client_id": "x"}, {"credentials": {"certificate": VAULT}}],
)
def test_customers_name_no_secrets_of_the_deployment(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        checked_options(SETTINGS, "acme", {"url": URL, **values}, by_customer=True)


def test_a_sandbox_that_is_stored_can_be_changed_otherwise() -> None:
    current = EnvironmentOptions.model_validate({"sandbox": {"seed": 7}, "title": "Demo"})
    values = {"sandbox": {"seed": 7}, "title": "New"}

    assert checked_options(SETTINGS, "demo", values, current=current).title == "New"
    with pytest.raises(InvalidOption):
        checked_options(SETTINGS, "demo", {"sandbox": {"seed": 8}}, current=current)
