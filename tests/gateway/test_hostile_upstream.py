"""Whatever the upstream sends: a coded error at its place, nothing leaks, and the next query is served."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from gateway.bind import Limits
from gateway.events import ErrorRaised, RequestRetried
from gateway.execute import Engine, ExecutionSettings, GraphQLRequest
from gateway.odata.client import ODataClient
from gateway.odata.dialect import ODATA
from gateway.odata.retry import Clock
from gateway.settings import Settings
from tests.support import worlds
from tests.support.upstreams import ROOT
from tests.support.zoo import DIALECTS, FO, Zoo, schema_of

pytestmark = pytest.mark.anyio

SECRETS = (
    "S3CRET",
    "Secret.Place",
    "fo.example",
    "evil.example",
    "Traceback",
    "Bearer",
    "gateway/",
    ".py",
)
JSON = {"Content-Type": "application/json"}
SCHEMAS = {name: schema_of(dialect) for name, dialect in DIALECTS.items()}
GOOD = "{ orders { nodes { area orderId } } }"
encode = msgspec.json.Encoder(decimal_format="number").encode
Script = Callable[[httpx.Request], httpx.Response | None]


class Hostile(Zoo):
    """A zoo whose upstream follows a script; where the script says None, the tables answer."""

    script: Script | None = None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        found = None if self.script is None else self.script(request)
        return super()._answer(request) if found is None else found

    async def ask(self, query: str, script: Script, **variables: Any) -> dict[str, Any]:
        """Ask under a script; then see that nothing leaked and that the engine goes on."""
        self.script = script
        answer = await self.execute(query, variables)
        self.script = None
        text = answer.encode().decode()
        assert [s for s in SECRETS if s in text] == []
        good = (await self.execute(GOOD)).to_builtins()
        assert "errors" not in good
        assert len(good["data"]["orders"]["nodes"]) == 3
        return answer.to_builtins()


def hostile(dialect: str = "odata", *, can_expand: bool = True) -> Hostile:
    zoo = Hostile(DIALECTS[dialect], can_expand=can_expand, schema=SCHEMAS[dialect])
    zoo.tables = worlds.tables(7, 3, insensitive=dialect == "finops")
    return zoo


def always(body: object = b"", status: int = 200, headers: dict[str, str] | None = None) -> Script:
    content = body if isinstance(body, bytes) else encode(body)
    return lambda _request: httpx.Response(status, content=content, headers=headers or JSON)


def on(set_name: str, script: Script) -> Script:
    """Follow the script for one set only."""
    place = f"/data/{set_name}"
    return lambda request: script(request) if request.url.path.startswith(place) else None


def raising(error: Exception) -> Script:
    def script(_request: httpx.Request) -> httpx.Response:
        raise error

    return script


def value(*rows: object, **more: object) -> Script:
    return always({"value": rows, **more})


def codes(answer: dict[str, Any]) -> list[tuple[list[Any], str]]:
    return [(e.get("path", []), e["extensions"]["code"]) for e in answer.get("errors", [])]


STACK = {
    "error": {
        "code": "",
        "message": "An error has occurred. S3CRET",
        "innererror": {"message": "S3CRET", "type": "System.X", "stacktrace": "at Secret.Place()"},
    }
}
NOT_A_LIST: dict[str, tuple[Script, str]] = {
    "a web page": (
        always(b"<html>S3CRET</html>", headers={"Content-Type": "text/html"}),
        "UPSTREAM_MALFORMED",
    ),
    "a web page called JSON": (always(b"<!DOCTYPE html><p>S3CRET"), "UPSTREAM_MALFORMED"),
    "nothing": (always(b""), "UPSTREAM_MALFORMED"),
    "no content": (always(b"", 204), "UPSTREAM_MALFORMED"),
    "half a JSON": (always(b'{"value":[{"Area":"S3CRET'), "UPSTREAM_MALFORMED"),
    "JSON and more": (always(b'{"value":[]} S3CRET'), "UPSTREAM_MALFORMED"),
    "an error with 200": (always(STACK), "UPSTREAM_REJECTED"),
    "an error after 200 rows": (
        always(b'{"value":[{"Area":"a"},{"error":{"message":"S3CRET"}'),
        "UPSTREAM_MALFORMED",
    ),
    "a list without its object": (always([{"Area": "S3CRET"}]), "UPSTREAM_MALFORMED"),
    "a text": (always(b'"S3CRET"'), "UPSTREAM_MALFORMED"),
    "null": (always(b"null"), "UPSTREAM_MALFORMED"),
    "an entity": (always({"Area": "S3CRET", "OrderId": 1}), "UPSTREAM_MALFORMED"),
    "a value that is an object": (always({"value": {"Area": "S3CRET"}}), "UPSTREAM_MALFORMED"),
    "a value that is null": (always({"value": None}), "UPSTREAM_MALFORMED"),
    "bad UTF-8": (always(b'{"value":[{"Area":"\xff\xfe"}]}'), "UPSTREAM_MALFORMED"),
    "UTF-16": (always('{"value":[]}'.encode("utf-16")), "UPSTREAM_MALFORMED"),
    "depth": (always(b'{"value":' + b"[" * 200_000), "UPSTREAM_MALFORMED"),
    "depth in a place that is skipped": (
        always(b'{"value":[],"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        "UPSTREAM_MALFORMED",
    ),
    "a lone surrogate": (always(b'{"value":[{"Area":"\\ud800"}]}'), "UPSTREAM_MALFORMED"),
    "XML": (
        always(b"<feed>S3CRET</feed>", headers={"Content-Type": "application/atom+xml"}),
        "UPSTREAM_MALFORMED",
    ),
    "bad compression": (
        always(b"S3CRET", headers={**JSON, "Content-Encoding": "gzip"}),
        "UPSTREAM_MALFORMED",
    ),
    "a redirect": (
        always(b"", 302, {"Location": "https://evil.example/S3CRET"}),
        "UPSTREAM_MALFORMED",
    ),
    "a redirect to sign in": (
        always(b"", 302, {"Location": "https://evil.example/login?S3CRET"}),
        "UPSTREAM_FORBIDDEN",
    ),
    "400": (always({"error": {"message": ""}}, 400), "UPSTREAM_REJECTED"),
    "401": (always(b"Bearer S3CRET", 401), "UPSTREAM_FORBIDDEN"),
    "403": (always(b"S3CRET", 403), "UPSTREAM_FORBIDDEN"),
    "404": (always(b"S3CRET", 404), "UPSTREAM_REJECTED"),
    "500 with a stack": (always(STACK, 500), "UPSTREAM_UNAVAILABLE"),
    "500 in HTML": (
        always(b"<html>Traceback S3CRET", 500, {"Content-Type": "text/html"}),
        "UPSTREAM_UNAVAILABLE",
    ),
    "503 for ever": (always(b"S3CRET", 503), "UPSTREAM_UNAVAILABLE"),
    "429 for ever": (always(b"S3CRET", 429), "UPSTREAM_THROTTLED"),
    "no connection": (
        raising(httpx.ConnectError("S3CRET fo.example refused")),
        "UPSTREAM_UNAVAILABLE",
    ),
    "a reset": (raising(httpx.ReadError("S3CRET reset")), "UPSTREAM_UNAVAILABLE"),
    "a cut": (
        raising(httpx.RemoteProtocolError("peer closed connection S3CRET")),
        "UPSTREAM_UNAVAILABLE",
    ),
    "silence": (raising(httpx.ReadTimeout("S3CRET")), "UPSTREAM_TIMEOUT"),
}


@pytest.mark.parametrize("case", NOT_A_LIST)
async def test_what_comes_in_a_lists_place(case: str) -> None:
    script, code = NOT_A_LIST[case]

    answer = await hostile().ask("{ __typename orders { nodes { area } } }", on("Orders", script))

    assert answer["data"] is None
    assert codes(answer) == [(["orders"], code)]
    assert answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["errorId"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", NOT_A_LIST)
async def test_what_comes_in_a_childs_place_costs_the_child(case: str, dialect: str) -> None:
    script, code = NOT_A_LIST[case]
    zoo = hostile(dialect, can_expand=False)
    lines = [{"Area": "A1", "OrderId": 0, "LineNo": n, "Price": 1} for n in range(2)]
    zoo.tables.rows["Lines"] = [{**line, "Article": f"i{line['LineNo']}"} for line in lines]

    answer = await zoo.ask(
        "{ lines(first: 2) { nodes { price item { itemId } } } }", on("Items", script)
    )

    assert [row["item"] for row in answer["data"]["lines"]["nodes"]] == [None, None]
    assert all(row["price"] for row in answer["data"]["lines"]["nodes"])
    assert codes(answer) == [
        (["lines", "nodes", 0, "item"], code),
        (["lines", "nodes", 1, "item"], code),
    ]


ONE_ROW = {
    k: v
    for k, v in NOT_A_LIST.items()
    if k not in ("nothing", "no content", "null", "404", "an entity")
}


@pytest.mark.parametrize("case", [*ONE_ROW, "a list", "an empty list"])
async def test_what_comes_in_a_rows_place(case: str) -> None:
    lists = {"a list": value({"ItemId": "i1"}), "an empty list": value()}
    script, code = ONE_ROW.get(case) or (lists[case], "UPSTREAM_MALFORMED")
    if case == "an error after 200 rows":
        code = "UPSTREAM_MALFORMED"

    answer = await hostile().ask(
        '{ a: item(itemId: "i1") { weight } __typename }', on("Items", script)
    )

    assert answer["data"] == {"a": None, "__typename": "Query"}
    assert codes(answer) == [(["a"], code)]


@pytest.mark.parametrize("body", [b"", b"null"])
async def test_an_empty_answer_for_one_row_is_null(body: bytes) -> None:
    answer = await hostile().ask('{ item(itemId: "i1") { weight } }', always(body))

    assert answer == {"data": {"item": None}}


async def test_throttling_tells_when_to_come_back_and_is_tried_a_bounded_number_of_times() -> None:
    zoo = hostile()
    script = always(b"S3CRET", 429, {"Retry-After": "7"})

    answer = await zoo.ask("{ orders { nodes { area } } }", script)

    assert codes(answer) == [(["orders"], "UPSTREAM_THROTTLED")]
    assert answer["errors"][0]["extensions"]["retryAfter"] == 7
    assert sum(isinstance(e, RequestRetried) for e in zoo.events) == 4


async def test_the_log_has_what_the_answer_must_not_tell() -> None:
    zoo = hostile()

    answer = await zoo.ask("{ orders { nodes { area } } }", always(STACK, 500))

    (told,) = [e for e in zoo.events if isinstance(e, ErrorRaised)]
    assert told.error_id == answer["errors"][0]["extensions"]["errorId"]
    assert "S3CRET" in str(told.detail)


# -- links to the next page


def linked(*links: object, rows: int = 1) -> Script:
    """Answer pages of ``rows`` rows with these links, the last one for ever."""
    asked = 0

    def script(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        link = links[min(asked, len(links) - 1)]
        asked += 1
        at = link(asked) if callable(link) else link
        body = {"value": [{"Area": "A", "OrderId": asked}] * rows, "@odata.nextLink": at}
        return httpx.Response(200, content=encode(body), headers=JSON)

    return script


LINKS: dict[str, tuple[Script, str]] = {
    "to another service": (linked("https://evil.example/S3CRET?$skip=1"), "UPSTREAM_MALFORMED"),
    "to another scheme": (linked("file:///data/Orders"), "UPSTREAM_MALFORMED"),
    "out of the service": (linked(f"{ROOT}/../S3CRET"), "UPSTREAM_MALFORMED"),
    "to itself": (linked(lambda _: f"{ROOT}/Orders?$skip=1"), "UPSTREAM_MALFORMED"),
    "that is no address": (linked("http://[S3CRET"), "UPSTREAM_MALFORMED"),
    "that is no text": (linked(5), "UPSTREAM_MALFORMED"),
    "that is empty": (linked(""), "UPSTREAM_MALFORMED"),
    "to empty pages for ever": (
        linked(lambda n: f"{ROOT}/Orders?$skiptoken={n}", rows=0),
        "UPSTREAM_MALFORMED",
    ),
    "to pages for ever": (
        linked(lambda n: f"{ROOT}/Orders?$skiptoken={n}", rows=7_000),
        "UPSTREAM_TRUNCATED",
    ),
    "in a circle": (
        linked(lambda n: f"{ROOT}/Orders?$skiptoken={n % 2}", rows=7_000),
        "UPSTREAM_TRUNCATED",
    ),
    "to an empty page in a circle": (
        linked(lambda n: f"{ROOT}/Orders?$skiptoken={n % 2}", rows=0),
        "UPSTREAM_MALFORMED",
    ),
}


@pytest.mark.parametrize("case", LINKS)
async def test_links_to_the_next_page(case: str) -> None:
    """Key batches have no ``$top``: their pages are followed to the end."""
    script, code = LINKS[case]
    zoo = hostile(can_expand=False)
    bought = [{"Area": "A", "PartyId": f"p{i}", "Name": "n"} for i in range(2)]
    zoo.tables.rows["Parties"] = bought

    answer = await zoo.ask(
        "{ parties { nodes { partyId orders { nodes { orderId } } } } }", on("Orders", script)
    )

    assert [row["orders"] for row in answer["data"]["parties"]["nodes"]] == [None, None]
    assert codes(answer) == [(["parties", "nodes", n, "orders"], code) for n in range(2)]


async def test_no_link_is_followed_once_there_are_rows_enough() -> None:
    zoo = hostile()
    script = linked("https://evil.example/S3CRET", rows=3)

    answer = await zoo.ask("{ orders(first: 2) { nodes { area } } }", script)

    assert answer == {"data": {"orders": {"nodes": [{"area": "A"}, {"area": "A"}]}}}


async def test_a_link_inside_expanded_rows_that_is_no_text() -> None:
    row = {"Area": "A", "OrderId": 1, "Lines": [], "Lines@odata.nextLink": 5}

    answer = await hostile().ask(
        "{ orders { nodes { area lines { nodes { price } } } } }", value(row)
    )

    assert codes(answer) == [(["orders", "nodes", 0, "lines"], "UPSTREAM_MALFORMED")]


# -- values

ORDER = {"Area": "A", "OrderId": 1}
VALUES: dict[str, tuple[str, object, str | None]] = {
    "text for a number": ("number", "S3CRET", "UPSTREAM_MALFORMED"),
    "33 bits": ("number", 2**32, "UPSTREAM_MALFORMED"),
    "a number of 4,000 digits": ("number", 10**4_000, "UPSTREAM_MALFORMED"),
    "a number of 4,000 digits for 64 bits": ("big", 10**4_000, "UPSTREAM_MALFORMED"),
    "a decimal of 4,000 digits": ("amount", 10**4_000, None),
    "a huge exponent for a float": ("ratio", Decimal("1E+999999"), "UPSTREAM_MALFORMED"),
    "a huge exponent for an integer": ("number", Decimal("1E+999999"), "UPSTREAM_MALFORMED"),
    "a huge exponent for a decimal": ("amount", Decimal("1E+999999"), None),
    "NaN for a decimal": ("amount", "NaN", "UPSTREAM_MALFORMED"),
    "infinity for a decimal": ("amount", "-INF", "UPSTREAM_MALFORMED"),
    "NaN for a float": ("ratio", "NaN", "UPSTREAM_MALFORMED"),
    "an object for text": ("text", {"S3CRET": 1}, "UPSTREAM_MALFORMED"),
    "a list for a member": ("open", ["No"], "UNKNOWN_ENUM_VALUE"),
    "a member nobody knows": ("colour", "S3CRET", "UNKNOWN_ENUM_VALUE"),
    "a list for a complex value": ("home { city }", [], "UPSTREAM_MALFORMED"),
    "text for a complex value": ("home { __typename }", "S3CRET", "UPSTREAM_MALFORMED"),
    "text for a related row": ("party { name }", "S3CRET", "UPSTREAM_MALFORMED"),
    "a list for a related row": ("party { name }", [], "UPSTREAM_MALFORMED"),
    "a type nobody knows": (
        "party { name }",
        {"@odata.type": "#S3CRET.T", "Name": "n"},
        "UPSTREAM_MALFORMED",
    ),
}


@pytest.mark.parametrize("case", VALUES)
async def test_what_comes_in_a_values_place_costs_the_value(case: str) -> None:
    field, bad, code = VALUES[case]
    name = field.partition(" ")[0]

    answer = await hostile().ask(
        f"{{ orders {{ nodes {{ orderId {field} }} }} }}",
        value({**ORDER, name.capitalize(): bad}),
    )

    (row,) = answer["data"]["orders"]["nodes"]
    assert row["orderId"] == 1
    assert codes(answer) == ([] if code is None else [(["orders", "nodes", 0, name], code)])
    assert (row[name] is None) is (code is not None)


async def test_a_number_of_5000_digits_is_more_than_any_reader_takes() -> None:
    body = encode({"value": [{**ORDER, "Number": 1, "Text": 5}]}).replace(b"1", b"9" * 5_000)

    answer = await hostile().ask("{ orders { nodes { number text } } }", always(body))

    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}


@pytest.mark.parametrize("bad", [None, "S3CRET", 5, [], [{"Area": "A"}]])
async def test_what_comes_in_a_rows_place_inside_a_list(bad: object) -> None:
    answer = await hostile().ask("{ orders { edges { cursor node { area } } } }", value(ORDER, bad))

    assert answer["data"] is None
    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}
    assert all(path[:3] == ["orders", "edges", 1] for path, _ in codes(answer))


@pytest.mark.parametrize("bad", ["S3CRET", {}, 5])
async def test_what_comes_in_the_place_of_expanded_rows(bad: object) -> None:
    rows = [{**ORDER, "Lines": bad}, {**ORDER, "OrderId": 2, "Lines": []}]

    answer = await hostile().ask(
        "{ order: orders { nodes { lines { nodes { price } } } } }", value(*rows)
    )

    assert codes(answer) == [(["order", "nodes", 0, "lines"], "UPSTREAM_MALFORMED")]


@pytest.mark.parametrize(
    ("count", "expected"),
    [("5", 5), ("many", None), (-1, None), (2**31, None), (1.5, None), ([], None)],
)
async def test_the_number_of_rows_in_another_form(count: object, expected: int | None) -> None:
    answer = await hostile().ask(
        "{ orders { totalCount nodes { area } } }", value(ORDER, **{"@odata.count": count})
    )

    assert answer["data"] == {"orders": {"totalCount": expected, "nodes": [{"area": "A"}]}}
    wrong = [(["orders", "totalCount"], "UPSTREAM_MALFORMED")]
    assert codes(answer) == ([] if expected is not None else wrong)


async def test_no_number_of_rows_where_it_was_asked_for() -> None:
    answer = await hostile().ask("{ orders { totalCount nodes { area } } }", value(ORDER))

    assert codes(answer) == [(["orders", "totalCount"], "UPSTREAM_MALFORMED")]


@pytest.mark.parametrize("body", [b"S3CRET", b"-5", b"5.5", b"", b'{"value": 5}', b"9" * 5_000])
async def test_a_bare_count_that_is_no_number(body: bytes) -> None:
    answer = await hostile().ask(
        "{ orders { totalCount } }", always(body, headers={"Content-Type": "text/plain"})
    )

    assert {code for _, code in codes(answer)} == {"UPSTREAM_MALFORMED"}


async def test_of_two_equal_keys_the_last_one_counts_on_both_paths() -> None:
    good = b'{"value":[{"Area":"A","OrderId":1,"Number":1,"Number":2}]}'
    bad = good.replace(b'"OrderId":1', b'"OrderId":1,"Text":5')
    query = "{ orders { nodes { number text } } }"

    fast = await hostile().ask(query, always(good))
    slow = await hostile().ask(query, always(bad))

    assert fast["data"]["orders"]["nodes"] == slow["data"]["orders"]["nodes"]
    assert fast["data"]["orders"]["nodes"][0]["number"] == 2


async def test_rows_that_nobody_asked_for_are_nobodys_children() -> None:
    zoo = hostile(can_expand=False)
    stranger = {"Area": "B2", "PartyId": "nobody", "Name": "S3CRET"}

    answer = await zoo.ask(
        "{ orders { nodes { party { name } } } }", on("Parties", value(stranger))
    )

    assert [r["party"] for r in answer["data"]["orders"]["nodes"]] == [None] * 3


@pytest.mark.parametrize(
    "bad", [{"Name": "n"}, {"Area": None, "PartyId": "p1", "Name": "n"}, None, "x"]
)
async def test_children_that_do_not_say_whose_they_are(bad: object) -> None:
    zoo = hostile(can_expand=False)
    for number, row in enumerate(zoo.tables.rows["Orders"]):
        row["Buyer"] = f"p{number}"

    answer = await zoo.ask("{ orders { nodes { party { name } } } }", on("Parties", value(bad)))

    assert codes(answer) == [
        (["orders", "nodes", n, "party"], "UPSTREAM_MALFORMED") for n in range(3)
    ]


@pytest.mark.parametrize("bad", [[], {}, 5, 10**30])
async def test_a_reference_of_the_wrong_type_costs_the_related_row(bad: object) -> None:
    zoo = hostile(can_expand=False)
    rows = [{**ORDER, "Buyer": bad}, {**ORDER, "OrderId": 2, "Buyer": None}]

    answer = await zoo.ask(
        "{ orders { nodes { orderId party { name } } } }", on("Orders", value(*rows))
    )

    assert codes(answer) == [(["orders", "nodes", 0, "party"], "UPSTREAM_MALFORMED")]
    assert [r["orderId"] for r in answer["data"]["orders"]["nodes"]] == [1, 2]


# -- what callers send


async def test_a_filter_of_a_million_characters_is_the_callers_mistake() -> None:
    zoo = hostile()
    asked: list[str] = []
    zoo.tables.requests = asked

    answer = await zoo.ask(
        "query($t: String) { orders(where: {text: {eq: $t}}) { nodes { area } } }",
        lambda _request: None,
        t="x" * 1_000_000,
    )

    assert codes(answer) == [(["orders"], "BAD_ARGUMENT")]
    assert len(str(answer)) < 1_000
    assert not any("xxx" in url for url in asked)


async def test_a_list_of_100_000_values_is_the_callers_mistake() -> None:
    answer = await hostile().ask(
        "query($t: [Int!]) { orders(where: {number: {in: $t}}) { nodes { area } } }",
        lambda _request: None,
        t=list(range(100_000)),
    )

    assert codes(answer) == [(["orders"], "BAD_ARGUMENT")]


@pytest.mark.parametrize("depth", [100, 5_000])
async def test_a_filter_nested_deeply_is_no_accident(depth: int) -> None:
    where: dict[str, Any] = {"number": {"eq": 1}}
    for _ in range(depth):
        where = {"not": where}

    answer = await hostile().ask(
        "query($w: OrderWhere) { orders(where: $w) { nodes { area } } }",
        lambda _request: None,
        w=where,
    )

    assert {code for _, code in codes(answer)} <= {"BAD_ARGUMENT", "BAD_USER_INPUT"}
    assert depth < 1_000 or codes(answer)


@pytest.mark.parametrize("depth", [100, 1_000, 3_000])
async def test_a_literal_nested_deeply_is_no_accident(depth: int) -> None:
    where = "{not: " * depth + "{number: {eq: 1}}" + "}" * depth

    answer = await hostile().ask(
        f"{{ orders(where: {where}) {{ nodes {{ area }} }} }}", lambda _request: None
    )

    assert {code for _, code in codes(answer)} <= {
        "BAD_ARGUMENT",
        "GRAPHQL_PARSE_FAILED",
        "BUDGET_EXCEEDED",
    }


# -- over a real socket

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """Listen on loopback; ``talk`` has a connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/data"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listening.close()
        await listening.wait_closed()


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def hang_in_the_middle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"value":'
    )
    await writer.drain()
    await asyncio.sleep(30)


async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"value":'
    )
    await writer.drain()


async def close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"S3CRET is not HTTP\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (hang, "UPSTREAM_TIMEOUT"),
        (hang_in_the_middle, "UPSTREAM_TIMEOUT"),
        (cut, "UPSTREAM_UNAVAILABLE"),
        (close, "UPSTREAM_UNAVAILABLE"),
        (reset, "UPSTREAM_UNAVAILABLE"),
        (garbage, "UPSTREAM_UNAVAILABLE"),
    ],
)
async def test_a_socket_that_misbehaves(talk: Talk, code: str) -> None:
    good = encode({"value": [ORDER]})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    is_good = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_good:
            return await talk(reader, writer)
        writer.write(head % len(good) + good)
        return await writer.drain()

    async def no_sleep(_seconds: float) -> None:
        """Nobody waits."""

    async with server(answer) as url:
        settings = Settings(url=url, read_timeout=0.05, connect_timeout=1.0)
        client = ODataClient(settings, observe=lambda _event: None, clock=Clock(sleep=no_sleep))
        async with client:
            engine = Engine(
                SCHEMAS["odata"], client, ODATA, ExecutionSettings(plans=Limits()), lambda _e: None
            )
            request = GraphQLRequest(query="{ orders { nodes { orderId } } }")
            bad = (await engine.execute(request)).to_builtins()
            is_good = True
            after = (await engine.execute(request)).to_builtins()

    assert codes(bad) == [(["orders"], code)]
    assert [s for s in (*SECRETS, "127.0.0.1") if s in str(bad)] == []
    assert after == {"data": {"orders": {"nodes": [{"orderId": 1}]}}}


async def test_an_answer_larger_than_the_settings_allow() -> None:
    body = gzip.compress(b'{"value":[' + b" " * 300_000 + b"]}")
    settings = Settings(url=ROOT, max_upstream_bytes=100_000)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=body, headers={**JSON, "Content-Encoding": "gzip"})
    )
    async with ODataClient(settings, transport=transport, observe=lambda _event: None) as client:
        limits = ExecutionSettings(plans=replace(Limits()))
        engine = Engine(SCHEMAS["finops"], client, FO, limits, lambda _event: None)
        answer = await engine.execute(GraphQLRequest(query=GOOD))

    assert codes(answer.to_builtins()) == [(["orders"], "UPSTREAM_MALFORMED")]
