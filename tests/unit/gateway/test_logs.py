"""``gateway.logs``: which lines are written, and that JSON stays JSON whatever speaks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer

from gateway.cli.options import fail
from gateway.config.settings import Settings
from gateway.events import Event, OperationServed, RequestRetried, log_event
from gateway.events.jobs import JobDelayed
from gateway.logs import configure_logging

OK = OperationServed(name=None, seconds=0.1, requests=1, rows=1, errors=0)
FAILED = OperationServed(name=None, seconds=0.1, requests=1, rows=1, errors=1, outcome="error")
RETRIED = RequestRetried(url="Sets", reason="503", wait=3.0, attempt=1)
DELAYED = JobDelayed(job="1", kind="export", error="C", wait=1.0)


def logged(capsys: pytest.CaptureFixture[str], *events: Event, **options: object) -> list[str]:
    configure_logging(Settings.model_validate({"log_format": "json", **options}))
    for event in events:
        log_event(event)
    return [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["operation_served", "request_retried", "job_delayed"]),
        ({"log_level": "warning"}, ["request_retried", "job_delayed"]),
        ({"log": {"levels": {"job_*": "error"}}}, ["operation_served", "request_retried"]),
        ({"log": {"levels": {"job_delayed": "warning", "*": "off"}}}, ["job_delayed"]),
        (
            {"log_level": "error", "log": {"levels": {"operation_served": "info"}}},
            ["operation_served"],
        ),
    ],
)
def test_events_have_levels_of_their_own(
    capsys: pytest.CaptureFixture[str], options: dict[str, object], expected: list[str]
) -> None:
    assert logged(capsys, OK, RETRIED, DELAYED, **options) == expected


def test_only_operations_without_errors_are_sampled(capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(capsys, OK, FAILED, RETRIED, log={"sample": 0})

    assert lines == ["operation_served", "request_retried"]


def test_a_part_of_the_operations_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    assert 10 < len(logged(capsys, *[OK] * 200, log={"sample": 0.5})) < 190


def test_the_error_that_ends_a_command_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))
    with pytest.raises(typer.Exit) as ended:
        fail("Cannot listen.", "Choose another port.", 2)

    line = json.loads(capsys.readouterr().err)
    assert ended.value.exit_code == 2
    assert (line["event"], line["level"]) == ("failed", "error")
    assert (line["message"], line["hint"]) == ("Cannot listen.", "Choose another port.")


NOISE = """
import asyncio, logging, sys, threading, warnings
from gateway.config.settings import Settings
from gateway.logs import configure_logging, take_over_log
settings = Settings(log_format="json")
configure_logging(settings)
take_over_log(settings)
logging.getLogger("uvicorn.error").info("not said")
logging.getLogger("uvicorn.error").warning("line one\\nBearer abc.def.ghi")
warnings.warn("old", DeprecationWarning)
def fail():
    raise ValueError("in a thread")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
async def lost():
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(lost())
raise RuntimeError("at the end")
"""


def test_json_stays_json_whatever_speaks() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", NOISE], capture_output=True, text=True, check=False
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [(line["event"], line["level"]) for line in lines] == [
        ("library_log", "warning"),
        ("python_warning", "warning"),
        ("uncaught_error", "error"),
        ("library_log", "error"),
        ("uncaught_error", "error"),
    ]
    assert lines[0]["logger"] == "uvicorn.error"
    assert "abc.def.ghi" not in done.stderr
    assert "ValueError: in a thread" in lines[3]["exception"]
    assert "RuntimeError: at the end" in lines[4]["exception"]
