"""Secrets in files: ``*_FILE``, ``secrets_dir``, rotation, and what is wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gateway.config.loading import load_settings
from gateway.config.secret_files import FileSecret
from gateway.errors import SettingsError

TOKEN = "t" * 20


def secret(folder: Path, text: str, name: str = "secret") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_variable_names_the_file_of_a_secret(tmp_path: Path) -> None:
    path = secret(tmp_path, f"{TOKEN}\n")

    settings = load_settings({"D365_ADMIN_TOKEN_FILE": str(path)})

    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == TOKEN


def test_a_key_of_the_file_names_the_file_of_a_secret(tmp_path: Path) -> None:
    path = secret(tmp_path, "pass")
    config = tmp_path / "gateway.toml"
    config.write_text(f'[credentials]\ncertificate_password_file = "{path}"\n', "utf-8")

    password = load_settings({}, config).credentials.certificate_password

    assert password is not None
    assert password.get_secret_value() == "pass"


def test_a_variable_in_a_table_names_a_file(tmp_path: Path) -> None:
    path = secret(tmp_path, "pass")

    settings = load_settings({"D365_CREDENTIALS__CERTIFICATE_PASSWORD_FILE": str(path)})

    assert str(settings.credentials.certificate_password) == "**********"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    value = FileSecret(secret(tmp_path, "old"))
    secret(tmp_path, "newer")
    assert value.get_secret_value() == "newer"

    (tmp_path / "secret").unlink()
    assert value.get_secret_value() == "newer"

    secret(tmp_path, "newest")
    assert pickle.loads(pickle.dumps(value)).get_secret_value() == "newest"
    assert "newest" not in repr(value)


@pytest.mark.parametrize("name", ["admin_token", "ADMIN_TOKEN", "admin-token", "D365_ADMIN_TOKEN"])
def test_a_folder_has_a_file_for_each_secret(tmp_path: Path, name: str) -> None:
    secret(tmp_path, TOKEN, name)
    secret(tmp_path, "x", "credentials__certificate_password")
    secret(tmp_path, "9000", "port")
    secret(tmp_path, "of others", "tls.crt")
    secret(tmp_path, "hidden", "..data")

    settings = load_settings({"D365_SECRETS_DIR": str(tmp_path)})

    assert isinstance(settings.admin_token, FileSecret)
    assert isinstance(settings.credentials.certificate_password, FileSecret)
    assert settings.port == 9000


def test_the_environment_overrides_the_folder(tmp_path: Path) -> None:
    secret(tmp_path, TOKEN, "admin_token")
    other = "u" * 20

    settings = load_settings({"D365_SECRETS_DIR": str(tmp_path), "D365_ADMIN_TOKEN": other})

    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == other


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe\xff", "is not UTF-8 text"),
        (b"x" * 70_000, "holds more than"),
        (b"short", "accepted: 16 characters or more"),
        (b"@keyvault:https://a.vault.azure.net/secrets/b", "mount the secret as file"),
    ],
)
def test_an_unusable_file_is_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingsError, match=message) as caught:
        load_settings({"D365_ADMIN_TOKEN_FILE": str(path)})

    assert "admin_token" in caught.value.message.lower()
    assert "short" not in caught.value.message


def test_a_secret_has_one_source(tmp_path: Path) -> None:
    path = secret(tmp_path, TOKEN)

    with pytest.raises(SettingsError, match="admin_token and admin_token_file are both set"):
        load_settings({"D365_ADMIN_TOKEN_FILE": str(path), "D365_ADMIN_TOKEN": TOKEN})


def test_a_slip_in_a_name_is_reported(tmp_path: Path) -> None:
    secret(tmp_path, TOKEN, "admin_tokn")

    with pytest.raises(SettingsError, match="did you mean admin_token"):
        load_settings({"D365_SECRETS_DIR": str(tmp_path)})


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="secrets_dir"):
        load_settings({"D365_SECRETS_DIR": str(tmp_path / "no")})


def test_a_file_holds_a_list_of_secrets(tmp_path: Path) -> None:
    keys = ["a" * 32, "b" * 32]
    path = secret(tmp_path, ",".join(keys))

    settings = load_settings({"D365_SECRET_KEY_OLD_FILE": str(path)})

    assert [key.get_secret_value() for key in settings.secret_key_old] == keys
