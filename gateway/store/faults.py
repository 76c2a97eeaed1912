"""What is wrong with the store, for those who run the gateway, and for clients, who must not learn its place."""

from __future__ import annotations

import sqlite3

from gateway.errors import GatewayError, SettingsError, StoreDamaged, StoreUnavailable

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_KIND = 0xFF
"""Of an extended code of SQLite: https://sqlite.org/rescode.html."""
RESTORE = (
    "Stop the gateway, move the file and its companions -wal and -shm away, and put a backup in its place, or what "
    "`sqlite3 FILE .recover` can still read; without either, a new store begins empty. `d365-graphql store check` says "
    "what is damaged."
)
_TELL = "Tell the people who run the gateway: its log says where the database is and how to restore it (store_failed)."
LATER = "Try again later. If it stays so, the log of the gateway says why: store_failed."


def is_damage(error: BaseException | None) -> bool:
    """Return whether an error of the driver says that the file is damaged, or no database at all."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & _KIND in _DAMAGED


def reason_of(error: GatewayError) -> str:
    """Return what the log says of an error: with what to do, if nothing gets better by itself."""
    text = error.detail or error.message
    return f"{text} {RESTORE}" if isinstance(error, StoreDamaged) else text


def for_clients(
    error: StoreUnavailable | SettingsError | OSError,
    what: str,
    *,
    hint: str = LATER,
    retry_after: float | None = None,
) -> StoreUnavailable:
    """Return an error without the name of the store. ``what``: *Jobs cannot be read*.

    Nothing invites to try a damaged store again.
    """
    described = error.message if isinstance(error, StoreUnavailable | SettingsError) else None
    detail = described or f"{type(error).__name__}: {error}"
    if isinstance(error, StoreDamaged):
        return StoreDamaged(
            f"{what}: the database of the gateway is damaged.", hint=_TELL, detail=detail
        )
    return StoreUnavailable(f"{what} for now.", hint=hint, detail=detail, retry_after=retry_after)
