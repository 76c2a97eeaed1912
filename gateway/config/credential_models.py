"""Settings of the gateway's own credentials: certificate, federated token, Key Vault, tokens on behalf of callers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from .vault_reference import check_vault_reference

AuthKind: TypeAlias = Literal["client_credentials", "workload_identity", "managed_identity", "none"]


def check_certificate(value: str) -> str:
    """Return the path of a certificate, or a Key Vault reference. Raises ValueError."""
    check_vault_reference(value)
    return value


def check_secret(value: SecretStr) -> SecretStr:
    """Return a secret, or a Key Vault reference. Raises ValueError."""
    check_vault_reference(value.get_secret_value())
    return value


class CredentialOptions(BaseModel):
    """Credentials other than the client secret."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="forbid", hide_input_in_errors=True
    )

    certificate: Annotated[str, AfterValidator(check_certificate)] | None = Field(
        default=None,
        description="File with the certificate of the application and its private key, as PEM or PFX, instead of"
        " client_secret; or a Key Vault reference. Read again when it changes.",
    )
    certificate_password: Annotated[SecretStr, AfterValidator(check_secret)] | None = Field(
        default=None, description="Password of the PFX file or of the private key."
    )
    federated_token_file: Path | None = Field(
        default=None,
        description="File with the token of the workload (auth = workload_identity), read again for each token. Not"
        " set: AZURE_FEDERATED_TOKEN_FILE.",
    )
    vault_auth: Literal["workload_identity", "managed_identity"] | None = Field(
        default=None,
        description="How the gateway signs in to Key Vault. Not set: workload_identity if there is a"
        " federated_token_file, else managed_identity.",
    )
    vault_client_id: str | None = Field(
        default=None,
        description="Client id of the user-assigned managed identity that reads Key Vault. Not set: the"
        " system-assigned one.",
    )
    max_caller_tokens: int = Field(
        default=20_000,
        ge=1,
        description="Maximum tokens kept on behalf of callers (identity = caller), per worker; the least recently"
        " used ones go first.",
    )
    token_requests: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Maximum concurrent requests for tokens on behalf of callers, per worker.",
    )
