"""Responses that wait on disk: as long as their clients do not read, and not without bound."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.http import early_body
from gateway.http.early_body import EarlyBody

pytestmark = pytest.mark.anyio


async def test_what_a_client_leaves_unread_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_body, "MOST_WAITING", 20_000)
    sent, unread = bytearray(), 1

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.extend(message["body"])

    body = EarlyBody({"type": "http", "state": {"unread": lambda: unread}}, send)
    text = bytes(range(250)) * 200
    for start in range(0, len(text), 10_000):
        await body.write(text[start : start + 10_000])
    waiting = len(text) - len(sent)
    unread = 0
    await body.write(b"more")
    freed = body._waiting.tell()
    await body.write(b"last")
    body.close()

    assert (0 < waiting <= 20_000, freed) == (True, 0)
    assert bytes(sent) == text + b"morelast"
