"""Which options of an environment in the store are refused, whoever has written them there.

They are checked when they are stored, and again when the environment is opened: who can write the database, and not the
settings, must not learn a secret by sending it elsewhere, or read a file of the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from .environment_addresses import (
    LOGIN_HOSTS,
    is_login_host,
    is_own_scope,
)
from .environment_models import EnvironmentOptions
from .settings import Settings
from .vault_reference import is_vault_reference

_FILES = "credentials.federated_token_file"


def unsafe_options(settings: Settings, options: EnvironmentOptions) -> Iterator[tuple[str, str]]:
    """Yield option and text of all that is refused."""
    authority, own = options.authority, settings.authority
    if authority is not None and not is_login_host(authority, own):
        hosts = ", ".join(sorted({*LOGIN_HOSTS, own}))
        yield "authority", f"Credentials are not sent there; accepted: {hosts}."
    if options.scope is not None and not is_own_scope(options.scope, options.url or ""):
        # Its token would be sent to this environment.
        yield "scope", "The scope is that of another service than url."
    credentials = options.credentials
    if credentials is None:
        return
    if credentials.federated_token_file is not None:
        yield (
            _FILES,
            f"{_FILES} cannot be set at run time. Only the settings of the deployment can set it.",
        )
    if credentials.certificate is not None and not is_vault_reference(credentials.certificate):
        yield (
            "credentials.certificate",
            "A file of the server cannot be named at run time; a Key Vault reference can.",
        )
