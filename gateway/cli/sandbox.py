"""``sandbox``: serves the sandbox by itself, as an OData service on a port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.setting_models import SandboxOptions
from gateway.errors import SettingsError
from gateway.sandbox import SandboxSettings, Throttle
from gateway.sandbox.capacity import Capacity
from gateway.sandbox.serve import run
from schema.errors import did_you_mean

from .signals_and_port import cannot_listen, leave, on_stop


def serve_sandbox(settings: SandboxSettings, host: str, port: int) -> None:
    """Serve until interrupted. Raises SettingsError, and SchemaError for a document that is not metadata."""
    _check(settings)
    on_stop(leave)
    try:
        run(settings, host, port)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def knobs_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``--set null_order=last …`` by name. Raises SettingsError.

    Names and values are those of the settings ``sandbox.*``.
    """
    known = SandboxOptions().knobs()
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set {pair}: expected NAME=VALUE.")
        if name not in known:
            suggestion = did_you_mean(name, known)
            raise SettingsError(f"--set {name}: there is no such setting.{suggestion}")
        texts[name] = text
    try:
        options = SandboxOptions.model_validate(texts)
    except ValidationError as error:
        problem = error.errors()[0]
        raise SettingsError(f"--set {problem['loc'][0]}: {problem['msg']}.") from error
    return {name: value for name, value in options.knobs().items() if name in texts}


def _check(settings: SandboxSettings) -> None:
    """Raise SettingsError, which names the option, for what would fail later."""
    if settings.throttle is not None:
        try:
            Throttle.parse(settings.throttle)
        except ValueError as error:
            raise SettingsError(f"--throttle: {error}.") from error
    if settings.capacity is not None:
        try:
            Capacity.parse(settings.capacity)
        except ValueError as error:
            raise SettingsError(f"--capacity: {error}.") from error
    if settings.metadata is not None:
        try:
            settings.metadata.open("rb").close()
        except OSError as error:
            raise SettingsError(
                f"--metadata: {settings.metadata} cannot be read: {error.strerror}."
            ) from error
    if settings.database != ":memory:" and not Path(settings.database).parent.is_dir():
        raise SettingsError(f"--database: there is no folder {Path(settings.database).parent}.")
