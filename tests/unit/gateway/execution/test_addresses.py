"""No address exceeds ``max_url_length``: ``$select`` is left out, or the read goes into a ``$batch``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from gateway.explain.empty_service import requests_within
from gateway.explain.explain import explain
from gateway.odata.dialect import ODATA
from gateway.odata.query import KeyPart, Literal
from gateway.request import Answer, GraphQLRequest
from tests.support import random_rows as worlds
from tests.support.hostile import SCHEMAS, Hostile, always, hostile, on
from tests.support.zoo_model import DIALECTS, FO, Zoo

pytestmark = pytest.mark.anyio

FEW = "text number small big amount ratio flag open colour due moment day uid"
MOST = f"""{FEW} textMust numberMust smallMust bigMust amountMust ratioMust flagMust openMust colourMust dueMust
    momentMust dayMust uidMust clock clockMust span spanMust blob blobMust rights rightsMust buyer labels moments"""
LIMIT = 110


def world(dialect: str, limit: int = LIMIT, *, can_expand: bool = True) -> Zoo:
    zoo = Zoo(DIALECTS[dialect], max_url_length=limit, can_expand=can_expand)
    zoo.tables = worlds.tables(7, 5, insensitive=dialect == "finops")
    return zoo


def longest(answer: Answer) -> int:
    return max(len(request.url) for request in answer.requests)


READS = {
    "a list": f"{{ orders {{ nodes {{ {FEW} }} totalCount }} }}",
    "most columns": f"{{ orders {{ nodes {{ {MOST} }} }} }}",
    "one row": f'{{ order(area: "A1", orderId: 0) {{ {FEW} }} }}',
    "rows below": f"{{ orders {{ nodes {{ area lines {{ nodes {{ order {{ {FEW} }} }} }} }} }} }}",
    "a long filter": f'{{ orders(where: {{ text: {{ ne: "{"x" * 300}" }} }}) {{ nodes {{ area }} totalCount }} }}',
    "a count": f'{{ orders(where: {{ text: {{ ne: "{"x" * 300}" }} }}) {{ totalCount }} }}',
    "a long filter below": f"""{{ orders {{ nodes {{ lines(where: {{ note: {{ ne: "{"x" * 300}" }} }}) {{
        nodes {{ lineNo }} totalCount }} }} }} }}""",
    "rows by id": "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Order { area } } }",
}


@pytest.mark.parametrize("can_expand", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("read", READS)
async def test_every_address_is_short_and_the_answer_the_same(
    read: str, dialect: str, can_expand: bool
) -> None:
    variables: dict[str, Any] = {}
    if "$ids" in READS[read]:
        result = await world(dialect).execute("{ orders { nodes { id } } }")
        nodes = result.to_builtins()["data"]["orders"]["nodes"]
        variables = {"ids": [node["id"] for node in nodes]}

    wide = await world(dialect, 60_000, can_expand=can_expand).execute(READS[read], variables)
    narrow = await world(dialect, can_expand=can_expand).execute(READS[read], variables)

    assert longest(narrow) <= LIMIT
    assert narrow.to_builtins() == wide.to_builtins()
    assert "errors" not in wide.to_builtins()


async def test_where_most_columns_are_wanted_select_is_left_out() -> None:
    zoo = world("finops")

    answer = await zoo.execute(READS["most columns"])

    assert [request.method for request in answer.requests] == ["GET"]
    assert "$select" not in answer.requests[0].url


@pytest.mark.parametrize(("dialect", "sent"), [("finops", "POST"), ("odata", "GET")])
async def test_few_of_many_columns_go_into_a_batch_if_supported(dialect: str, sent: str) -> None:
    zoo = world(dialect)

    answer = await zoo.execute(f"{{ orders {{ nodes {{ {FEW} }} }} }}")

    assert [request.method for request in answer.requests] == [sent]
    assert ("$select" in zoo.tables.requests[0]) == (sent == "POST")


async def test_reads_of_one_moment_share_a_batch() -> None:
    zoo = world("finops")
    fields = " ".join(f"a{n}: orders(first: {n}) {{ nodes {{ {FEW} }} }}" for n in range(1, 22))

    answer = await zoo.execute(f"{{ {fields} }}")

    assert answer.errors == []
    assert zoo.tables.batches == [20, 1]


async def test_a_key_batch_with_wide_rows_stays_few_requests() -> None:
    zoo = world("finops", 200, can_expand=False)
    zoo.tables.rows["Lines"] = [
        {"Area": "A", "OrderId": n, "LineNo": 1, "Article": "i", "Price": 1} for n in range(500)
    ]

    answer = await zoo.execute(f"{{ lines(first: 500) {{ nodes {{ order {{ {FEW} }} }} }} }}")

    assert longest(answer) <= 200
    assert len(answer.requests) <= 1 + 6
    assert max(zoo.tables.batches) <= 20


# Keys


def long_key(length: int) -> tuple[KeyPart, ...]:
    return (KeyPart("Id", Literal("x" * length, "Edm.String")),)


@pytest.mark.parametrize("dialect", [ODATA, FO])
def test_a_segment_of_260_characters_is_the_longest_key(dialect: Any) -> None:
    around = len("Set('')")

    assert dialect.key_is_safe(long_key(260 - around), "Set")
    assert not dialect.key_is_safe(long_key(261 - around), "Set")
    assert not dialect.key_is_safe((KeyPart("Id", Literal("ä" * 50, "Edm.String")),), "Set")


async def test_a_row_with_a_longer_key_is_found_by_filter() -> None:
    zoo = world("odata", 2_000)
    zoo.tables.rows["Items"].append({"ItemId": "x" * 300, "Weight": 1.5})

    answer = await zoo.execute(f'{{ item(itemId: "{"x" * 300}") {{ weight }} }}')

    assert answer.to_builtins() == {"data": {"item": {"weight": 1.5}}}
    assert [url.partition("?")[0] for url in zoo.tables.requests] == ["Items"]


# Batches that fail


def batch(*parts: tuple[int, object], count: int | None = None) -> httpx.Response:
    created = [
        f"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status} .\r\n"
        f"Content-Type: application/json\r\nRetry-After: 1\r\n\r\n{body}\r\n"
        for status, body in parts[:count]
    ]
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    return httpx.Response(200, headers=headers, text="".join((*created, "--b--\r\n")))


ITEMS = '{}: items(where: {{ itemId: {{ ne: "{}" }} }}) {{ nodes {{ itemId }} }}'
LONG = f"{{ {ITEMS.format('a', 'x' * 3_000)} {ITEMS.format('b', 'y' * 3_000)} }}"
ROWS = '{"value":[{"ItemId":"i1"}]}'
ERROR = '{"error":{"code":"","message":"No."}}'


async def test_a_part_that_fails_costs_its_own_field_only() -> None:
    script = on("$batch", lambda _: batch((400, ERROR), (200, ROWS)))

    answer = await hostile().ask(LONG, script)

    assert [e["extensions"]["code"] for e in answer["errors"]] == ["UPSTREAM_REJECTED"]
    assert answer["errors"][0]["path"] == ["a"]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_batch_is_sent_again_where_a_part_asks_for_it(status: int) -> None:
    answers = iter([batch((200, ROWS), (status, "")), batch((200, ROWS), (200, ROWS))])

    answer = await hostile().ask(LONG, on("$batch", lambda _: next(answers)))

    nodes = [{"itemId": "i1"}]
    assert answer == {"data": {"a": {"nodes": nodes}, "b": {"nodes": nodes}}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "UPSTREAM_MALFORMED"),  # JSON, where a batch would be multipart
        (400, "UPSTREAM_REJECTED"),
        (404, "UPSTREAM_REJECTED"),
        (405, "UPSTREAM_REJECTED"),
        (406, "UPSTREAM_REJECTED"),
        (415, "UPSTREAM_REJECTED"),  # takes JSON batches only
        (501, "UPSTREAM_REJECTED"),
    ],
)
async def test_a_service_without_batches_is_named_as_such(status: int, code: str) -> None:
    body: dict[str, Any] = {"value": []} if status == 200 else {"error": {"message": ""}}

    answer = await hostile().ask(LONG, on("$batch", always(body, status)))

    assert {e["extensions"]["code"] for e in answer["errors"]} == {code}
    assert all("raise max_url_length" in e["extensions"]["hint"] for e in answer["errors"])


async def test_a_refused_batch_does_not_mean_that_there_is_no_row() -> None:
    zoo = Hostile(DIALECTS["odata"], max_url_length=60, schema=SCHEMAS["odata"])
    zoo.tables = worlds.tables(7, 3, insensitive=False)
    zoo.script = on("$batch", always({"error": {"message": ""}}, 404))

    answer = await zoo.execute(f'{{ order(area: "{"x" * 90}", orderId: 1) {{ text }} }}')

    assert [e["extensions"]["code"] for e in answer.to_builtins()["errors"]] == [
        "UPSTREAM_REJECTED"
    ]


async def test_answers_that_are_missing_are_noticed() -> None:
    answer = await hostile().ask(LONG, on("$batch", lambda _: batch((200, ROWS))))

    assert {e["extensions"]["code"] for e in answer["errors"]} == {"UPSTREAM_MALFORMED"}


async def test_what_no_batch_holds_is_refused() -> None:
    zoo = world("odata")

    answer = await zoo.execute(
        f'{{ items(where: {{ itemId: {{ ne: "{"x" * 70_000}" }} }}) {{ totalCount }} }}'
    )

    assert [e["extensions"]["code"] for e in answer.errors] == ["BAD_ARGUMENT"]
    assert zoo.tables.requests == []


# Explain


async def explained(zoo: Zoo, query: str) -> str:
    gateway: Any = SimpleNamespace(engine=zoo.engine)
    return (await explain(gateway, GraphQLRequest(query=query))).text()


async def test_explain_says_why_select_is_left_out() -> None:
    text = await explained(world("finops"), READS["most columns"])

    assert "note: no $select: the address would be too long, and " in text


async def test_explain_shows_the_reads_of_a_batch() -> None:
    text = await explained(world("finops"), f"{{ orders {{ nodes {{ {FEW} }} }} }}")

    assert "POST $batch\n    note: in a $batch: its URL of " in text
    assert "    GET Orders?$select=Text,Number," in text


BELOW = {
    "few columns": f"{{ orders {{ nodes {{ area lines {{ nodes {{ order {{ {FEW} }} }} }} }} }} }}",
    "most columns": f"{{ orders {{ nodes {{ area lines {{ nodes {{ order {{ {MOST} }} }} }} }} }} }}",
    "a long filter": READS["a long filter below"],
    "short": "{ orders { nodes { lines { nodes { lineNo } } } } }",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("read", BELOW)
async def test_explain_notes_long_addresses_of_children(read: str, dialect: str) -> None:
    """Explain and the requests agree on whether a ``$batch`` is sent and ``$select`` is left out."""
    limit = 300 if read == "short" else 200

    text = await explained(world(dialect, limit, can_expand=False), BELOW[read])
    sent = await world(dialect, limit, can_expand=False).execute(BELOW[read])

    assert sent.errors == []
    *_, deepest = sent.requests
    shown, _, _ = text.partition("{Column}")
    *_, request = (line for line in shown.splitlines() if line.lstrip().startswith("GET "))
    urls = list(requests_within(deepest.body)) or [deepest]
    assert ("in a $batch" in shown) == (deepest.url == "$batch")
    assert ("no $select" in shown) == ("$select=" not in urls[0].url)
    assert ("$select=" in request) == ("$select=" in urls[0].url)
