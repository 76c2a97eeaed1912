"""The number of requests that operations may cost: one request per row is a failure, not a review remark."""

from __future__ import annotations

from math import ceil

import pytest

from gateway.operations.global_ids import node_id
from gateway.request import Answer, GraphQLRequest
from gateway.runtime.assembly import Gateway
from tests.support.cases import assert_requests, engine, requests_of

pytestmark = pytest.mark.anyio
WIDE = 60_000
"""A URL limit beyond which nothing is split, to count what is planned."""


async def ask(gateway: Gateway, query: str, *, variables: dict | None = None, **settings) -> Answer:
    request = GraphQLRequest(query=query, variables=variables or {})
    answer = await engine(gateway, **settings).execute(request)
    assert not answer.errors
    return answer


@pytest.mark.parametrize(("expand", "requests"), [("auto", 1), ("never", 2)])
@pytest.mark.parametrize(
    "fields",
    [
        "purchaseOrderHeadersV2(first: 100) { nodes { vendorV2 { vendorOrganizationName } } }",
        "salesOrderHeadersV2(first: 100) { nodes { salesOrderLines { nodes { lineNumber } } } }",
        "salesOrderHeadersV2(first: 100) { nodes { salesOrderLines(first: 5) { totalCount } } }",
        "salesOrderLines(first: 100) { nodes { salesOrderHeaderV2 { salesOrderNumber } } }",
    ],
)
async def test_a_hundred_rows_with_one_relation(
    sandboxed: Gateway, fields: str, expand: str, requests: int
):
    answer = await ask(sandboxed, f"{{ {fields} }}", expand=expand, max_url_length=WIDE)

    assert_requests(answer, requests)


@pytest.mark.parametrize(
    "arguments",
    [
        '(first: 2, where: { lineAmount: { gt: "100" } })',
        "(first: 1, orderBy: [{ lineAmount: DESC }])",
    ],
)
async def test_arguments_below_cost_one_request_for_all_parents(sandboxed: Gateway, arguments: str):
    lines = f"salesOrderLines{arguments} {{ nodes {{ lineAmount }} }}"
    query = f"{{ salesOrderHeadersV2(first: 100) {{ nodes {{ {lines} }} }} }}"

    assert_requests(await ask(sandboxed, query, max_url_length=WIDE), 2)


async def test_parents_that_do_not_fit_one_url_are_split(sandboxed: Gateway):
    query = (
        "{ salesOrderHeadersV2(first: 100) { nodes { salesOrderLines { nodes { lineNumber } } } } }"
    )
    answer = await ask(sandboxed, query, expand="never", max_url_length=1_000)

    assert max(len(r.url) for r in answer.requests) <= 1_000
    below = [len(r.url) for r in answer.requests if r.url.startswith("SalesOrderLines")]
    assert min(below[:-1]) > 900, below
    assert len(set(requests_of(answer))) == len(answer.requests)


@pytest.mark.parametrize(("expand", "requests"), [("auto", 2), ("never", 3)])
async def test_three_levels(sandboxed: Gateway, expand: str, requests: int):
    """Declared relations are not known upstream; the one that is goes by expand."""
    answer = await ask(
        sandboxed,
        """{
          customersV3(first: 50, companies: ["usmf"]) {
            nodes { salesOrders(first: 2) { nodes { salesOrderLines(first: 2) { nodes { lineNumber } } } } }
          }
        }""",
        expand=expand,
        max_url_length=WIDE,
    )

    assert_requests(answer, requests)


@pytest.mark.parametrize(("expand", "requests"), [("auto", 3), ("never", 5)])
async def test_five_levels_cost_at_most_one_request_each(
    sandboxed: Gateway, expand: str, requests: int
):
    """Expand takes every second level: what came by expand has nothing below it but by keys."""
    answer = await ask(
        sandboxed,
        """{
          customersV3(first: 20, companies: ["usmf"]) {
            nodes { customerGroup { description } salesOrders { nodes { salesOrderLines { nodes {
              releasedProduct { productV2 { productName } } } } } } }
          }
        }""",
        expand=expand,
        max_url_length=WIDE,
    )

    assert_requests(answer, requests + 1)  # the customers' groups are beside their orders


async def test_fifty_rows_by_key_are_one_request(sandboxed: Gateway):
    fields = "\n".join(
        f'c{i}: customerV3(dataAreaId: "usmf", customerAccount: "US-{i:03d}") {{ organizationName }}'
        for i in range(1, 51)
    )
    answer = await ask(sandboxed, f"{{ {fields} }}", max_url_length=WIDE)

    assert_requests(answer, 1)
    assert all(answer.to_builtins()["data"].values())


async def test_fifty_rows_by_key_are_split_at_the_url_limit(sandboxed: Gateway):
    fields = "\n".join(
        f'c{i}: customerV3(dataAreaId: "usmf", customerAccount: "US-{i:03d}") {{ organizationName }}'
        for i in range(1, 51)
    )
    whole = await ask(sandboxed, f"{{ {fields} }}", max_url_length=WIDE)
    columns = "$select=OrganizationName,dataAreaId,CustomerAccount"
    company = "$filter=dataAreaId%20eq%20'usmf'%20and%20()"
    empty = f"CustomersV3?{columns}&{company}&cross-company=true"
    each = (len(whole.requests[0].url) - len(empty)) / 50
    answer = await ask(sandboxed, f"{{ {fields} }}", max_url_length=700)

    assert_requests(answer, ceil(50 / int((700 - len(empty)) / each)))
    assert max(len(r.url) for r in answer.requests) <= 700


async def test_aliases_with_different_columns_share_a_request(sandboxed: Gateway):
    names = ("organizationName", "creditLimit", "customerGroupId", "id", "__typename")
    fields = "\n".join(
        f'c{i}: customerV3(dataAreaId: "usmf", customerAccount: "US-{i:03d}") {{ {names[i % 5]} }}'
        for i in range(1, 21)
    )

    assert_requests(await ask(sandboxed, f"{{ {fields} }}", max_url_length=WIDE), 1)


async def test_a_hundred_nodes_of_four_types_are_four_requests(sandboxed: Gateway):
    ids = []
    for i in range(1, 26):
        ids.append(node_id("CustomerV3", "usmf", f"US-{i:03d}"))
        ids.append(node_id("SalesOrderHeaderV2", "usmf", f"{i:06d}"))
        ids.append(node_id("SalesOrderLine", "usmf", f"USMF-{i:06d}"))
        ids.append(node_id("ProductV2", f"D{i:04d}"))
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    answer = await ask(sandboxed, query, variables={"ids": ids}, max_url_length=WIDE)

    assert_requests(answer, 4)
    result = answer.to_builtins()["data"]["nodes"]
    assert [node["id"] if node else i for node, i in zip(result, ids, strict=True)] == ids
    assert sum(node is not None for node in result) > 90


async def test_nodes_and_keys_of_one_type_share_a_request(sandboxed: Gateway):
    query = """query ($ids: [ID!]!, $id: ID!) {
      nodes(ids: $ids) { ... on CustomerV3 { organizationName } }
      node(id: $id) { ... on CustomerV3 { creditLimit } }
      customerV3(dataAreaId: "usmf", customerAccount: "US-004") { partyType }
    }"""
    ids = [node_id("CustomerV3", "usmf", f"US-00{i}") for i in (1, 2)]
    variables = {"ids": ids, "id": node_id("CustomerV3", "usmf", "US-003")}

    assert_requests(await ask(sandboxed, query, variables=variables), 1)


async def test_equal_requests_are_sent_once(sandboxed: Gateway):
    one = 'customersV3(first: 5, companies: ["usmf"]) { nodes { customerAccount customerGroup { description } } }'
    fields = " ".join(f"f{i}: {one}" for i in range(10))
    answer = await ask(sandboxed, f"{{ {fields} }}", max_url_length=WIDE)

    assert_requests(answer, 2)


async def test_parents_that_share_a_child_ask_for_it_once(sandboxed: Gateway):
    """A hundred customers have five groups: five keys, not a hundred."""
    query = '{ customersV3(first: 100, companies: ["usmf"]) { nodes { customerGroup { description } } } }'
    answer = await ask(sandboxed, query)

    assert_requests(answer, 2)
    assert requests_of(answer)[1].count("CustomerGroupId eq") == 5


async def test_what_nobody_selects_is_not_fetched(sandboxed: Gateway):
    query = "{ customersV3(first: 3) { nodes { customerAccount } } }"
    (sent,) = requests_of(await ask(sandboxed, query))

    assert sent.startswith("CustomersV3?$select=CustomerAccount&$orderby=")


async def test_nothing_is_sent_for_rows_that_cannot_be(sandboxed: Gateway):
    query = """{
      none: customersV3(where: { customerAccount: { in: [] } }) { totalCount nodes { salesOrders { totalCount } } }
      also: customersV3(companies: []) { nodes { customerAccount } }
      zero: customersV3(first: 0) { nodes { customerAccount } }
    }"""

    assert_requests(await ask(sandboxed, query), 0)


async def test_a_page_and_its_count_are_one_request(sandboxed: Gateway):
    query = "{ customersV3(first: 5) { totalCount nodes { customerAccount } pageInfo { hasNextPage } } }"

    assert_requests(await ask(sandboxed, query), 1)
