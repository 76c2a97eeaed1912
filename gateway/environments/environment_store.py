"""Opens the store of environments: its database, the keys of its secrets, and the registry over both."""

# ruff: noqa: PLC0415 - cryptography, msal and SQLAlchemy take half a second, and not every gateway needs them

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.store.opening import open_database
from gateway.store.polling import StorePoller

from .registry import Registry, SettingsRegistry
from .webhook_events import has_webhooks, record_event

if TYPE_CHECKING:
    from gateway.config.encryption_keys import VaultKey
    from gateway.odata.vault_keys import VaultKeyEncryption
    from gateway.store.encryption.key_encryption import KeyRing
    from gateway.store.environment_register import EnvironmentRegister


def open_keys(settings: Settings) -> KeyRing:
    """Return the keys that wrap the data keys of environments. Raises SettingsError."""
    from gateway.store.encryption.key_encryption import open_key_ring

    def in_vault(key: VaultKey) -> VaultKeyEncryption:
        from gateway.odata.auth import vault_tokens
        from gateway.odata.login_http import LoginHttp
        from gateway.odata.vault_keys import VaultKeyEncryption

        http = LoginHttp(settings.authority)
        requests = vault_tokens(settings, key.resource, http)
        return VaultKeyEncryption(key, http, requests.for_application)

    return open_key_ring(settings, in_vault)


def registry_of(settings: Settings, poller: StorePoller | None) -> Registry | None:
    """Return which environments there are; None if there is that of the settings alone. Raises SettingsError."""
    if settings.stored_environments and poller is not None:
        from .stored_registry import StoredRegistry

        return StoredRegistry(settings, open_keys(settings), poller)
    return SettingsRegistry(settings) if settings.environments else None


def open_environment_register(settings: Settings) -> EnvironmentRegister:
    """Return the register of the configured store, without a connection. Raises SettingsError if there is none."""
    database = open_database(settings)
    from gateway.store.environment_register import EnvironmentRegister

    record = record_event if has_webhooks(settings) else None
    return EnvironmentRegister(database, open_keys(settings), record)
