"""What the fork server imports before it forks workers, and how a worker continues from there.

A worker that imports everything by itself takes a second of CPU and 87 MiB. One that is forked from a process that has
imported it shares these pages until it writes to them: 0.25 s and 43 MiB. The first process cannot be forked, as it has
threads by then. multiprocessing's fork server has none: it imports this module, and forks on request. See
https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
import tempfile
from importlib import import_module
from multiprocessing.context import BaseContext

from gateway.process.lean_imports import without_terminal_imports, without_trusted_authorities

IMPORTED = (
    *("gateway.__main__", "gateway.cli.options", "gateway.cli.serve", "gateway.odata.transport"),
    *("uvicorn.loops.auto", "uvicorn.lifespan.on", "encodings.idna"),
)
"""Modules that each worker needs, or its start."""
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
    gc.freeze()
    # A signal to the whole group stops the workers, which the fork server has to outlive: it reports how they ended.
    # Blocked and not ignored, so that a worker has not lost one that came while it was starting.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    _prepare()
