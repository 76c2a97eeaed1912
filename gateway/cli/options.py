"""What the commands share: options, settings from the environment, errors as text with an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn, TypeAlias

import typer
from rich.console import Console

from gateway.errors import GatewayError, SettingsError
from gateway.events import configure_logging
from gateway.settings import Settings, load_settings
from schema.errors import SchemaError

Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file with settings; the environment goes before it."),
]
Sandbox: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox", help="Use the embedded sandbox even where an environment is configured."
    ),
]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def errors_to_exit() -> Iterator[None]:
    """Print our own errors for the person who must act. Exit 2: what was given is wrong; 1: the upstream."""
    try:
        yield
    except SchemaError as error:
        fail(str(error), error.hint, 2)
    except SettingsError as error:
        fail(error.message, error.hint, 2)
    except GatewayError as error:
        fail(f"{error.code}: {error.message}", error.hint, 1)


def fail(message: str, hint: str | None, code: int) -> NoReturn:
    """Say what is wrong and leave."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    raise typer.Exit(code)


def settings_of(config: Path | None, *, sandbox: bool = False, **overrides: object) -> Settings:
    """Read the settings; with ``sandbox`` nothing that names an environment counts. Raises SettingsError."""
    environ = dict(os.environ)
    if sandbox:
        for name in (
            "URL",
            "METADATA",
            "AUTH",
            "TENANT_ID",
            "CLIENT_ID",
            "CLIENT_SECRET",
            "DIALECT",
        ):
            environ.pop(f"D365_{name}", None)
    settings = load_settings(environ, config, **overrides)
    if sandbox:
        away = {"url": None, "metadata": None, "auth": "none", "dialect": None, "scope": None}
        settings = settings.model_copy(update=away)
    configure_logging(settings)
    return settings
