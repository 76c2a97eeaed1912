"""Fuzzed callers against the whole program: whatever they send, the answer is well-formed and never a defect.

In CI a seed makes the same requests each time. ``make hostile MINUTES=30`` goes on with other seeds until the time is
over; ``HOSTILE_SEED=n`` begins with the one that a failure names.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import httpx
import pytest

from tests.support.http_fuzz import bodies, faults_of, json_faults, raw_requests
from tests.support.process import Running, running
from tests.support.soak import bounded
from tests.support.tally import TALLY, Counts, leaks_in, peak_of

SEED = int(os.environ.get("HOSTILE_SEED", "1"))
MINUTES = float(os.environ.get("HOSTILE_MINUTES", "0"))
RAW, DOCUMENTS = bounded((200, 150), (400, 300))
"""Inputs of one seed."""
HANG = 30.0
"""Seconds after which an answer is missed."""
GROWTH = 250_000_000
"""Bytes by which the process may grow beyond what it takes after the first answers."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    folder = tmp_path_factory.mktemp("hostile")
    with running(folder, "serve", "--port", "0", D365_OPERATION_TIMEOUT="20") as process:
        url = process.wait_for(r"GraphQL: +(http://\S+)")
        httpx.post(url, json={"query": "{ __typename }"}, timeout=HANG).raise_for_status()
        yield process, int(url.rsplit(":", 1)[1].partition("/")[0])


def seeds() -> Iterator[int]:
    """Yield the seeds of a run: one, or more until the time is over."""
    end = time.monotonic() + MINUTES * 60 / 4  # the other half is for faults of the service
    yield SEED
    seed = SEED
    while time.monotonic() < end:
        seed += 1
        yield seed


def memory_of(process: Running) -> int:
    """Return the resident bytes of a process; 0 where the machine does not tell."""
    status = Path(f"/proc/{process.process.pid}/status")
    if not status.exists():
        return 0
    return int(status.read_text().partition("VmRSS:")[2].split()[0]) * 1_024


@contextmanager
def counting_hangs(counts: Counts) -> Iterator[None]:
    """Count an answer that does not come."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        counts.hangs += 1
        raise


def answer_to(port: int, request: bytes) -> bytes:
    """Send bytes and the end of them, and read all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG) as wire:
        answer = b""
        with suppress(ConnectionError):
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := wire.recv(65_536):
                answer += piece
                if is_whole(answer):
                    break
        return answer


def is_whole(answer: bytes) -> bool:
    """Return whether a response with a length is there: what follows it on the connection does not matter."""
    head, found, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return bool(found and length.isdigit() and len(body) >= int(length)) or answer.startswith(
        b"HTTP/1.1 101"
    )


def test_whatever_bytes_come_the_answer_is_http_and_no_defect(
    gateway: tuple[Running, int],
) -> None:
    process, port = gateway
    before, counts = memory_of(process), TALLY.of("fuzzed HTTP")
    for seed in seeds():
        for request in islice(raw_requests(random.Random(seed)), RAW):
            with counting_hangs(counts):
                answer = answer_to(port, request)
            counts.look_at(answer)
            faults = faults_of(answer, is_head=request.startswith(b"HEAD"))
            counts.server_errors += bool(faults)
            about = f"HOSTILE_SEED={seed}: {request!r} → {answer[:500]!r}"
            assert faults == [], about
            assert not leaks_in(answer), about
        counts.measure(peak_of(process.process.pid))
        assert memory_of(process) - before < GROWTH, f"HOSTILE_SEED={seed}"
    assert process.process.poll() is None
    assert "Traceback" not in process.errors, process.errors[process.errors.index("Traceback") :]


def test_whatever_document_comes_the_answer_is_json_with_codes(
    gateway: tuple[Running, int],
) -> None:
    process, port = gateway
    before, counts = memory_of(process), TALLY.of("fuzzed GraphQL")
    url = f"http://127.0.0.1:{port}/graphql"
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    with httpx.Client(timeout=HANG, headers=headers) as http:
        for seed in seeds():
            for body in islice(bodies(random.Random(seed)), DOCUMENTS):
                with counting_hangs(counts):
                    response = http.post(url, content=body)
                counts.look_at(response.content)
                about = f"HOSTILE_SEED={seed}: {body!r} → {response.text[:500]}"
                faults = json_faults(response.content)
                if response.status_code >= 500:
                    faults.append(f"status {response.status_code}")
                counts.server_errors += bool(faults)
                assert faults == [], about
                assert not leaks_in(response.content), about
                assert {"data", "errors"} & response.json().keys(), about
            counts.measure(peak_of(process.process.pid))
            assert memory_of(process) - before < GROWTH, f"HOSTILE_SEED={seed}"
    assert "Traceback" not in process.errors, process.errors[process.errors.index("Traceback") :]
