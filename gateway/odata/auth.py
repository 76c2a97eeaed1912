"""From the settings to the ways of signing in upstream: as the application, and on behalf of callers."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from gateway.admission.work import Lane
from gateway.config.admission_models import LaneCredential
from gateway.config.settings import Settings
from gateway.config.vault_reference import is_vault_reference, vault_secret
from gateway.errors import SettingsError
from gateway.events import Observer, log_event

from .application_sign_in import ApplicationSignIn
from .credentials import (
    CertificateCredential,
    Credential,
    SecretCredential,
    Source,
    WorkloadCredential,
    file_source,
)
from .key_vault import vault_source
from .login_http import LoginHttp, LoginTransport
from .on_behalf_of import OnBehalfOf
from .token_requests import (
    EntraAccount,
    EntraTokenRequests,
    ManagedIdentityRequests,
    TokenRequests,
)

_DEFAULT = "/.default"


def auth_of(
    settings: Settings, observe: Observer = log_event, transport: LoginTransport | None = None
) -> ApplicationSignIn | None:
    """Return the sign-in of the application; None for a service without one.

    Raises SettingsError if one of its settings is missing, or a file that it names cannot be used.
    """
    if settings.auth == "none":
        return None
    return ApplicationSignIn(_token_requests(settings, transport), observe=observe)


def lane_sign_ins(
    settings: Settings, observe: Observer = log_event, transport: LoginTransport | None = None
) -> dict[Lane, ApplicationSignIn]:
    """Return the sign-ins of the lanes that have applications of their own. Raises SettingsError."""
    return {
        Lane[name.upper()]: ApplicationSignIn(
            _token_requests(_as_application(settings, credential), transport), observe=observe
        )
        for name, credential in settings.admission.credentials.items()
    }


def _as_application(settings: Settings, credential: LaneCredential) -> Settings:
    certificate = {
        "certificate": credential.certificate,
        "certificate_password": credential.certificate_password,
    }
    return settings.model_copy(
        update={
            "client_id": credential.client_id,
            "client_secret": credential.client_secret,
            "credentials": settings.credentials.model_copy(update=certificate),
        }
    )


def callers_of(
    settings: Settings, observe: Observer = log_event, transport: LoginTransport | None = None
) -> OnBehalfOf | None:
    """Return the tokens on behalf of callers; None if operations have the identity of the application.

    Raises SettingsError.
    """
    if settings.identity == "app":
        return None
    if settings.auth not in ("client_credentials", "workload_identity"):
        raise SettingsError(
            "identity = caller needs auth = client_credentials or workload_identity."
        )
    http = LoginHttp(settings.authority, transport)
    # CP1: that clients are told of claims challenges. The login host then issues tokens that can be revoked at once.
    requests = EntraTokenRequests(
        account_of(settings), credential_of(settings, http), http, capabilities=("CP1",)
    )
    options = settings.credentials
    return OnBehalfOf(
        requests,
        max_tokens=options.max_caller_tokens,
        workers=options.token_requests,
        observe=observe,
    )


def _token_requests(settings: Settings, transport: LoginTransport | None) -> TokenRequests:
    http = LoginHttp(settings.authority, transport)
    if settings.auth == "managed_identity":
        if settings.scope is None:
            raise SettingsError("auth = managed_identity needs scope.")
        resource = settings.scope.removesuffix(_DEFAULT)
        return ManagedIdentityRequests(resource, settings.client_id, http)
    return EntraTokenRequests(account_of(settings), credential_of(settings, http), http)


def account_of(settings: Settings) -> EntraAccount:
    """Return who signs in. Raises SettingsError."""
    tenant_id, client_id, scope = settings.tenant_id, settings.client_id, settings.scope
    if tenant_id is None or client_id is None or scope is None:
        raise SettingsError("Signing in needs tenant_id, client_id, client_secret and scope.")
    return EntraAccount(
        authority=settings.authority, tenant_id=tenant_id, client_id=client_id, scope=scope
    )


def credential_of(settings: Settings, http: LoginHttp) -> Credential:
    """Return what proves that the gateway is its application. Files are read once, so that the start tells of errors.

    Raises SettingsError.
    """
    options = settings.credentials
    if settings.auth == "workload_identity":
        return _workload(settings)
    if options.certificate is not None:
        password = options.certificate_password
        credential = CertificateCredential(
            options.certificate,
            _source(settings, options.certificate, http)
            if is_vault_reference(options.certificate)
            else file_source(Path(options.certificate)),
            None if password is None else _secret_source(settings, password, http),
        )
        secrets = "" if password is None else password.get_secret_value()
        if not is_vault_reference(options.certificate) and not is_vault_reference(secrets):
            credential.form()
        return credential
    if settings.client_secret is None:
        raise SettingsError("Signing in needs client_secret or credentials.certificate.")
    return SecretCredential(_secret_source(settings, settings.client_secret, http))


def _workload(settings: Settings) -> WorkloadCredential:
    file = settings.credentials.federated_token_file
    if file is None:
        raise SettingsError("auth = workload_identity needs credentials.federated_token_file.")
    return WorkloadCredential(file)


def _secret_source(settings: Settings, secret: SecretStr, http: LoginHttp) -> Source:
    """Return the source of a secret setting: itself, its file, or the vault that it refers to."""
    text = secret.get_secret_value()
    if is_vault_reference(text):
        return _source(settings, text, http)
    return lambda _again: secret.get_secret_value().encode()


def _source(settings: Settings, reference: str, http: LoginHttp) -> Source:
    secret = vault_secret(reference)
    requests = vault_tokens(settings, secret.resource, http)
    return vault_source(secret, http, lambda: requests.for_application().value)


def vault_tokens(settings: Settings, resource: str, http: LoginHttp) -> TokenRequests:
    """Return the tokens for Key Vault. Raises SettingsError."""
    options = settings.credentials
    kind = options.vault_auth
    if kind is None:
        kind = "managed_identity" if options.federated_token_file is None else "workload_identity"
    if kind == "managed_identity":
        return ManagedIdentityRequests(resource, options.vault_client_id, http)
    account = account_of(settings.model_copy(update={"scope": f"{resource}{_DEFAULT}"}))
    return EntraTokenRequests(account, _workload(settings), http)
