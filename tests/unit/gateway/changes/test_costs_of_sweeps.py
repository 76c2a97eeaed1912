"""What an increment costs upstream: counted over a service of 100,000 rows, which are made as they are asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import msgspec
import pytest

from gateway.config.settings import Settings
from gateway.runtime.assembly import Gateway, open_gateway
from tests.support.followed import Follower, set_clock

pytestmark = pytest.mark.anyio
ROWS = 100_000
_AFTER = re.compile(r"CustomerAccount gt '(\d+)'")
_KEY = re.compile(r"CustomerAccount eq '(\d+)'")
CSDL = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Microsoft.Dynamics.DataEntities" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="CustomerV3"><Key><PropertyRef Name="CustomerAccount"/></Key>
    <Property Name="CustomerAccount" Type="Edm.String" Nullable="false"/>
    <Property Name="OrganizationName" Type="Edm.String"/>
  </EntityType>
  <EntityContainer Name="Resources"><EntitySet Name="CustomersV3"
    EntityType="Microsoft.Dynamics.DataEntities.CustomerV3"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


class Customers(httpx.AsyncBaseTransport):
    """A service with very many customers, in the order of their accounts."""

    def __init__(self) -> None:
        self.versions = dict.fromkeys(range(ROWS), 1)
        self.requests: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url.path)
        if request.url.path.endswith("$metadata"):
            return httpx.Response(200, text=CSDL, headers={"content-type": "application/xml"})
        if request.url.path.endswith("$batch"):
            return self._batch(request.content.decode())
        if not request.url.path.endswith("CustomersV3"):
            return httpx.Response(404)
        body = self._page(str(request.url))
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    def _page(self, url: str) -> bytes:
        options = parse_qs(urlsplit(url).query)
        where = options.get("$filter", [""])[0]
        numbers = [int(n) for n in _KEY.findall(where)]
        if not numbers:
            after = _AFTER.search(where)
            first = 0 if after is None else int(after[1]) + 1
            there = (number for number in range(first, ROWS) if number in self.versions)
            numbers = list(islice(there, int(options["$top"][0])))
        rows = [
            {
                "@odata.etag": f'W/"{self.versions[n]}"',
                "CustomerAccount": f"{n:06}",
                "OrganizationName": f"Customer {n}, version {self.versions[n]}",
            }
            for n in numbers
            if n in self.versions
        ]
        return msgspec.json.encode({"value": rows})

    def _batch(self, text: str) -> httpx.Response:
        parts = [self._page(unquote(url)) for url in re.findall(r"GET (\S+) HTTP", text)]
        body = "".join(
            "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n"
            f"Content-Type: application/json\r\n\r\n{part.decode()}\r\n"
            for part in parts
        )
        content = {"content-type": "multipart/mixed; boundary=b"}
        return httpx.Response(200, text=f"{body}--b--\r\n", headers=content)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Gateway, Customers]]:
    customers = Customers()
    settings = Settings(
        url="https://x.operations.dynamics.com/data", auth="none", cache_dir=None, language="none"
    )
    async with open_gateway(settings, transport=customers, observe=lambda _: None) as gateway:
        yield gateway, customers


async def test_a_hundred_of_a_hundred_thousand_by_sweep(served: tuple[Gateway, Customers]) -> None:
    gateway, customers = served
    clock = [2_000_000_000.0]
    set_clock(gateway, clock)
    row: dict[str, Any] = {"row": "... on CustomerV3 { organizationName }", "companies": None}
    client = Follower(gateway, **row)
    await client.take("now")
    for number in range(0, ROWS, 1_000):
        customers.versions[number] += 1
    del customers.versions[77_777]
    clock[0] += 301
    customers.requests.clear()

    answer = await client.take()

    assert len(answer["upserts"]) == 100
    assert answer["upserts"][7]["node"] == {"organizationName": "Customer 7000, version 2"}
    assert [gone["reason"] for gone in answer["deletes"]] == ["DELETED"]
    assert len(customers.requests) <= 12
