"""`store …`: brings the layout of the store up to date, and says whether it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from gateway.config.settings import Settings
from gateway.store.database import Database
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


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
