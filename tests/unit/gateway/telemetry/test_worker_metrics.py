"""``gateway.cli.worker_metrics``: the metrics of a worker reach its parent, late ones are skipped."""

from __future__ import annotations

import threading

from gateway.cli.worker_metrics import MetricsPipe


def test_each_request_gets_its_own_answer() -> None:
    pipe, release = MetricsPipe(), threading.Event()
    texts = iter(("late", "second"))

    def render() -> str:
        release.wait(10)
        return next(texts)

    pipe.answer(render)

    assert pipe.request(0.01) is None
    release.set()
    assert pipe.request(10) == "second"


def test_a_worker_that_has_ended_answers_nothing() -> None:
    pipe = MetricsPipe()
    pipe._parent.close()

    assert pipe.request(10) is None
