"""From the settings to the audit log of a process."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from gateway.config.audit_models import SinkName
from gateway.config.environments import real_address
from gateway.config.settings import Settings
from gateway.config.version import gateway_version
from gateway.errors import SettingsError
from gateway.events import Observer
from gateway.storage.private_files import make_own_folder

from .log import AuditLog
from .sinks import FileSink, Sink, StreamSink, SyslogSink
from .writer import ChainWriter

FOLDER = "audit"


def sink_of(settings: Settings) -> SinkName:
    """Return where audit lines go: by default to files, if there is an environment to protect and a folder."""
    if settings.audit.sink is not None:
        return settings.audit.sink
    is_real = real_address(settings) is not None
    return "file" if is_real and audit_folder(settings) is not None else "none"


def audit_folder(settings: Settings) -> Path | None:
    """Return the folder of the audit files; None if there is none."""
    if settings.audit.path is not None:
        return settings.audit.path
    return None if settings.data_dir is None else settings.data_dir / FOLDER


def open_audit_log(
    settings: Settings, observe: Observer, stdout: TextIO | None = None
) -> AuditLog | None:
    """Return the audit log; None if nothing is recorded. ``stdout``: what to use in its place.

    Raises SettingsError if ``audit.required`` is set and the log cannot be written, or its settings contradict.
    """
    name, options = sink_of(settings), settings.audit
    if name == "none":
        if options.required:
            raise SettingsError(
                "audit.required is set, but nothing is recorded.",
                hint="Set audit.sink (D365_AUDIT__SINK): file, stdout or syslog.",
            )
        return None
    chain = f"{os.getpid()}-{secrets.token_hex(4)}"
    sink = _sink(name, settings, chain, stdout or sys.stdout)
    writer = ChainWriter(sink, chain, gateway_version(), options.files)
    if options.required:
        try:
            writer.begin()
        except OSError as error:
            raise SettingsError(
                f"audit.required is set, but the audit log cannot be written: {error}.",
                hint="Make its folder writable for the user of the gateway, or choose another audit.path.",
            ) from error
    return AuditLog(writer, observe, required=options.required)


@asynccontextmanager
async def recording(
    settings: Settings, observe: Observer, stdout: TextIO | None = None
) -> AsyncIterator[AuditLog | None]:
    """Yield the audit log, and close it at the end. Takes and raises what ``open_audit_log`` does."""
    log = open_audit_log(settings, observe, stdout)
    try:
        yield log
    finally:
        if log is not None:
            await log.close()


class SinkProbe(NamedTuple):
    """Whether lines can be written; ``hint`` is None if they can, as far as that shows."""

    text: str
    hint: str | None = None


def probe_sink(settings: Settings) -> SinkProbe:
    """Return where lines go, and whether that works, without writing one."""
    name = sink_of(settings)
    if name == "none":
        return SinkProbe(
            "audit.required is set, but nothing is recorded",
            "Set audit.sink (D365_AUDIT__SINK): file, stdout or syslog.",
        )
    if name == "stdout":
        return SinkProbe("lines go to standard output")
    if name == "syslog":
        return _probe_syslog(settings.audit.address)
    folder = audit_folder(settings)
    if folder is None:
        return SinkProbe(
            "there is no folder for the files",
            "Set audit.path or data_dir (D365_AUDIT__PATH, D365_DATA_DIR).",
        )
    try:
        make_own_folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder):
            return SinkProbe(f"files in {folder}")
    except OSError as error:
        return SinkProbe(
            f"{folder} cannot be written: {error.strerror or error}",
            "Make the folder writable for the user of the gateway, or choose another audit.path.",
        )


def _probe_syslog(address: str) -> SinkProbe:
    if not address.startswith("/"):
        return SinkProbe(f"lines go to {address}, which acknowledges none")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(address)
    except OSError as error:
        return SinkProbe(
            f"{address} cannot be used: {error.strerror or error}",
            "Is the system's log running, and is audit.address its socket?",
        )
    return SinkProbe(f"lines go to {address}")


def _sink(name: SinkName, settings: Settings, chain: str, stdout: TextIO) -> Sink:
    if name == "stdout":
        return StreamSink(stdout)
    if name == "syslog":
        return SyslogSink(settings.audit.address)
    folder = audit_folder(settings)
    if folder is None:
        raise SettingsError(
            "audit.sink is file, but there is no folder for the files.",
            hint="Set audit.path or data_dir (D365_AUDIT__PATH, D365_DATA_DIR).",
        )
    return FileSink(folder, chain, settings.audit.max_bytes)
