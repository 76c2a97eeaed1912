"""Other settings for all workers: the first one tries them, and one that does not follow is replaced."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.cli.worker_pipe import WorkerPipe
from gateway.cli.workers_reload import Question, Reloadable, WorkersReload
from gateway.config.setting_changes import SettingsAttempt
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.events import Event, SettingsNotReloaded, SettingsReloaded

CHANGED = SettingsAttempt(reason="admin", at=0.0, outcome="changed", changed=("max_depth",))
FAILED = SettingsAttempt(reason="admin", at=0.0, outcome="failed", message="g.toml: include")


class Worker:
    """A worker whose answer the test knows; None: it does not answer."""

    def __init__(self, answer: SettingsAttempt | None) -> None:
        self.answer = answer
        self.asked: list[Settings] = []
        self.is_terminated = False

    @property
    def settings(self) -> WorkerPipe[Question, SettingsAttempt]:
        return cast("WorkerPipe[Question, SettingsAttempt]", self)

    def request(self, question: Question, _timeout: float) -> SettingsAttempt | None:
        self.asked.append(question[1])
        return self.answer

    def terminate(self) -> None:
        self.is_terminated = True


@pytest.mark.parametrize(
    ("answers", "outcome", "asked", "terminated"),
    [
        ((CHANGED, CHANGED, CHANGED), "changed", 3, ()),
        ((FAILED, CHANGED, CHANGED), "failed", 1, ()),
        ((None, CHANGED, CHANGED), "failed", 1, ()),
        ((CHANGED, FAILED, None), "changed", 3, (1, 2)),
    ],
    ids=["all follow", "they are bad", "the first one hangs", "two do not follow"],
)
def test_the_first_worker_decides(
    answers: tuple[SettingsAttempt | None, ...],
    outcome: str,
    asked: int,
    terminated: tuple[int, ...],
) -> None:
    workers = [Worker(answer) for answer in answers]
    started: list[Settings] = []
    events: list[Event] = []
    new = Settings(max_depth=7, port=9)
    reloading = WorkersReload(
        Settings(), lambda: new, events.append, lambda: cast("Any", workers), started.append
    )

    attempt = reloading.reload("admin")

    assert attempt.outcome == outcome
    assert sum(len(worker.asked) for worker in workers) == asked
    assert tuple(n for n, worker in enumerate(workers) if worker.is_terminated) == terminated
    # Those that are started from now on have the settings that are in force, at the port that is.
    in_force = [(s.max_depth, s.port) for s in started]
    assert in_force == ([(7, Settings().port)] if outcome == "changed" else [])
    told = [event for event in events if isinstance(event, SettingsReloaded)]
    assert [event.restart for event in told] == ([("port",)] if outcome == "changed" else [])


def test_a_file_that_cannot_be_read_reaches_no_worker() -> None:
    worker, events = Worker(CHANGED), list[Event]()

    def read() -> Settings:
        raise SettingsError("g.toml: is not TOML", hint="Look at it.")

    def none(_: Settings) -> None:
        raise AssertionError("nothing has changed")

    workers: list[Reloadable] = [worker]
    attempt = WorkersReload(Settings(), read, events.append, lambda: workers, none).reload("signal")

    assert (attempt.outcome, attempt.message, attempt.hint) == (
        *("failed", "g.toml: is not TOML"),
        "Look at it.",
    )
    assert worker.asked == []
    assert [type(event) for event in events] == [SettingsNotReloaded]
