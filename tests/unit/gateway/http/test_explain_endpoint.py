"""Explain over HTTP shows the requests that an operation would send; a trace those it has sent, with timings."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from gateway.app import create_app
from gateway.config.setting_models import SandboxOptions
from gateway.config.settings import Settings
from gateway.http.admin_access import access_check
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON
from gateway.runtime.assembly import sandbox_transport
from tests.support.manual_clock import pass_time
from tests.support.observers import raise_defects
from tests.support.sockets import PATIENCE

pytestmark = pytest.mark.anyio
TOKEN = "a-token-of-sixteen-letters"
TRACE = {"X-D365-Trace": "true"}
CUSTOMERS = """{
  customersV3(first: 2, companies: ["usmf"]) {
    nodes { customerAccount orders: salesOrders { nodes { salesOrderNumber } } }
  }
}"""
JOURNAL = """mutation {
  header: createLedgerJournalHeader(input: {
    journalName: "GenJrn", description: "Rent"
    ledgerJournalLine: { create: [
      { lineNumber: "1", accountType: LEDGER, accountDisplayValue: "605120-001-022", debitAmount: "5.00"
        currencyCode: "USD", voucher: "A1" }
    ] }
  }) { ledgerJournalHeader { journalBatchNumber } userErrors { code } }
}"""
UPDATE = """mutation {
  updateCustomerV3(key: {dataAreaId: "usmf", customerAccount: "US-001"}, ifMatch: "W/1", patch: {creditLimit: "5"}) {
    userErrors { code }
  }
}"""


class Recording(httpx.AsyncBaseTransport):
    """The embedded sandbox, and what it was asked; ``answers`` are given first, to requests whose path holds a word."""

    def __init__(self) -> None:
        self._sandbox = sandbox_transport(SandboxOptions())
        self.asked: list[str] = []
        self.answers: list[tuple[str, httpx.Response]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        for number, (word, answer) in enumerate(self.answers):
            if word in request.url.path:
                del self.answers[number]
                return answer
        return await self._sandbox.handle_async_request(request)


@dataclass
class Client:
    """A client of one application over a recorded upstream."""

    http: httpx.AsyncClient
    upstream: Recording

    async def explain(self, query: str, variables: object = None, **headers: str) -> httpx.Response:
        return await self._post("/graphql/explain", query, variables, headers)

    async def run(self, query: str, variables: object = None, **headers: str) -> httpx.Response:
        return await self._post("/graphql", query, variables, headers)

    async def _post(
        self, path: str, query: str, variables: object, headers: dict[str, str]
    ) -> httpx.Response:
        named = {"Accept": GRAPHQL, **{name.replace("_", "-"): v for name, v in headers.items()}}
        body = {"query": query, "variables": variables}
        self.upstream.asked.clear()
        return await self.http.post(path, json=body, headers=named)


@asynccontextmanager
async def serving(**given: object) -> AsyncIterator[Client]:
    upstream = Recording()
    settings = Settings(language=None, retry_wait_max=0.0, **given)  # type: ignore[arg-type]
    app = create_app(settings, transport=upstream, observe=raise_defects)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield Client(http, upstream)


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with serving(max_aliases=3, max_body_bytes=5_000) as opened:
        yield opened


async def test_query_is_explained_without_sending_anything(client: Client) -> None:
    response = await client.explain(CUSTOMERS)

    body = response.json()["data"]
    assert response.status_code == 200
    assert client.upstream.asked == []
    assert body["changes"] is body["failed"] is False
    (step,) = body["steps"]
    assert step["field"] == "customersV3"
    assert "companies: usmf" in step["how"]
    (below,) = step["below"]
    assert (below["field"], below["how"].partition(",")[0]) == ("orders", "key batch")
    assert below["request"].startswith("SalesOrderHeadersV2?$select=SalesOrderNumber")
    (request,) = body["requests"]
    assert request["method"] == "GET"
    assert request["fields"] == ["customersV3"]
    assert "dataAreaId eq 'usmf'" in request["text"]
    assert "dataAreaId%20eq%20'usmf'" in request["path"]
    plan, _, cost = body["text"].partition("\nEstimated cost: ")
    assert plan.endswith(f"GET {request['text']}")
    # One customer, and the orders of two.
    assert cost == "2 requests, 22 rows, 6.0 points"
    expected = {"points": 6.0, "requests": 2, "pages": 2, "rows": 22, "seconds": 0.6}
    assert body["cost"] == expected


async def test_explained_requests_are_those_that_are_sent(client: Client) -> None:
    query = """{
      a: customersV3(first: 1) { totalCount }
      b: customerV3(dataAreaId: "usmf", customerAccount: "US-001") { id }
    }"""

    explained = (await client.explain(query)).json()["data"]["requests"]
    traced = (await client.run(query, **TRACE)).json()["extensions"]["d365"]["requests"]

    both = ("method", "path", "text", "fields")
    assert [[r[n] for n in both] for r in explained] == [[r[n] for n in both] for r in traced]


async def test_mutation_is_explained_without_writing(
    client: Client,
) -> None:
    explanation = (await client.explain(JOURNAL, X_D365_Company="usmf")).json()["data"]

    assert client.upstream.asked == []
    assert explanation["changes"] is True
    assert explanation["placeholders"] == ["JournalBatchNumber"]
    header, batch = explanation["requests"][:2]
    assert (header["method"], header["path"]) == ("POST", "LedgerJournalHeaders?cross-company=true")
    assert header["body"].startswith('{"dataAreaId":"usmf"')
    assert header["within"] == []
    assert batch["path"] == "$batch"
    (line,) = batch["within"]
    assert (line["method"], line["path"]) == ("POST", "LedgerJournalLines?cross-company=true")
    assert '"JournalBatchNumber":"{JournalBatchNumber}"' in line["body"]
    assert {tuple(request["fields"]) for request in explanation["requests"]} == {("header",)}


async def test_if_match_of_a_write_is_shown(client: Client) -> None:
    explanation = (await client.explain(UPDATE)).json()["data"]["requests"]

    assert [(r["method"], r["headers"].get("If-Match")) for r in explanation][:1] == [
        ("PATCH", "W/1")
    ]


async def test_introspection_sends_nothing(client: Client) -> None:
    explanation = (await client.explain("{ __schema { queryType { name } } }")).json()["data"]

    assert explanation["steps"] == explanation["requests"] == []


async def test_subscription_shows_the_requests_of_a_poll(client: Client) -> None:
    query = 'subscription { a: entityChanged(set: "customersV3", companies: ["usmf"]) { kind } }'
    explanation = (await client.explain(query)).json()["data"]

    assert explanation["repeats"] is True
    assert [step["field"] for step in explanation["steps"]] == ["a"]
    assert [request["fields"] for request in explanation["requests"]] == [["a"]]
    assert "$filter=dataAreaId eq 'usmf'" in explanation["requests"][0]["text"]
    assert client.upstream.asked == []


async def test_invalid_arguments_are_shown_in_the_plan(client: Client) -> None:
    explanation = (await client.explain("{ customersV3(first: 5000) { totalCount } }")).json()[
        "data"
    ]

    assert explanation["failed"] is True
    assert explanation["steps"][0]["how"].startswith("fails: PAGE_LIMIT_EXCEEDED")


REFUSED = [
    ("{", None, "GRAPHQL_PARSE_FAILED"),
    ("{ custmersV3 { totalCount } }", None, "GRAPHQL_VALIDATION_FAILED"),
    ("query ($n: Int!) { customersV3(first: $n) { totalCount } }", {"n": "x"}, "BAD_USER_INPUT"),
    ("{ " + " ".join(f"a{n}: __typename" for n in range(4)) + " }", None, "BUDGET_EXCEEDED"),
    ("query A { __typename } query B { __typename }", None, "OPERATION_RESOLUTION_FAILURE"),
    ('mutation ($v: String! @valueFrom(path: "b.x")) { __typename }', None, None),
]


@pytest.mark.parametrize(("query", "variables", "code"), REFUSED)
async def test_explain_has_the_errors_of_running(
    client: Client, query: str, variables: object, code: str | None
) -> None:
    explained = await client.explain(query, variables)
    run = await client.run(query, variables)

    assert explained.status_code == run.status_code
    explanation, wanted = explained.json(), run.json()
    assert [e["message"] for e in explanation["errors"]] == [e["message"] for e in wanted["errors"]]
    codes = {e["extensions"]["code"] for e in explanation["errors"]}
    assert codes == {e["extensions"]["code"] for e in wanted["errors"]}
    assert code is None or codes == {code}
    assert client.upstream.asked == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"[", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"query": "{ __typename }"}', "text/plain", 415),
        (b'{"query": "' + b" " * 5_000 + b'"}', JSON, 413),
    ],
)
async def test_explain_is_as_strict_as_the_api(
    client: Client, content: bytes, kind: str, status: int
) -> None:
    given = {"Content-Type": kind}

    response = await client.http.post("/graphql/explain", content=content, headers=given)

    assert response.status_code == status
    assert set(response.json()) == {"errors"}


async def test_no_suggestions_without_introspection() -> None:
    async with serving(introspection=False) as client:
        wrong = (await client.explain("{ custmersV3 { totalCount } }")).json()["errors"]
        schema = (await client.explain("{ __schema { queryType { name } } }")).json()["errors"]

    assert "mean" not in wrong[0]["message"]
    assert schema[0]["extensions"]["code"] == "INTROSPECTION_DISABLED"


async def test_explain_has_the_deadline_of_operations(client: Client) -> None:
    response = await client.explain(CUSTOMERS, X_D365_Timeout="0.000000001")

    assert response.json()["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"


async def test_trace_is_only_sent_if_requested(client: Client) -> None:
    plain = (await client.run(CUSTOMERS)).json()
    traced = (await client.run(CUSTOMERS, **TRACE)).json()

    assert set(plain) == {"data"}
    assert traced["data"] == plain["data"]
    trace = traced["extensions"]["d365"]
    assert [f"{r['method']} /data/{r['path'].partition('?')[0]}" for r in trace["requests"]] == (
        client.upstream.asked
    )
    customers, orders = trace["requests"]
    assert (customers["fields"], orders["fields"]) == (["customersV3"], ["customersV3.orders"])
    assert customers["rows"] == len(plain["data"]["customersV3"]["nodes"]) == 2
    assert (customers["status"], customers["attempts"], customers["error"]) == (200, 1, None)
    assert customers["started"] < orders["started"]
    spent = trace["spent"]
    assert spent["requests"] == 2
    assert spent["rows"] == customers["rows"] + orders["rows"]
    assert spent["bytes"] == customers["bytes"] + orders["bytes"]
    assert 0 < spent["upstream"] <= spent["milliseconds"]


FIELDS = [
    (
        "{ a: legalEntities { totalCount } b: legalEntities { totalCount } }",
        {("a", "b"): "LegalEntities/$count"},
    ),
    (
        """{
          a: customersV3(first: 1, companies: ["usmf"]) { nodes { salesOrders(first: 1) { nodes { id } } } }
          b: customersV3(first: 1, companies: ["demf"]) { nodes { salesOrders(first: 1) { nodes { id } } } }
        }""",
        {
            ("a", "b"): "$batch",
            ("a.salesOrders", "b.salesOrders"): "SalesOrderHeadersV2",
        },
    ),
    (
        """{
          x: customerV3(dataAreaId: "usmf", customerAccount: "US-001") { id }
          y: customerV3(dataAreaId: "usmf", customerAccount: "US-002") { id }
        }""",
        {("x", "y"): "CustomersV3"},
    ),
]


@pytest.mark.parametrize(("query", "wanted"), FIELDS, ids=["equal", "below", "by-key"])
async def test_traced_request_names_its_fields(
    client: Client, query: str, wanted: dict[tuple[str, ...], str]
) -> None:
    requests = (await client.run(query, **TRACE)).json()["extensions"]["d365"]["requests"]

    paths = {tuple(r["fields"]): r["path"].partition("?")[0].partition("(")[0] for r in requests}
    assert paths == wanted


async def test_trace_shows_attempts_and_errors(client: Client) -> None:
    busy = [httpx.Response(429, headers={"Retry-After": "0"}) for _ in range(2)]
    client.upstream.answers += [("LegalEntities", answer) for answer in busy]
    client.upstream.answers.append(("CustomerGroups", httpx.Response(403, text="who are you?")))

    query = "{ legalEntities { nodes { id } } customerGroups { nodes { id } } }"
    response = await client.run(query, **TRACE)

    entities, groups = response.json()["extensions"]["d365"]["requests"]
    assert (entities["attempts"], entities["status"], entities["error"]) == (3, 200, None)
    assert (groups["attempts"], groups["status"], groups["error"]) == (1, 403, "UPSTREAM_FORBIDDEN")
    assert "who are you" not in response.text


async def test_trace_shows_every_write(client: Client) -> None:
    query = """mutation {
      a: createCustomerGroup(input: {customerGroupId: "T1", description: "x"}) { userErrors { code } }
      b: createCustomerGroup(input: {customerGroupId: "T1", description: "x"}) { userErrors { code } }
    }"""

    explanation = (await client.run(query, X_D365_Company="usmf", **TRACE)).json()["extensions"][
        "d365"
    ]

    writes = [(r["method"], r["fields"]) for r in explanation["requests"]]
    assert writes == [("POST", ["a"]), ("POST", ["b"])]
    assert explanation["requests"][0]["status"] == 201
    assert explanation["requests"][1]["status"] >= 400


async def test_trace_of_a_late_operation_shows_where_time_went() -> None:
    async with serving(operation_timeout=PATIENCE) as client:

        async def never(request: httpx.Request) -> httpx.Response:
            pass_time(PATIENCE)
            await asyncio.Event().wait()
            raise AssertionError(request)

        client.upstream.handle_async_request = never  # type: ignore[method-assign]
        explanation = (await client.run("{ legalEntities { nodes { id } } }", **TRACE)).json()

    assert explanation["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"
    (request,) = explanation["extensions"]["d365"]["requests"]
    assert (request["status"], request["attempts"]) == (None, 1)


@pytest.mark.parametrize("value", ["false", "0", "", "yes please"])
async def test_trace_header_must_be_true(client: Client, value: str) -> None:
    assert "extensions" not in (await client.run(CUSTOMERS, X_D365_Trace=value)).json()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


ACCESS: list[tuple[dict[str, object], dict[str, str], int]] = [
    ({}, {}, 200),
    ({"explain": False}, {}, 404),
    ({"graphiql": False}, {}, 404),
    ({"graphiql": False, "explain": True}, {}, 200),
    ({"graphiql": "admin", "admin_token": TOKEN}, {}, 401),
    ({"explain": "admin", "admin_token": TOKEN}, {}, 401),
    ({"explain": "admin", "admin_token": TOKEN}, bearer("another-token-of-letters"), 401),
    ({"explain": "admin", "admin_token": TOKEN}, bearer(TOKEN), 200),
    ({"explain": "admin", "admin_token": TOKEN}, basic(TOKEN), 200),
]


@pytest.mark.parametrize(("given", "headers", "status"), ACCESS)
async def test_settings_decide_who_gets_traces(
    given: dict[str, object], headers: dict[str, str], status: int
) -> None:
    async with serving(**given) as client:
        explained = await client.explain("{ __typename }", **headers)
        run = await client.run("{ __typename }", **TRACE, **headers)

    assert explained.status_code == status
    assert run.status_code == 200
    assert ("extensions" in run.json()) == (status == 200)
    if status == 401:
        assert explained.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert explained.headers["www-authenticate"] == 'Bearer realm="d365-graphql"'


@pytest.mark.parametrize(
    ("given", "shown"),
    [({}, True), ({"explain": False}, False), ({"explain": "admin", "admin_token": TOKEN}, True)],
)
async def test_page_has_the_panel_if_explain_is_allowed(
    given: dict[str, object], shown: bool
) -> None:
    async with serving(**given) as client:
        config = await client.http.get("/graphiql/config.json")

    assert config.json()["explain"] is shown


@pytest.mark.parametrize(
    "given",
    ["", "Basic", "Basic !!!", "Basic bm90aGluZw==", "Bearer", "Bearer x", "Digest x", TOKEN],
)
def test_invalid_credentials_are_refused(given: str) -> None:
    settings = Settings(admin_token=TOKEN)  # type: ignore[arg-type]

    assert not access_check("admin", settings.admin_token)({"authorization": given})
    assert not access_check("admin", None)({"authorization": f"Bearer {TOKEN}"})
