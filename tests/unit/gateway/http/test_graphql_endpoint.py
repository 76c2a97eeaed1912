"""GraphQL over HTTP, by the draft: media types, statuses, methods, and invalid requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import Event
from gateway.events.requests import RequestServed
from gateway.http.graphql_endpoint import GRAPHQL, choose_media_type
from gateway.http.request_parameters import JSON
from tests.support.app_client import Client, calling, code_of, serving

VARY = "Accept, Accept-Encoding, Authorization, X-D365-Company, X-D365-Environment"
pytestmark = pytest.mark.anyio
TYPENAME = "{ __typename }"
ROWS = "{ legalEntities { totalCount } }"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    async with serving(Settings(language=None, max_body_bytes=200_000)) as opened:
        yield opened


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    async with calling(*served) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("  ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        ("Application/JSON; charset=utf-8", JSON),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{JSON}, {GRAPHQL}", GRAPHQL),
        (f"{JSON}, {GRAPHQL};q=0.5", JSON),
        (f"{GRAPHQL};q=0, */*", JSON),
        (f"{JSON};q=0, {GRAPHQL};q=0.1", GRAPHQL),
        (f"text/html, {JSON};q=0.2, */*;q=0.1", JSON),
        ("text/html", None),
        (f"{JSON};q=0", None),
        (f"{JSON};q=much", None),
        ("*/*;q=0", None),
    ],
)
async def test_media_type_is_the_preferred_one(accept: str, media: str | None) -> None:
    assert choose_media_type(accept) == media


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_content_type_names_the_charset(client: Client, accept: str) -> None:
    response = await client.post({"query": ROWS}, accept=accept)

    assert response.status_code == 200
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.headers["vary"] == VARY
    assert response.json()["data"]["legalEntities"]["totalCount"] > 0


async def test_several_accept_headers_are_one_list(client: Client) -> None:
    headers = [("Accept", "text/html"), ("Accept", GRAPHQL), ("Content-Type", JSON)]

    response = await client.http.post("/graphql", content=b'{"query":"{x}"}', headers=headers)

    assert response.headers["content-type"].startswith(GRAPHQL)


async def test_unacceptable_media_type_is_a_406_with_a_hint(client: Client) -> None:
    response = await client.post({"query": TYPENAME}, accept="text/plain")

    assert response.status_code == 406
    assert code_of(response) == "NOT_ACCEPTABLE"
    assert GRAPHQL in response.json()["errors"][0]["extensions"]["hint"]


REQUEST_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "not graphql ünïcode"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "query Q($n: Int!) { customersV3(first: $n) { totalCount } }"}, "BAD_USER_INPUT"),
    (
        {
            "query": "query Q($n: Int!) { customersV3(first: $n) { totalCount } }",
            "variables": {"n": "five"},
        },
        "BAD_USER_INPUT",
    ),
    ({"query": TYPENAME, "operationName": "Nope"}, "OPERATION_RESOLUTION_FAILURE"),
    (
        {"query": "query A { __typename } query B { __typename }"},
        "OPERATION_RESOLUTION_FAILURE",
    ),
    ({"query": "mutation { x }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "subscription { x }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "{ a: __typename " * 10 + "}" * 10}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "{ a: __typename " * 30 + "}" * 30}, "BUDGET_EXCEEDED"),
    ({"query": "{" * 20_000}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{ " + "__typename " * 16_000 + "}"}, "GRAPHQL_PARSE_FAILED"),
]


@pytest.mark.parametrize(("body", "code"), REQUEST_ERRORS)
async def test_status_of_a_refused_operation_follows_media_type(
    client: Client, body: dict[str, Any], code: str
) -> None:
    strict, lenient = await client.post(body), await client.post(body, accept=JSON)

    assert (strict.status_code, lenient.status_code) == (400, 200)
    assert (code_of(strict), code_of(lenient)) == (code, code)


async def test_failed_field_is_a_200_with_data_and_a_path(client: Client) -> None:
    query = "{ customersV3(first: 5000) { totalCount } legalEntities { totalCount } }"

    for accept in (JSON, GRAPHQL):
        response = await client.post({"query": query}, accept=accept)
        body = response.json()

        assert response.status_code == 200
        assert body["errors"][0]["path"] == ["customersV3"]
        assert body["errors"][0]["extensions"]["code"] == "PAGE_LIMIT_EXCEEDED"


async def test_unknown_field_is_named(client: Client) -> None:
    response = await client.post({"query": "subscription { x }"})

    assert "'x' on type 'Subscription'" in response.json()["errors"][0]["message"]


BROKEN: list[tuple[bytes, int, str]] = [
    (b"", 400, "BAD_REQUEST"),
    (b"{", 400, "BAD_REQUEST"),
    (b"[" * 100_000, 400, "BAD_REQUEST"),
    (b'{"query":' * 20_000, 400, "BAD_REQUEST"),
    (b'{"query": "\xff"}', 400, "BAD_REQUEST"),
    (b'{"query": "\\ud800"}', 400, "BAD_REQUEST"),
    ('{"query": "{x}"}'.encode("utf-16"), 400, "BAD_REQUEST"),
    (b'{"query": NaN}', 400, "BAD_REQUEST"),
    (b"query=%7B__typename%7D", 400, "BAD_REQUEST"),
    (b"null", 400, "BAD_REQUEST"),
    (b'"{ __typename }"', 400, "BAD_REQUEST"),
    (b"[]", 400, "BAD_REQUEST"),
    (b'[{"query": "{ __typename }"}]', 400, "BAD_REQUEST"),
    (b"{}", 400, "BAD_REQUEST"),
    (b'{"query": null}', 400, "BAD_REQUEST"),
    (b'{"query": ""}', 400, "BAD_REQUEST"),
    (b'{"query": 5}', 400, "BAD_REQUEST"),
    (b'{"query": ["{ __typename }"]}', 400, "BAD_REQUEST"),
    (b'{"query": "{ __typename }' + b" " * 200_000 + b'"}', 413, "BODY_TOO_LARGE"),
]


@pytest.mark.parametrize(("body", "status", "code"), BROKEN, ids=[str(b[0][:30]) for b in BROKEN])
@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_invalid_body_is_refused(
    client: Client, body: bytes, status: int, code: str, accept: str
) -> None:
    response = await client.post(body, accept=accept)

    assert response.status_code == status
    assert code_of(response) == code
    assert response.headers["content-type"].startswith(accept)


@pytest.mark.parametrize("name", ["variables", "extensions", "operationName"])
@pytest.mark.parametrize("value", [0, 5, False, True, [], ["x"], "text", {}])
async def test_parameter_of_the_wrong_type_is_named(
    client: Client, name: str, value: object
) -> None:
    response = await client.post({"query": TYPENAME, name: value})

    right = isinstance(value, str) if name == "operationName" else isinstance(value, dict)
    if right:
        assert response.status_code == (400 if value == "text" else 200)
    else:
        assert response.status_code == 400
        assert code_of(response) == "BAD_REQUEST"
        assert name in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["variables", "extensions", "operationName"])
async def test_null_parameter_counts_as_absent(client: Client, name: str) -> None:
    response = await client.post({"query": TYPENAME, name: None})

    assert response.json() == {"data": {"__typename": "Query"}}


async def test_batches_are_refused(client: Client) -> None:
    response = await client.post([{"query": TYPENAME}, {"query": TYPENAME}])

    assert response.status_code == 400
    assert "Batches" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
    ],
)
async def test_only_json_in_utf_8_is_read(client: Client, content_type: str) -> None:
    response = await client.post({"query": TYPENAME}, Content_Type=content_type)

    assert response.status_code == 415
    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"'],
)
async def test_content_type_may_be_spelt_differently(client: Client, content_type: str) -> None:
    response = await client.post({"query": TYPENAME}, Content_Type=content_type)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "", "x"]
)
async def test_compressed_body_is_refused(client: Client, coding: str) -> None:
    response = await client.post(b"\x1f\x8b" * 10_000, Content_Encoding=coding)

    assert response.status_code == 415
    assert "Compressed" in response.json()["errors"][0]["message"]


ALLOW = "GET, HEAD, POST, QUERY, OPTIONS"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_other_methods_are_a_405_with_allow(client: Client, method: str) -> None:
    response = await client.http.request(method, "/graphql", headers={"Accept": JSON})

    assert response.status_code == 405
    assert response.headers["allow"] == ALLOW
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_options_has_methods_without_cors(client: Client) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    response = await client.http.options("/graphql", headers=asks)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["allow"] == ALLOW
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert [type(event) for event in client.events] == [RequestServed]


@pytest.mark.parametrize("query", [TYPENAME, "{", "mutation { x }", ROWS, ""])
async def test_head_is_get_without_the_body(client: Client, query: str) -> None:
    headers = {"Accept": GRAPHQL}
    get = await client.http.get("/graphql", params={"query": query}, headers=headers)
    head = await client.http.head("/graphql", params={"query": query}, headers=headers)

    assert head.status_code == get.status_code
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_query_may_be_in_the_url(client: Client) -> None:
    query = "query A($n: Int!) { customersV3(first: $n) { nodes { __typename } } } query B { x: __typename }"

    response = await client.get(
        query=query, variables='{"n": 1}', operationName="A", extensions='{"a": 1}'
    )

    assert response.status_code == 200
    assert response.json() == {"data": {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}}


@pytest.mark.parametrize("name", ["variables", "extensions"])
@pytest.mark.parametrize("text", ["{", "[]", "5", '"x"', "[" * 5_000])
async def test_url_parameters_are_checked(client: Client, name: str, text: str) -> None:
    response = await client.get(query=TYPENAME, **{name: text})

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"
    assert name in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("text", ["", "null", "{}"])
async def test_empty_url_parameter_counts_as_absent(client: Client, text: str) -> None:
    response = await client.get(query=TYPENAME, variables=text, extensions=text, operationName="")

    assert response.status_code == 200


async def test_get_without_a_query_is_refused(client: Client) -> None:
    response = await client.get()

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"


async def test_mutation_by_get_is_refused(client: Client) -> None:
    query = 'mutation { deleteCustomerV3(key: {customerAccount: "US-001"}) { etag } }'
    response = await client.get(query=query)

    assert response.status_code == 405
    assert response.headers["allow"] == ALLOW
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_invalid_utf_8_in_the_url_is_replaced(client: Client) -> None:
    response = await client.http.get(
        "/graphql?query=%7B%20x%FF%ED%A0%80%20%7D", headers={"Accept": GRAPHQL}
    )

    assert response.status_code == 400
    assert code_of(response) == "GRAPHQL_PARSE_FAILED"


@pytest.mark.parametrize(
    ("accept", "params", "goes"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", {}, True),
        ("text/html", {"query": TYPENAME}, False),
        (JSON, {}, False),
    ],
)
async def test_browser_is_redirected_to_the_page(
    client: Client, accept: str, params: Mapping[str, str], goes: bool
) -> None:
    response = await client.get(accept, **params)

    assert (response.status_code == 302) is goes
    assert response.headers.get("location") == ("/graphiql" if goes else None)
    assert response.headers["vary"] == VARY
