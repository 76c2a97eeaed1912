"""Which credentials signing in needs, and which the environment of a workload has."""

from __future__ import annotations

import pytest

from gateway.config.loading import load_settings
from gateway.config.vault_reference import VaultSecret, vault_secret
from gateway.errors import SettingsError

SERVICE = {"D365_URL": "https://x.operations.dynamics.com/data"}
APP = {**SERVICE, "D365_TENANT_ID": "contoso", "D365_CLIENT_ID": "app"}
WORKLOAD = {
    "AZURE_TENANT_ID": "contoso",
    "AZURE_CLIENT_ID": "app",
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/",
    "AZURE_FEDERATED_TOKEN_FILE": "/tokens/azure",
}
VAULT = "@keyvault:https://v.vault.azure.net/secrets/s"


@pytest.mark.parametrize(
    "environ",
    [
        {**APP, "D365_CLIENT_SECRET": "s"},
        {**APP, "D365_CLIENT_SECRET": VAULT},
        {**APP, "D365_CREDENTIALS__CERTIFICATE": "/c.pem"},
        {**APP, "D365_CREDENTIALS__CERTIFICATE": VAULT, "D365_IDENTITY": "caller"},
        {**SERVICE, "D365_AUTH": "managed_identity"},
        {**SERVICE, "D365_AUTH": "workload_identity", **WORKLOAD},
        {**SERVICE, "D365_AUTH": "none"},
    ],
)
def test_complete_credentials_are_accepted(environ: dict[str, str]) -> None:
    assert load_settings(environ).url is not None


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (APP, "D365_CLIENT_SECRET (or D365_CREDENTIALS__CERTIFICATE)"),
        (
            {**SERVICE, "D365_AUTH": "workload_identity"},
            "needs D365_TENANT_ID, D365_CLIENT_ID, D365_CREDENTIALS__FEDERATED_TOKEN_FILE",
        ),
        (
            {**APP, "D365_CLIENT_SECRET": "s", "D365_CREDENTIALS__CERTIFICATE": "/c.pem"},
            "both set",
        ),
        ({**SERVICE, "D365_AUTH": "none", "D365_IDENTITY": "caller"}, "identity = caller cannot"),
        (
            {**SERVICE, "D365_AUTH": "managed_identity", "D365_IDENTITY": "caller"},
            "identity = caller cannot",
        ),
        (
            {**APP, "D365_CLIENT_SECRET": "@keyvault:https://evil.example/secrets/s"},
            "expected @keyvault:https://VAULT.vault.azure.net",
        ),
        (
            {**APP, "D365_CREDENTIALS__CERTIFICATE_PASSWORD": "@keyvault:nonsense"},
            "expected @keyvault:https://VAULT.vault.azure.net",
        ),
        (
            {**APP, "D365_CREDENTIALS__CERTIFICATE": "@keyvault:nonsense"},
            "expected @keyvault:https://VAULT.vault.azure.net",
        ),
    ],
)
def test_unusable_credentials_are_reported(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)

    assert message in caught.value.message


def test_a_workload_brings_its_identity() -> None:
    settings = load_settings({**SERVICE, "D365_AUTH": "workload_identity", **WORKLOAD})

    assert (settings.tenant_id, settings.client_id) == ("contoso", "app")
    assert settings.authority == "https://login.microsoftonline.us"
    assert str(settings.credentials.federated_token_file) == "/tokens/azure"


def test_settings_override_the_identity_of_a_workload() -> None:
    environ = {**SERVICE, "D365_AUTH": "workload_identity", **WORKLOAD, "D365_CLIENT_ID": "other"}

    assert load_settings(environ).client_id == "other"


def test_other_settings_ignore_the_identity_of_a_workload() -> None:
    settings = load_settings({**APP, "D365_CLIENT_SECRET": "s", **WORKLOAD})

    assert settings.authority == "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (
            "@keyvault:https://v.vault.azure.net/secrets/name/",
            VaultSecret("https://v.vault.azure.net/secrets/name", "https://vault.azure.net"),
        ),
        (
            f"@keyvault:https://v.vault.azure.cn/secrets/name/{'0' * 32}",
            VaultSecret(
                f"https://v.vault.azure.cn/secrets/name/{'0' * 32}", "https://vault.azure.cn"
            ),
        ),
        *(
            (f"@keyvault:{url}", None)
            for url in (
                "",
                "http://v.vault.azure.net/secrets/name",
                "https://vault.azure.net/secrets/name",
                "https://v.vault.azure.net.evil.example/secrets/name",
                "https://v.vault.azure.net:8443/secrets/name",
                "https://user@v.vault.azure.net/secrets/name",
                "https://v.vault.azure.net/keys/name",
                "https://v.vault.azure.net/secrets/name?x",
                "https://v.vault.azure.net/secrets/a/../b",
            )
        ),
    ],
)
def test_references_name_a_secret_of_a_vault(text: str, secret: VaultSecret | None) -> None:
    if secret is None:
        with pytest.raises(ValueError, match="expected @keyvault"):
            vault_secret(text)
    else:
        assert vault_secret(text) == secret


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("D365_ADMIN_TOKEN", VAULT, "D365_ADMIN_TOKEN (environment)"),
        ("D365_SECRET_KEY", VAULT, "D365_SECRET_KEY (environment)"),
        (
            "D365_INBOUND__ISSUERS",
            f'[{{"issuer": "https://i", "audiences": ["a"], "secret": "{VAULT}"}}]',
            "issuers[0].secret",
        ),
    ],
)
def test_other_secrets_are_no_references(variable: str, value: str, path: str) -> None:
    with pytest.raises(SettingsError, match="mount the secret as file") as caught:
        load_settings({variable: value})

    assert path in caught.value.message.replace("INBOUND__ISSUERS", "issuers")
