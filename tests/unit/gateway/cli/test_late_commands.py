"""The commands of the command line: built when they are called or listed."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import typer

from gateway.cli.commands import COMMANDS, app
from gateway.cli.late_commands import group_of


def test_every_command_is_found_and_named_as_it_is_listed() -> None:
    root: Any = typer.main.get_command(app)

    assert {name: command.name for name, command in root.commands.items()} == {
        name: name for name in COMMANDS
    }
    assert all(command.help for command in root.commands.values())


def test_a_call_imports_its_own_command_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("size_commands", "store_commands"):
        monkeypatch.delitem(sys.modules, f"gateway.cli.{module}", raising=False)
    places = {"size": COMMANDS["size"], "store": COMMANDS["store"]}
    parent = typer.Typer(cls=group_of(places))
    parent.callback()(lambda: None)
    root: Any = typer.main.get_command(parent)

    assert root.list_commands(None) == ["size", "store"]
    assert "gateway.cli.size_commands" not in sys.modules
    assert root.get_command(None, "size").name == "size"
    assert root.get_command(None, "nope") is None
    assert "gateway.cli.size_commands" in sys.modules
    assert "gateway.cli.store_commands" not in sys.modules
