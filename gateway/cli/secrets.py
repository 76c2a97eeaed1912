"""`secrets …`: rotates the data keys of environments in the store, and says which key wraps each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from gateway.administration.actors import acting_user
from gateway.config.settings import Settings
from gateway.environments.environment_store import open_environment_register
from gateway.errors import GatewayError, NoSuchEnvironment, SecretUnreadable
from gateway.events import log_event
from gateway.store.environment_register import DataKeyState, EnvironmentRegister
from schema.errors import did_you_mean

from .tables import iso_time, print_table

_KEYS = {"current": "encryption_key", "old": "an earlier key", "unknown": "another key"}


def rotate(settings: Settings, environment: str | None, *, as_json: bool) -> None:
    """Encrypt secrets anew. Exits with 1 if some could not be read; raises GatewayError."""
    failures: dict[str, GatewayError] = {}
    rotated: list[str] = []
    with _register(settings) as register, acting_user(settings, log_event) as actor:
        for name in _chosen(register, environment):
            actor.announce("rotated", name)
            try:
                changed = register.rotate(name)
            except SecretUnreadable as error:
                failures[name] = error
            else:
                if changed is not None and changed.secrets:
                    rotated.append(name)
                    actor.record("rotated", name)
        register.erase()
    if as_json:
        failed = {name: failure.message for name, failure in failures.items()}
        print(json.dumps({"rotated": rotated, "failed": failed}))
    else:
        for name, failure in failures.items():
            print(f"{name}: {failure.message} {failure.hint or ''}".rstrip(), file=sys.stderr)
        print(f"Environments whose secrets are encrypted anew: {len(rotated):,}.")
    if failures:
        raise typer.Exit(1)


def print_status(settings: Settings, *, as_json: bool) -> None:
    """Print the data keys. Exits with 1 if secrets cannot be read; raises SettingsError, StoreUnavailable."""
    with _register(settings) as register:
        keys = register.data_keys()
    if as_json:
        print(json.dumps({"keys": [_facts(key) for key in keys]}))
    elif keys:
        rows = [
            (k.environment, str(k.version), iso_time(k.created), _KEYS[k.wrapped_by]) for k in keys
        ]
        print_table([("ENVIRONMENT", "KEY VERSION", "CREATED", "WRAPPED BY"), *rows])
    else:
        print("No environment in the store has secrets.")
    if any(key.wrapped_by == "unknown" for key in keys):
        raise typer.Exit(1)


def _chosen(register: EnvironmentRegister, environment: str | None) -> list[str]:
    """Return the names of the environments to rotate. Raises NoSuchEnvironment if there is none of that name."""
    if environment is None:
        return [key.environment for key in register.data_keys()]
    if register.get(environment) is None:
        known = [stored.name for stored in register.list()]
        raise NoSuchEnvironment(
            f"There is no environment {environment} in the store.{did_you_mean(environment, known)}"
        )
    return [environment]


@contextmanager
def _register(settings: Settings) -> Iterator[EnvironmentRegister]:
    register = open_environment_register(settings)
    try:
        yield register
    finally:
        register.close()


def _facts(key: DataKeyState) -> dict[str, object]:
    return {
        "environment": key.environment,
        "version": key.version,
        "created": iso_time(key.created),
        "wrappedBy": key.wrapped_by,
    }
