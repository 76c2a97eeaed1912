"""Data keys that a key of Key Vault wraps: its versions, what is bound, and what stays in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config.encryption_keys import read_encryption_key
from gateway.config.environment_models import EnvironmentOptions
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register, open_keys
from gateway.errors import SecretUnreadable, TokenError
from gateway.process.daemon_call import daemon_call
from gateway.store.environment_register import EnvironmentRegister
from tests.support.login_host import HEADER, LoginHost, login_host
from tests.support.stores import KEY

pytestmark = pytest.mark.slow
FIRST, SECOND = "a" * 32, "b" * 32
OPTIONS = EnvironmentOptions.model_validate(
    {"url": "https://acme.operations.dynamics.com/data", "client_secret": "planted-s3cret"}
)


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoginHost]:
    with login_host() as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.authority}/managed-identity")
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        host.vault_keys["kek"] = [FIRST]
        yield host


def settings_of(vault: LoginHost, folder: Path, *old: SecretStr, key: str = "kek") -> Settings:
    return Settings(
        data_dir=folder,
        encryption_key=SecretStr(f"{vault.authority}/keys/{key}"),
        encryption_key_old=old,
    )


@pytest.fixture
def register(vault: LoginHost, tmp_path: Path) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings_of(vault, tmp_path))
    yield register
    register.close()


def test_secrets_are_wrapped_by_a_key_of_a_vault(
    register: EnvironmentRegister, vault: LoginHost
) -> None:
    register.create("acme", OPTIONS)

    assert register.options_with_secrets("acme") == OPTIONS
    assert [key.wrapped_by for key in register.data_keys()] == ["current"]
    assert vault.vault_requests == 2
    assert len(vault.identity_requests) == 1
    assert register.options_with_secrets("acme") == OPTIONS
    assert vault.vault_requests == 2  # it stays in memory


def test_a_new_version_of_the_key_wraps_and_the_old_one_unwraps(
    register: EnvironmentRegister, vault: LoginHost, tmp_path: Path
) -> None:
    register.create("acme", OPTIONS)
    vault.vault_keys["kek"].append(SECOND)
    register.create("beta", OPTIONS)
    other = open_environment_register(settings_of(vault, tmp_path))
    assert other.options_with_secrets("acme") == OPTIONS
    other.rotate("acme")
    vault.vault_keys["kek"].remove(FIRST)
    last = open_environment_register(settings_of(vault, tmp_path))
    for name in ("acme", "beta"):
        assert last.options_with_secrets(name) == OPTIONS
    for opened in (other, last):
        opened.close()


def test_secrets_move_into_a_vault(vault: LoginHost, tmp_path: Path) -> None:
    local = open_environment_register(Settings(data_dir=tmp_path, encryption_key=KEY))
    local.create("acme", OPTIONS)
    local.close()
    both = open_environment_register(settings_of(vault, tmp_path, KEY))
    both.rotate("acme")
    both.close()
    register = open_environment_register(settings_of(vault, tmp_path))

    assert register.options_with_secrets("acme") == OPTIONS
    register.close()


def test_a_wrapped_key_is_bound_to_its_place(vault: LoginHost, tmp_path: Path) -> None:
    keys = open_keys(settings_of(vault, tmp_path))
    wrapped = keys.wrap(bytes(32), 1, b"acme|1")

    assert keys.unwrap(wrapped, b"acme|1") == bytes(32)
    with pytest.raises(SecretUnreadable):
        keys.unwrap(wrapped, b"beta|1")


@pytest.mark.parametrize(
    ("status", "hint"),
    [(403, "Crypto Service Encryption User"), (404, "name of the key"), (500, "")],
)
def test_a_vault_that_refuses_says_what_to_do(
    register: EnvironmentRegister, vault: LoginHost, status: int, hint: str
) -> None:
    vault.vault_refuses = status

    with pytest.raises(TokenError, match=f"status {status}") as refused:
        register.create("acme", OPTIONS)

    assert hint in (refused.value.hint or "")
    assert register.list() == []


def test_a_vault_that_is_away_is_no_lost_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with login_host() as host:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.authority}/managed-identity")
        monkeypatch.setenv("IDENTITY_HEADER", HEADER)
        host.vault_keys["kek"] = [FIRST]
        register = open_environment_register(settings_of(host, tmp_path))
        register.create("acme", OPTIONS)
        register.options_with_secrets("acme")
    later = open_environment_register(settings_of(host, tmp_path))

    with pytest.raises(TokenError):
        later.options_with_secrets("acme")
    # What was unwrapped before still is.
    assert register.options_with_secrets("acme") is not None
    for opened in (register, later):
        opened.close()


@pytest.mark.anyio
async def test_a_vault_is_called_while_an_event_loop_runs(
    register: EnvironmentRegister,
) -> None:
    await daemon_call(lambda: register.create("acme", OPTIONS))
    async with asyncio.timeout(60):
        assert await daemon_call(lambda: register.options_with_secrets("acme")) == OPTIONS


@pytest.mark.parametrize(
    "text",
    [
        "https://v.vault.azure.net/secrets/x",
        "https://v.vault.azure.net/keys/x?y=1",
        "https://v.vault.azure.net:8443/keys/x",
        "https://u@v.vault.azure.net/keys/x",
        "http://v.vault.azure.net/keys/x",
        "https://v.example/keys/x",
        "https://vault.azure.net.example/keys/x",
        "https://v.vault.azure.net:port/keys/x",
        "AAAA",
        "",
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Port"):
        read_encryption_key(text)
