"""Lists whose order no cursor can hold: keyed by Guid, or ordered by an enum."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from gateway.config.settings import Settings
from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA, Dialect
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from gateway.runtime.assembly import open_gateway
from gateway.sandbox import SandboxSettings, create_sandbox
from schema.catalog import Catalog
from schema.model.records import EntitySet, EntityType, Model
from schema.types.build import build_schema
from tests.support.memory_odata import ROOT, Tables
from tests.support.observers import raise_bugs
from tests.support.zoo_model import client_over, prop

pytestmark = pytest.mark.anyio
MODEL = Model(
    namespace="M",
    entity_types={
        "M.Row": EntityType(
            name="M.Row",
            key=("Id",),
            properties=(prop("Id", "Edm.Guid", nullable=False), prop("Size", "Edm.Int32")),
        )
    },
    entity_sets={"Rows": EntitySet(name="Rows", type="M.Row")},
)
CATALOG = Catalog(MODEL, abilities_of(ODATA))
SCHEMA = build_schema(CATALOG, LoadedResolvers(CATALOG))
LINKS = replace(ODATA, unkeyed_paging="links")
KEYS = replace(ODATA, guid_order=True)


def guid(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


class Service:
    """Rows keyed by Guid, and an engine over them."""

    def __init__(self, dialect: Dialect, **upstream: Any) -> None:
        rows = [{"Id": guid(n), "Size": n} for n in range(0, 40, 2)]
        self.tables = Tables({"Rows": rows}, {"Rows": ("Id",)}, {"Rows": {}}, **upstream)
        self.engine = Engine(
            SCHEMA,
            client_over(self.tables.answer, []),
            dialect,
            ExecutionSettings(plans=PlanLimits()),
            raise_bugs,
        )

    async def page(self, arguments: str) -> dict[str, Any]:
        fields = "edges { cursor node { size } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        query = f"{{ rows({arguments}) {{ totalCount {fields} }} }}"
        answer = (await self.engine.execute(GraphQLRequest(query=query))).to_builtins()
        if "errors" in answer:
            return dict(answer["errors"][0]["extensions"])
        return dict(answer["data"]["rows"])

    def come_and_go(self, around: int) -> None:
        """Take a row away and add one, both before the place."""
        rows = self.tables.rows["Rows"]
        rows[:] = [r for r in rows if r["Size"] != around - 4] + [
            {"Id": guid(around - 3), "Size": around - 3},
            {"Id": guid(around - 5), "Size": around - 5},
        ]


def sizes(page: dict[str, Any]) -> list[int]:
    return [edge["node"]["size"] for edge in page["edges"]]


WAYS = {
    "next links": (LINKS, {"links": True, "skip_refused": True}),
    "next links beside $top": (ODATA, {"links": True}),
    "keys": (KEYS, {"links": True, "skip_refused": True}),
}


@pytest.mark.parametrize("page_size", [None, 3], ids=["", "short upstream pages"])
@pytest.mark.parametrize("way", WAYS)
async def test_concurrent_changes_neither_skip_nor_repeat_rows(
    way: str, page_size: int | None
) -> None:
    dialect, upstream = WAYS[way]
    service = Service(dialect, **upstream, page_size=page_size)
    seen: list[int] = []
    page = await service.page("first: 6")
    while True:
        seen += sizes(page)
        if not page["pageInfo"]["hasNextPage"]:
            break
        service.come_and_go(seen[-1])
        page = await service.page(f'first: 6, after: "{page["pageInfo"]["endCursor"]}"')

    assert seen == list(range(0, 40, 2))


@pytest.mark.parametrize("way", [*WAYS, "positions"])
async def test_every_cursor_of_a_page_leads_to_the_next_rows(way: str) -> None:
    dialect, upstream = WAYS.get(way, (replace(ODATA, unkeyed_paging="skip"), {}))
    service = Service(dialect, **upstream)
    first = await service.page("first: 6")
    second = await service.page(f'first: 6, after: "{first["pageInfo"]["endCursor"]}"')
    for page in (first, second):
        for edge in page["edges"]:
            after = await service.page(f'first: 3, after: "{edge["cursor"]}"')
            assert sizes(after) == [edge["node"]["size"] + step for step in (2, 4, 6)]
            assert after["totalCount"] == 20
            assert after["pageInfo"]["hasPreviousPage"]


async def test_pages_go_backward_by_links_too() -> None:
    service = Service(LINKS, links=True, skip_refused=True)
    seen: list[int] = []
    page = await service.page("last: 6")
    while True:
        seen = sizes(page) + seen
        if not page["pageInfo"]["hasPreviousPage"]:
            break
        page = await service.page(f'last: 6, before: "{page["pageInfo"]["startCursor"]}"')

    assert seen == list(range(0, 40, 2))
    assert not [url for url in service.tables.requests if "$skip=" in url or "$top=" in url]


@pytest.mark.parametrize("dialect", [ODATA, replace(ODATA, unkeyed_paging="skip")])
@pytest.mark.parametrize("way", ["first: 6, after", "last: 6, before", "last: 6"])
async def test_where_skip_is_refused_the_error_names_the_setting(
    way: str, dialect: Dialect
) -> None:
    """Without next links a list goes on by position, and backward in any case."""
    first = await Service(dialect).page("first: 9")
    service = Service(dialect, skip_refused=True)
    cursor = f': "{first["pageInfo"]["endCursor"]}"' if ", " in way else ""

    refused = await service.page(way + cursor)

    assert refused["code"] == "UPSTREAM_REJECTED"
    assert 'unkeyed_paging = "links"' in refused["hint"]


async def test_links_lead_in_one_direction_only() -> None:
    service = Service(LINKS, links=True)
    forward = (await service.page("first: 6"))["pageInfo"]["endCursor"]
    backward = (await service.page("last: 6"))["pageInfo"]["startCursor"]

    for arguments in (
        f'last: 3, before: "{forward}"',
        f'first: 3, before: "{forward}"',
        f'first: 3, after: "{backward}"',
        f'last: 3, after: "{forward}"',
    ):
        assert (await service.page(arguments))["code"] == "UNSUPPORTED_QUERY", arguments


async def test_auto_paging_goes_by_position_without_links() -> None:
    service = Service(ODATA)
    page = await service.page("first: 6")
    page = await service.page(f'first: 6, after: "{page["pageInfo"]["endCursor"]}"')

    assert sizes(page) == list(range(12, 24, 2))
    assert [url.partition("$orderby=Id&")[2] for url in service.tables.requests] == [
        "$top=7&$count=true",
        "$top=7&$skip=6&$count=true",
    ]
    assert service.tables.preferences == ["odata.maxpagesize=6"] * 2


async def test_two_pages_of_different_length_are_two_requests() -> None:
    service = Service(LINKS, links=True)
    query = "{ a: rows(first: 2) { nodes { size } } b: rows(first: 4) { nodes { size } } }"
    answer = await service.engine.execute(GraphQLRequest(query=query))
    data = answer.to_builtins()["data"]

    assert [len(data[name]["nodes"]) for name in "ab"] == [2, 4]


def forged(cursor: str, *, token: str, read: int = 0, offset: int = 5) -> str:
    parts = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    created = msgspec.msgpack.encode([*parts[:2], 2, False, token, read, offset])
    return base64.urlsafe_b64encode(created).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x&$filter=Size eq 1",
        "x&$select=Secret",
        "x#y",
        "x y",
        "%zz",
        "https://evil.example/\r\nHost: y",
        "x" * 4_001,
    ],
)
async def test_a_forged_token_is_refused_before_anything_is_sent(token: str) -> None:
    service = Service(LINKS, links=True)
    cursor = (await service.page("first: 6"))["pageInfo"]["endCursor"]
    service.tables.requests.clear()

    assert (await service.page(f'first: 2, after: "{forged(cursor, token=token)}"'))["code"] == (
        "INVALID_CURSOR"
    )
    assert service.tables.requests == []


async def test_a_cursor_holds_a_token_and_no_address() -> None:
    service = Service(LINKS, links=True)
    cursor = (await service.page("first: 6"))["pageInfo"]["endCursor"]
    held = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))

    assert b"behind%2B0%2F" in held
    assert ROOT.partition("//")[2].partition("/")[0].encode() not in held


async def test_a_sandbox_that_refuses_skip_is_read_to_its_end() -> None:
    sandbox = create_sandbox(
        SandboxSettings(refuse_skip=True, next_link="skiptoken", honour_maxpagesize=True)
    )
    settings = Settings(cache_dir=None, language="none", unkeyed_paging="links")
    transport = httpx.ASGITransport(sandbox)
    page = "first: 30, after: %s, orderBy: [{ salesOrderStatus: ASC }]"
    seen: list[str] = []
    cursor = "null"
    async with open_gateway(settings, transport=transport, observe=lambda _: None) as gateway:
        while cursor:
            fields = "nodes { id } pageInfo { endCursor hasNextPage }"
            query = f"{{ salesOrderHeadersV2({page % cursor}) {{ {fields} }} }}"
            answer = await gateway.engine.execute(GraphQLRequest(query=query))
            result = answer.to_builtins()["data"]["salesOrderHeadersV2"]
            seen += [row["id"] for row in result["nodes"]]
            info = result["pageInfo"]
            cursor = f'"{info["endCursor"]}"' if info["hasNextPage"] else ""

    assert len(seen) == len(set(seen)) == len(sandbox.state.store.rows("SalesOrderHeadersV2"))
