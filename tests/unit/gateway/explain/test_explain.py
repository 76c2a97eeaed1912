"""Explain of queries shows the requests that would be sent, and sends nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.config.settings import Settings
from gateway.explain.explain import explain
from gateway.odata.render import readable_url
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import Gateway, open_gateway

pytestmark = pytest.mark.anyio
METADATA = """<?xml version="1.0"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Person">
    <Key><PropertyRef Name="No"/></Key>
    <Property Name="No" Type="Edm.Int32" Nullable="false"/>
    <Property Name="Name" Type="Edm.String"/>
    <NavigationProperty Name="Friends" Type="Collection(N.Person)"/>
  </EntityType>
  <Function Name="Nearest">
    <Parameter Name="to" Type="Edm.Int32" Nullable="false"/><ReturnType Type="N.Person"/>
  </Function>
  <EntityContainer Name="C">
    <EntitySet Name="People" EntityType="N.Person">
      <NavigationPropertyBinding Path="Friends" Target="People"/>
    </EntitySet>
    <Singleton Name="Me" Type="N.Person"/>
    <FunctionImport Name="Nearest" Function="N.Nearest" EntitySet="People"/>
  </EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>
"""


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway(Settings(language=None), observe=lambda _: None) as opened:
        yield opened


@pytest.fixture
async def untouchable(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway over another service, which fails the test when it is asked anything."""

    def touched(request: httpx.Request) -> httpx.Response:
        pytest.fail(f"explain sent {request.url}")

    document = tmp_path / "metadata.xml"
    document.write_text(METADATA, "utf-8")
    settings = Settings(url="https://v4.example/odata", metadata=str(document), dialect="odata")
    transport = httpx.MockTransport(touched)
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as opened:
        yield opened


async def text_of(gateway: Gateway, query: str, **more: object) -> str:
    return (await explain(gateway, GraphQLRequest(query=query, **more))).text()  # type: ignore[arg-type]


BY_KEY = 'customerV3(dataAreaId: "usmf", customerAccount: "US-%s") { organizationName }'
OPERATIONS = [
    "{ __typename }",
    "{ customersV3 { totalCount } }",
    "{ customersV3(first: 2) { nodes { customerAccount } totalCount } }",
    "{ customersV3(last: 2) { nodes { customerAccount } pageInfo { hasPreviousPage } } }",
    '{ customersV3(companies: ["usmf"], where: {organizationName: {contains: "*"}}) { totalCount } }',
    "{ customersV3(where: {customerAccount: {in: []}}) { nodes { customerAccount } } }",
    "{ customersV3(first: 5000) { totalCount } legalEntities { totalCount } }",
    "{ salesOrderHeadersV2(first: 3, orderBy: [{salesOrderStatus: DESC}]) { nodes { salesOrderNumber } } }",
    "{ salesOrderHeadersV2(last: 2, orderBy: [{salesOrderStatus: DESC}]) { nodes { salesOrderNumber } } }",
    "{ salesOrderHeadersV2(first: 2) { nodes { salesOrderLines(first: 1) { nodes { lineNumber } } } } }",
    "{ a: legalEntities { totalCount } b: legalEntities { totalCount } }",
    f"{{ a: {BY_KEY % '001'} b: {BY_KEY % '002'} }}",
    f"{{ {BY_KEY % '001'} }}",
    '{ customerV3(dataAreaId: "usmf", customerAccount: "a/b%c") { organizationName } }',
    "{ " + " ".join(f"c{n}: {BY_KEY % f'{n:03}'}" for n in range(90)) + " }",
    '{ node(id: "nonsense") { id } customerGroups { nodes { customerGroupId } } }',
    "{ __schema { queryType { name } } legalEntities(first: 1) { nodes { __typename } } }",
]


@pytest.mark.parametrize("query", OPERATIONS)
async def test_requests_of_root_fields_are_exact(gateway: Gateway, query: str) -> None:
    request = GraphQLRequest(query=query)

    explained = await explain(gateway, request)
    sent = [readable_url(r) for r in (await gateway.engine.execute(request)).requests]

    # A position counted from the end is known when the count is.
    shown = [re.sub(r"\{count - \d+\}", "#", r.text) for r in explained.requests]
    real = [re.sub(r"(?<=skip=)\d+", "#", r) for r in sent[: len(shown)]]
    assert shown == real
    assert not [r for r in sent[len(shown) :] if r.partition("?")[0] in query]


LINES = """ fragment Lines on PurchaseOrderHeaderV2 {
  purchaseOrderLinesV2(first: 1, where: {lineNumber: {gt: 1}}) { nodes { lineNumber } }
}"""
BELOW = [
    (
        "{ customersV3(first: 2) { nodes { orders: salesOrders { nodes { salesOrderNumber } } } } }",
        "orders",
        "SalesOrderHeadersV2",
        {"dataAreaId": "dataAreaId", "OrderingCustomerAccountNumber": "CustomerAccount"},
    ),
    (
        "{ salesOrderHeadersV2(last: 2) { nodes { customer { organizationName } } } }",
        "customer",
        "CustomersV3",
        {"dataAreaId": "dataAreaId", "CustomerAccount": "OrderingCustomerAccountNumber"},
    ),
    (
        "{ purchaseOrderHeadersV2(first: 2) { nodes { ...Lines } } }" + LINES,
        "purchaseOrderLinesV2",
        "PurchaseOrderLinesV2",
        {"dataAreaId": "dataAreaId", "PurchaseOrderNumber": "PurchaseOrderNumber"},
    ),
]


@pytest.mark.parametrize(("query", "field", "target", "join"), BELOW)
async def test_template_is_the_request_for_one_parent(
    gateway: Gateway, query: str, field: str, target: str, join: dict[str, str]
) -> None:
    request = GraphQLRequest(query=query)

    (root,) = (await explain(gateway, request)).steps
    (child,) = root.below
    sent = [readable_url(r) for r in (await gateway.engine.execute(request)).requests]

    assert child.field == field
    assert child.request is not None
    assert child.request.startswith(f"{target}?")
    for column, parents in join.items():
        assert f"{column} eq {{{parents}}}" in child.request
    # But for the filter, it is what was sent for all parents.
    (real,) = [r for r in sent if r.startswith(f"{target}?")]
    without_filter = re.compile(r"&\$filter=[^&]*")
    assert without_filter.sub("", child.request) == without_filter.sub("", real)


FAILING = [
    (f'{{ customersV3(where: {{ customerAccount: {{ eq: "{"x" * 70_000}" }} }}) {{ totalCount }} }}', "BAD_ARGUMENT"),
    ('{ nodes(ids: ["nonsense", "x"]) { id } }', "INVALID_ID"),
    ('{ node(id: "nonsense") { id } }', "INVALID_ID"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "code"), FAILING)
async def test_field_that_fails_before_sending_is_shown(
    gateway: Gateway, query: str, code: str
) -> None:
    request = GraphQLRequest(query=query)

    explanation = await explain(gateway, request)
    errors = (await gateway.engine.execute(request)).errors

    assert explanation.failed
    assert explanation.requests == ()
    assert explanation.steps[0].how.startswith(f"fails: {code}: ")
    assert {error["extensions"]["code"] for error in errors} == {code}


async def test_nothing_is_sent(untouchable: Gateway) -> None:
    query = """{
      people(last: 2) { nodes { name friends { nodes { name } } } totalCount }
      person(no: 5) { name }
      me { name friends(first: 1) { totalCount } }
      nearest(to: 3) { name }
    }"""

    text = await text_of(untouchable, query)

    assert "People(5)?$select=Name" in text
    assert "Me?$select=Name" in text
    assert "Nearest(to=3)" in text
    assert "companies" not in text
    assert "cross-company" not in text


async def test_path_is_one_request_a_parent(untouchable: Gateway) -> None:
    query = '{ people(first: 2) { nodes { friends(first: 3, where: {name: {eq: "A"}}) { nodes { name } } } } }'
    settings = untouchable.settings.model_copy(update={"expand": "never"})

    async with open_gateway(settings, observe=lambda _: None) as gateway:
        text = await text_of(gateway, query)

    assert "path, one request for each parent" in text
    assert (
        "    GET People({No})/Friends?$select=Name,No&$filter=Name eq 'A'&$orderby=No&$top=3\n"
        in text
    )


GOLDEN = {
    "{ __typename }": "Requests of the root fields: 0",
    "{ customersV3(first: 5000) { totalCount } }": (
        "customersV3: fails: PAGE_LIMIT_EXCEEDED: first is 5000; the limit is 1000.\n"
        "  note: Page with `after: pageInfo.endCursor`.\n"
        "\n"
        "Requests of the root fields: 0"
    ),
    "{ a: legalEntities { nodes { name } } }": (
        "a: LegalEntities, first 50 by LegalEntityId (keyset cursors)\n"
        "\n"
        "Requests of the root fields: 1\n"
        "  GET LegalEntities?$select=Name&$orderby=LegalEntityId&$top=50&cross-company=true"
    ),
    "{ salesOrderHeadersV2(last: 2, orderBy: [{salesOrderStatus: DESC}]) { nodes { salesOrderNumber } } }": (
        "salesOrderHeadersV2: SalesOrderHeadersV2 (companies: all that the account can read), last 2 by"
        " SalesOrderStatus desc, dataAreaId, SalesOrderNumber (offset cursors)\n"
        "  note: offset cursors: this order has a field that cannot be compared, or there is no key\n"
        "\n"
        "Requests of the root fields: 2\n"
        "  GET SalesOrderHeadersV2/$count?cross-company=true\n"
        "  GET SalesOrderHeadersV2?$select=SalesOrderNumber&$orderby=SalesOrderStatus desc,dataAreaId,SalesOrderNumber"
        "&$top=2&$skip={count - 2}&cross-company=true"
    ),
    "{ customersV3(where: {customerAccount: {in: []}}) { totalCount } }": (
        "customersV3: CustomersV3 (companies: all that the account can read), count only\n"
        "  note: no row can match: nothing is sent\n"
        "\n"
        "Requests of the root fields: 0"
    ),
    "{ nodess }": (
        "error: Cannot query field 'nodess' on type 'Query'. Did you mean 'nodes' or 'node'? (line 1, column 3)"
    ),
    "query A { __typename } query B { __typename }": (
        "error: The document contains several operations: choose one with operationName."
    ),
}


@pytest.mark.parametrize("query", GOLDEN)
async def test_text_is_as_expected(gateway: Gateway, query: str) -> None:
    # The points depend on what was learned of the sandbox.
    text, _, _ = (await text_of(gateway, query)).partition("\nEstimated cost: ")

    assert text == GOLDEN[query]


@pytest.mark.parametrize(
    ("query", "companies", "said"),
    [
        ("{ customersV3 { totalCount } }", None, "(companies: all that the account can read)"),
        ("{ customersV3 { totalCount } }", ("usmf",), "(companies: usmf)"),
        ("{ customersV3 { totalCount } }", ("usmf", "demf"), "(companies: usmf, demf)"),
        ('{ customersV3(companies: ["usrt"]) { totalCount } }', ("usmf",), "(companies: usrt)"),
        ("{ legalEntities { totalCount } }", ("usmf",), "legalEntities: LegalEntities, count only"),
    ],
)
async def test_company_scope_is_shown(
    gateway: Gateway, query: str, companies: tuple[str, ...] | None, said: str
) -> None:
    assert said in await text_of(gateway, query, companies=companies)


async def test_cursors_are_shown(gateway: Gateway) -> None:
    query = "query Q($c: String) { customersV3(first: 1, after: $c) { pageInfo { endCursor } } }"
    first = (await gateway.engine.execute(GraphQLRequest(query=query))).to_builtins()
    cursor = first["data"]["customersV3"]["pageInfo"]["endCursor"]

    text = await text_of(gateway, query, variables={"c": cursor})

    assert "first 1 after a cursor by dataAreaId, CustomerAccount" in text
