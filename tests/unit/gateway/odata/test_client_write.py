"""``ODataClient.write``: what is sent again, what is told, and what nobody can know."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.errors import (
    GatewayError,
    OutcomeUnknown,
    UpstreamForbidden,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.odata.batch import changeset, refusing_part
from gateway.odata.query import Request
from gateway.odata.transport_errors import FAULTS, ForeignOrigin, PrivateAddress
from tests.support.scripted_upstream import Upstream, upstream

pytestmark = pytest.mark.anyio


POST = Request("POST", "Sets?cross-company=true", {"Accept": "application/json"}, b"{}")
MADE = httpx.Response(201, json={"Id": "1"}, headers={"ETag": 'W/"1"'})
JSON = {"content-type": "application/json"}
REFUSAL = '{"error":{"code":"","message":"No."}}'
SERVICE = (
    '{"Message":"An exception occured.","ExceptionType":"InvocationException","ActivityId":"1"}'
)


async def write(fo: Upstream, **settings: Any) -> int | type[GatewayError]:
    """Return the status of the answer, or the class of the error."""
    async with fo.client(**settings) as client:
        try:
            return (await client.write(POST)).status
        except GatewayError as error:
            return type(error)


UNREACHED: dict[type[Exception], type[GatewayError]] = {
    httpx.ConnectError: UpstreamUnavailable,
    httpx.ConnectTimeout: UpstreamTimeout,
    httpx.PoolTimeout: UpstreamTimeout,
    httpx.ProxyError: UpstreamUnavailable,
}
NEVER_SENT: dict[type[Exception], type[GatewayError]] = {
    httpx.UnsupportedProtocol: UpstreamUnavailable,
    httpx.LocalProtocolError: UpstreamUnavailable,
    PrivateAddress: UpstreamUnavailable,
    ForeignOrigin: UpstreamUnavailable,
}
LOST = tuple(kind for kind in FAULTS if kind not in UNREACHED and kind not in NEVER_SENT)


@pytest.mark.parametrize("kind", UNREACHED, ids=lambda k: k.__name__)
async def test_without_a_connection_a_write_is_sent_again(kind: type[Exception]) -> None:
    fo = upstream(kind("no"), kind("no"), MADE)

    assert await write(fo, retries=2) == 201
    assert len(fo.requests) == 3


@pytest.mark.parametrize("kind", UNREACHED, ids=lambda k: k.__name__)
async def test_without_a_connection_nothing_was_written(kind: type[Exception]) -> None:
    fo = upstream(kind("no"))

    assert await write(fo, retries=2) is UNREACHED[kind]
    assert len(fo.requests) == 3


@pytest.mark.parametrize("kind", NEVER_SENT, ids=lambda k: k.__name__)
async def test_a_write_that_cannot_be_sent_is_not_retried(kind: type[Exception]) -> None:
    fo = upstream(kind("no"))

    assert await write(fo) is NEVER_SENT[kind]
    assert len(fo.requests) == 1


@pytest.mark.parametrize("kind", LOST, ids=lambda k: k.__name__)
async def test_after_a_lost_answer_a_write_is_not_sent_again(kind: type[Exception]) -> None:
    fo = upstream(kind("gone"), MADE)

    assert await write(fo) is OutcomeUnknown
    assert len(fo.requests) == 1


ANSWERS: dict[str, tuple[httpx.Response, int | type[GatewayError]]] = {
    "200": (httpx.Response(200, json={"Id": "1"}), 200),
    "201 without a body": (httpx.Response(201), 201),
    "204": (httpx.Response(204), 204),
    "200 with a page": (httpx.Response(200, html="<html></html>"), OutcomeUnknown),
    "200 with a page in disguise": (httpx.Response(200, text="<!DOCTYPE html><p>"), OutcomeUnknown),
    "200 with an error": (httpx.Response(200, text=REFUSAL, headers=JSON), OutcomeUnknown),
    "101": (httpx.Response(101), OutcomeUnknown),
    "302": (httpx.Response(302, headers={"location": "https://x/login"}), OutcomeUnknown),
    "304": (httpx.Response(304), OutcomeUnknown),
    "307": (httpx.Response(307, headers={"location": "https://x/y"}), OutcomeUnknown),
    "400": (httpx.Response(400, text=REFUSAL, headers=JSON), 400),
    "400 with a page": (httpx.Response(400, html="<html></html>"), OutcomeUnknown),
    "401": (httpx.Response(401), UpstreamForbidden),
    "403": (httpx.Response(403), UpstreamForbidden),
    "404 of OData": (httpx.Response(404, headers={"odata-version": "4.0"}), 404),
    "404 with an error": (httpx.Response(404, text=REFUSAL, headers=JSON), 404),
    "404 of nobody": (httpx.Response(404), OutcomeUnknown),
    "404 with a page": (httpx.Response(404, html="<html></html>"), OutcomeUnknown),
    "401 with a page": (httpx.Response(401, html="<html></html>"), UpstreamForbidden),
    "403 with a page": (httpx.Response(403, html="<html></html>"), UpstreamForbidden),
    "408": (httpx.Response(408), OutcomeUnknown),
    "408 with an error": (httpx.Response(408, text=REFUSAL, headers=JSON), OutcomeUnknown),
    "409": (httpx.Response(409), 409),
    "412": (httpx.Response(412), 412),
    "413": (httpx.Response(413), 413),
    "500": (httpx.Response(500), OutcomeUnknown),
    "500 with a page": (httpx.Response(500, html="<html></html>"), OutcomeUnknown),
    "500 with an error": (httpx.Response(500, text=REFUSAL, headers=JSON), 500),
    "500 of a service": (httpx.Response(500, text=SERVICE, headers=JSON), 500),
    "500 with a message": (httpx.Response(500, json={"Message": "No."}), OutcomeUnknown),
    "500 with half a message": (httpx.Response(500, text=SERVICE[:50]), OutcomeUnknown),
    "501 with an error": (httpx.Response(501, text=REFUSAL, headers=JSON), 501),
    "502": (httpx.Response(502, html="<html></html>"), OutcomeUnknown),
    "502 with an error": (httpx.Response(502, text=REFUSAL, headers=JSON), OutcomeUnknown),
    "503": (httpx.Response(503, headers={"retry-after": "1"}), OutcomeUnknown),
    "503 with an error": (httpx.Response(503, text=REFUSAL, headers=JSON), OutcomeUnknown),
    "504": (httpx.Response(504), OutcomeUnknown),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_each_answer_to_a_write_has_its_outcome(name: str) -> None:
    answer, expected = ANSWERS[name]
    fo = upstream(answer, MADE)

    assert await write(fo) == expected
    assert len(fo.requests) == 1


async def test_a_429_to_a_write_is_waited_out() -> None:
    busy = httpx.Response(429, headers={"retry-after": "7"})
    fo = upstream(busy, busy, MADE)

    assert await write(fo) == 201
    assert len(fo.requests) == 3
    assert all(7 <= wait <= 8 for wait in fo.waits)


async def test_429s_without_end_mean_nothing_was_written() -> None:
    fo = upstream(httpx.Response(429, headers={"retry-after": "7"}))

    assert await write(fo, retries=1) is UpstreamThrottled
    assert len(fo.requests) == 2


async def test_without_retries_nothing_is_sent_again() -> None:
    fo = upstream(httpx.ConnectError("no"), MADE)

    assert await write(fo, retries=0) is UpstreamUnavailable
    assert len(fo.requests) == 1


async def test_an_answer_over_the_limit_leaves_the_outcome_unknown() -> None:
    fo = upstream(httpx.Response(201, content=b"x" * 2_000), MADE)

    assert await write(fo, max_upstream_bytes=1_000) is OutcomeUnknown
    assert len(fo.requests) == 1


def part(status: str, *headers: str, number: int | None = None) -> str:
    named = [] if number is None else [f"Content-ID: {number}"]
    lines = [
        "--c",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        *named,
        "",
    ]
    return "\r\n".join([*lines, f"HTTP/1.1 {status}", *headers, "", "", ""])


def batch(*parts: str) -> httpx.Response:
    inner = "".join(parts) + "--c--\r\n"
    body = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}\r\n--b--\r\n"
    return httpx.Response(200, text=body, headers={"content-type": "multipart/mixed; boundary=b"})


BUSY = part("429 Too Many Requests", "Retry-After: 1")
BATCHES: dict[str, tuple[httpx.Response, int | type[GatewayError], int]] = {
    "all good": (batch(part("204 No Content"), part("201 Created")), 200, 1),
    "busy": (batch(BUSY), UpstreamThrottled, 3),
    "one good and one busy": (batch(part("204 No Content"), BUSY), 200, 1),
    "refused": (batch(part("400 Bad Request")), 200, 1),
    "forbidden": (batch(part("403 Forbidden")), UpstreamForbidden, 1),
    "failed without a reason": (batch(part("500 Internal Server Error")), OutcomeUnknown, 1),
    "no batch at all": (httpx.Response(200, html="<html></html>"), OutcomeUnknown, 1),
    "cut": (httpx.Response(200, text="--b", headers={"content-type": "multipart/mixed; boundary=b"}), 200, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
async def test_a_changeset_is_sent_again_only_if_wholly_refused(name: str) -> None:
    answer, expected, sent = BATCHES[name]
    fo = upstream(answer)

    async with fo.client(retries=2) as client:
        try:
            found: object = (await client.write(changeset([POST, POST]), refusing_part)).status
        except GatewayError as error:
            found = type(error)

    assert found == expected
    assert len(fo.requests) == sent


async def test_a_service_is_beside_the_service_root() -> None:
    fo = upstream(httpx.Response(200, json={}))

    async with fo.client() as client:
        await client.write(Request("POST", "/api/services/G/S/o", {}, b"{}"))

    assert str(fo.requests[0].url) == "https://fo.example/api/services/G/S/o"


async def test_connections_stay_open_until_writes_are_finished() -> None:
    fo, order = upstream(MADE), []
    client = fo.client()
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        order.append((await client.write(POST)).status)

    task = asyncio.ensure_future(work())
    client.unfinished.add(task)
    task.add_done_callback(client.unfinished.discard)
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    go_on.set()
    await closing

    assert order == [201]
