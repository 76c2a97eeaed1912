"""Headers for company scope and timeout, and errors of clients: each is one line in the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.events import ClientLeft, Event, OperationServed, RequestRefused, level_of
from gateway.http import request_parameters as module
from gateway.http.graphql_endpoint import GRAPHQL
from gateway.http.request_parameters import JSON, TIMEOUT_HEADER, companies_of, timeout_of
from tests.support.app_client import LEAKS, Client, calling, code_of, serving

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
    ("header", "companies"),
    [
        (None, None),
        ("", None),
        (" , ", None),
        ("usmf", ("usmf",)),
        (" usmf , demf,", ("usmf", "demf")),
    ],
)
async def test_company_header_is_a_list(
    header: str | None, companies: tuple[str, ...] | None
) -> None:
    assert companies_of(header) == companies


async def test_company_header_narrows_the_rows(client: Client) -> None:
    query = "{ customersV3(first: 200) { nodes { dataAreaId } } }"

    response = await client.post({"query": query}, X_D365_Company="demf, usmf")

    companies_of_rows = {
        row["dataAreaId"] for row in response.json()["data"]["customersV3"]["nodes"]
    }
    assert companies_of_rows == {"demf", "usmf"}


async def test_unknown_company_has_no_rows(client: Client) -> None:
    response = await client.post({"query": "{ customersV3 { totalCount } }"}, X_D365_Company="x'y")

    assert response.json() == {"data": {"customersV3": {"totalCount": 0}}}


@pytest.mark.parametrize("body", [b"{", b'{"query": 5}'])
async def test_refused_request_is_one_event(client: Client, body: bytes) -> None:
    await client.post(body)

    assert [type(e) for e in client.events if level_of(e) != "debug"] == [RequestRefused]


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
async def test_forged_cursor_or_id_is_one_log_line(client: Client, field: str, value: str) -> None:
    given = field.replace("%s", json.dumps(value)[1:-1])
    response = await client.post({"query": f"{{ {given} }}"})

    assert response.status_code == 200
    codes = {e["extensions"]["code"] for e in response.json().get("errors", [])}
    assert codes <= {"INVALID_CURSOR", "INVALID_ID"}
    assert codes or value == ""
    assert [leak for leak in LEAKS if leak in response.text] == []
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [OperationServed]


async def test_hundred_errors_of_a_request_are_one_log_line(client: Client) -> None:
    fields = " ".join(f'a{n}: customersV3(after: "x") {{ totalCount }}' for n in range(100))
    response = await client.post({"query": f"{{ {fields} }}"})

    assert {e["extensions"]["code"] for e in response.json()["errors"]} == {"INVALID_CURSOR"}
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [OperationServed]


@pytest.mark.parametrize(
    "seconds", ["", "0", "-1", "soon", "1e3", "nan", "inf", "1, 2", "1" * 40, "٣"]
)
async def test_invalid_timeout_header_is_refused(client: Client, seconds: str) -> None:
    headers = {b"Accept": GRAPHQL.encode(), TIMEOUT_HEADER.encode(): seconds.encode()}
    response = await client.http.get("/graphql", params={"query": TYPENAME}, headers=headers)

    assert response.status_code == 400
    assert code_of(response) == "BAD_REQUEST"
    assert TIMEOUT_HEADER in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("2.5", 2.5), (" 60 ", 60.0)])
async def test_timeout_header_is_in_seconds(header: str | None, seconds: float | None) -> None:
    assert timeout_of(header) == seconds


async def test_operation_that_cannot_run_is_one_event(client: Client) -> None:
    await client.post({"query": "{ nope }", "operationName": "a\nb"})

    assert [type(e) for e in client.events if level_of(e) != "debug"] == [OperationServed]


async def test_deep_variables_are_refused(client: Client) -> None:
    where = '{"and": [' * 2_000 + "]}" * 2_000
    query = "query Q($w: CustomerV3Where) { customersV3(where: $w) { totalCount } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"w": {where}}}}}'.encode()

    response = await client.post(body)

    assert response.status_code == 400
    assert (await client.post({"query": TYPENAME})).status_code == 200


async def test_deep_variables_that_parse_are_a_client_error(
    client: Client,
) -> None:
    where = '{"not": ' * 400 + "{}" + "}" * 400
    query = "query Q($w: CustomerV3Where) { customersV3(where: $w) { totalCount } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"w": {where}}}}}'.encode()

    response = await client.post(body)

    assert response.status_code == 400
    assert code_of(response) in {"BAD_REQUEST", "BUDGET_EXCEEDED", "BAD_USER_INPUT"}


async def test_bug_is_a_500_without_details(client: Client) -> None:
    """A plan that cannot be made for a reason nobody thought of: here, an engine that is broken."""
    engine = client.app.state.live.gateway.engine
    plans, engine._plans = engine._plans, None
    try:
        for accept in (JSON, GRAPHQL):
            response = await client.post({"query": ROWS}, accept=accept)

            assert response.status_code == 500
            assert code_of(response) == "INTERNAL_ERROR"
    finally:
        engine._plans = plans


POST = {
    "type": "http",
    "method": "POST",
    "path": "/graphql",
    "raw_path": b"/graphql",
    "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
}


async def test_body_must_arrive_in_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_TIMEOUT", 0.05)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await client.app(dict(POST), receive, send)

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"REQUEST_TIMEOUT" in sent[1]["body"]
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [RequestRefused]


async def test_client_may_disconnect_while_it_sends(client: Client) -> None:
    sent: list[MutableMapping[str, Any]] = []
    messages: Iterator[dict[str, Any]] = iter(
        [
            {"type": "http.request", "body": b'{"que', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await client.app(dict(POST), receive, send)

    assert sent == []
    assert [type(e) for e in client.events if level_of(e) != "debug"] == [ClientLeft]


async def test_variable_with_too_many_digits_is_refused(client: Client) -> None:
    body = b'{"query": "query ($n: Int) { __typename }", "variables": {"n": %s}}' % (b"9" * 5_000)
    response = await client.post(body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == "The body has a number with too many digits."
