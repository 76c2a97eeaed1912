"""Requests: sent again while the gateway is too busy, and an error when an answer is not whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from d365_graphql_spark.connection import Connection, GatewayError
from d365_graphql_spark.options import read_options
from d365_graphql_spark.reader import read_stream

BATCH = pa.RecordBatch.from_pydict({"n": list(range(1000))})
STREAM = pa.BufferOutputStream()
with pa.ipc.new_stream(STREAM, BATCH.schema) as writer:
    writer.write_batch(BATCH)
WHOLE = STREAM.getvalue().to_pybytes()


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    promised: int | None = None
    """Bytes that are promised, of which only those of the body come."""


def refusal(code: str, message: str, **more: Any) -> bytes:
    return json.dumps(
        {"errors": [{"message": message, "extensions": {"code": code, **more}}]}
    ).encode()


class Fake:
    """A gateway that answers what a test has prepared."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.seen: list[tuple[str, str | None]] = []
        self.waits: list[float] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.seen.append((self.path, self.headers["authorization"]))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                reply = fake.replies.pop(0)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                length = len(reply.body) if reply.promised is None else reply.promised
                self.send_header("content-length", str(length))
                self.end_headers()
                self.wfile.write(reply.body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def connection(self, *replies: Reply, **options: str) -> Connection:
        self.replies = list(replies)
        self.seen, self.waits = [], []
        texts = {"url": self.url, "set": "S", "token": "sesame", "retries": "2", **options}
        return Connection(read_options(texts), self.waits.append)


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_gateway_says_when_to_come_again(fake: Fake, status: int) -> None:
    busy = Reply(status, refusal("OVERLOADED", "Busy."), (("Retry-After", "7"),))
    connection = fake.connection(busy, Reply(status), Reply(body=b'{"set": "S"}'))

    assert connection.describe({"describe": "columns"}) == {"set": "S"}
    assert [path for path, _ in fake.seen] == ["/export/S?describe=columns"] * 3
    assert {secret for _, secret in fake.seen} == {"Bearer sesame"}
    assert 7 <= fake.waits[0] <= 8.75
    assert 2 <= fake.waits[1] <= 2.5


def test_a_read_that_failed_for_a_while_is_sent_again(fake: Fake) -> None:
    throttled = Reply(body=refusal("UPSTREAM_THROTTLED", "Throttled.", retryAfter=3))
    connection = fake.connection(throttled, Reply(body=b'{"data": {"changes": 1}}'))

    assert connection.query("{changes}", {}) == {"changes": 1}
    assert 3 <= fake.waits[0] <= 3.75


@pytest.mark.parametrize(
    ("replies", "message", "waits"),
    [
        (
            [Reply(400, refusal("BAD_ARGUMENT", "No such field.", hint="Try id."))],
            "No such field. Try id. (BAD_ARGUMENT)",
            0,
        ),
        ([Reply(503)] * 3, "/export/S has answered with status 503.", 2),
        ([Reply(404, b"<html>")], "/export/S has answered with status 404.", 0),
        ([Reply(200, b"<html>")], "/export/S has answered with no JSON", 0),
        (
            [Reply(302, b"", (("Location", "http://127.0.0.1:1/"),))],
            "/export/S has answered with",
            0,
        ),
        ([Reply(200, b'{"set"', promised=100)], "The answer of /export/S has broken off.", 0),
    ],
)
def test_refusals_say_why(fake: Fake, replies: list[Reply], message: str, waits: int) -> None:
    connection = fake.connection(*replies)

    with pytest.raises(GatewayError) as raised:
        connection.describe({"where": "private"})
    assert str(raised.value).startswith(message)
    assert len(fake.waits) == waits
    assert "sesame" not in str(raised.value)
    assert "private" not in str(raised.value)


def test_a_gateway_that_is_away_is_tried_again(fake: Fake) -> None:
    connection = fake.connection(url="http://127.0.0.1:1")

    with pytest.raises(GatewayError, match=r"^/export/S cannot be reached"):
        connection.describe({})
    assert len(fake.waits) == 2


@pytest.mark.parametrize("missing", [1, 8, 9, 500, len(WHOLE)])
def test_a_stream_without_its_end_is_an_error(fake: Fake, missing: int) -> None:
    # Cut off by a proxy that ends the response as if it were whole.
    connection = fake.connection(Reply(body=WHOLE[:-missing]))

    with connection.export({}) as response, pytest.raises(EOFError):
        list(read_stream(response))


def test_a_connection_that_breaks_is_an_error(fake: Fake) -> None:
    connection = fake.connection(Reply(body=WHOLE[:-20], promised=len(WHOLE)))

    with (
        pytest.raises((GatewayError, EOFError), match=r"broken off|^$"),
        connection.export({}) as response,
    ):
        list(read_stream(response))


def test_a_whole_stream_is_read(fake: Fake) -> None:
    with fake.connection(Reply(body=WHOLE)).export({}) as response:
        assert list(read_stream(response)) == [BATCH]
