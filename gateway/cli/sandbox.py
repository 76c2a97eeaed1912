"""``sandbox``: the Finance & Operations look-alike on a port of its own."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import SettingsError
from gateway.sandbox import SandboxSettings, Throttle
from gateway.sandbox.serve import run

from .listening import cannot_listen, leave, on_stop


def serve_sandbox(settings: SandboxSettings, host: str, port: int) -> None:
    """Serve until interrupted. Raises SettingsError, or SchemaError for a document that is no metadata."""
    _check(settings)
    on_stop(leave)
    try:
        run(settings, host, port)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def _check(settings: SandboxSettings) -> None:
    """Try what can be wrong, for an error that names the option."""
    if settings.throttle is not None:
        try:
            Throttle.parse(settings.throttle)
        except ValueError as error:
            raise SettingsError(f"--throttle: {error}.") from error
    if settings.metadata is not None:
        try:
            settings.metadata.open("rb").close()
        except OSError as error:
            raise SettingsError(
                f"--metadata: {settings.metadata} cannot be read: {error.strerror}."
            ) from error
    if settings.database != ":memory:" and not Path(settings.database).parent.is_dir():
        raise SettingsError(f"--database: there is no folder {Path(settings.database).parent}.")
