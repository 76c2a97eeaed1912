"""Sends a data event for each row that is written, once the write is committed, as F&O does through Dataverse.

The body is the context that Dataverse sends to a webhook
(https://learn.microsoft.com/dotnet/api/microsoft.xrm.sdk.remoteexecutioncontext), of which the fields that tell what
happened are filled: the virtual table, the message, and the properties that were sent.
"""

from __future__ import annotations

import json
import queue
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

MESSAGES = {"POST": "Create", "PATCH": "Update", "PUT": "Update", "DELETE": "Delete"}
"""Method of a write → name of the message."""
_TIMEOUT = 10.0
IDLE = 5.0
"""Seconds without an event after which the thread ends: a sandbox that is not closed leaves none behind."""
_MOST = 10_000
"""Events that wait; of more, the newest are lost."""
_XRM = "http://schemas.microsoft.com/xrm/2011/Contracts"

Post = Callable[[str, Mapping[str, str], bytes], None]
"""Sends a body to an address. May block and raise OSError."""


def post(address: str, headers: Mapping[str, str], body: bytes) -> None:
    """Send a body over HTTP, once."""
    request = urllib.request.Request(address, body, dict(headers), method="POST")  # noqa: S310 - http or https by the settings
    with urllib.request.urlopen(request, timeout=_TIMEOUT):  # noqa: S310 - likewise
        return


class DataEvents:
    """The events of one sandbox, which a thread sends one after the other."""

    def __init__(self, address: str, send: Post = post) -> None:
        self._address = address
        self._send = send
        self._waiting: queue.Queue[tuple[Mapping[str, str], bytes] | None] = queue.Queue(_MOST)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def tell(self, entity: str, method: str, values: Mapping[str, Any]) -> None:
        """Send the event of a write. ``entity``: name of the data entity; ``values``: properties that are known."""
        table, message = f"mserp_{entity.lower()}", MESSAGES[method]
        body = json.dumps(_context(table, message, values), default=str).encode()
        headers = {
            "content-type": "application/json",
            "x-ms-dynamics-entity-name": table,
            "x-ms-dynamics-request-name": message,
        }
        with self._lock, suppress(queue.Full):
            self._waiting.put_nowait((headers, body))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="data-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what waits, and nothing more; for a moment at most."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(queue.Full):
                self._waiting.put_nowait(None)
            thread.join(1.0)

    def _run(self) -> None:
        while (event := self._next()) is not None:
            with suppress(OSError, ValueError):  # whoever is to be told is away
                self._send(self._address, *event)

    def _next(self) -> tuple[Mapping[str, str], bytes] | None:
        """Return the next event; None if the thread ends: it was closed, or has nothing to do."""
        with suppress(queue.Empty):
            return self._waiting.get(timeout=IDLE)
        with self._lock:
            if self._waiting.empty():
                self._thread = None
                return None
        return self._waiting.get()


def _context(table: str, message: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = [{"key": f"mserp_{name.lower()}", "value": v} for name, v in values.items()]
    target: dict[str, Any] = {"__type": f"Entity:{_XRM}", "LogicalName": table}
    return {
        "CorrelationId": str(uuid.uuid4()),
        "InputParameters": [{"key": "Target", "value": {**target, "Attributes": attributes}}],
        "MessageName": message,
        "OperationCreatedOn": f"/Date({int(time.time() * 1000)}+0000)/",
        "OperationId": str(uuid.uuid4()),
        "PrimaryEntityName": table,
        "Stage": 50,
    }
