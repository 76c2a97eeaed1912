"""Which credentials signing in needs, by the setting ``auth``, and their defaults in the environment of a workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from .credential_models import AuthKind

PREFIX = "D365_"
_AZURE = {
    "tenant_id": "AZURE_TENANT_ID",
    "client_id": "AZURE_CLIENT_ID",
    "authority": "AZURE_AUTHORITY_HOST",
}
"""Variables that the mutating webhook of Azure Workload Identity sets:
https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html"""


def add_workload_identity(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Add what the environment of a workload says, if the settings sign in with its identity and do not say else."""
    credentials = values.get("credentials")
    vault = isinstance(credentials, dict) and credentials.get("vault_auth") == "workload_identity"
    if values.get("auth") != "workload_identity" and not vault:
        return
    for name, variable in _AZURE.items():
        if environ.get(variable):
            values.setdefault(name, environ[variable])
    file = environ.get("AZURE_FEDERATED_TOKEN_FILE")
    if file and (credentials is None or isinstance(credentials, dict)):
        values["credentials"] = {"federated_token_file": file, **(credentials or {})}


def _variable(key: str) -> str:
    return f"{PREFIX}{key}".upper()


def missing_credentials(
    values: Mapping[str, Any], named: Callable[[str], str] = _variable
) -> list[str]:
    """Return the problems of what signing in needs: missing settings, contradictions.

    ``named`` returns what the reader calls a setting, such as ``credentials__certificate``.
    """
    auth = values.get("auth")
    if not values.get("url") or auth not in (None, *get_args(AuthKind)):
        return []  # the sandbox, or a value that is refused anyway
    if auth in ("none", "managed_identity"):
        return _unable(auth) if values.get("identity") == "caller" else []
    credentials = values.get("credentials")
    table: Mapping[str, Any] = credentials if isinstance(credentials, Mapping) else {}
    absent = [key for key in ("tenant_id", "client_id") if not values.get(key)]
    if auth == "workload_identity":
        if not table.get("federated_token_file"):
            absent.append("credentials__federated_token_file")
    elif not values.get("client_secret") and not table.get("certificate"):
        absent.append("client_secret")
    elif values.get("client_secret") and table.get("certificate"):
        return ["client_secret and credentials.certificate are both set; set one of them"]
    if not absent:
        return []
    variables = ", ".join(map(named, absent))
    if "client_secret" in absent:
        variables += f" (or {named('credentials__certificate')})"
    subject = f"auth = {auth}" if auth else "url is set: signing in"
    return [f"{subject} needs {variables} (a service without sign-in: {named('auth')}=none)"]


def _unable(auth: str) -> list[str]:
    needed = "client_credentials or workload_identity"
    return [f"identity = caller cannot be used with auth = {auth}: it needs {needed}"]
