"""Pages of many parents: read one by one in a ``$batch`` if whole lists would have too many rows besides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from gateway.errors import AnswerTooLarge
from gateway.explain.explain import explain
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.operations.expectations import ListLengths
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.support.cases import builtins_of, engine, requests_of
from tests.support.memory_odata import Tables
from tests.support.priced_operations import priced_engine
from tests.support.zoo_model import DECLARED, DIALECTS, KEYS, NAVS, Zoo

pytestmark = pytest.mark.anyio
PAGES = "{ orders(first: 4) { nodes { orderId lines(first: 2) { nodes { lineNo } } } } }"


def zoo(*, lines: int, long_list_rows: int, page_size: int | None = None) -> Zoo:
    """Return a zoo of four orders with so many lines each."""
    made = Zoo(DIALECTS["finops"], can_expand=False, long_list_rows=long_list_rows)
    orders = [{"Area": "A1", "OrderId": n, "Text": "t"} for n in range(4)]
    rows = [
        {"Area": "A1", "OrderId": order, "LineNo": line}
        for order in range(4)
        for line in range(lines)
    ]
    tables = {**{name: [] for name in KEYS}, "Orders": orders, "Lines": rows}
    made.tables = Tables(tables, KEYS, NAVS, DECLARED)
    made.tables.page_size = page_size
    return made


def sets_of(answer: Answer) -> list[str]:
    return [line.strip().partition("?")[0] for line in requests_of(answer)]


async def test_long_lists_are_read_page_by_page_once_they_are_known() -> None:
    of_long = zoo(lines=30, long_list_rows=10)

    first, second = [await of_long.execute(PAGES) for _ in range(2)]

    assert sets_of(first) == ["Orders", "Lines"]
    assert sets_of(second) == ["Orders", "$batch", *["Lines"] * 4]
    assert builtins_of(first) == builtins_of(second)
    assert (first.rows, second.rows) == (4 + 120, 4 + 8)


async def test_short_lists_are_read_whole() -> None:
    of_short = zoo(lines=11, long_list_rows=10)

    answers = [await of_short.execute(PAGES) for _ in range(2)]

    assert [sets_of(answer) for answer in answers] == [["Orders", "Lines"]] * 2


async def test_lists_that_have_become_short_are_read_whole_again() -> None:
    shrinking = zoo(lines=30, long_list_rows=10)
    for _ in range(2):
        await shrinking.execute(PAGES)
    shrinking.tables.rows["Lines"] = shrinking.tables.rows["Lines"][:1]

    answers = [await shrinking.execute(PAGES) for _ in range(8)]

    assert sets_of(answers[0])[1] == "$batch"
    assert sets_of(answers[-1]) == ["Orders", "Lines"]


async def test_a_service_that_cuts_long_lists_off_is_asked_for_pages() -> None:
    """Nothing was known of the lists; the first page of the service shows that they are long."""
    cut_off = zoo(lines=30, long_list_rows=10, page_size=60)
    whole = zoo(lines=30, long_list_rows=1_000, page_size=60)

    answer, expected = await cut_off.execute(PAGES), await whole.execute(PAGES)

    assert sets_of(answer) == ["Orders", "Lines", "$batch", *["Lines"] * 4]
    assert sets_of(expected) == ["Orders", "Lines", "Lines"]
    assert builtins_of(answer) == builtins_of(expected)
    assert sets_of(await cut_off.execute(PAGES)) == ["Orders", "$batch", *["Lines"] * 4]


async def test_a_list_that_is_cut_off_late_is_read_to_its_end() -> None:
    almost = zoo(lines=12, long_list_rows=10, page_size=40)

    assert sets_of(await almost.execute(PAGES)) == ["Orders", "Lines", "Lines"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (501, b'{"error": {"code": "", "message": "no"}}'),
        *((501, b""), (501, b"<html>"), (405, b"")),
        (200, b'{"responses": []}'),
    ],
)
@pytest.mark.parametrize("page_size", [None, 60])
async def test_a_service_that_refuses_batches_is_read_whole(
    page_size: int | None, status: int, body: bytes
) -> None:
    refusing = zoo(lines=30, long_list_rows=10, page_size=page_size)
    answering = refusing.tables.answer

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("$batch"):
            headers = {"content-type": "application/json"} if status == 200 else {}
            return httpx.Response(status, headers=headers, content=body)
        return answering(request)

    refusing.tables.answer = answer  # type: ignore[method-assign]
    answers = [await refusing.execute(PAGES) for _ in range(3)]

    assert [answer.errors for answer in answers] == [[]] * 3
    assert builtins_of(answers[0]) == builtins_of(answers[2])
    # It was tried once.
    assert sum(sets_of(answer).count("$batch") for answer in answers) == 1
    assert sets_of(answers[2]).count("$batch") == 0


async def test_a_page_that_fails_fails_for_its_parent_only() -> None:
    failing = zoo(lines=30, long_list_rows=10)
    await failing.execute(PAGES)
    answering = failing.tables.answer

    def answer_others(request: httpx.Request) -> httpx.Response:
        if "OrderId eq 2" in unquote(str(request.url)):
            return httpx.Response(400, json={"error": {"code": "", "message": "no"}})
        return answering(request)

    failing.tables.answer = answer_others  # type: ignore[method-assign]
    answer = await failing.execute(PAGES)

    (error,) = answer.errors
    assert error["path"][:3] == ["orders", "nodes", 2]
    body: Any = builtins_of(answer)["data"]["orders"]["nodes"]
    assert [len(order["lines"]["nodes"]) for order in body if order and order["lines"]] == [2] * 3


async def test_explain_says_that_pages_are_read_one_by_one(sandboxed: Gateway) -> None:
    by = engine(sandboxed, long_list_rows=0)
    query = """{ customersV3(first: 5, companies: ["usmf"]) { nodes {
      salesOrders(first: 1) { nodes { salesOrderNumber } } } } }"""
    request = GraphQLRequest(query=query)
    gateway = replace(sandboxed, engine=by)
    before = (await explain(gateway, request)).text()
    await by.execute(request)

    after = (await explain(gateway, request)).text()

    assert "page of each parent" not in before
    assert "page of each parent, up to 20 in a $batch, as whole lists have about" in after
    assert "OrderingCustomerAccountNumber eq {CustomerAccount}&$orderby" in after
    assert "$top=1" in after


async def test_pages_of_each_parent_are_priced_as_they_are_sent(sandboxed: Gateway) -> None:
    by = priced_engine(sandboxed, long_list_rows=0)
    query = """{ customersV3(first: 25, companies: ["usmf"]) { nodes {
      salesOrders(first: 1) { nodes { salesOrderNumber salesOrderLines { totalCount } } } } } }"""
    request = GraphQLRequest(query=query, cost="include")

    answers = [await by.execute(request) for _ in range(3)]

    cost = answers[-1].extensions["cost"]
    assert sets_of(answers[-1]).count("$batch") >= 2
    assert cost["estimated"]["requests"] == pytest.approx(cost["actual"]["requests"], rel=0.34)


@pytest.mark.parametrize(("longest", "first"), [(0, 1), (0, 40), (1_000, 1), (1_000, 40)], ids=str)
async def test_rows_of_lists_are_priced_by_their_lengths(
    sandboxed: Gateway, longest: int, first: int
) -> None:
    """Lists of some 40 customers in a group: whole, or page by page."""
    by = priced_engine(sandboxed, expand="never", long_list_rows=longest)
    query = f"""{{ customerGroups(first: 10, companies: ["usmf"]) {{ nodes {{
      customers(first: {first}) {{ nodes {{ customerAccount }} }} }} }} }}"""
    request = GraphQLRequest(query=query, cost="include")

    answers = [await by.execute(request) for _ in range(4)]

    cost = answers[-1].extensions["cost"]
    assert cost["actual"]["rows"] >= 10
    assert cost["estimated"]["rows"] == pytest.approx(cost["actual"]["rows"], rel=0.2)


def test_lengths_are_averages_of_lists() -> None:
    lengths = ListLengths()
    lengths.learn(0, 0)
    assert lengths.average == 0
    lengths.learn(4, 400)
    lengths.learn(1, 200)

    assert lengths.average == 120


@dataclass
class _Small:
    """An upstream whose answers with ``$expand`` are too large."""

    gateway: Gateway

    @property
    def root(self) -> str:
        return self.gateway.client.root

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        if "$expand" in request.url:
            raise AnswerTooLarge("The upstream's answer is larger than 256,000,000 bytes.")
        return await self.gateway.client.send(request, safe=safe)


async def test_lists_that_were_too_long_are_read_page_by_page_next_time(
    sandboxed: Gateway,
) -> None:
    small: Any = _Small(sandboxed)
    by = engine(replace(sandboxed, client=small))
    query = """{ salesOrderHeadersV2(first: 5, companies: ["usmf"]) { nodes {
      salesOrderLines(first: 1) { nodes { lineNumber } } } } }"""

    first, second = [await by.execute(GraphQLRequest(query=query)) for _ in range(2)]

    assert [error["extensions"]["code"] for error in first.errors] == ["UPSTREAM_MALFORMED"]
    assert second.errors == []
    assert sets_of(second)[:2] == ["SalesOrderHeadersV2", "$batch"]
