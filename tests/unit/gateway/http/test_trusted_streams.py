"""Trusted documents over WebSockets and event streams: the same names, and no way around them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.document_models import DocumentOptions
from gateway.config.setting_models import Profile
from tests.support.event_stream import asked
from tests.support.manifests import write
from tests.support.streaming import Served, Socket, serving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LIST = "query List { customersV3(first: 1) { nodes { __typename } } }"
CHANGES = 'subscription Changes { entityChanged(set: "CustomersV3", companies: ["usmf"]) { kind } }'
OTHER = "{ customersV3(first: 2) { nodes { __typename } } }"
OTHER_CHANGES = (
    'subscription { entityChanged(set: "CustomersV3", companies: ["usmf"]) { kind id } }'
)
ROWS = {"customersV3": {"nodes": [{"__typename": "CustomerV3"}]}}
NAMES: list[dict[str, Any]] = [
    {"documentId": "list"},
    {"doc_id": "list"},
    {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "list"}}},
    {"query": LIST},
]


@pytest.fixture(scope="module")
async def served(
    sandbox: Starlette, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("documents")
    manifest = write(folder / "m.json", {"list": LIST, "changes": CHANGES})
    documents = DocumentOptions(manifest=str(manifest), mode="only")
    profiles = {"open": Profile(documents="prefer")}
    async with serving(sandbox, [], documents=documents, profiles=profiles) as opened:
        yield opened


async def heard(ws: Socket, name: str, payload: dict[str, Any]) -> Any:
    await ws.say({"id": name, "type": "subscribe", "payload": payload})
    message = await ws.hear()
    assert message["id"] == name
    return message


async def test_names_work_over_a_socket(served: Served) -> None:
    async with served.begun() as ws:
        for number, payload in enumerate(NAMES):
            message = await heard(ws, str(number), payload)

            assert message["payload"] == {"data": ROWS}
            assert (await ws.hear())["type"] == "complete"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": OTHER}, "PERSISTED_QUERY_REQUIRED"),
        ({"query": OTHER_CHANGES}, "PERSISTED_QUERY_REQUIRED"),
        ({"query": OTHER, "documentId": "list"}, "BAD_REQUEST"),
        ({"documentId": "none"}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": 5}, "BAD_REQUEST"),
    ],
)
async def test_a_socket_is_no_way_around(served: Served, payload: Any, code: str) -> None:
    async with served.begun() as ws:
        message = await heard(ws, "1", payload)

        assert message["type"] == "error"
        assert [e["extensions"]["code"] for e in message["payload"]] == [code]
        # The connection goes on, and so does the id.
        assert (await heard(ws, "1", {"documentId": "list"}))["payload"] == {"data": ROWS}


async def test_a_trusted_subscription_is_followed(served: Served) -> None:
    async with served.begun() as ws:
        await ws.say({"id": "1", "type": "subscribe", "payload": {"documentId": "changes"}})
        await served.watched()
        await ws.say({"id": "1", "type": "complete"})


async def test_a_profile_may_be_open_to_others(served: Served) -> None:
    async with served.profile("open").begun() as ws:
        message = await heard(ws, "1", {"query": OTHER})

    assert len(message["payload"]["data"]["customersV3"]["nodes"]) == 2


@pytest.mark.parametrize("path", ["", "/documents/list", "/explain", "/open"])
async def test_query_is_a_method_of_every_address(served: Served, path: str) -> None:
    address = f"http://127.0.0.1:{served.port}/graphql{path}"
    body = {} if "documents" in path else {"documentId": "list"}
    async with httpx.AsyncClient() as http:
        answer = await http.request("QUERY", address, json=body)
        bare = await http.request("QUERY", address)
        options = await http.options(address)

    assert "data" in answer.json()
    assert bare.status_code == 415
    for response in (bare, options):
        assert response.headers["accept-query"] == "application/json"
    assert "QUERY" in options.headers["allow"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_names_work_in_event_streams(served: Served, method: str) -> None:
    async with asked(served, "", method=method, documentId="list") as stream:
        events = await stream.rest()

    assert events[0].startswith("event: next")
    assert json.loads(events[0].partition("data: ")[2]) == {"data": ROWS}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", [OTHER, OTHER_CHANGES])
async def test_an_event_stream_is_no_way_around(served: Served, query: str, method: str) -> None:
    async with asked(served, query, method=method) as stream:
        body = await stream.body()

    assert stream.status == 400
    assert [e["extensions"]["code"] for e in body["errors"]] == ["PERSISTED_QUERY_REQUIRED"]
