"""Key batches: what a failed request costs, and what is requested once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.errors import UpstreamTimeout
from gateway.odata.query import Request
from gateway.odata.response_check import Response
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.support.cases import assert_requests, builtins_of, engine, requests_of

pytestmark = pytest.mark.anyio
HEADERS = """salesOrderHeadersV2(first: 40) { nodes {
  key: salesOrderNumber below: salesOrderLines(first: 3) { nodes { lineNumber } } } }"""
LINES = """salesOrderLines(first: 80) { nodes {
  key: salesOrderNumber below: salesOrderHeaderV2 { requestedShippingDate } } }"""


@dataclass
class Faulty:
    """An upstream that fails, or answers nonsense, to some of the requests for one set."""

    gateway: Gateway
    set_name: str
    fails: Callable[[int], bool]
    body: bytes | None = None
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def root(self) -> str:
        return self.gateway.client.root

    async def send(self, request: Request, *, safe: bool | None = None) -> Response:
        if request.url.startswith(f"{self.set_name}?"):
            self.requests.append(request.url)
            if self.fails(len(self.requests) - 1):
                self.failed.append(request.url)
                if self.body is None:
                    raise UpstreamTimeout("The upstream did not answer in time.")
                return Response(200, {"content-type": "application/json"}, self.body, request.url)
        return await self.gateway.client.send(request, safe=safe)


async def ask(gateway: Gateway, upstream: Faulty, root: str) -> dict[str, Any]:
    run = engine(
        replace(gateway, client=upstream),  # type: ignore[arg-type]
        expand="never",
        max_url_length=700,
    )
    answer = builtins_of(await run.execute(GraphQLRequest(query=f"{{ all: {root} }}")))
    return {**answer, "rows": answer["data"]["all"]["nodes"]}


@pytest.mark.parametrize(
    ("set_name", "root"),
    [("SalesOrderLines", HEADERS), ("SalesOrderHeadersV2", LINES)],
    ids=["to many", "to one"],
)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "UPSTREAM_TIMEOUT"),
        (b'{"value": [{}]}', "UPSTREAM_MALFORMED"),
        (b"<html>", "UPSTREAM_MALFORMED"),
    ],
    ids=["timeout", "rows without their keys", "no JSON"],
)
async def test_a_failed_request_fails_only_for_its_own_parents(
    sandboxed: Gateway, set_name: str, root: str, body: bytes | None, code: str
) -> None:
    good = await ask(sandboxed, Faulty(sandboxed, set_name, lambda _: False), root)
    upstream = Faulty(sandboxed, set_name, lambda n: n == 1, body)
    answer = await ask(sandboxed, upstream, root)

    assert len(upstream.requests) > 1
    lost = [n for n, row in enumerate(answer["rows"]) if row["below"] is None]
    assert 0 < len(lost) < len(answer["rows"])
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["all", "nodes", n, "below"], code) for n in lost
    ]
    for n, (row, whole) in enumerate(zip(answer["rows"], good["rows"], strict=True)):
        assert (n in lost) == (f"'{row['key']}'" in upstream.failed[0])
        assert n in lost or row == whole


async def test_every_parent_has_the_error_if_all_requests_fail(sandboxed: Gateway) -> None:
    answer = await ask(sandboxed, Faulty(sandboxed, "SalesOrderLines", lambda _: True), HEADERS)

    assert [row["below"] for row in answer["rows"]] == [None] * 40
    assert [e["path"][2] for e in answer["errors"]] == list(range(40))


async def test_rows_by_key_fail_by_request_too(sandboxed: Gateway) -> None:
    fields = " ".join(
        f'c{i}: customerV3(dataAreaId: "usmf", customerAccount: "US-{i:03}") {{ organizationName }}'
        for i in range(1, 31)
    )
    upstream = Faulty(sandboxed, "CustomersV3", lambda n: n == 0)
    run = engine(replace(sandboxed, client=upstream), max_url_length=700)  # type: ignore[arg-type]
    answer = builtins_of(await run.execute(GraphQLRequest(query=f"{{ {fields} }}")))

    lost = {f"c{i}" for i in range(1, 31) if f"'US-{i:03}'" in upstream.failed[0]}
    assert 0 < len(lost) < 30
    assert {name for name, row in answer["data"].items() if row is None} == lost
    assert {e["path"][0] for e in answer["errors"]} == lost


async def test_keys_that_are_equal_upstream_are_requested_once(
    sandboxed: Gateway,
) -> None:
    spelled = ("US-001", "us-001", "US-001 ", "US-002")
    fields = " ".join(
        f'c{i}: customerV3(dataAreaId: "USMF", customerAccount: "{key}") {{ customerAccount }}'
        for i, key in enumerate(spelled)
    )
    answer = await engine(sandboxed).execute(GraphQLRequest(query=f"{{ {fields} }}"))

    assert_requests(answer, 1)
    assert requests_of(answer)[0].lower().count("customeraccount eq") == 2
    result = [row["customerAccount"] for row in answer.to_builtins()["data"].values()]
    assert result == ["US-001", "US-001", "US-001", "US-002"]


@pytest.mark.parametrize("expand", ["auto", "never"])
@pytest.mark.parametrize("first", [1, 100])
async def test_aliases_with_other_pages_and_columns_share_a_request(
    sandboxed: Gateway, expand: str, first: int
) -> None:
    where = 'where: { lineAmount: { gt: "100" } }'
    query = f"""{{ salesOrderHeadersV2(first: {first}) {{ nodes {{
      two: salesOrderLines(first: 2, {where}) {{ nodes {{ lineNumber }} }}
      one: salesOrderLines(first: 1, {where}) {{ nodes {{ lineAmount }} pageInfo {{ hasNextPage }} }}
      last: salesOrderLines(last: 2, {where}) {{ totalCount nodes {{ lineNumber }} }} }} }} }}"""
    run = engine(sandboxed, expand=expand, max_url_length=60_000)
    answer = await run.execute(GraphQLRequest(query=query))

    # The pages of one parent are asked for as pages; those of many are cut out of the same rows.
    assert_requests(answer, 3 if first == 1 else 2)
    for row in answer.to_builtins()["data"]["salesOrderHeadersV2"]["nodes"]:
        two, one, last = row["two"]["nodes"], row["one"], row["last"]
        assert len(two) == min(2, last["totalCount"])
        assert len(one["nodes"]) == min(1, last["totalCount"])
        assert one["pageInfo"]["hasNextPage"] == (last["totalCount"] > 1)
        assert last["totalCount"] > 2 or last["nodes"] == two
