"""Configures the log: lines go to standard error, for people or as JSON.

Everything takes this way. Events are logged by structlog; what libraries log, warnings of Python and errors that end a
thread or the process are turned into such lines, so that a reader of JSON never meets another line. Uvicorn's access
log and notices of its start are off: events say that.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Protocol

import structlog

from gateway.config.settings import Settings
from gateway.events import LogLevel, use_log_rules
from gateway.process.context_value import ContextValue
from gateway.process.masking import mask
from gateway.telemetry.request_context import current_request

LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "off": 100}
_LONGEST_TRACE = 20_000
"""Characters of a traceback."""


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


def logging_environment(environment: Named | str) -> AbstractContextManager[object]:
    """Name the environment in the log lines of this task, and of all tasks that it creates."""
    named = _Fixed(environment) if isinstance(environment, str) else environment
    return ContextValue(_ENVIRONMENT, named)


def logged_environment() -> str:
    """Return the name of the environment that this task works for; empty: that of the settings."""
    named = _ENVIRONMENT.get()
    return "" if named is None else named.name


def _add_context(
    _logger: object, _method: str, facts: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add what the task works for: its environment, its request and the trace of that, if it is recorded."""
    if name := logged_environment():
        facts.setdefault("environment", name)
    context = current_request()
    if context is not None:
        facts.setdefault("request_id", context.request_id)
        if context.is_sampled:
            facts.setdefault("trace_id", context.trace_id)
    return facts


def configure_logging(settings: Settings) -> None:
    """Write log lines to standard error, as text for people or one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor
    if settings.log_format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    levels = settings.log.levels
    lowest = min(
        (LEVELS[settings.log_level], *(LEVELS[level] for level in levels.values())),
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(min(lowest, logging.ERROR)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    use_log_rules(
        lambda name, level: LEVELS[level] >= _threshold(levels, name, settings.log_level),
        settings.log.sample,
    )


def _threshold(levels: Mapping[str, str], name: str, otherwise: str) -> int:
    """Return the lowest level that is logged of an event or a library."""
    matching = (level for pattern, level in levels.items() if fnmatchcase(name, pattern))
    return LEVELS[next(matching, otherwise)]


def is_json() -> bool:
    """Return whether log lines are JSON."""
    processors = structlog.get_config()["processors"]
    return isinstance(processors[-1], structlog.processors.JSONRenderer)


def log_failure(message: str, **facts: str | None) -> None:
    """Write the error that ends a command to the log."""
    said = {name: fact for name, fact in facts.items() if fact is not None}
    structlog.get_logger("gateway").error("failed", message=message, **said)


# What is no event


def take_over_log(settings: Settings) -> None:
    """Turn what libraries log, warnings and errors that nobody has caught into log lines, if these are JSON.

    For a process as a whole: people read tracebacks more easily as they are.
    """
    if not is_json():
        return
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _Records)]:
        root.removeHandler(handler)
    root.addHandler(_Records())
    # Of libraries only what is wrong; log.levels says otherwise for some.
    root.setLevel(logging.WARNING)
    for name, level in settings.log.levels.items():
        if "*" not in name:
            logging.getLogger(name).setLevel(LEVELS[level])
    logging.captureWarnings(True)
    sys.excepthook = log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class _Records(logging.Handler):
    """Writes what libraries log as lines of the log: the name of the library, and what it says."""

    def emit(self, record: logging.LogRecord) -> None:
        level: LogLevel = "error" if record.levelno >= logging.ERROR else _LEVEL_OF[record.levelno]
        facts: dict[str, object] = {"logger": record.name, "message": mask(record.getMessage())}
        if record.exc_info is not None and record.exc_info[1] is not None:
            facts["exception"] = _trace_of(record.exc_info[1])
        event = "python_warning" if record.name == "py.warnings" else "library_log"
        getattr(structlog.get_logger("gateway"), level)(event, **facts)


class _Levels(dict[int, LogLevel]):
    def __missing__(self, number: int) -> LogLevel:
        return "debug" if number < logging.INFO else "info"


_LEVEL_OF = _Levels({logging.INFO: "info", logging.WARNING: "warning"})


def _trace_of(error: BaseException) -> str:
    """Return the traceback of an error, without credentials."""
    text = "".join(traceback.format_exception(error))
    return mask(text if len(text) <= _LONGEST_TRACE else f"…{text[-_LONGEST_TRACE:]}")


def log_uncaught(kind: type[BaseException], error: BaseException, _trace: object = None) -> None:
    """Log an error that ends the process."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    structlog.get_logger("gateway").error(
        "uncaught_error", error=kind.__name__, exception=_trace_of(error)
    )


def _log_uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        log_uncaught(failed.exc_type, failed.exc_value)
