"""The thread that sends data events: it ends by itself, and begins anew."""

from __future__ import annotations

import queue
import threading

import pytest

from gateway.sandbox import data_events
from gateway.sandbox.data_events import DataEvents


def senders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "data-events"]


def test_the_thread_ends_when_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_events, "IDLE", 0.01)
    sent: queue.Queue[str] = queue.Queue()
    before = senders()
    events = DataEvents(
        "http://x.invalid", lambda _, headers, __: sent.put(headers["x-ms-dynamics-request-name"])
    )

    for method, message in (("POST", "Create"), ("DELETE", "Delete")):
        events.tell("CustCustomerV3Entity", method, {"CustomerAccount": "US-001"})
        assert sent.get(timeout=10.0) == message
        for thread in set(senders()) - set(before):
            thread.join(10.0)
        assert senders() == before
