"""Stores that tests find on disk."""

from __future__ import annotations

from pathlib import Path


def spoil_store(data_dir: Path) -> Path:
    """Write a file of another kind in the place of the SQLite store; return its path."""
    path = data_dir / "store" / "gateway.db"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(b"this is no database, but a file of another kind")
    return path
