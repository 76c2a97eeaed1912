"""Credentials: certificates, workload and managed identities, Key Vault, and their rotation."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import SettingsError, TokenError
from gateway.odata.auth import auth_of
from gateway.odata.certificates import CertificateError, read_certificate
from tests.support.client_certificates import PEM, certificate, key_pem, pem, pfx, rsa_key
from tests.support.login_host import HEADER, SECRET, LoginHost, login_host

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FIRST = certificate("first")
CERTIFICATE = FIRST.public_bytes(PEM)


@pytest.fixture
def host() -> Iterator[LoginHost]:
    with login_host() as running:
        yield running


def settings_of(host: LoginHost, **variables: str) -> Settings:
    environ = {
        "D365_URL": "https://fo.example/data",
        "D365_TENANT_ID": host.tenant,
        "D365_CLIENT_ID": "app-1",
        "D365_AUTHORITY": host.authority,
        **{f"D365_{name}": value for name, value in variables.items()},
    }
    return load_settings({k: v for k, v in environ.items() if v})


async def token(settings: Settings) -> str:
    auth = auth_of(settings, lambda _: None)
    assert auth is not None
    return await auth.token()


# Certificates


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (pem(FIRST, "first"), None),
        (pem(FIRST, "first", "pass"), "pass"),
        (pem(certificate("issuer"), "first") + CERTIFICATE, None),
        (pfx(FIRST, "first"), None),
        (pfx(FIRST, "first", "pass"), "pass"),
    ],
    ids=["pem", "pem with password", "pem with chain", "pfx", "pfx with password"],
)
async def test_a_certificate_signs_in(
    host: LoginHost, tmp_path: Path, content: bytes, password: str | None
) -> None:
    file = tmp_path / "app"
    file.write_bytes(content)
    host.certificates.append(FIRST)
    variables = {"CREDENTIALS__CERTIFICATE_PASSWORD": password or ""}

    settings = settings_of(host, CREDENTIALS__CERTIFICATE=str(file), **variables)

    assert await token(settings) == "token-1"
    assert "client_secret" not in host.grants[0]


@pytest.mark.parametrize(
    ("content", "password", "reason"),
    [
        (b"nonsense", None, "is no PEM or PFX file"),
        (pem(FIRST, "first", "pass"), None, "has a password, which is not set"),
        (pem(FIRST, "first", "pass"), "wrong", "its password is wrong"),
        (pem(FIRST, "first"), "pass", "has no password"),
        (pfx(FIRST, "first", "pass"), "wrong", "its password is wrong"),
        (CERTIFICATE, None, "has 0 private keys"),
        (key_pem(rsa_key("first"), None), None, "has no certificate of its private key"),
        (pem(certificate("second"), "first"), None, "has no certificate of its private key"),
        (pem(certificate("first", days=-1), "first"), None, "expired on"),
        (
            CERTIFICATE + key_pem(ec.generate_private_key(ec.SECP256R1()), None),
            None,
            "has no RSA key",
        ),
    ],
)
def test_an_unusable_certificate_says_why(
    content: bytes, password: str | None, reason: str
) -> None:
    with pytest.raises(CertificateError, match=reason):
        read_certificate(content, password)


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_an_unusable_file_stops_the_start(
    host: LoginHost, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "app.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"credentials\.certificate: .*app\.pem"):
        auth_of(settings_of(host, CREDENTIALS__CERTIFICATE=str(file)))


async def test_a_refused_certificate_has_a_hint(host: LoginHost, tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    file.write_bytes(pem(FIRST, "first"))

    with pytest.raises(TokenError, match="700027") as caught:
        await token(settings_of(host, CREDENTIALS__CERTIFICATE=str(file)))

    assert "registered for this application" in str(caught.value.hint)


# Workload identity


async def test_the_token_of_a_workload_is_read_each_time(host: LoginHost, tmp_path: Path) -> None:
    file = tmp_path / "token"
    host.workload_tokens |= {"projected-1", "projected-2"}
    host.expires_in = 0
    auth = auth_of(
        settings_of(host, AUTH="workload_identity", CREDENTIALS__FEDERATED_TOKEN_FILE=str(file)),
        lambda _: None,
    )
    assert auth is not None

    for content in ("projected-1\n", "projected-2\n"):
        file.write_text(content, "utf-8")
        await auth.token()

    assert [g["client_assertion"] for g in host.grants] == ["projected-1", "projected-2"]
    assert host.grants[0]["client_assertion_type"].endswith("jwt-bearer")


async def test_a_missing_token_of_a_workload_has_a_hint(host: LoginHost, tmp_path: Path) -> None:
    settings = settings_of(
        host, AUTH="workload_identity", CREDENTIALS__FEDERATED_TOKEN_FILE=str(tmp_path / "no")
    )

    with pytest.raises(TokenError, match="workload cannot be read") as caught:
        await token(settings)

    assert "federated_token_file" in str(caught.value.hint)


# Managed identity


@pytest.fixture
def app_service(host: LoginHost, monkeypatch: pytest.MonkeyPatch) -> LoginHost:
    """Return a login host whose address is also that of the platform's identity endpoint."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{host.authority}/managed-identity")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    return host


@pytest.mark.parametrize("client_id", ["", "user-assigned"])
async def test_a_managed_identity_signs_in(app_service: LoginHost, client_id: str) -> None:
    settings = settings_of(app_service, AUTH="managed_identity", TENANT_ID="", CLIENT_ID=client_id)

    assert await token(settings) == "managed-token"
    (request,) = app_service.identity_requests
    assert request["resource"] == "https://fo.example"
    assert request.get("client_id", "") == client_id


async def test_an_unknown_managed_identity_has_a_hint(app_service: LoginHost) -> None:
    with pytest.raises(TokenError) as caught:
        await token(settings_of(app_service, AUTH="managed_identity", CLIENT_ID="unknown"))

    assert "Is the identity assigned" in str(caught.value.hint)


async def test_a_machine_without_identity_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    settings = load_settings(
        {"D365_URL": "https://fo.example/data", "D365_AUTH": "managed_identity"}
    )

    with pytest.raises(TokenError, match="no token for a managed identity"):
        await token(settings)


# Key Vault


def reference(host: LoginHost) -> str:
    return f"@keyvault:{host.authority}/secrets/app"


async def test_a_secret_comes_from_key_vault(app_service: LoginHost) -> None:
    app_service.vault["app"] = {"value": SECRET}

    settings = settings_of(app_service, CLIENT_SECRET=reference(app_service))

    assert await token(settings) == "token-1"
    assert app_service.identity_requests[0]["resource"] == "https://vault.azure.net"
    assert app_service.vault_requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"value": pem(FIRST, "first").decode(), "contentType": "application/x-pem-file"},
        {
            "value": base64.b64encode(pfx(FIRST, "first")).decode(),
            "contentType": "application/x-pkcs12",
        },
    ],
    ids=["pem", "pfx"],
)
async def test_a_certificate_comes_from_key_vault(
    app_service: LoginHost, answer: dict[str, str]
) -> None:
    app_service.vault["app"] = answer
    app_service.certificates.append(FIRST)

    settings = settings_of(app_service, CREDENTIALS__CERTIFICATE=reference(app_service))

    assert await token(settings) == "token-1"


async def test_a_workload_reads_key_vault(host: LoginHost, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("projected", "utf-8")
    host.workload_tokens.add("projected")

    settings = settings_of(
        host,
        CLIENT_SECRET=reference(host),
        CREDENTIALS__FEDERATED_TOKEN_FILE=str(file),
    )
    with pytest.raises(TokenError, match="status 403"):  # the vault takes "vault-token" alone
        await token(settings)

    assert host.grants[0]["scope"] == "https://vault.azure.net/.default"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (None, "status 404", "name of the secret"),
        ({"id": "x"}, "holds no secret", ""),
    ],
)
async def test_an_unreadable_vault_secret_says_why(
    app_service: LoginHost, content: dict[str, str] | None, message: str, hint: str
) -> None:
    if content is not None:
        app_service.vault["app"] = content

    with pytest.raises(TokenError, match=message) as caught:
        await token(settings_of(app_service, CLIENT_SECRET=reference(app_service)))

    assert hint in str(caught.value.hint)


# Rotation

Rotate = Callable[[LoginHost, Path], None]


def new_secret(host: LoginHost, file: Path) -> None:
    host.secrets[:] = ["rotated"]
    file.write_text("rotated\n", "utf-8")


def new_certificate(host: LoginHost, file: Path) -> None:
    second = certificate("second")
    host.certificates[:] = [second]
    file.write_bytes(pem(second, "second"))


def old_secret(host: LoginHost, file: Path) -> None:
    host.secrets[:] = [SECRET]
    file.write_text(SECRET, "utf-8")


def old_certificate(host: LoginHost, file: Path) -> None:
    host.certificates[:] = [FIRST]
    file.write_bytes(pem(FIRST, "first"))


@pytest.mark.parametrize(
    ("variable", "before", "after"),
    [
        ("CLIENT_SECRET_FILE", old_secret, new_secret),
        ("CREDENTIALS__CERTIFICATE", old_certificate, new_certificate),
    ],
)
async def test_a_rotated_credential_needs_no_restart(
    host: LoginHost, tmp_path: Path, variable: str, before: Rotate, after: Rotate
) -> None:
    file = tmp_path / "credential"
    before(host, file)
    host.expires_in = 0
    auth = auth_of(settings_of(host, **{variable: str(file)}), lambda _: None)
    assert auth is not None

    await auth.token()
    after(host, file)
    await auth.token()

    assert len(host.grants) == 2


async def test_a_secret_rotated_in_the_vault_is_read_after_a_refusal(
    app_service: LoginHost,
) -> None:
    host = app_service
    host.vault["app"] = {"value": SECRET}
    host.expires_in = 0
    auth = auth_of(settings_of(host, CLIENT_SECRET=reference(host)), lambda _: None)
    assert auth is not None
    await auth.token()

    host.secrets[:] = ["rotated"]
    host.vault["app"] = {"value": "rotated"}
    await auth.token()

    assert host.vault_requests == 2
    assert [g["client_secret"] for g in host.grants] == [SECRET, SECRET, "rotated"]


async def test_a_half_written_certificate_changes_nothing(host: LoginHost, tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    old_certificate(host, file)
    host.expires_in = 0
    auth = auth_of(settings_of(host, CREDENTIALS__CERTIFICATE=str(file)), lambda _: None)
    assert auth is not None
    await auth.token()

    file.write_bytes(CERTIFICATE)
    await auth.token()

    assert len(host.grants) == 2


def test_no_credential_is_printed(host: LoginHost, tmp_path: Path) -> None:
    auth = auth_of(settings_of(host, CLIENT_SECRET=SECRET))
    shown: Mapping[str, object] = vars(auth)

    assert SECRET not in repr(auth) + repr(shown)
