"""Writes to other OData services than Finance & Operations: they create by PATCH, and may answer a POST with 204."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import Settings
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox

pytestmark = pytest.mark.anyio

DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Order"><Key><PropertyRef Name="Area"/><PropertyRef Name="Name"/></Key>
<Property Name="Area" Type="Edm.Int32" Nullable="false"/>
<Property Name="Name" Type="Edm.String" Nullable="false" MaxLength="60"/>
<Property Name="Note" Type="Edm.String" MaxLength="60"/>
</EntityType>
<EntityType Name="Ticket"><Key><PropertyRef Name="Number"/></Key>
<Property Name="Number" Type="Edm.Int32" Nullable="false">
<Annotation Term="Org.OData.Core.V1.Computed" Bool="true"/></Property>
<Property Name="Note" Type="Edm.String" MaxLength="60"/>
</EntityType>
<EntityContainer Name="C"><EntitySet Name="Orders" EntityType="N.Order"/>
<EntitySet Name="Tickets" EntityType="N.Ticket"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""
ODD = "O'Neil & Co, (n=1)"


class Generic:
    """One gateway over one generic service."""

    def __init__(self, engine: Any, sandbox: Starlette) -> None:
        self._engine = engine
        self.sandbox = sandbox

    async def ask(self, query: str, **variables: Any) -> Any:
        self.sandbox.state.requests.clear()
        answer = await self._engine.execute(GraphQLRequest(query=query, variables=variables))
        return answer.to_builtins()

    def sent(self) -> list[tuple[str, str, str | None]]:
        """Return method, path and ``If-Match`` of every request."""
        return [
            (
                r.method,
                r.decoded.partition("?")[0].removeprefix("/data/"),
                r.headers.get("if-match"),
            )
            for r in self.sandbox.state.requests
        ]

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.sandbox.state.store.rows(name, **values)
        return result


Opening = Callable[..., AbstractAsyncContextManager[Generic]]


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    path = tmp_path / "generic.xml"
    path.write_text(DOCUMENT, encoding="utf-8")

    @asynccontextmanager
    async def opened(**knobs: Any) -> AsyncIterator[Generic]:
        sandbox = create_sandbox(SandboxSettings(metadata=path, path_hazards=False, **knobs))
        settings = Settings(
            url="http://x.invalid/data", dialect="odata", auth="none", cache_dir=None
        )
        transport = httpx.ASGITransport(sandbox)
        async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
            yield Generic(gateway.engine, sandbox)

    return opened


CREATE = """mutation ($name: String!) { createOrder(input: {area: 70, name: $name, note: "a"}) {
  order { name note } userErrors { code message } } }"""
NUMBERED = 'mutation { createTicket(input: {note: "a"}) { ticket { number note } userErrors { code message } } }'
SILENT = {"created": "minimal", "honour_return_preference": False}


async def test_the_new_row_is_asked_for_in_the_answer(opening: Opening) -> None:
    async with opening(created="minimal") as service:
        result = await service.ask(CREATE, name=ODD)

        assert result == {
            "data": {"createOrder": {"order": {"name": ODD, "note": "a"}, "userErrors": []}}
        }
        (request,) = service.sandbox.state.requests
        assert request.headers["prefer"] == "return=representation"


async def test_a_create_answered_by_an_address_is_read(opening: Opening) -> None:
    async with opening(**SILENT) as service:
        result = await service.ask(CREATE, name=ODD)

        assert result == {
            "data": {"createOrder": {"order": {"name": ODD, "note": "a"}, "userErrors": []}}
        }
        assert [method for method, _, _ in service.sent()] == ["POST", "GET"]


async def test_a_generated_key_is_read_from_the_address(opening: Opening) -> None:
    async with opening(**SILENT) as service:
        result = await service.ask(NUMBERED)

        (row,) = service.rows("Tickets", Note="a")
        ticket = {"number": row["Number"], "note": "a"}
        assert result == {"data": {"createTicket": {"ticket": ticket, "userErrors": []}}}


async def test_what_nobody_selects_is_not_read(opening: Opening) -> None:
    async with opening(**SILENT) as service:
        result = await service.ask(
            'mutation { createTicket(input: {note: "b"}) { userErrors { code } } }'
        )

        assert result == {"data": {"createTicket": {"userErrors": []}}}
        assert [method for method, _, _ in service.sent()] == ["POST"]


async def test_a_list_answered_by_addresses_is_read_at_once(
    opening: Opening,
) -> None:
    async with opening(**SILENT) as service:
        result = await service.ask(
            """mutation { createTickets(input: [{note: "c"}, {note: "d"}]) {
              results { ticket { note } userErrors { code } } } }"""
        )

        results = [{"ticket": {"note": note}, "userErrors": []} for note in "cd"]
        assert result == {"data": {"createTickets": {"results": results}}}
        alone = [r for r in service.sandbox.state.requests if not r.in_batch]
        assert [r.method for r in alone] == ["POST", "GET"]


async def test_neither_row_nor_address_leaves_open_what_happened(opening: Opening) -> None:
    async with opening(created_headers=False, **SILENT) as service:
        result = await service.ask(CREATE, name="x")

        (error,) = result["data"]["createOrder"]["userErrors"]
        assert error["code"] == "OUTCOME_UNKNOWN"
        assert "Orders (Area = 70, Name = x)" in error["message"]


# Rows that are not there

UPDATE = """mutation ($etag: String) { updateOrder(key: {area: 80, name: "gone"}, patch: {note: "z"}, ifMatch: $etag) {
  order { note } userErrors { code path } } }"""
UPDATES = """mutation { updateOrders(input: [
  {key: {area: 80, name: "gone"}, patch: {note: "z"}}, {key: {area: 70, name: "x"}, patch: {note: "z"}}]) {
  results { userErrors { code } } } }"""


@pytest.mark.parametrize("etag", [None, "*", 'W/"1"'], ids=["no etag", "any", "one"])
async def test_an_update_creates_no_row(opening: Opening, etag: str | None) -> None:
    async with opening() as service:
        result = await service.ask(UPDATE, etag=etag)

        (error,) = result["data"]["updateOrder"]["userErrors"]
        assert error == {"code": "NOT_FOUND", "path": ["key"]}
        assert service.rows("Orders", Area=80) == []
        assert service.sent()[0][2] == (etag or "*")


async def test_an_update_within_a_changeset_creates_no_row(opening: Opening) -> None:
    async with opening() as service:
        await service.ask(CREATE, name="x")
        result = await service.ask(UPDATES)

        codes = [r["userErrors"][0]["code"] for r in result["data"]["updateOrders"]["results"]]
        assert set(codes) == {"NOT_FOUND"}
        assert service.rows("Orders", Area=80) == []
        assert [row["Note"] for row in service.rows("Orders", Area=70)] == ["a"]


async def test_an_update_of_a_row_that_is_there_changes_it(opening: Opening) -> None:
    async with opening() as service:
        await service.ask(CREATE, name="gone")
        service.sandbox.state.store.insert("Orders", [{"Area": 80, "Name": "gone", "Note": "a"}])
        result = await service.ask(UPDATE)

        assert result["data"]["updateOrder"] == {"order": {"note": "z"}, "userErrors": []}
        assert [row["Note"] for row in service.rows("Orders", Area=80)] == ["z"]


async def test_an_upsert_creates_and_changes(opening: Opening) -> None:
    upsert = """mutation ($note: String) { upsertOrder(input: {area: 90, name: "new", note: $note}) {
      order { note } userErrors { code } } }"""
    async with opening() as service:
        for note in ("a", "b"):
            result = await service.ask(upsert, note=note)

            assert result["data"]["upsertOrder"] == {"order": {"note": note}, "userErrors": []}
            assert [row["Note"] for row in service.rows("Orders", Area=90)] == [note]
            assert service.sent()[0][2] is None
