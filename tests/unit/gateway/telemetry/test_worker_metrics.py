"""``gateway.cli.worker_pipe``: what a worker answers reaches its parent, late answers are skipped."""

from __future__ import annotations

import threading

from gateway.cli.worker_pipe import WorkerPipe


def test_each_request_gets_its_own_answer() -> None:
    pipe: WorkerPipe[None, str] = WorkerPipe()
    release = threading.Event()
    texts = iter(("late", "second"))

    def render(_: None) -> str:
        release.wait(10)
        return next(texts)

    pipe.answer(render, "metrics")

    assert pipe.request(None, 0.01) is None
    release.set()
    assert pipe.request(None, 10) == "second"


def test_a_worker_that_has_ended_answers_nothing() -> None:
    pipe: WorkerPipe[None, str] = WorkerPipe()
    pipe._parent.close()

    assert pipe.request(None, 10) is None
