"""``{commands}``: every command with its help, arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from build_nodes import paragraph, section, table, text
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from gateway.cli.commands import app

WORDS = {int: "INTEGER", float: "NUMBER", Path: "FILE"}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command and the command; groups that do nothing themselves are left out."""
    yield from _below("d365-graphql", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    nested = getattr(command, "commands", {})
    if not nested or command.invoke_without_command:
        yield name, command
    for own, inner in nested.items():
        yield from _below(f"{name} {own}", inner)


class Commands(SphinxDirective):
    """All commands, a section each."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return [_section(name, command) for name, command in commands()]


def _section(name: str, command: Any) -> nodes.section:
    own = name.partition(" ")[2]
    result = section([nodes.literal(text=own)], f"command-{own.replace(' ', '-')}")
    usage = " ".join(
        [name, *(_argument(p) for p in command.params if _is_argument(p)), "[OPTIONS]"]
    )
    result += nodes.literal_block(usage, usage, language="text")
    for part in (command.help or "").split("\n\n"):
        result += paragraph(" ".join(part.split()))
    rows = [
        (_names(parameter), [*text(parameter.help or ""), *_default(parameter)])
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
    ]
    if rows:
        result += table(("option", "meaning"), rows)
    return result


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _names(parameter: Any) -> list[nodes.Node]:
    if _is_argument(parameter):
        return [nodes.literal(text=_argument(parameter))]
    result: list[nodes.Node] = []
    for name in parameter.opts:
        result += [nodes.literal(text=name), nodes.Text(", ")]
    result.pop()
    if not parameter.is_flag:
        result += [nodes.Text(" "), nodes.emphasis(text=_value(parameter))]
    return result


def _value(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return str(parameter.metavar or "|".join(choices) or WORDS.get(annotation, "TEXT"))


def _default(parameter: Any) -> list[nodes.Node]:
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return [nodes.Text(f" Default: {shown}.")]
    if shown is False or parameter.default is None or getattr(parameter, "is_flag", False):
        return []
    return [nodes.Text(" Default: "), nodes.literal(text=str(parameter.default)), nodes.Text(".")]
