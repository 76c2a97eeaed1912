"""What the commands share: settings from the environment, errors as text with an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer

from gateway.config.loading import load_settings
from gateway.config.settings import Settings
from gateway.errors import GatewayError, RequestError, SettingsError
from gateway.logs import configure_logging
from schema.errors import SchemaError

UPSTREAM_VARIABLES = tuple(
    f"D365_{name}"
    for name in (
        "URL",
        "DIALECT",
        "METADATA",
        "AUTH",
        "TENANT_ID",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "AUTHORITY",
        "SCOPE",
    )
)
"""What names an environment; --sandbox looks away from it."""


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
        code = 2 if isinstance(error, RequestError) else 1
        fail(f"{error.code}: {error.message}", error.hint, code, error.detail)
    except BrokenPipeError:
        # The reader (head, less) has gone; what Python still holds for it must not complain at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None


def fail(message: str, hint: str | None, code: int, detail: str | None = None) -> NoReturn:
    """Say what is wrong and leave."""
    print(f"error: {message}", file=sys.stderr)
    if detail:
        shown = " ".join(detail.split())
        print(f"detail: {shown if len(shown) <= 500 else f'{shown[:499]}…'}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    raise typer.Exit(code)


def settings_of(config: Path | None, *, sandbox: bool = False, **overrides: object) -> Settings:
    """Read the settings; with ``sandbox`` nothing that names an environment counts. Raises SettingsError."""
    environ = dict(os.environ)
    if sandbox:
        for name in UPSTREAM_VARIABLES:
            environ.pop(name, None)
    settings = load_settings(environ, config, **overrides)
    if sandbox:
        away = {"url": None, "metadata": None, "auth": "none", "dialect": None, "scope": None}
        settings = settings.model_copy(update=away)
    configure_logging(settings)
    return settings
