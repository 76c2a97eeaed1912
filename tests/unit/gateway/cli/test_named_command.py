"""Of the commands only the one that is called is made."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from gateway.cli.commands import app
from gateway.cli.named_command import only_named


@pytest.mark.parametrize(
    ("arguments", "made"), [(["serve", "keys"], ["serve"]), (["keys", "list"], ["keys"])]
)
def test_the_command_that_is_called_is_made_alone(arguments: list[str], made: list[str]) -> None:
    group: Any = typer.main.get_command(only_named(app, arguments))
    assert list(group.commands) == made
    everything: Any = typer.main.get_command(app)
    assert [o.name for o in group.params] == [o.name for o in everything.params]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["srve"], [""]])
def test_what_names_no_command_may_need_all(arguments: list[str]) -> None:
    assert only_named(app, arguments) is app
