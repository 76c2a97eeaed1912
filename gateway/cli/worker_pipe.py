"""A pipe on which the process that watches a worker asks it something, and a thread of the worker answers.

A thread, so that the metrics of a worker whose event loop is busy come all the same: that is when they are needed most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class WorkerPipe(Generic[_Q, _A]):
    """The pipe between one worker and the process that watches it, which makes it before it starts the worker."""

    def __init__(self) -> None:
        parent, child = Pipe()
        self._parent = cast("Connection[tuple[int, _Q], tuple[int, _A]]", parent)
        self._child = cast("Connection[tuple[int, _A], tuple[int, _Q]]", child)
        self._number = 0

    def answer(self, to: Callable[[_Q], _A], name: str) -> None:
        """Answer from now on, in the worker, by a thread of that name."""
        threading.Thread(target=self._answer, args=(to,), name=name, daemon=True).start()

    def _answer(self, to: Callable[[_Q], _A]) -> None:
        while True:
            try:
                number, question = self._child.recv()
                self._child.send((number, to(question)))
            except (OSError, EOFError):
                return

    def request(self, question: _Q, timeout: float) -> _A | None:
        """Return the worker's answer; None if it does not come in time. One thread at a time may call it."""
        self._number += 1
        end = time.monotonic() + timeout
        try:
            self._parent.send((self._number, question))
            while self._parent.poll(max(0.0, end - time.monotonic())):
                number, answer = self._parent.recv()
                # An answer that came too late for its request is skipped.
                if number == self._number:
                    return answer
        except (OSError, EOFError):
            return None
        return None
