"""Work beside one's own, in a copy of the process: looked at from a process that has no other threads."""

import signal
import subprocess
import sys
import threading

import pytest

from gateway.process import forked_work as beside

PROGRAM = """
import os, sys
from gateway.process.forked_work import in_a_copy

kept = [1]

def work():
    kept.append(2)
    if sys.argv[1] == "fails":
        os._exit(1)
    return os.getpid(), kept

wait = in_a_copy(work)
kept.append(3)
try:
    process, found = wait()
except EOFError:
    print("nothing came")
else:
    print(process != os.getpid(), found, kept)
"""


@pytest.mark.parametrize(
    ("way", "wanted"), [("works", "True [1, 2] [1, 3]"), ("fails", "nothing came")]
)
def test_a_copy_works_on_what_is_there_and_sends_what_came_of_it(way: str, wanted: str) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, way]

    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    assert ran.stdout.strip() == wanted
    assert ran.stderr == ""


LEFT = """
import os, signal, sys
from gateway.process.forked_work import in_a_copy

wait = in_a_copy(lambda: bytes(10_000_000))  # more than a pipe holds
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(5)
"""


@pytest.mark.parametrize(("way", "code"), [("killed", -signal.SIGKILL), ("gives up", 5)])
def test_no_copy_outlives_the_process_that_waits_for_it(way: str, code: int) -> None:
    command = [sys.executable, "-W", "error", "-c", LEFT, way]

    # The copy has these pipes, too: they end with it.
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", "")


def test_a_process_with_threads_does_the_work_itself_when_it_is_wanted() -> None:
    done = []
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        wait = beside.in_a_copy(lambda: done.append(1) or "done")
        assert done == []
        assert wait() == "done"
    finally:
        end.set()
        other.join()


@pytest.mark.parametrize(
    ("processors", "methods", "helps"),
    [(2, ["fork", "spawn"], True), (1, ["fork", "spawn"], False), (8, ["spawn"], False)],
)
def test_a_copy_is_made_where_it_helps(
    monkeypatch: pytest.MonkeyPatch, processors: int, methods: list[str], helps: bool
) -> None:
    monkeypatch.setattr(beside, "_processors", lambda: processors)
    monkeypatch.setattr(beside.multiprocessing, "get_all_start_methods", lambda: methods)

    assert (beside.other_process() is not None) is helps
