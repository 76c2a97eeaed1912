"""What the fork server imports and opens before it forks workers, and how a worker continues from there.

A worker that does all by itself takes a second of CPU and 108 MiB for the whole catalogue. One that is forked from a
process that has imported all modules and opened the model shares these pages until it writes to them: 0.2 s and 30 MiB.
The first process cannot be forked, as it has threads by then. multiprocessing's fork server has none: it imports this
module, and forks on request. See
https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
from importlib import import_module
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING

import msgspec

from gateway.process.lean_imports import without_terminal_imports, without_trusted_authorities

if TYPE_CHECKING:
    from gateway.metadata.model_builder import SnapshotPlace

IMPORTED = (
    *("gateway.__main__", "gateway.cli.options", "gateway.cli.serve", "gateway.odata.transport"),
    *("uvicorn.loops.auto", "uvicorn.lifespan.on", "encodings.idna"),
)
"""Modules that each worker needs, or its start."""
_SNAPSHOT = "_D365_GRAPHQL_SNAPSHOT"
"""Variable that says where the snapshot of the model is: the fork server gets nothing but modules and variables."""
LONGEST_FOLDER = 60
"""Characters of the temporary folder's path: the path of a socket in it may have 107."""
_STOPPING = (signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


def start_method() -> BaseContext:
    """Return how workers start: by the fork server, or by themselves where it could not have its socket."""
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" not in methods or not _has_folder():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def open_in_fork_server(place: SnapshotPlace | None) -> None:
    """Let the fork server open this model when it starts, if there is a snapshot of one."""
    os.environ.pop(_SNAPSHOT, None)
    if place is not None:
        os.environ[_SNAPSHOT] = msgspec.json.encode(place).decode()


def open_model() -> None:
    """Open the model that ``open_in_fork_server`` named, if it did: in the fork server."""
    from gateway.metadata.model_builder import SnapshotPlace, open_for_forks  # noqa: PLC0415 - other starts need none

    place = os.environ.pop(_SNAPSHOT, None)
    if place is not None:
        open_for_forks(msgspec.json.decode(place, type=SnapshotPlace))


def _has_folder() -> bool:
    try:
        return len(tempfile.gettempdir()) <= LONGEST_FOLDER
    except FileNotFoundError:
        return False


def accept_signals() -> None:
    """Let this process be stopped by signals, those included that have come since it was forked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def _prepare() -> None:
    gc.disable()  # workers enable it when they have started
    with without_terminal_imports(), without_trusted_authorities():
        for module in IMPORTED:
            import_module(module)
    open_model()
    gc.freeze()
    # A signal to the whole group stops the workers, which the fork server has to outlive: it reports how they ended.
    # Blocked and not ignored, so that a worker has not lost one that came while it was starting.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    _prepare()
