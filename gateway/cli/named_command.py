"""Only the command that is called: Typer makes all of them, with their options, before it reads an argument.

That takes 40 ms for some 60 commands with 300 options, of each start.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import typer
from typer.main import get_command_name


def only_named(app: typer.Typer, arguments: Sequence[str]) -> typer.Typer:
    """Return an application with the command or group that the first argument names; all if it names none.

    Help, errors with suggestions and completions by the shell need all of them; none of these has such an argument.
    """
    name = arguments[0] if arguments else ""
    commands = [
        command
        for command in app.registered_commands
        if command.callback is not None
        and name == (command.name or get_command_name(command.callback.__name__))
    ]
    groups = [group for group in app.registered_groups if group.name == name]
    if not commands and not groups:
        return app
    chosen = copy(app)
    chosen.registered_commands, chosen.registered_groups = commands, groups
    return chosen
