"""SIGHUP: reads settings and metadata anew, as servers do; or the terminal is gone, and the server stops."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from starlette.applications import Starlette

from gateway.config.setting_changes import SettingsAttempt
from gateway.runtime.metadata_reload import Attempt

from .hot_application import HotApplication


def reload_on_hangup(app: Starlette, hung_up: Callable[[], bool]) -> None:
    """Reload the metadata of all that is open on SIGHUP, and before that the settings, if the application reads them.

    If ``hung_up`` says that the terminal is gone, the server stops.
    """

    def on_hangup() -> None:
        if hung_up():
            signal.raise_signal(signal.SIGTERM)
        elif isinstance(app, HotApplication) and app.reads:
            app.trigger("signal", has_settings)
        else:
            _reload_metadata(app)

    def has_settings(attempt: SettingsAttempt) -> None:
        if attempt.outcome != "unchanged":
            _record(app, attempt)
        # Of the application that serves now.
        _reload_metadata(app)

    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)


def _reload_metadata(app: Starlette) -> None:
    state = app.state
    state.reloader.trigger("signal", lambda attempt: _record(app, attempt))
    if (documents := getattr(state, "documents", None)) is not None:
        documents.trigger()
    if state.environments is not None:
        state.environments.reload_open("signal")


def _record(app: Starlette, attempt: Attempt | SettingsAttempt) -> None:
    if app.state.audit is not None:
        app.state.audit.acted(None, "reload", is_done=attempt.outcome != "failed")
