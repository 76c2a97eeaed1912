"""Stores that tests find on disk."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

from pydantic import SecretStr

from gateway.store.tables import METADATA

KEY = SecretStr(base64.b64encode(bytes(range(32))).decode())
OTHER_KEY = SecretStr(base64.b64encode(bytes(32)).decode())
"""Values of ``encryption_key``."""


def spoil_store(data_dir: Path) -> Path:
    """Write a file of another kind in the place of the SQLite store; return its path."""
    path = data_dir / "store" / "gateway.db"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(b"this is no database, but a file of another kind")
    return path


def take_back(store: sqlite3.Connection) -> None:
    """Take from a SQLite store what came after its first migration."""
    store.execute("ALTER TABLE api_keys DROP COLUMN environments")
    for table in METADATA.tables.keys() - {"api_keys", "revisions"}:
        store.execute(f"DROP TABLE {table}")
    store.execute("DELETE FROM revisions WHERE subject <> 'api_keys'")
