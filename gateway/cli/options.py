"""Shared by the commands: settings from the environment, errors as text with an exit code."""

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
from gateway.logs import configure_logging, is_json, log_failure, take_over_log
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
        "CLIENT_SECRET_FILE",
        "AUTHORITY",
        "SCOPE",
    )
)
"""Variables that select an environment; ``--sandbox`` ignores them."""


@contextmanager
def errors_to_exit() -> Iterator[None]:
    """Print our own errors and exit: with 2 if settings or input are wrong, with 1 if the upstream failed."""
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
        # The reader (head, less) has gone. Python flushes standard output at its end, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None


def fail(message: str, hint: str | None, code: int, detail: str | None = None) -> NoReturn:
    """Print an error, with at most 500 characters of its detail, and exit."""
    line = " ".join((detail or "").split())
    shown = line if len(line) <= 500 else f"{line[:499]}…"
    if is_json():
        log_failure(message, detail=shown or None, hint=hint)
        raise typer.Exit(code)
    print(f"error: {message}", file=sys.stderr)
    if shown:
        print(f"detail: {shown}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    raise typer.Exit(code)


SANDBOX_TTL = 60.0
"""Seconds for which answers of the embedded sandbox are cached: so that a newcomer sees it."""


def with_sandbox_cache(settings: Settings) -> Settings:
    """Return settings with which answers of the embedded sandbox are cached, unless they say whether."""
    if settings.url is not None or "ttl" in settings.cache.model_fields_set:
        return settings
    cache = settings.cache.model_copy(update={"ttl": SANDBOX_TTL})
    return settings.model_copy(update={"cache": cache})


def read_settings(
    config: Path | None, *, sandbox: bool = False, roles: bool = False, **overrides: object
) -> Settings:
    """Return the settings of ``settings_from``, and log as they say. Raises SettingsError."""
    settings = settings_from(config, sandbox=sandbox, roles=roles, **overrides)
    configure_logging(settings)
    take_over_log(settings)
    return settings


def settings_from(
    config: Path | None, *, sandbox: bool = False, roles: bool = False, **overrides: object
) -> Settings:
    """Return the settings; with ``sandbox``, those that select an environment are ignored.

    ``roles``: the sandbox has roles and users, as by the setting ``sandbox.roles``. Raises SettingsError.
    """
    if roles:
        overrides["sandbox"] = {"roles": True}
    environ = dict(os.environ)
    if sandbox:
        for name in UPSTREAM_VARIABLES:
            environ.pop(name, None)
    settings = load_settings(environ, config, **overrides)
    if sandbox:
        # They may come from the file, too.
        ignored = {"url": None, "metadata": None, "auth": "none", "dialect": None, "scope": None}
        settings = settings.model_copy(update=ignored)
    return settings
