"""How the metrics of a worker reach the process that watches it: a pipe of their own, which a thread answers.

A thread, so that the metrics of a worker whose event loop is busy come all the same: that is when they are needed most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TypeAlias

Asked: TypeAlias = "Connection[int, tuple[int, str]]"
Answering: TypeAlias = "Connection[tuple[int, str], int]"


class MetricsPipe:
    """The pipe between one worker and the process that watches it, which makes it before it starts the worker."""

    def __init__(self) -> None:
        self._parent: Asked
        self._child: Answering
        self._parent, self._child = Pipe()
        self._number = 0

    def answer(self, render: Callable[[], str]) -> None:
        """Answer from now on, in the worker, by a thread."""
        threading.Thread(target=self._answer, args=(render,), name="metrics", daemon=True).start()

    def _answer(self, render: Callable[[], str]) -> None:
        while True:
            try:
                number = self._child.recv()
                self._child.send((number, render()))
            except (OSError, EOFError):
                return

    def request(self, timeout: float) -> str | None:
        """Return the worker's metrics; None if they do not come in time. One thread at a time may call it."""
        self._number += 1
        end = time.monotonic() + timeout
        try:
            self._parent.send(self._number)
            while self._parent.poll(max(0.0, end - time.monotonic())):
                number, text = self._parent.recv()
                # An answer that came too late for its request is skipped.
                if number == self._number:
                    return text
        except (OSError, EOFError):
            return None
        return None
