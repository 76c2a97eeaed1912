"""Long lists go to their client while they are read, and are the same bytes as if they were sent whole."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import brotli
import pytest
import zstandard

from gateway.events import FastPathFailed, OperationServed, RequestSent
from gateway.events.requests import RequestServed
from gateway.execution import arriving_rows, wide_lists
from gateway.http import answer_streams
from tests.bench.workload import CLEANED, PLAIN, names
from tests.support.arriving_service import Arriving, Broken, Client, client_of
from tests.support.manual_clock import until

pytestmark = pytest.mark.anyio
ROWS = 120
SOME = names(PLAIN)
PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists of a hundred rows be long ones."""
    monkeypatch.setattr(wide_lists, "WIDE", 100)
    monkeypatch.setattr(arriving_rows, "BEGINS_AT", 8_000)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Client, Arriving]]:
    service = Arriving()
    async with client_of(service, max_rows=1_000, retries=1, retry_wait_max=0.01) as client:
        yield client, service


@pytest.fixture
def client(served: tuple[Client, Arriving]) -> Client:
    client, service = served
    fresh = Arriving()
    vars(service).update(vars(fresh), requests=[])
    client.events.clear()
    return client


@pytest.fixture
def service(served: tuple[Client, Arriving], client: Client) -> Arriving:
    return served[1]


def orders(selection: str, rows: int = ROWS, arguments: str = "") -> str:
    return f"{{ orders(first: {rows}{arguments}) {{ {selection} }} }}"


NODES = orders(f"nodes {{ {SOME} }}")


def pretty(body: bytes) -> bytes:
    return json.dumps(json.loads(body), indent=2).encode()


def in_a_text(body: bytes) -> bytes:
    """Put what looks like the end of a row into a text."""
    return body.replace(b'"Street 003"', b'"},{ \\"value\\":[{},{"')


def before_rows(body: bytes) -> bytes:
    """Put what follows the rows before them."""
    page = json.loads(body)
    rows = page.pop("value")
    return json.dumps({**page, "value": rows}).encode()


def not_a_number(body: bytes) -> bytes:
    start = body.find(b"SO-000105")
    return body[:start] + body[start:].replace(b'"Priority":9', b'"Priority":"?"')


def without_key(body: bytes) -> bytes:
    return body.replace(b'"SO-000110"', b"null")


@pytest.mark.parametrize(
    ("query", "changes", "headers"),
    [
        (NODES, {}, {}),
        (orders(f"nodes {{ {names(CLEANED)} id }}"), {}, {}),
        (orders(f"edges {{ cursor node {{ {SOME} }} }} {PAGE}"), {}, {}),
        (orders(f"__typename totalCount nodes {{ {SOME} }} {PAGE}"), {}, {}),
        (orders(f"rows: nodes {{ {SOME} customer {{ name creditLimit }} }} n: totalCount"), {}, {}),
        (f"{{ __typename a: {NODES[2:-2]} b: __typename }}", {}, {}),
        (orders(f"nodes {{ {SOME} }} {PAGE}"), {"page": 50}, {}),
        (orders(f"nodes {{ {SOME} }} {PAGE} totalCount"), {"page": 50, "piece": 1_000_000}, {}),
        (NODES, {"piece": 1_000_000}, {}),
        (NODES, {"piece": 7}, {}),
        (NODES, {"edit": pretty}, {}),
        (NODES, {"edit": in_a_text}, {}),
        (NODES, {"edit": before_rows}, {}),
        (NODES, {"edit": before_rows, "page": 50}, {}),
        (NODES, {"edit": lambda body: b"\xef\xbb\xbf" + body}, {}),
        (NODES, {"is_packed": True}, {}),
        (orders(f"nodes {{ {SOME} }}", 119), {}, {}),
        (NODES, {}, {"x_d365_cost": "include"}),
    ],
)
async def test_a_streamed_answer_is_the_same_bytes(
    client: Client, service: Arriving, query: str, changes: dict[str, Any], headers: dict[str, str]
) -> None:
    vars(service).update(changes)
    whole = await client.post(query, version="1.0", **headers)
    sent = list(service.requests)
    service.requests.clear()
    streamed = await client.post(query, **headers)

    assert (whole.is_streamed, streamed.is_streamed) == (False, True)
    assert _timeless(streamed.body) == _timeless(whole.body)
    assert "errors" not in streamed.json()
    assert service.requests == sent
    served = [e for e in client.events if isinstance(e, OperationServed)]
    assert [(e.rows, e.size, e.requests) for e in served[1:]] == [
        (served[0].rows, len(streamed.body), len(sent))
    ]


def _timeless(body: bytes) -> bytes:
    """Return an answer without the seconds that it took the environment."""
    answer = json.loads(body)
    if "extensions" not in answer:
        return body
    answer["extensions"]["cost"] = sorted(answer["extensions"]["cost"])
    return json.dumps(answer).encode()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (orders(f"{PAGE} nodes {{ {SOME} }}"), "the end of a page is known behind its rows"),
        (orders(f"nodes {{ {SOME} }} edges {{ cursor }}"), "two lists"),
        (orders(f"nodes {{ {SOME} lines {{ nodes {{ lotId }} }} }}"), "lists below the rows"),
        (f"{{ {NODES[2:-2]} b: {NODES[2:-2]} }}", "two root fields"),
        (NODES.replace("first", "last"), "rows from the end"),
        (orders("nodes { orderNumber }", 90), "few values"),
    ],
)
async def test_other_answers_are_sent_whole(client: Client, query: str, why: str) -> None:
    answer = await client.post(query)

    assert (answer.is_streamed, answer.is_complete) == (False, True), why


async def test_a_total_before_the_rows_must_come_first(client: Client, service: Arriving) -> None:
    service.edit = lambda body: body.replace(b'"@odata.count":777,', b"")
    query = orders(f"totalCount nodes {{ {SOME} }}")
    answer = await client.post(query)

    assert not answer.is_streamed
    assert answer.json()["data"]["orders"]["totalCount"] == 777
    assert [url.partition("?")[0] for url in service.requests] == ["Orders", "Orders/$count"]


async def test_the_first_rows_come_before_the_last_are_read(
    client: Client, service: Arriving
) -> None:
    go = asyncio.Event()

    async def hold(start: int) -> None:
        if start >= 12_000:
            await go.wait()

    service.before = hold
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    asking = asyncio.ensure_future(replace(client, on_send=hear).post(NODES))
    await until(lambda: len(heard) > 1)
    assert service.ended == 0
    assert heard[1]["body"].startswith(b'{"data":{"orders":{"nodes":[{"dataAreaId":"usmf",')
    go.set()
    assert (await asking).is_complete


async def test_few_rows_go_on_after_a_short_while(client: Client, service: Arriving) -> None:
    go = asyncio.Event()

    async def hold(start: int) -> None:
        if start:
            await go.wait()

    service.before, service.piece = hold, 2_000
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    asking = asyncio.ensure_future(replace(client, on_send=hear).post(NODES))
    await until(lambda: len(heard) > 1)
    assert service.sent == 2_000
    go.set()
    assert (await asking).is_complete


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip"])
async def test_a_compressed_stream_begins_as_soon(
    client: Client, service: Arriving, coding: str
) -> None:
    go = asyncio.Event()

    async def hold(start: int) -> None:
        if start >= 12_000:
            await go.wait()

    service.before = hold
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    asking = asyncio.ensure_future(
        replace(client, on_send=hear).post(NODES, accept_encoding=coding)
    )
    await until(lambda: len(heard) > 1)
    assert len(heard[1]["body"]) > 200
    go.set()
    answer = await asking
    assert answer.head["content-encoding"] == coding
    body = {
        "br": brotli.decompress,
        "gzip": gzip.decompress,
        "zstd": lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
    }[coding](answer.body)
    assert len(json.loads(body)["data"]["orders"]["nodes"]) == ROWS


async def test_a_slow_client_bounds_what_is_read_and_held(
    client: Client, service: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_streams, "MOST_WAITING", 20_000)
    go = asyncio.Event()

    async def slow(message: Any) -> None:
        if message["type"] == "http.response.body":
            await go.wait()

    query = orders(f"nodes {{ {SOME} }}", 1_000)
    asking = asyncio.ensure_future(replace(client, on_send=slow).post(query))
    read = -1
    while read != service.sent or not read:
        read = service.sent
        await asyncio.sleep(0.02)
    # Of half a megabyte: what waits, what is on its way, and a row that is not whole.
    assert read < 20_000 + 4 * service.piece
    assert service.ended == 0
    go.set()
    assert len((await asking).json()["data"]["orders"]["nodes"]) == 1_000


async def test_time_for_which_a_client_is_waited_for_is_not_the_service_s(
    client: Client, service: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_streams, "MOST_WAITING", 10_000)

    async def slow(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(0.02)

    await replace(client, on_send=slow).post(NODES)
    (sent,) = (e for e in client.events if isinstance(e, RequestSent))
    (served,) = (e for e in client.events if isinstance(e, OperationServed))
    assert served.seconds > 0.1
    assert max(sent.seconds, served.upstream) < served.seconds / 2


async def test_a_client_that_leaves_ends_the_read(client: Client, service: Arriving) -> None:
    async def hold(start: int) -> None:
        if start >= 12_000:
            client.leaving.set()
            await asyncio.Event().wait()

    service.before = hold
    client.leaving.clear()
    answer = await client.post(NODES)
    client.leaving.clear()

    assert not answer.is_complete
    assert service.ended == 0
    sent = [e for e in client.events if isinstance(e, RequestSent)]
    assert [e.size > 0 or e.status == 200 for e in sent] == [True]


@pytest.mark.parametrize(
    "selection",
    [f"nodes {{ {SOME} }}", f"edges {{ cursor node {{ {SOME} }} }} {PAGE}"],
    ids=["nodes", "edges"],
)
async def test_a_bad_value_is_null_with_an_error_at_the_end(
    client: Client, service: Arriving, selection: str
) -> None:
    service.edit = not_a_number
    whole = await client.post(orders(selection), version="1.0")
    streamed = await client.post(orders(selection))
    first, second = (json.loads(answer.body) for answer in (whole, streamed))

    assert (streamed.is_streamed, streamed.is_complete) == (True, True)
    assert [e["path"][2] for e in second["errors"]] == [109, 119]
    for error in (*first["errors"], *second["errors"]):
        error.get("extensions", {}).pop("errorId", None)
    assert json.dumps(second) == json.dumps(first)
    served = [e for e in client.events if isinstance(e, OperationServed)]
    assert [(e.outcome, e.codes, e.errors) for e in served] == [
        ("partial", ("UPSTREAM_MALFORMED",), 2)
    ] * 2
    failed = [e for e in client.events if isinstance(e, FastPathFailed)]
    assert [(e.stage, e.reason) for e in failed if e.stage == "raw"] == [("raw", "value")] * 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"edit": without_key}, "UPSTREAM_MALFORMED"),
        ({"edit": lambda body: body[:-500]}, "UPSTREAM_MALFORMED"),
        ({"edit": lambda body: body.replace(b"SO-000099", b"SO-000003")}, "UPSTREAM_MALFORMED"),
        (
            {"page": 50, "edit": lambda b: b.replace(b"$skiptoken=100", b"$skiptoken=50")},
            "UPSTREAM_MALFORMED",
        ),
    ],
    ids=["a row without its key", "cut off", "a row twice", "a link back"],
)
async def test_what_cannot_be_said_any_more_is_broken_off(
    client: Client, service: Arriving, changes: dict[str, Any], code: str
) -> None:
    vars(service).update(changes)
    # Each is a list of its own, as one that was broken off is answered whole the next time.
    query = orders(f"nodes {{ {SOME} }} x{abs(hash(str(changes)))}: __typename")
    cut = await client.post(query)
    whole = await client.post(query)

    assert (cut.is_streamed, cut.is_complete) == (True, False)
    assert not whole.is_streamed
    assert whole.json()["data"] is None or whole.json()["data"]["orders"] is None
    assert [e["extensions"]["code"] for e in whole.json()["errors"]][:1] == [code]
    served = [e for e in client.events if isinstance(e, OperationServed)]
    assert [e.codes for e in served] == [(code,)] * 2
    assert served[0].rows > 0
    assert served[0].size > len(cut.body) > 8_000
    assert [e.status for e in client.events if isinstance(e, RequestServed)] == [200, 200]


async def test_a_lost_connection_is_repeated_until_rows_are_sent(
    client: Client, service: Arriving
) -> None:
    lost: list[int] = []

    async def lose(start: int) -> None:
        if start >= 4_000 and not lost:
            lost.append(start)
            raise Broken

    service.before = lose
    assert (await client.post(NODES)).is_complete
    assert len(service.requests) == 2

    async def lose_late(start: int) -> None:
        if start >= 40_000 and len(lost) == 1:
            lost.append(start)
            raise Broken

    service.before = lose_late
    service.requests.clear()
    query = orders(f"nodes {{ {SOME} }} late: __typename")
    cut = await client.post(query)
    assert (cut.is_streamed, cut.is_complete, len(service.requests)) == (True, False, 1)
    whole = await client.post(query)
    assert (whole.is_streamed, whole.is_complete) == (False, True)


async def test_the_deadline_breaks_a_stream_off(client: Client, service: Arriving) -> None:
    async def hold(start: int) -> None:
        if start >= 12_000:
            await asyncio.Event().wait()

    service.before = hold
    query = orders(f"nodes {{ {SOME} }} timely: __typename")
    cut = await client.post(query, x_d365_timeout="0.1")
    whole = await client.post(query, x_d365_timeout="0.1")

    assert (cut.is_streamed, cut.is_complete) == (True, False)
    assert [e["extensions"]["code"] for e in whole.json()["errors"]] == ["DEADLINE_EXCEEDED"]


async def test_equal_reads_at_a_time_are_still_one(client: Client, service: Arriving) -> None:
    answers = await asyncio.gather(*(client.post(NODES) for _ in range(3)))

    assert len(service.requests) == 1
    assert {a.body for a in answers} == {answers[0].body}
    assert [a.is_streamed for a in answers] == [False] * 3


async def test_nothing_of_an_answer_waits_for_the_garbage_collector(
    client: Client, service: Arriving
) -> None:
    kinds = (answer_streams.StreamedAnswer, wide_lists.WideList, arriving_rows.ArrivingRows)

    async def alive() -> int:
        assert (await client.post(NODES)).is_streamed
        client.events.clear()
        return sum(isinstance(one, kinds) for one in gc.get_objects())

    gc.collect()
    before = await alive()
    gc.disable()
    try:
        assert [await alive() for _ in range(3)] == [before] * 3
    finally:
        gc.enable()
