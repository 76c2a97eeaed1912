"""The settings of the service and of signing in to it: the first part of :class:`~gateway.config.settings.Settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .credential_models import AuthKind
from .value_types import Authority, Folder, ServiceRoot
from .vault_reference import check_vault_reference


class ServiceSettings(BaseSettings):
    """Where the service is, what it is, and how the gateway signs in to it."""

    model_config = SettingsConfigDict(defer_build=True)  # only ``Settings`` itself is instantiated

    url: ServiceRoot | None = Field(
        default=None,
        description="Service root, such as https://x.operations.dynamics.com/data. Not set: the embedded sandbox.",
    )
    dialect: Literal["finops", "odata"] | None = Field(
        default=None,
        description="Product behind the service: finops or odata (any OData v4). Not set: detected from address"
        " and metadata.",
    )
    null_order: Literal["first", "last", "unknown"] | None = Field(
        default=None,
        description="Where the service sorts nulls in ascending order; unknown: assume first and check. Not set:"
        " the dialect's default.",
    )
    guid_order: bool | None = Field(
        default=None,
        description="Whether the service compares Guids (gt, lt) in the order in which it sorts them, so that"
        " cursors may hold them. Not set: the dialect's default.",
    )
    unkeyed_paging: Literal["auto", "links", "skip"] | None = Field(
        default=None,
        description="How to page lists whose order a cursor cannot hold (Guids, enums): links follows next links,"
        " skip uses $skip, auto prefers links. Not set: the dialect's default.",
    )
    apply: bool | None = Field(
        default=None,
        description="Whether the service aggregates rows itself ($apply with filter, groupby and aggregate). Not set:"
        " the dialect's default.",
    )
    page_limit: int | None = Field(
        default=None,
        ge=1,
        description="Maximum rows of one upstream page. Not set: the dialect's default.",
    )
    metadata: str | None = Field(
        default=None,
        description="File (.xml, .xml.gz) or URL of the metadata document. Not set: {url}/$metadata.",
    )
    auth: AuthKind = Field(
        default="none",
        description="How the gateway signs in to the service. client_credentials: with client_secret or"
        " credentials.certificate. Not set: client_credentials if url is set, none for the sandbox.",
    )
    identity: Literal["app", "caller"] = Field(
        default="app",
        description="Whose rights apply to operations: app: those of the gateway's account; caller: those of each"
        " caller, for whom the gateway gets tokens (on-behalf-of). Metadata and labels are read by the gateway.",
    )
    tenant_id: str | None = Field(
        default=None, description="Microsoft Entra tenant (id or domain)."
    )
    client_id: str | None = Field(
        default=None,
        description="Application (client) id; for managed_identity that of a user-assigned identity, if not the"
        " system-assigned one is used.",
    )
    client_secret: SecretStr | None = Field(
        default=None,
        description="Client secret of the application, or a Key Vault reference"
        " (@keyvault:https://VAULT.vault.azure.net/secrets/NAME).",
    )
    secrets_dir: Folder = Field(
        default=None,
        description="Folder with a file for each secret setting, named after it. Secrets are read again when they"
        " change.",
    )
    authority: Authority = Field(
        default="https://login.microsoftonline.com",
        description="Login host. Sovereign clouds have their own.",
    )
    scope: str | None = Field(
        default=None,
        description="Scope of the access token. Not set: the origin of url + /.default.",
    )

    @field_validator("client_secret")
    @classmethod
    def _is_secret_of_vault(cls, value: SecretStr | None) -> SecretStr | None:
        check_vault_reference("" if value is None else value.get_secret_value())
        return value
