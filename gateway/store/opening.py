"""Opens the store that the settings name. What a database needs is imported with its first use."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gateway.config.settings import Settings
from gateway.errors import SettingsError

if TYPE_CHECKING:  # SQLAlchemy takes 0.4 s
    from .database import Database

FOLDER = "store"
FILE = "gateway.db"


def has_store(settings: Settings) -> bool:
    """Return whether the settings name a store, and a folder for it if it needs one."""
    return isinstance(settings.store, SecretStr) or (
        settings.store != "none" and settings.data_dir is not None
    )


def store_exists(settings: Settings) -> bool:
    """Return whether anything was ever stored there; a PostgreSQL was made by others."""
    if not has_store(settings) or isinstance(settings.store, SecretStr):
        return has_store(settings)
    assert settings.data_dir is not None
    return (settings.data_dir / FOLDER / FILE).exists()


def require_driver(settings: Settings) -> None:
    """Raise SettingsError if the store is a PostgreSQL whose driver is not installed."""
    if isinstance(settings.store, SecretStr) and find_spec("psycopg") is None:
        raise _not_installed()


def open_database(settings: Settings) -> Database:
    """Return the configured database, without a connection. Raises SettingsError if there is none."""
    if isinstance(settings.store, SecretStr):
        try:
            from .postgresql import PostgresDatabase  # noqa: PLC0415 - the driver is optional, and takes 0.2 s
        except ImportError as error:
            # Also a driver without libpq.
            raise _not_installed() from error
        return PostgresDatabase(settings.store)
    if settings.store == "none":
        raise SettingsError(
            "There is no store: store is none.",
            hint="Set store (D365_STORE) to sqlite, or to the address of a PostgreSQL.",
        )
    if settings.data_dir is None:
        raise SettingsError(
            "There is no folder for the store: data_dir is none.",
            hint="Set data_dir (D365_DATA_DIR) to a folder that outlives the process.",
        )
    from .sqlite import SqliteDatabase  # noqa: PLC0415 - importing SQLAlchemy takes 0.4 s

    return SqliteDatabase(settings.data_dir / FOLDER / FILE)


def _not_installed() -> SettingsError:
    return SettingsError(
        "NOT_INSTALLED: the store is a PostgreSQL, and its driver is not installed.",
        hint="pip install 'd365-graphql-gateway[postgres]'",
    )
