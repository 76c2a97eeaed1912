"""Slow, silent and greedy clients in crowds against the whole program, while an honest one goes on asking.

Each crowd takes connections and gives nothing back. The honest client is answered all the time, in time; when the time
of the others is over their connections are gone, and the process has not grown beyond what may wait for them.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.process import PATIENCE, Running, running
from tests.support.soak import bounded
from tests.support.tally import TALLY, peak_of

pytestmark = pytest.mark.heavy
MEBI = 1 << 20
WAITING = 20_000_000
"""Bytes that may wait in this test."""
CROWD = 30
LISTS = " ".join(f"l{n}: customersV3(first: 1000) {{ nodes {{ ...F }} }}" for n in range(20))
FIELDS = " ".join(f"{name}{n}: organizationName" for n in range(20) for name in "abcd")
LARGE = f"{{ {LISTS} }} fragment F on CustomerV3 {{ id {FIELDS} }}"
"""Its answer has more than the buffers of a connection take, which grow to 4 MiB on Linux (``tcp_wmem``)."""
HONEST = {"query": "{ customersV3(first: 2) { nodes { customerAccount } } }"}


def post(query: str, *more: str) -> bytes:
    body = json.dumps({"query": query}).encode()
    lines = [
        "POST /graphql HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


CROWDS = {
    "take no answer": post(LARGE),
    "take none of many": post(LARGE) * bounded(4, 20),
    "say nothing": b"",
    "begin a head": b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    "begin a body": post("{ __typename }")[:-5],
    "name no end": post("{ __typename }", "Transfer-Encoding: chunked"),
    "pipeline small ones": post("{ __typename }") * 500,
    "have huge heads": b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000,
}


@contextmanager
def crowd(port: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Connect many times, send, and read nothing; in the end all are reset."""
    with ExitStack() as stack:
        wires = []
        for _ in range(CROWD):
            wire = stack.enter_context(socket.socket())
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.connect(("127.0.0.1", port))
            wire.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                wire.send(sent)
            wires.append(wire)
        yield wires


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    folder = tmp_path_factory.mktemp("slow")
    variables = {
        "D365_SEND_TIMEOUT": "1",
        # Who was refused has a short answer, and waits for nothing: such a connection is to be gone soon, too.
        "D365_KEEP_ALIVE": "1",
        "D365_MAX_WAITING_BYTES": str(WAITING),
        "D365_MAX_CONNECTIONS_PER_PEER": "400",
        "D365_COMPRESSION": "false",
        "D365_MAX_ALIASES": "2000",
    }
    with running(folder, "serve", "--port", "0", **variables) as process:
        url = process.wait_for(r"GraphQL: +(http://\S+)")
        port = int(url.rsplit(":", 1)[1].partition("/")[0])
        assert honest(port) == 200
        yield process, port


def honest(port: int) -> int:
    url = f"http://127.0.0.1:{port}/graphql"
    return httpx.post(url, json=HONEST, timeout=PATIENCE).status_code


def open_connections(process: Running) -> int:
    folder = Path(f"/proc/{process.process.pid}/fd")
    links = (link.readlink() for link in folder.iterdir() if link.is_symlink())
    return sum(str(link).startswith("socket:") for link in links)


@pytest.mark.parametrize("name", CROWDS)
def test_an_honest_client_is_answered_beside_a_crowd(
    gateway: tuple[Running, int], name: str
) -> None:
    process, port = gateway
    before, counts = peak_of(process.process.pid), TALLY.of("slow callers")
    with crowd(port, CROWDS[name]):
        statuses = [honest(port) for _ in range(5)]
    counts.inputs += CROWD
    counts.measure(peak_of(process.process.pid))
    counts.server_errors += len([status for status in statuses if status not in (200, 503)])

    assert set(statuses) <= {200, 503}
    end = time.monotonic() + PATIENCE
    while honest(port) != 200:
        counts.hangs += time.monotonic() >= end
        assert time.monotonic() < end
        time.sleep(0.05)
    assert peak_of(process.process.pid) - before < 20 * WAITING
    assert "Traceback" not in process.errors


def test_who_takes_no_answer_loses_the_connection_and_keeps_no_memory(
    gateway: tuple[Running, int],
) -> None:
    process, port = gateway
    if not Path("/proc/self/fd").exists():
        pytest.skip("this machine does not tell of the connections of a process")
    idle = open_connections(process)
    with crowd(port, CROWDS["take no answer"]):
        end = time.monotonic() + PATIENCE
        # Nobody reads and nobody closes: it is the gateway that ends them.
        while "the response was not read in time" not in process.errors:
            assert time.monotonic() < end
            honest(port)
            time.sleep(0.05)
        while open_connections(process) > idle + 2:
            assert time.monotonic() < end
            honest(port)
            time.sleep(0.05)

    assert honest(port) == 200
