"""Commands that are imported and built when they are called or listed: building all takes 50 ms of a start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

Command = Any
"""typer.core.TyperCommand or TyperGroup, whose base class typer keeps to itself."""


class _LateCommands(Mapping[str, Command]):
    """The commands by name."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._built: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._built:
            self._built[name] = _built(name, self._places[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _built(name: str, place: str) -> Command:
    """Return the command that a function or a Typer of this package declares."""
    module, _, attribute = place.partition(":")
    declared = getattr(import_module(f".{module}", __package__), attribute)
    parent = typer.Typer()
    parent.callback()(lambda: None)  # makes it a group, even of one command
    if isinstance(declared, typer.Typer):
        parent.add_typer(declared, name=name)
    else:
        parent.command(name)(declared)
    return cast("TyperGroup", typer.main.get_command(parent)).commands[name]


def group_of(places: Mapping[str, str]) -> type[TyperGroup]:
    """Return the class of a group with these commands: ``{"export": "export_commands:export"}``."""

    class LateGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "commands": _LateCommands(places)})

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - that of the base class builds all
            return list(places)

    return LateGroup
