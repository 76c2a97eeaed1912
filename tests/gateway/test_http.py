"""GraphQL over HTTP, by the draft: media types, statuses, methods, and what a client may get wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway import http as module
from gateway.app import create_app
from gateway.events import ClientLeft, Event, OperationServed, RequestRefused, level_of
from gateway.http import GRAPHQL, JSON, TIMEOUT_HEADER, companies_of, media_type, timeout_of
from gateway.settings import Settings

pytestmark = pytest.mark.anyio
TYPENAME = "{ __typename }"
ROWS = "{ legalEntities { totalCount } }"
LEAKS = ("Traceback", "sandbox.invalid", "Error(", "object at 0x", "graphql.", "NoneType", "dict")


class Client:
    """A client of one application, and what the application said to its log."""

    def __init__(self, app: Starlette, http: httpx.AsyncClient, events: list[Event]) -> None:
        self.app = app
        self.http = http
        self.events = events

    async def post(
        self, body: object, *, accept: str | None = GRAPHQL, **headers: str
    ) -> httpx.Response:
        """POST a body: bytes as they are, all else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if accept is not None:
            given["Accept"] = accept
        return await self.http.post("/graphql", content=content, headers=given)

    async def get(self, accept: str | None = GRAPHQL, **params: str) -> httpx.Response:
        headers = {} if accept is None else {"Accept": accept}
        return await self.http.get("/graphql", params=params, headers=headers)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Starlette, list[Event]]]:
    events: list[Event] = []
    app = create_app(Settings(language=None, max_body_bytes=200_000), observe=events.append)
    async with app.router.lifespan_context(app):
        yield app, events


@pytest.fixture
async def client(served: tuple[Starlette, list[Event]]) -> AsyncIterator[Client]:
    app, events = served
    events.clear()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        http.headers.pop("accept")
        yield Client(app, http, events)


def code_of(response: httpx.Response) -> str:
    body = response.json()
    assert set(body) == {"errors"}
    assert all(error["message"] for error in body["errors"])
    assert not [leak for leak in LEAKS if leak in response.text]
    codes = {error["extensions"]["code"] for error in body["errors"]}
    assert len(codes) == 1
    return str(codes.pop())


# Media types


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
async def test_the_media_type_is_what_the_client_prefers(accept: str, media: str | None) -> None:
    assert media_type(accept) == media


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_an_answer_names_its_media_type_and_charset(client: Client, accept: str) -> None:
    response = await client.post({"query": ROWS}, accept=accept)

    assert response.status_code == 200
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.headers["vary"] == "Accept, Accept-Encoding"
    assert response.json()["data"]["legalEntities"]["totalCount"] > 0


async def test_several_accept_headers_are_one_list(client: Client) -> None:
    headers = [("Accept", "text/html"), ("Accept", GRAPHQL), ("Content-Type", JSON)]

    response = await client.http.post("/graphql", content=b'{"query":"{x}"}', headers=headers)

    assert response.headers["content-type"].startswith(GRAPHQL)


async def test_a_client_that_takes_neither_type_is_told_which_there_are(client: Client) -> None:
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
async def test_an_operation_that_cannot_run_is_a_400_or_a_200_by_the_media_type(
    client: Client, body: dict[str, Any], code: str
) -> None:
    strict, lenient = await client.post(body), await client.post(body, accept=JSON)

    assert (strict.status_code, lenient.status_code) == (400, 200)
    assert (code_of(strict), code_of(lenient)) == (code, code)


async def test_a_field_that_fails_is_a_200_with_data_and_a_path(client: Client) -> None:
    query = "{ customersV3(first: 5000) { totalCount } legalEntities { totalCount } }"

    for accept in (JSON, GRAPHQL):
        response = await client.post({"query": query}, accept=accept)
        body = response.json()

        assert response.status_code == 200
        assert body["errors"][0]["path"] == ["customersV3"]
        assert body["errors"][0]["extensions"]["code"] == "PAGE_LIMIT_EXCEEDED"


async def test_what_is_not_served_is_said_by_its_name(client: Client) -> None:
    response = await client.post({"query": "subscription { x }"})

    assert "'x' on type 'Subscription'" in response.json()["errors"][0]["message"]


# Requests that hold no operation

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
async def test_a_body_that_is_no_request_is_refused(
    client: Client, body: bytes, status: int, code: str, accept: str
) -> None:
    response = await client.post(body, accept=accept)

    assert response.status_code == status
    assert code_of(response) == code
    assert response.headers["content-type"].startswith(accept)


@pytest.mark.parametrize("name", ["variables", "extensions", "operationName"])
@pytest.mark.parametrize("value", [0, 5, False, True, [], ["x"], "text", {}])
async def test_a_parameter_of_the_wrong_type_is_named(
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
async def test_null_is_a_parameter_that_is_not_given(client: Client, name: str) -> None:
    response = await client.post({"query": TYPENAME, name: None})

    assert response.json() == {"data": {"__typename": "Query"}}


async def test_batches_are_refused_and_said_to_be_so(client: Client) -> None:
    response = await client.post([{"query": TYPENAME}, {"query": TYPENAME}])

    assert response.status_code == 400
    assert "Batched" in response.json()["errors"][0]["message"]


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
async def test_json_is_read_however_it_is_spelt(client: Client, content_type: str) -> None:
    response = await client.post({"query": TYPENAME}, Content_Type=content_type)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "coding", ["gzip", "GZIP", "br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "", "x"]
)
async def test_a_compressed_body_is_refused(client: Client, coding: str) -> None:
    response = await client.post(b"\x1f\x8b" * 10_000, Content_Encoding=coding)

    assert response.status_code == 415
    assert "Compressed" in response.json()["errors"][0]["message"]


ALLOW = "GET, HEAD, POST, OPTIONS"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_other_methods_are_refused_with_those_that_are_served(
    client: Client, method: str
) -> None:
    response = await client.http.request(method, "/graphql", headers={"Accept": JSON})

    assert response.status_code == 405
    assert response.headers["allow"] == ALLOW
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_options_tells_the_methods_and_nothing_of_other_origins(client: Client) -> None:
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    response = await client.http.options("/graphql", headers=asks)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["allow"] == ALLOW
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert client.events == []


@pytest.mark.parametrize("query", [TYPENAME, "{", "mutation { x }", ROWS, ""])
async def test_head_is_answered_as_get_is(client: Client, query: str) -> None:
    headers = {"Accept": GRAPHQL}
    get = await client.http.get("/graphql", params={"query": query}, headers=headers)
    head = await client.http.head("/graphql", params={"query": query}, headers=headers)

    assert head.status_code == get.status_code
    assert head.headers["content-length"] == get.headers["content-length"]


# GET


async def test_a_query_can_be_in_the_address(client: Client) -> None:
    query = "query A($n: Int!) { customersV3(first: $n) { nodes { __typename } } } query B { x: __typename }"

    response = await client.get(
        query=query, variables='{"n": 1}', operationName="A", extensions='{"a": 1}'
    )

    assert response.status_code == 200
    assert response.json() == {"data": {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}}


@pytest.mark.parametrize("name", ["variables", "extensions"])
@pytest.mark.parametrize("text", ["{", "[]", "5", '"x"', "[" * 5_000])
async def test_a_parameter_of_the_address_is_checked(client: Client, name: str, text: str) -> None:
    response = await client.get(query=TYPENAME, **{name: text})

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"
    assert name in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("text", ["", "null", "{}"])
async def test_an_empty_parameter_of_the_address_is_none(client: Client, text: str) -> None:
    response = await client.get(query=TYPENAME, variables=text, extensions=text, operationName="")

    assert response.status_code == 200


async def test_a_get_without_a_query_is_refused(client: Client) -> None:
    response = await client.get()

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"


async def test_a_mutation_by_get_is_refused(client: Client) -> None:
    query = 'mutation { deleteCustomerV3(key: {customerAccount: "US-001"}) { etag } }'
    response = await client.get(query=query)

    assert response.status_code == 405
    assert response.headers["allow"] == ALLOW
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_bytes_that_are_no_utf_8_in_the_address_are_text(client: Client) -> None:
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
async def test_a_browser_is_sent_to_the_page(
    client: Client, accept: str, params: Mapping[str, str], goes: bool
) -> None:
    response = await client.get(accept, **params)

    assert (response.status_code == 302) is goes
    assert response.headers.get("location") == ("/graphiql" if goes else None)
    assert response.headers["vary"] == "Accept, Accept-Encoding"


# Scope, log, faults


@pytest.mark.parametrize(
    ("header", "companies"),
    [
        (None, None),
        ("", None),
        (" , ", None),
        ("usmf", ("usmf",)),
        (" usmf , demf,", ("usmf", "demf")),
    ],
)
async def test_the_company_header_is_a_list(
    header: str | None, companies: tuple[str, ...] | None
) -> None:
    assert companies_of(header) == companies


async def test_the_company_header_narrows_what_is_answered(client: Client) -> None:
    query = "{ customersV3(first: 200) { nodes { dataAreaId } } }"

    response = await client.post({"query": query}, X_D365_Company="demf, usmf")

    found = {row["dataAreaId"] for row in response.json()["data"]["customersV3"]["nodes"]}
    assert found == {"demf", "usmf"}


async def test_a_company_that_does_not_exist_answers_nothing(client: Client) -> None:
    response = await client.post({"query": "{ customersV3 { totalCount } }"}, X_D365_Company="x'y")

    assert response.json() == {"data": {"customersV3": {"totalCount": 0}}}


@pytest.mark.parametrize("body", [b"{", b'{"query": 5}'])
async def test_a_request_that_is_refused_is_one_event(client: Client, body: bytes) -> None:
    await client.post(body)

    assert [type(event) for event in client.events] == [RequestRefused]


@pytest.mark.parametrize(
    "field",
    [
        'customersV3(after: "%s") { totalCount }',
        'customersV3(first: 2, after: "%s") { nodes { id } }',
        'customersV3(last: 2, before: "%s") { nodes { id } }',
        'node(id: "%s") { id }',
        'nodes(ids: ["%s", "%s"]) { id }',
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "%",
        "\u00e9",
        "W10=",
        "bnVsbA==",
        "////",
        "AAAA" * 5_000,
        "W1tbW1tbW1tb",
        "=",
        "\u0000",
    ],
    ids=lambda value: repr(value[:12]),
)
async def test_a_made_up_cursor_or_id_is_told_in_our_words_and_one_line(
    client: Client, field: str, value: str
) -> None:
    given = field.replace("%s", json.dumps(value)[1:-1])
    response = await client.post({"query": f"{{ {given} }}"})

    assert response.status_code == 200
    codes = {e["extensions"]["code"] for e in response.json().get("errors", [])}
    assert codes <= {"INVALID_CURSOR", "INVALID_ID"}
    assert codes or value == ""
    assert [leak for leak in LEAKS if leak in response.text] == []
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [OperationServed]


async def test_a_hundred_mistakes_of_one_client_are_one_line(client: Client) -> None:
    fields = " ".join(f'a{n}: customersV3(after: "x") {{ totalCount }}' for n in range(100))
    response = await client.post({"query": f"{{ {fields} }}"})

    assert {e["extensions"]["code"] for e in response.json()["errors"]} == {"INVALID_CURSOR"}
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [OperationServed]


@pytest.mark.parametrize(
    "seconds", ["", "0", "-1", "soon", "1e3", "nan", "inf", "1, 2", "1" * 40, "٣"]
)
async def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    client: Client, seconds: str
) -> None:
    headers = {"Accept": GRAPHQL, TIMEOUT_HEADER: seconds.encode()}
    response = await client.http.get("/graphql", params={"query": TYPENAME}, headers=headers)

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"
    assert TIMEOUT_HEADER in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("2.5", 2.5), (" 60 ", 60.0)])
async def test_the_timeout_header_is_a_number_of_seconds(
    header: str | None, seconds: float | None
) -> None:
    assert timeout_of(header) == seconds


async def test_an_operation_that_cannot_run_is_one_event(client: Client) -> None:
    await client.post({"query": "{ nope }", "operationName": "a\nb"})

    assert [type(event) for event in client.events] == [OperationServed]


async def test_deep_variables_are_refused_and_the_next_request_is_served(client: Client) -> None:
    where = '{"and": [' * 2_000 + "]}" * 2_000
    query = "query Q($w: CustomerV3Where) { customersV3(where: $w) { totalCount } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"w": {where}}}}}'.encode()

    response = await client.post(body)

    assert response.status_code == 400
    assert (await client.post({"query": TYPENAME})).status_code == 200


async def test_deep_variables_below_the_parsers_limit_are_the_callers_fault(
    client: Client,
) -> None:
    where = '{"not": ' * 400 + "{}" + "}" * 400
    query = "query Q($w: CustomerV3Where) { customersV3(where: $w) { totalCount } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"w": {where}}}}}'.encode()

    response = await client.post(body)

    assert response.status_code == 400
    assert code_of(response) in {"BAD_REQUEST", "BUDGET_EXCEEDED", "BAD_USER_INPUT"}


async def test_a_defect_of_ours_is_a_500_without_its_words(client: Client) -> None:
    """A plan that cannot be made for a reason nobody thought of: here, an engine that is broken."""
    engine = client.app.state.live.gateway.engine
    planner, engine._planner = engine._planner, None
    try:
        for accept in (JSON, GRAPHQL):
            response = await client.post({"query": ROWS}, accept=accept)

            assert response.status_code == 500
            assert code_of(response) == "INTERNAL_ERROR"
    finally:
        engine._planner = planner


POST = {
    "type": "http",
    "method": "POST",
    "path": "/graphql",
    "raw_path": b"/graphql",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT", 0.05)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await client.app(dict(POST), receive, send)

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"REQUEST_TIMEOUT" in sent[1]["body"]
    assert [type(event) for event in client.events] == [RequestRefused]


async def test_a_client_that_leaves_while_it_sends_is_no_error(client: Client) -> None:
    sent: list[dict[str, Any]] = []
    messages = iter(
        [
            {"type": "http.request", "body": b'{"que', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await client.app(dict(POST), receive, send)

    assert sent == []
    assert [type(event) for event in client.events] == [ClientLeft]


# Pages of other origins

ORIGIN = "https://shop.example"


@pytest.fixture
async def shared() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(language=None, cors_origins=("https://Shop.example",)))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http,
    ):
        yield http


async def test_a_page_of_a_named_origin_may_call(shared: httpx.AsyncClient) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-d365-company",
    }
    may = await shared.options("/graphql", headers=asks)
    answer = await shared.post("/graphql", json={"query": TYPENAME}, headers={"Origin": ORIGIN})

    assert may.status_code == 200
    assert may.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in may.headers["access-control-allow-methods"]
    assert "x-d365-company" in may.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in may.headers
    assert answer.json() == {"data": {"__typename": "Query"}}
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["search?limit=1", "slice", "explain?query={__typename}"])
async def test_a_page_of_a_named_origin_may_ask_what_is_beside_the_api(
    shared: httpx.AsyncClient, path: str
) -> None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    may = await shared.options(f"/graphql/{path}", headers=asks)
    answer = await shared.get(f"/graphql/{path}", headers={"Origin": ORIGIN})

    assert (may.status_code, answer.status_code) == (200, 200)
    for response in (may, answer):
        assert response.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin", ["https://shop.example.evil.example", "http://shop.example", "null"]
)
async def test_a_page_of_another_origin_may_not(shared: httpx.AsyncClient, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    may = await shared.options("/graphql", headers=asks)
    answer = await shared.post("/graphql", json={"query": TYPENAME}, headers={"Origin": origin})

    assert may.status_code == 400
    for response in (may, answer):
        assert "access-control-allow-origin" not in response.headers


async def test_options_without_an_origin_tells_the_methods(shared: httpx.AsyncClient) -> None:
    assert (await shared.options("/graphql")).headers["allow"] == ALLOW


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://shop.example/", "https://", "https://*"]
)
async def test_what_is_no_origin_is_no_setting(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin such as"):
        Settings(cors_origins=(origin,))
