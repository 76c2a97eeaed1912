"""Whatever the upstream sends: the error has a code and a path, nothing leaks, and the next query is answered."""

from __future__ import annotations

import httpx
import pytest

from gateway.events import ErrorRaised, RequestRetried
from tests.support.hostile import (
    JSON,
    Script,
    always,
    codes,
    encode,
    hostile,
    on,
    raising,
    value,
)
from tests.support.memory_odata import ROOT
from tests.support.zoo_model import DIALECTS

pytestmark = pytest.mark.anyio

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
    **{k: v for k, v in NOT_A_LIST.items() if k != "an entity"},
    "304": (always(b"", 304), "UPSTREAM_MALFORMED"),
    "101": (always(b"", 101), "UPSTREAM_MALFORMED"),
    "202": (always(b"", 202), "UPSTREAM_MALFORMED"),
    "404 with a page": (
        always(b"<!DOCTYPE html><p>S3CRET", 404, {"Content-Type": "text/html"}),
        "UPSTREAM_REJECTED",
    ),
    "404 with a page called JSON": (always(b"<html>S3CRET", 404), "UPSTREAM_REJECTED"),
    "404 with JSON that is no OData": (
        always({"statusCode": 404, "message": "S3CRET"}, 404),
        "UPSTREAM_REJECTED",
    ),
    "404 with nothing, of nobody": (always(b"", 404), "UPSTREAM_REJECTED"),
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


NO_ROW = {
    "an OData error": always({"error": {"code": "", "message": "S3CRET"}}, 404),
    "nothing, by an OData service": always(b"", 404, {"OData-Version": "4.0"}),
    "nothing, by Dynamics": always(b"", 404, {"ms-dyn-aid": "1"}),
}


@pytest.mark.parametrize("case", NO_ROW)
async def test_a_404_of_odata_says_that_there_is_no_row(case: str) -> None:
    answer = await hostile().ask('{ item(itemId: "i1") { weight } }', NO_ROW[case])

    assert answer == {"data": {"item": None}}


async def test_throttling_has_retry_after_and_bounded_retries() -> None:
    zoo = hostile()
    script = always(b"S3CRET", 429, {"Retry-After": "7"})

    answer = await zoo.ask("{ orders { nodes { area } } }", script)

    assert codes(answer) == [(["orders"], "UPSTREAM_THROTTLED")]
    assert answer["errors"][0]["extensions"]["retryAfter"] == 7
    assert sum(isinstance(e, RequestRetried) for e in zoo.events) == 4


async def test_the_log_has_what_the_answer_must_not_tell() -> None:
    zoo = hostile()

    answer = await zoo.ask("{ orders { nodes { area } } }", always(STACK, 500))

    (errors,) = [e for e in zoo.events if isinstance(e, ErrorRaised)]
    assert errors.error_id == answer["errors"][0]["extensions"]["errorId"]
    assert "S3CRET" in str(errors.detail)


# -- links to the next page


def linked(*links: object, rows: int = 1) -> Script:
    """Answer pages of ``rows`` rows with these links, the last one for ever."""
    requests = 0

    def script(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        link = links[min(requests, len(links) - 1)]
        requests += 1
        at = link(requests) if callable(link) else link
        numbers = range(requests * rows, (requests + 1) * rows)
        created = [{"Area": "A", "OrderId": number} for number in numbers]
        body = {"value": created, "@odata.nextLink": at}
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
    script = linked("https://evil.example/S3CRET", rows=2)

    answer = await zoo.ask("{ orders(first: 2) { nodes { area } } }", script)

    assert answer == {"data": {"orders": {"nodes": [{"area": "A"}, {"area": "A"}]}}}


async def test_a_link_inside_expanded_rows_that_is_no_text() -> None:
    row = {"Area": "A", "OrderId": 1, "Lines": [], "Lines@odata.nextLink": 5}

    answer = await hostile().ask(
        "{ orders { nodes { area lines { nodes { price } } } } }", value(row)
    )

    assert codes(answer) == [(["orders", "nodes", 0, "lines"], "UPSTREAM_MALFORMED")]
