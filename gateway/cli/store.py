"""`store …`: brings the layout of the store up to date, says whether it is, finds damage, and makes backups."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.store.database import Database
from gateway.store.faults import RESTORE
from gateway.store.layout import VERSIONS
from gateway.store.opening import open_database

_TEXTS = {
    "current": "It is what this version of the gateway needs.",
    "behind": "This version of the gateway needs {needed}: run `d365-graphql store migrate`.",
    "newer": "It was written by a newer version of the gateway; this one needs {needed}.",
    "empty": "Nothing is stored yet. The file is made with the first API key.",
}


def migrate(settings: Settings, *, as_json: bool) -> None:
    """Migrate the store. Raises SettingsError, StoreUnavailable."""
    with _database(settings) as database:
        before, after = database.migrate()
    if as_json:
        facts = {"store": database.name, "before": before.version, "layout": after.version}
        print(json.dumps(facts))
    elif before == after:
        print(f"{database.name}: the layout is {after.version} already.")
    else:
        print(
            f"{database.name}: the layout was {before.version or 'missing'}, and is {after.version} now."
        )


def print_status(settings: Settings, *, as_json: bool) -> None:
    """Print what the layout is. Exits with 1 unless it is that of this version, or nothing was ever stored."""
    with _database(settings) as database:
        layout = database.layout()
        state = layout.state if database.exists else "empty"
    needed = VERSIONS[-1]
    if as_json:
        facts = {"store": database.name, "layout": layout.version, "needed": needed, "state": state}
        print(json.dumps(facts))
    else:
        print(f"store:  {database.name}")
        print(f"layout: {layout.version or 'none'}")
        print(_TEXTS[state].format(needed=needed))
    if state in {"behind", "newer"}:
        raise typer.Exit(1)


def check(settings: Settings, *, as_json: bool) -> None:
    """Print what is damaged. Exits with 1 if anything is; raises SettingsError, StoreUnavailable."""
    with _database(settings) as database:
        problems, exists = database.problems(), database.exists
    if as_json:
        print(json.dumps({"store": database.name, "sound": not problems, "problems": problems}))
    else:
        print(f"store: {database.name}")
        print("\n".join(problems) or ("It is sound." if exists else _TEXTS["empty"]))
    if problems:
        print(f"hint: {RESTORE}", file=sys.stderr)
        raise typer.Exit(1)


def back_up(settings: Settings, target: Path) -> None:
    """Write a copy of the store. Raises SettingsError, StoreUnavailable."""
    with _database(settings) as database:
        try:
            database.back_up(target)
        except OSError as error:
            raise SettingsError(
                f"The backup {target} cannot be written: {error.strerror or error}.",
                hint="Name a file that does not exist yet, in a folder that can be written.",
            ) from error
    print(f"{database.name} is copied to {target}.")


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
