"""A gateway that is killed while it writes, and started again: what is sent again is there once."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.sandbox import create_sandbox
from gateway.sandbox.settings import SandboxSettings
from tests.support.journal_writes import HEADERS, journal
from tests.support.process import PATIENCE, Running, running
from tests.support.threaded import threaded

pytestmark = pytest.mark.slow
CREATE = """mutation ($input: LedgerJournalHeaderCreateInput!, $by: [String!]) {
  x: createLedgerJournalHeader(input: $input, uniqueBy: $by) {
    created ledgerJournalHeader { journalBatchNumber } userErrors { code }
  }
}"""
LINES = "/data/$batch"
SETTINGS = {
    "D365_AUTH": "none",
    "D365_LANGUAGE": "none",
    "D365_INCLUDE": "LedgerJournal*",
    "D365_WRITES__SETTLE_PAUSE": "0",
    # Half of it are writes, and three are under way.
    "D365_ADMISSION__START": "8",
}


@dataclass
class Holding:
    """A sandbox that processes some writes and does not answer them: (path, text in the body)."""

    holds: tuple[tuple[str, str], ...] = ()
    held: set[tuple[str, str]] = field(default_factory=set)
    all_held: threading.Event = field(default_factory=threading.Event)
    sandbox: Any = field(default_factory=lambda: create_sandbox(SandboxSettings(scale=0.2)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.sandbox(scope, receive, send)
            return
        body, answer = bytearray(), list[Message]()

        async def receiving() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            answer.append(message)

        await self.sandbox(scope, receiving, sending)
        for hold in self.holds if scope["method"] == "POST" else ():
            if scope["path"] == hold[0] and hold[1].encode() in body:
                self.held.add(hold)
                if len(self.held) == len(self.holds):
                    self.all_held.set()
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
        for message in answer:
            await send(message)

    def count(self, name: str) -> tuple[int, int]:
        """Return the headers with a description, and the lines below them."""
        rows = self.sandbox.state.store.rows
        headers = rows("LedgerJournalHeaders", Description=name)
        numbers = [header["JournalBatchNumber"] for header in headers]
        return len(headers), sum(
            len(rows("LedgerJournalLines", JournalBatchNumber=number)) for number in numbers
        )


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Holding, str]]:
    sandbox = Holding()
    with threaded(sandbox) as address:  # type: ignore[arg-type]  # any ASGI application will do
        yield sandbox, f"{address}/data"


def create(url: str, name: str) -> httpx.Response:
    """Create a journal; its name says whether it has a natural key (U) and an idempotency key (K)."""
    row = journal(name) | {"integrationKey": name}
    for line in row["ledgerJournalLine"]["create"]:
        line["voucher"] = name
    variables = {"input": row, "by": ["integrationKey"] if "U" in name else []}
    headers = {"X-D365-Company": "usmf"} | ({"Idempotency-Key": name} if "K" in name else {})
    body = {"query": CREATE, "variables": variables}
    return httpx.post(url, json=body, headers=headers, timeout=PATIENCE)


def begin(url: str, name: str) -> threading.Thread:
    def run() -> None:
        with suppress(httpx.HTTPError):  # the gateway is killed
            create(url, name)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def end_leases(folder: Path) -> None:
    """Let a minute pass for the idempotency keys of killed runs."""
    (path,) = folder.rglob("gateway.db")
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE idempotency_keys SET leased_until = 0 WHERE sealed IS NULL")


def address_of(gateway: Running) -> str:
    return gateway.wait_for(r"GraphQL: +(http://\S+)")


def test_what_a_killed_gateway_wrote_is_not_written_again(
    service: tuple[Holding, str], tmp_path: Path
) -> None:
    sandbox, root = service
    names = ("U-1", "K-2", "UK-3")
    # The header of two is processed and not answered, and the lines of the third.
    sandbox.holds = ((HEADERS, "U-1"), (HEADERS, "K-2"), (LINES, "UK-3"))
    with running(tmp_path, "serve", "--port", "0", D365_URL=root, **SETTINGS) as gateway:
        url = address_of(gateway)
        threads = [begin(url, name) for name in names]
        assert sandbox.all_held.wait(PATIENCE)
        assert gateway.end(signal.SIGKILL) == -signal.SIGKILL
        for thread in threads:
            thread.join(PATIENCE)
    sandbox.holds = ()
    assert [sandbox.count(name) for name in names] == [(1, 0), (1, 0), (1, 2)]

    with running(tmp_path, "serve", "--port", "0", D365_URL=root, **SETTINGS) as gateway:
        url = address_of(gateway)
        running_still = [create(url, name).status_code for name in names[1:]]
        end_leases(tmp_path)
        first, second, third = [create(url, name) for name in names]
        again = create(url, "UK-3")

    assert running_still == [409, 409]
    for answer in (first, third):
        assert answer.json()["data"]["x"]["userErrors"] == []
        assert answer.json()["data"]["x"]["created"] is False
    assert second.json()["errors"][0]["extensions"]["code"] == "OUTCOME_UNKNOWN"
    # The completed run is stored; or, as it wrote nothing, it looks again: the answer is the same.
    assert again.json() == third.json()
    assert [sandbox.count(name) for name in names] == [(1, 2), (1, 0), (1, 2)]
