"""Configures structlog: log lines go to standard error, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import structlog

from gateway.config.settings import Settings


class Named(Protocol):
    """What knows the environment that a task works for."""

    @property
    def name(self) -> str:
        """Name of the environment; empty: that of the settings, or not known yet."""
        ...


class _Fixed:
    def __init__(self, name: str) -> None:
        self.name = name


_ENVIRONMENT: ContextVar[Named | None] = ContextVar("environment", default=None)


@contextmanager
def logging_environment(environment: Named | str) -> Iterator[None]:
    """Name the environment in the log lines of this task, and of all tasks that it creates."""
    named = _Fixed(environment) if isinstance(environment, str) else environment
    token = _ENVIRONMENT.set(named)
    try:
        yield
    finally:
        _ENVIRONMENT.reset(token)


def logged_environment() -> str:
    """Return the name of the environment that this task works for; empty: that of the settings."""
    named = _ENVIRONMENT.get()
    return "" if named is None else named.name


def _add_environment(
    _logger: object, _method: str, facts: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if name := logged_environment():
        facts.setdefault("environment", name)
    return facts


def configure_logging(settings: Settings) -> None:
    """Write log lines to standard error, as text for people or one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_environment,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor
    if settings.log_format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelName(settings.log_level.upper())
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
