"""Lists keyed by text, below several rows, of a service that sorts text by a collation which ignores punctuation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.engine import Engine
from gateway.engine.settings import ExecutionSettings
from gateway.fallback_resolvers import LoadedResolvers
from gateway.metadata.model_builder import abilities_of
from gateway.odata.dialect import ODATA, Dialect
from gateway.planning.limits import PlanLimits
from gateway.request import GraphQLRequest
from schema.catalog import Catalog
from schema.model.records import EntitySet, EntityType, Model, Navigation, ReferentialConstraint
from schema.types.build import build_schema
from tests.support.memory_odata import Nav, Tables
from tests.support.observers import raise_bugs
from tests.support.zoo_model import FO, client_over, prop

pytestmark = pytest.mark.anyio
MODEL = Model(
    namespace="M",
    entity_types={
        "M.Item": EntityType(
            name="M.Item",
            key=("Code",),
            properties=(prop("Code", "Edm.String", nullable=False), prop("Owner", "Edm.Int32")),
        ),
        "M.Owner": EntityType(
            name="M.Owner",
            key=("Number",),
            properties=(prop("Number", "Edm.Int32", nullable=False),),
            navigations=(
                Navigation(
                    name="Items",
                    target="M.Item",
                    many=True,
                    on=(ReferentialConstraint("Number", "Owner"),),
                ),
            ),
        ),
    },
    entity_sets={
        "Items": EntitySet(name="Items", type="M.Item"),
        "Owners": EntitySet(name="Owners", type="M.Owner", bindings={"Items": "Items"}),
    },
)
SCHEMAS = {
    dialect.name: build_schema(catalog, LoadedResolvers(catalog))
    for dialect in (FO, ODATA)
    for catalog in [Catalog(MODEL, abilities_of(dialect))]
}
HYPHENS = ("A-1", "A1", "a-2", "A'2", "A2", "A-3", "Ab", "A-b", "B-1", "b'1", "B1")
PLAIN = ("US-007", "US-001", "US-010", "us-002", "US-003", "US-004", "US-100", "US-005")


def word_sorted(text: str) -> tuple[str, str]:
    """The order of Windows collations: hyphens and apostrophes decide only what is equal without them."""
    folded = text.casefold()
    return folded.replace("-", "").replace("'", ""), folded


class Collated(Tables):
    def _comparable(self, value: Any) -> Any:
        return word_sorted(value) if isinstance(value, str) else value


class Service:
    """Two owners of items, and an engine over them."""

    def __init__(self, dialect: Dialect, *, can_expand: bool) -> None:
        self.tables = Collated(
            {"Items": [], "Owners": [{"Number": 1}, {"Number": 2}]},
            {"Items": ("Code",), "Owners": ("Number",)},
            {"Owners": {"Items": Nav("Items", (("Number", "Owner"),), many=True)}, "Items": {}},
        )
        self.engine = Engine(
            SCHEMAS[dialect.name],
            client_over(self.tables.answer, []),
            dialect,
            ExecutionSettings(plans=PlanLimits(can_expand=can_expand)),
            raise_bugs,
        )

    def fill(self, first: tuple[str, ...], second: tuple[str, ...]) -> None:
        pairs = [(1, text) for text in first] + [(2, f"z{text}") for text in second]
        # An $expand gives them in any order.
        self.tables.rows["Items"] = [{"Code": text, "Owner": n} for n, text in reversed(pairs)]

    def expected(self, owner: int) -> list[str]:
        found = [row["Code"] for row in self.tables.rows["Items"] if row["Owner"] == owner]
        return sorted(found, key=word_sorted)

    async def pages(self, arguments: str, *, alone: bool) -> list[dict[str, Any]]:
        """Return the page of each owner, or that of the first one by itself."""
        fields = "totalCount edges { cursor node { code } }"
        fields += " pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        body = f"items({arguments}) {{ {fields} }}"
        query = (
            f"{{ owner(number: 1) {{ {body} }} }}"
            if alone
            else f"{{ owners {{ nodes {{ {body} }} }} }}"
        )
        answer = (await self.engine.execute(GraphQLRequest(query=query))).to_builtins()
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        return [data["owner"]["items"]] if alone else [n["items"] for n in data["owners"]["nodes"]]


def ids(page: dict[str, Any]) -> list[str]:
    return [edge["node"]["code"] for edge in page["edges"]]


async def walk(service: Service, size: int, *, backward: bool, first_alone: bool) -> list[str]:
    """Return the ids of the first owner's pages, whose beginning was cut below both owners, or the rest was."""
    end, place, more, edge = (
        ("last", "before", "hasPreviousPage", "startCursor")
        if backward
        else ("first", "after", "hasNextPage", "endCursor")
    )
    page = (await service.pages(f"{end}: {size}", alone=first_alone))[0]
    seen = ids(page)
    while page["pageInfo"][more]:
        arguments = f'{end}: {size}, {place}: "{page["pageInfo"][edge]}"'
        page = (await service.pages(arguments, alone=not first_alone))[0]
        seen = ids(page) + seen if backward else seen + ids(page)
        assert page["totalCount"] == len(service.expected(1))
    return seen


WAYS = pytest.mark.parametrize(
    ("dialect", "can_expand"),
    [(FO, True), (FO, False), (ODATA, True), (ODATA, False)],
    ids=["finops expand", "finops keys", "odata expand", "odata keys"],
)


@WAYS
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("first_alone", [False, True], ids=["cut first", "cut later"])
@pytest.mark.parametrize("items", [HYPHENS, PLAIN], ids=["hyphens", "plain"])
async def test_a_page_that_is_cut_below_several_rows_continues_below_one(
    dialect: Dialect, can_expand: bool, backward: bool, first_alone: bool, items: tuple[str, ...]
) -> None:
    service = Service(dialect, can_expand=can_expand)
    service.fill(items, ("b", "a", "c"))
    for size in (1, 3, 4):
        seen = await walk(service, size, backward=backward, first_alone=first_alone)
        assert seen == service.expected(1)


@pytest.mark.heavy
@WAYS
def test_no_text_is_lost_or_repeated(dialect: Dialect, can_expand: bool) -> None:
    service = Service(dialect, can_expand=can_expand)
    loop = asyncio.new_event_loop()
    texts = st.lists(st.text("A1-'b2 _", min_size=1, max_size=4), max_size=9, unique_by=word_sorted)

    @settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(texts, st.integers(1, 4), st.booleans(), st.booleans())
    def check(items: list[str], size: int, backward: bool, first_alone: bool) -> None:
        service.fill(tuple(items), ("b", "a"))
        walked = walk(service, size, backward=backward, first_alone=first_alone)
        assert loop.run_until_complete(walked) == service.expected(1)

    check()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.mark.parametrize(
    ("items", "requests"), [(PLAIN, 1), (HYPHENS, 2)], ids=["plain", "hyphens"]
)
async def test_only_an_order_that_is_not_proven_costs_a_request_more(
    items: tuple[str, ...], requests: int
) -> None:
    service = Service(FO, can_expand=True)
    service.fill(items, ("b", "a", "c"))
    first, second = await service.pages("first: 3", alone=False)

    assert ids(first) == service.expected(1)[:3]
    assert ids(second) == service.expected(2)
    assert len(service.tables.requests) == requests
    assert [url for url in service.tables.requests if url.startswith("Items?")] == [
        "Items?$select=Code,Owner&$filter=Owner eq 1&$orderby=Code&$top=4&$count=true&cross-company=true"
    ] * (requests - 1)
